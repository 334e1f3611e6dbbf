"""`gelap bench` as its users meet it: tables, JSON, plots, and one line for every mistake."""

import json
import sys
from pathlib import Path

import pytest

from bench import peers
from bench.result import VERSION

RESULT_FIELDS = {"benchmark", "case", "size", "unit", "path", "threads", "seconds", "details"}
RESULT_FIELDS |= {"median", "quartiles", "min", "max"}


def check_document(document: dict, command: str, runs: int) -> list[dict]:
    """The results of a document that has the promised form."""
    assert set(document) == {"version", "command", "started", "machine", "settings", "results"}
    assert (document["version"], document["command"], document["settings"]["repeat"]) == (VERSION, command, runs)
    assert {"cpu", "usable_cores", "flags", "numba", "load_average", "others_cores", "peers"} <= set(
        document["machine"]
    )
    for row in document["results"]:
        assert set(row) == RESULT_FIELDS
        assert len(row["seconds"]) == runs
        assert 0 < row["min"] <= row["quartiles"][0] <= row["median"] <= row["quartiles"][1] <= row["max"]
        assert row["threads"] >= 1
        assert row["path"] in ("ifma", "scalar", "")
    return document["results"]


def refused(result, code: int, *words: str) -> None:
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("error:")]
    for word in words:
        assert word in line


def test_field_prints_json_alone_on_stdout(bench):
    result = bench("field", "--sizes", "16", "--repeat", 3, "--threads", 1, "--path", "scalar", "--json", "-")
    assert result.exit_code == 0, result.stderr
    rows = check_document(json.loads(result.stdout), "field", 3)
    assert len({row["benchmark"] for row in rows}) == 4
    assert {(row["size"], row["unit"], row["path"], row["threads"]) for row in rows} == {(16, "elements", "scalar", 1)}
    assert "field_multiply" in result.stderr


def test_ntt_prints_a_table_and_draws_a_plot(bench, tmp_path):
    result = bench("ntt", "--sizes", "2^4,2^6", "--repeat", 2, "--plot", tmp_path / "ntt.png")
    assert result.exit_code == 0, result.stderr
    assert "ntt_odd_coset" in result.stdout
    assert "2 runs each" in result.stdout
    assert (tmp_path / "ntt.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_msm_measures_both_kinds_of_scalars(bench, tmp_path):
    file = tmp_path / "msm.json"
    result = bench("msm", "--sizes", "1,70", "--group", "g1", "--path", "scalar", "--repeat", 1, "--json", file)
    assert result.exit_code == 0, result.stderr
    rows = check_document(json.loads(file.read_text()), "msm", 1)
    measured = [(row["benchmark"], row["size"], row["case"]["scalars"]) for row in rows]
    assert measured == [("msm_g1", size, kind) for size in (1, 70) for kind in ("uniform", "witness-like")]


def test_scan_finds_our_memos_and_follows_the_tree(bench):
    result = bench("scan", "--sizes", "300", "--leaves", "130", "--repeat", 1, "--threads", 1, "--json", "-")
    assert result.exit_code == 0, result.stderr
    rows = check_document(json.loads(result.stdout), "scan", 1)
    assert [(row["benchmark"], row["size"], row["unit"]) for row in rows] == [
        ("scan", 300, "memos"),
        ("wallet_sync", 130, "leaves"),
    ]


def test_verify_measures_one_proof_and_batches(bench):
    result = bench("verify", "--circuit", "chain:240", "--sizes", "3", "--repeat", 2, "--json", "-")
    assert result.exit_code == 0, result.stderr
    one, batch = check_document(json.loads(result.stdout), "verify", 2)
    assert (one["benchmark"], one["size"], batch["benchmark"], batch["size"]) == ("verify_one", 1, "verify_batch", 3)
    assert one["details"] == {"public_inputs": 1}


def prove(bench, *arguments: object) -> tuple[dict, str]:
    result = bench("prove", "--circuit", "chain:480", "--repeat", 1, "--json", "-", *arguments)
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout), result.stderr


def test_prove_measures_resident_keys_and_whole_processes(bench, own_cache, tmp_path):
    document, table = prove(bench, "--plot", tmp_path / "prove.png")
    resident, process = check_document(document, "prove", 1)
    assert (resident["benchmark"], process["benchmark"]) == ("gelap_resident", "gelap_process")
    assert resident["case"] == process["case"] == {"circuit": "poseidon_chain_480"}
    assert resident["size"] == process["size"] == 480
    phases = resident["details"]["phases"]
    assert sum(phases.values()) <= resident["median"] < process["median"]
    assert {"quotient", "verification"} <= set(phases)
    assert process["details"]["peak_bytes"] >= process["details"]["peak_private_bytes"] > 0
    assert "key resident" in table
    assert "quotient" in table
    assert (tmp_path / "prove.png").stat().st_size > 1000
    assert (own_cache / "bench" / "poseidon_chain_480.zkey").is_file()


@pytest.mark.interop
def test_snarkjs_proves_the_same_witnesses_beside_us(bench):
    document, table = prove(bench, "--peer", "snarkjs")
    rows = check_document(document, "prove", 1)
    assert [row["benchmark"] for row in rows] == ["gelap_resident", "gelap_process", "snarkjs_process"]
    assert rows[2]["path"] == ""
    assert set(document["machine"]["peers"]) == {"snarkjs", "node"}
    assert "snarkjs" in table


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("field", "--sizes", "many"), ("'many'", "2^14")),
        (("ntt", "--sizes", "12"), ("12", "2^k")),
        (("msm", "--group", "g3"), ("g1 or g2",)),
        (("field", "--threads", "999"), ("999 threads", "CPUs")),
        (("field", "--path", "mmx"), ("'mmx'", "scalar")),
        (("field", "--json", "/nowhere/bench.json"), ("/nowhere", "make it first")),
        (("field", "--plot", "/nowhere/bench.png"), ("/nowhere", "make it first")),
        (("prove", "--peer", "rapidsnark"), ("'rapidsnark'", "snarkjs")),
    ],
)
def test_a_mistake_is_one_line_before_anything_is_measured(bench, arguments, words):
    refused(bench(*arguments), 2, *words)


@pytest.mark.parametrize("circuit", ["join_split", "chain:12"])
def test_an_unknown_circuit_is_one_line_too(bench, capfd, circuit):
    result = bench("prove", "--circuit", circuit)
    assert (result.exit_code, result.stdout) == (2, "")
    errors = [line for line in capfd.readouterr().err.splitlines() if line.startswith("error:")]
    assert len(errors) == 1
    assert circuit in errors[0]


def test_a_plot_without_matplotlib_says_how_to_get_it(bench, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # how Python marks a package that is not to be found
    refused(bench("field", "--plot", tmp_path / "plot.png"), 2, "pip install 'gelap[bench]'", "--plot")


def test_a_missing_snarkjs_says_how_to_get_it(bench, monkeypatch):
    monkeypatch.setattr(peers, "_ROOT", Path("/nowhere"))
    monkeypatch.setenv("PATH", "/nowhere")
    refused(bench("prove", "--peer", "snarkjs"), 2, "npm ci")
