"""`gelap ptau|setup|prove|verify` as a user meets them: files in, files out, exit codes, one line for every mistake."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gelap.cli import app
from protocol.field import Q, R
from prover.formats.proof import read_proof
from prover.formats.ptau import read_ptau, write_ptau
from prover.formats.r1cs import write_r1cs
from prover.formats.verification_key import write_verification_key
from prover.formats.wtns import write_wtns
from prover.groth16.setup import initial_key
from prover.groth16.verification_key import verification_key
from tests.unit.groth16 import samples


def gelap(*arguments: object):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def refused(result, code: int, *words: str) -> None:
    """One line on stderr that says what is wrong, nothing on stdout, and the exit code."""
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("error:")]
    for word in words:
        assert word in line
    assert "Traceback" not in result.stderr


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Path:
    """circuit.r1cs, small.ptau, circuit.wtns, wrong.wtns, key.zkey, vkey.json, proof.json, public.json."""
    folder = tmp_path_factory.mktemp("commands")
    write_r1cs(folder / "circuit.r1cs", samples.circuit())
    write_ptau(folder / "small.ptau", samples.powers_of_tau())
    write_wtns(folder / "circuit.wtns", samples.witness())
    write_wtns(folder / "wrong.wtns", samples.witness(d=2))
    setup = ("--r1cs", folder / "circuit.r1cs", "--ptau", folder / "small.ptau")
    keys = ("--out", folder / "key.zkey", "--vkey", folder / "vkey.json")
    assert gelap("setup", *setup, *keys).exit_code == 0
    made = ("--proof", folder / "proof.json", "--public", folder / "public.json")
    proved = gelap("prove", "--zkey", folder / "key.zkey", "--wtns", folder / "circuit.wtns", *made)
    assert (proved.exit_code, proved.stdout) == (0, "")
    return folder


def verify(folder: Path, **files: Path):
    chosen = {"vkey": folder / "vkey.json", "proof": folder / "proof.json", "public": folder / "public.json", **files}
    return gelap("verify", *(part for name, path in chosen.items() for part in (f"--{name}", path)))


def test_a_proof_made_by_one_command_is_valid_for_the_next(workspace):
    result = verify(workspace)
    assert (result.exit_code, result.stdout) == (0, "valid\n")
    assert json.loads((workspace / "public.json").read_text()) == ["238", "5", "6"]


def test_a_wrong_public_input_is_exit_code_1(workspace, tmp_path):
    (tmp_path / "public.json").write_text('["238", "5", "7"]')
    result = verify(workspace, public=tmp_path / "public.json")
    assert (result.exit_code, result.stdout) == (1, "invalid\n")


def test_a_proof_with_a_point_off_the_curve_is_exit_code_1(workspace, tmp_path):
    proof = json.loads((workspace / "proof.json").read_text())
    proof["pi_a"] = ["1", "3", "1"]
    (tmp_path / "proof.json").write_text(json.dumps(proof))
    assert verify(workspace, proof=tmp_path / "proof.json").exit_code == 1


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[", "[1, 2]", "null", '{"pi_a": 5}', "\x00\x01", "9" * 5000, "[" * 5000, '{"protocol": "plonk"}'],
    ids=["empty", "object", "cut", "list", "null", "types", "binary", "number", "nesting", "plonk"],
)
@pytest.mark.parametrize("name", ["vkey", "proof", "public"])
def test_a_malformed_document_is_exit_code_2(workspace, tmp_path, name, text):
    path = tmp_path / "hostile.json"
    path.write_text(text)
    refused(verify(workspace, **{name: path}), 2)


def test_the_wrong_number_of_public_inputs_is_exit_code_2(workspace, tmp_path):
    (tmp_path / "public.json").write_text('["238", "5"]')
    refused(verify(workspace, public=tmp_path / "public.json"), 2, "takes 3 public inputs, not 2")


def test_a_public_input_beyond_the_field_is_exit_code_2(workspace, tmp_path):
    values = json.loads((workspace / "public.json").read_text())
    (tmp_path / "public.json").write_text(json.dumps([str(int(values[0]) + R), *values[1:]]))
    refused(verify(workspace, public=tmp_path / "public.json"), 2, "public input 0")


def test_a_verification_key_without_phase_2_is_exit_code_2(workspace, tmp_path):
    key = verification_key(initial_key(samples.circuit(), samples.powers_of_tau()))
    write_verification_key(tmp_path / "vkey.json", key)
    refused(verify(workspace, vkey=tmp_path / "vkey.json"), 2, "gamma and delta", "phase-2")


def test_missing_files_are_exit_code_2(workspace, tmp_path):
    refused(verify(workspace, proof=tmp_path / "nowhere.json"), 2, "nowhere.json")
    refused(verify(workspace, proof=tmp_path), 2, str(tmp_path))


def prove(workspace: Path, tmp_path: Path, **files: Path):
    chosen = {"zkey": workspace / "key.zkey", "wtns": workspace / "circuit.wtns", **files}
    outputs = ("--proof", tmp_path / "proof.json", "--public", tmp_path / "public.json")
    return gelap("prove", *(part for name, path in chosen.items() for part in (f"--{name}", path)), *outputs)


def test_a_witness_that_breaks_a_constraint_is_exit_code_1_and_leaves_no_proof(workspace, tmp_path):
    refused(prove(workspace, tmp_path, wtns=workspace / "wrong.wtns"), 1, "does not satisfy the circuit")
    assert list(tmp_path.iterdir()) == []


def test_a_witness_of_another_circuit_is_exit_code_2(workspace, tmp_path):
    write_wtns(tmp_path / "short.wtns", samples.witness()[:5])
    refused(prove(workspace, tmp_path, wtns=tmp_path / "short.wtns"), 2, "5 values", "9 wires")


def test_the_same_witness_gives_another_proof_each_time(workspace, tmp_path):
    assert prove(workspace, tmp_path).exit_code == 0
    assert read_proof(tmp_path / "proof.json") != read_proof(workspace / "proof.json")
    assert verify(workspace, proof=tmp_path / "proof.json").exit_code == 0


def without_our_primes(content: bytes) -> bytes:
    for prime in (Q, R):
        content = content.replace(prime.to_bytes(32, "little"), (prime - 2).to_bytes(32, "little"), 1)
    return content


def hostile(content: bytes) -> dict[str, bytes]:
    return {
        "empty": b"",
        "cut": content[: len(content) // 2],
        "one byte short": content[:-1],
        "one byte long": content + b"\0",
        "garbage": bytes(range(256)) * 20,
        "another kind": b"wtns" + content[4:] if content[:4] != b"wtns" else b"zkey" + content[4:],
        "a future version": content[:4] + b"\x63\0\0\0" + content[8:],
        "many sections": content[:8] + b"\xff\xff\xff\xff" + content[12:],
        "a huge section": content[:16] + b"\xff" * 8 + content[24:],
        "another curve": without_our_primes(content),
    }


KINDS = list(hostile(bytes(100)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("file", ["key.zkey", "circuit.wtns", "circuit.r1cs", "small.ptau"])
def test_hostile_files_are_exit_code_2(workspace, tmp_path, file, kind):
    bad = tmp_path / file
    bad.write_bytes(hostile((workspace / file).read_bytes())[kind])
    if file in ("circuit.r1cs", "small.ptau"):
        r1cs, ptau = (bad if file == name else workspace / name for name in ("circuit.r1cs", "small.ptau"))
        result = gelap("setup", "--r1cs", r1cs, "--ptau", ptau, "--out", tmp_path / "out.zkey")
        left = tmp_path / "out.zkey"
    else:
        result = prove(workspace, tmp_path, **{"zkey" if file == "key.zkey" else "wtns": bad})
        left = tmp_path / "proof.json"
    refused(result, 2, str(bad))
    assert not left.exists()


def test_flipped_bytes_in_a_proving_key_never_give_a_wrong_proof(workspace, tmp_path):
    content = bytearray((workspace / "key.zkey").read_bytes())
    for place in range(13, len(content), len(content) // 40):
        damaged = bytearray(content)
        damaged[place] ^= 0x10
        (tmp_path / "damaged.zkey").write_bytes(damaged)
        result = prove(workspace, tmp_path, zkey=tmp_path / "damaged.zkey")
        if result.exit_code == 0:
            # Only the ceremony's record, which proofs do not depend on, may be damaged unnoticed.
            assert verify(workspace, proof=tmp_path / "proof.json").exit_code == 0
        else:
            refused(result, result.exit_code)


def test_setup_wants_exactly_one_circuit(workspace, tmp_path):
    common = ("--ptau", workspace / "small.ptau", "--out", tmp_path / "out.zkey")
    refused(gelap("setup", *common), 2, "--r1cs FILE or --circuit NAME")
    both = ("--r1cs", workspace / "circuit.r1cs", "--circuit", "spend")
    refused(gelap("setup", *both, *common), 2, "--r1cs FILE or --circuit NAME")


def test_an_unknown_circuit_is_exit_code_2_and_names_those_there_are(workspace, tmp_path):
    files = ("--ptau", workspace / "small.ptau", "--out", tmp_path / "out.zkey")
    refused(gelap("setup", "--circuit", "nonsense", *files), 2, "nonsense", "spend_2x2")
    refused(gelap("keys", "make", "nonsense", "--dir", tmp_path / "keys"), 2, "nonsense", "spend_2x2")


def test_setup_says_how_large_the_powers_of_tau_must_be(workspace, tmp_path):
    assert gelap("ptau", "new", 1, tmp_path / "tiny.ptau").exit_code == 0
    out = tmp_path / "out.zkey"
    result = gelap("setup", "--r1cs", workspace / "circuit.r1cs", "--ptau", tmp_path / "tiny.ptau", "--out", out)
    refused(result, 2, "power 3, this file has 1", "gelap ptau new")
    assert not out.exists()


def test_setup_cannot_write_into_nowhere(workspace, tmp_path):
    out = tmp_path / "no" / "such" / "folder.zkey"
    result = gelap("setup", "--r1cs", workspace / "circuit.r1cs", "--ptau", workspace / "small.ptau", "--out", out)
    refused(result, 2, "folder.zkey", "cannot be written")


def test_powers_of_tau_say_that_they_are_for_development(tmp_path):
    result = gelap("ptau", "new", 2, tmp_path / "p.ptau")
    assert result.exit_code == 0
    assert "DEVELOPMENT ONLY" in result.stderr
    assert "development" in (read_ptau(tmp_path / "p.ptau").contributions[0].contributor.name or "")
    assert "DEVELOPMENT ONLY" in gelap("ptau", "new", "--help").stdout


@pytest.mark.parametrize("power", ["0", "21", "-1", "many", "1e3"])
def test_an_impossible_power_is_exit_code_2(tmp_path, power):
    result = gelap("ptau", "new", "--", power, tmp_path / "p.ptau")
    assert result.exit_code == 2
    assert list(tmp_path.iterdir()) == []
