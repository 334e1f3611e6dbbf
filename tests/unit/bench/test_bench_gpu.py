"""`gelap bench ... --device` and `python -m bench.gpu` on the shim: they work, check what they time, and say what is
missing. The times themselves mean nothing here.
"""

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from bench.errors import WrongResultError
from bench.gpu import laws, parts, report, sums, timing
from bench.gpu.__main__ import main
from bench.gpu.proofs import demand_proofs
from bench.gpu.timing import device_runs
from bench.result import Result
from prover.devices.choice import gpu_problem
from prover.errors import DeviceLost, DeviceOutOfMemory, InvalidProofError
from prover.kernels.cuda.shim_device import ShimDevice
from prover.msm.cuda_plan import G1, G2, make_plan

_ROOT = Path(__file__).resolve().parents[3]

# What the machine with a GPU has beside the standard library, and the project's own packages.
_ALLOWED = ["numpy", "numba", "llvmlite", "cupy", "cupyx", "cupy_backends", "cuda", "bench", "prover", "protocol"]
_ONLY_THOSE = f"""
import importlib.abc, sys

class OnlyThose(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        top = name.split(".")[0]
        if top in sys.stdlib_module_names or top in {_ALLOWED} or top.startswith("_"):
            return None
        raise ModuleNotFoundError("not installed here: " + name, name=name)

sys.meta_path.insert(0, OnlyThose())
"""


def gelap_bench(bench, *arguments: object) -> dict:
    result = bench(*arguments, "--json", "-")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_transforms_and_sums_are_timed_and_read_against_the_ceiling(bench):
    document = gelap_bench(bench, "ntt", "--device", "shim", "--sizes", "2^5", "--batch", "1,2", "--repeat", 2)
    assert [row["case"]["polynomials"] for row in document["results"]] == ["1", "1", "2", "2"]
    for row in document["results"]:
        assert row["path"] == "shim"
        assert row["details"]["multiplications_per_second"] == row["details"]["multiplications"] / row["median"]
        ceiling = document["machine"]["gpu"]["multiplications_per_second"]
        assert row["details"]["share_of_ceiling"] == row["details"]["multiplications_per_second"] / ceiling


def test_sums_tell_their_plan(bench):
    document = gelap_bench(bench, "msm", "--device", "shim", "--sizes", "40", "--group", "g1", "--repeat", 1)
    uniform, witness_like = document["results"]
    assert uniform["details"]["multiplications"] > 40
    assert "multiplications" not in witness_like["details"]
    assert uniform["details"]["window_bits"] == witness_like["details"]["window_bits"]


@pytest.mark.slow
def test_batches_are_counted_in_proofs_a_second_and_drawn(bench, tmp_path, monkeypatch):
    # Few tables: making them takes the shim longer than the proofs.
    monkeypatch.setenv("GELAP_DEVICE_MEMORY", "6MiB")
    plot = tmp_path / "batch.png"
    arguments = ("batch", "--device", "shim", "--circuit", "chain:240", "--sizes", "2", "--repeat", 1, "--plot", plot)
    document = gelap_bench(bench, *arguments)
    measured = [(row["size"], row["case"]["from"]) for row in document["results"]]
    assert measured == [(2, "witnesses"), (2, "statements")]
    for row in document["results"]:
        assert row["details"]["proofs_per_second"] == pytest.approx(row["size"] / row["median"])
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_the_cpu_is_counted_the_same_way(bench):
    document = gelap_bench(bench, "batch", "--device", "cpu", "--circuit", "chain:240", "--sizes", "2", "--repeat", 1)
    (row,) = document["results"]
    assert (row["benchmark"], row["size"]) == ("groth16_batch", 2)


@pytest.mark.skipif(gpu_problem() is None, reason="says what is said on a machine without a GPU; this has one")
def test_a_missing_gpu_is_one_line(bench, capfd):
    result = bench("msm", "--device", "cuda", "--sizes", "10")
    assert result.exit_code == 2
    (line,) = [line for line in capfd.readouterr().err.splitlines() if line.startswith("error:")]
    assert "cuda cannot be used" in line


@pytest.mark.slow
def test_the_prepared_run_needs_nothing_but_numpy_numba_and_cupy(tmp_path):
    # Imported by every process that the run starts.
    (tmp_path / "sitecustomize.py").write_text(_ONLY_THOSE)
    target = tmp_path / "gpu.json"
    result = subprocess.run(
        [sys.executable, "-m", "bench.gpu", "--device", "shim", "--extent", "tiny", "--json", str(target)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(_ROOT)])},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    document = json.loads(target.read_text())
    assert document["settings"]["laws"] == [
        "copies, streams and graphs", "field arithmetic", "transforms", "sums in G1", "sums in G2", "proofs",
    ]  # fmt: skip
    assert {row["benchmark"] for row in document["results"]} == {
        "ntt_forward", "ntt_odd_coset", "msm_g1", "msm_g2", "groth16_single", "groth16_batch",
    }  # fmt: skip
    assert "% " in result.stdout
    assert document["settings"]["problems"] == {}
    assert sorted(path.name for path in tmp_path.glob("gpu.json*")) == ["gpu.json"]
    restricted = subprocess.run(
        [sys.executable, "-c", "import typer"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "not installed here" in restricted.stderr


def _in_process(monkeypatch, tmp_path, **steps) -> tuple[int, dict]:
    """A run of parts that are made of these steps."""
    for name, step in steps.items():
        monkeypatch.setitem(parts._PARTS, name, lambda owner, extent, found, progress, step=step: step(found))
    target = tmp_path / "gpu.json"
    arguments = ["--device", "shim", "--extent", "tiny", "--in-process", "--only", ",".join(steps)]
    code = main([*arguments, "--json", str(target), "--commit", "abc"])
    return code, json.loads(target.read_text())


def _raise(error: BaseException) -> None:
    raise error


def test_a_step_that_fails_loses_neither_its_part_nor_the_others(monkeypatch, tmp_path, capsys):
    row = Result("ntt_forward", 8, "elements", [0.5])
    code, document = _in_process(
        monkeypatch,
        tmp_path,
        ntt=lambda found: [lambda: _raise(TypeError("odd")), lambda: found.result(row)],
        msm=lambda found: [lambda: _raise(DeviceLost("gone")), lambda: found.result(row)],
        batch=lambda found: [lambda: found.result(row)],
    )
    assert code == 2
    assert document["settings"]["problems"] == {"ntt": ["TypeError: odd"], "msm": ["gone"]}
    assert len(document["results"]) == 2
    printed = capsys.readouterr()
    assert "msm failed: gone" in printed.out
    assert "Traceback" in printed.err


def test_a_law_that_does_not_hold_is_named_and_the_others_are_checked(monkeypatch, tmp_path, capsys):
    wrong = partial(_raise, WrongResultError("no"))
    monkeypatch.setattr(laws, "laws", lambda owner, large: iter([("first", wrong), ("second", lambda: None)]))
    target = tmp_path / "gpu.json"
    arguments = ["--device", "shim", "--extent", "tiny", "--in-process", "--only", "laws", "--json", str(target)]
    assert main(arguments) == 1
    assert json.loads(target.read_text())["settings"]["laws"] == ["second"]
    printed = capsys.readouterr().out
    assert "WRONG  first: WrongResultError: no" in printed
    assert "laws that do NOT hold: first" in printed


def test_a_part_that_hangs_is_stopped_and_what_it_found_is_kept(monkeypatch, tmp_path):
    target = tmp_path / "gpu.json"

    def begin(run: object, name: str) -> subprocess.Popen:
        """What it finds is there before its time begins, however slow the machine is."""
        parts.Findings(Path(f"{target}.{name}")).result(Result("a", 1, "elements", [1.0]))
        return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])

    monkeypatch.setattr("bench.gpu.__main__._Run._begin", begin)
    extent = parts.EXTENTS["tiny"]._replace(part_seconds=1)
    monkeypatch.setitem(parts.EXTENTS, "tiny", extent)
    monkeypatch.setattr("bench.gpu.__main__._LEAST_SECONDS", 1.0)
    code = main(["--device", "shim", "--extent", "tiny", "--only", "ntt", "--json", str(target)])
    assert code == 2
    document = json.loads(target.read_text())
    assert [row["benchmark"] for row in document["results"]] == ["a"]
    assert "was stopped after 1 s" in document["settings"]["problems"]["ntt"][0]


def test_an_unknown_part_is_one_line(capsys):
    with pytest.raises(SystemExit):
        main(["--only", "nonsense"])
    assert "there is no part 'nonsense'; --only takes: laws,rate,ntt,msm,prove,batch,large" in capsys.readouterr().err


def test_the_prepared_run_ends_with_one_line_where_there_is_no_such_device():
    result = subprocess.run(
        [sys.executable, "-m", "bench.gpu", "--device", "cpu"],
        cwd=_ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 2
    assert result.stderr == "error: no GPU was chosen: --device cpu\n"


def test_a_wrong_output_has_no_time():
    with pytest.raises(WrongResultError, match="tests/gpu"):
        device_runs(ShimDevice(), lambda: 1, lambda value: value + 1, lambda value, result: result == value, 1)


def test_a_law_that_does_not_hold_is_an_error():
    laws._demand("something", True)
    with pytest.raises(WrongResultError, match="something"):
        laws._demand("something", False)


def test_a_missing_proof_is_the_error_that_stands_for_it():
    with pytest.raises(WrongResultError, match="does not verify"):
        demand_proofs([InvalidProofError("no")])
    with pytest.raises(DeviceOutOfMemory):
        demand_proofs([DeviceOutOfMemory("full")])


def test_multiplications_are_counted_by_the_plan():
    plan = make_plan(G1, 1 << 20, 1, 8 << 30, 8 << 30, 132)
    counted = sums.multiplications(plan, 1)
    entries = (1 << 20) * plan.windows
    assert entries * 9.1 < counted < entries * 9.1 * 1.5
    twice = make_plan(G2, 1 << 20, 2, 8 << 30, 8 << 30, 132)
    assert sums.multiplications(twice, 2) == 2 * sums.multiplications(twice, 1)


def test_a_table_says_where_it_was_measured():
    device = ShimDevice()
    document = report.new_report("msm", {"repeat": 1}, {})
    assert "nothing is known of the GPU" in "\n".join(report.lines(document))
    document = report.new_report("msm", {"repeat": 1}, timing.gpu_facts(device))
    result = timing.against_ceiling(device, Result("msm_g1", 8, "points", [0.5, 0.5], {"proofs": "1"}), 1e6)
    document.results.append(result)
    text = "\n".join(report.lines(document))
    assert "500.000 ms" in text
    assert f"{result.details['share_of_ceiling']:.0%}" in text
    assert "CPU shim" in text
    assert np.isclose(result.details["multiplications_per_second"], 2e6)
