"""Which circuits get development keys: the few that a pool cannot do without, unless somebody chooses."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import prover.keys
import prover.keys_cli
from gelap.cli import app
from gelap.up.cli import _ensure_keys
from prover.errors import InputError
from prover.keys import Manifest, ensure_circuit_keys, known_circuits
from prover.statements import registry
from tests.unit.groth16 import samples


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What was to be made, call by call; nothing is."""
    calls: list[list[str]] = []

    def remember(directory: Path, names, progress) -> Manifest:
        calls.append([registry.resolve(name) for name in names])
        return Manifest(directory, ())

    for module in (prover.keys, prover.keys_cli):
        monkeypatch.setattr(module, "ensure_keys", remember)
    return calls


def folder_with(path: Path, *names: str) -> Path:
    """A key folder whose manifest lists these circuits; there are no files."""
    entry = {"zkey_sha256": "", "verification_key_digest": "", "r1cs_sha256": "", "public_inputs": 1}
    entries = [
        {**entry, "name": name, "zkey": f"{name}.zkey", "verification_key": f"{name}.vkey.json", "development": False}
        for name in names
    ]
    (path / "manifest.json").write_text(json.dumps({"version": 1, "circuits": entries}))
    return path


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], ["spend_2x2", "insert_64"]),
        (["spend_8x2"], ["spend_8x2"]),
        (["--circuit", "spend_2x3", "--circuit", "insert"], ["spend_2x3", "insert_64"]),
        (["spend", "--circuit", "spend_2x3"], ["spend_2x2", "spend_2x3"]),
        (["--all"], ["spend_2x2", "insert_64", "spend_2x3", "spend_8x2"]),
    ],
)
def test_keys_are_made_of_what_is_named_and_else_of_the_basic_circuits(asked, tmp_path, arguments, expected) -> None:
    result = CliRunner().invoke(app, ["keys", "make", "--dir", str(tmp_path), *arguments])
    assert (result.exit_code, asked) == (0, [expected])


@pytest.mark.parametrize(
    ("there", "circuits", "expected"),
    [
        (None, [], [["spend_2x2", "insert_64"]]),
        (None, ["spend_2x3", "spend"], [["spend_2x2", "insert_64", "spend_2x3"]]),
        (["spend_2x2"], [], []),
        (["spend_2x2"], ["spend_2x2"], []),
        (["other"], ["spend_8x2", "other"], InputError),
        (["other"], ["spend_8x2"], [["spend_8x2"]]),
    ],
)
def test_a_cluster_on_this_machine_makes_only_keys_that_are_missing(asked, tmp_path, there, circuits, expected) -> None:
    if there is not None:
        folder_with(tmp_path, *there)
    if expected is InputError:
        with pytest.raises(InputError, match="choose one of"):
            _ensure_keys(tmp_path, circuits)
    else:
        _ensure_keys(tmp_path, circuits)
        assert asked == expected


def test_the_demo_serves_known_circuits_whose_keys_are_there(tmp_path) -> None:
    assert known_circuits(tmp_path) == []
    assert known_circuits(folder_with(tmp_path, "spend_8x2", "somebody's", "insert_64")) == ["spend_8x2", "insert_64"]


def test_larger_powers_of_tau_that_are_there_serve_a_smaller_circuit(tmp_path) -> None:
    ensure_circuit_keys(tmp_path, {"small": samples.circuit()})
    (tmp_path / "development_3.ptau").rename(tmp_path / "development_5.ptau")
    manifest = ensure_circuit_keys(tmp_path, {"small": samples.circuit(), "other": samples.circuit()})
    assert [entry.name for entry in manifest.circuits] == ["small", "other"]
    # Its name says 5 but it has 3, which is enough.
    assert not (tmp_path / "development_3.ptau").exists()


def test_a_manifest_gives_its_verification_keys_as_a_contract_takes_them(tmp_path) -> None:
    manifest = ensure_circuit_keys(tmp_path, {"small": samples.circuit()})
    (vkey,) = manifest.vkeys().values()
    # alpha, beta, gamma, delta, and a point for the constant 1 and each of the three public inputs.
    assert len(vkey) == 64 + 3 * 128 + 64 * 4
