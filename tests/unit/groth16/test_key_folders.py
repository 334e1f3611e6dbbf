"""A node's folder of keys: made once, kept while it fits the circuits, never half written."""

import hashlib
import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gelap.cli import app
from prover.errors import FormatError
from prover.formats.r1cs import write_r1cs
from prover.formats.verification_key import read_verification_key
from prover.groth16.prove import ProvingKey, prove
from prover.keys import default_directory, ensure_circuit_keys, read_manifest
from prover.limbs import from_limbs
from tests.unit.groth16 import samples

CIRCUITS = {"small": samples.circuit()}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    ensure_circuit_keys(folder, CIRCUITS)
    return folder


@pytest.fixture
def folder(made, tmp_path) -> Path:
    """A copy of the folder, to be changed."""
    for file in made.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def stamps(folder: Path) -> dict[str, int]:
    return {file.name: file.stat().st_mtime_ns for file in folder.iterdir() if file.name != ".lock"}


def test_the_manifest_describes_the_files_beside_it(made, tmp_path):
    (entry,) = json.loads((made / "manifest.json").read_text())["circuits"]
    write_r1cs(tmp_path / "small.r1cs", samples.circuit())
    assert entry == {
        "name": "small",
        "zkey": "small.zkey",
        "zkey_sha256": hashlib.sha256((made / "small.zkey").read_bytes()).hexdigest(),
        "verification_key": "small.vkey.json",
        "verification_key_digest": read_verification_key(made / "small.vkey.json").digest().hex(),
        "r1cs_sha256": hashlib.sha256((tmp_path / "small.r1cs").read_bytes()).hexdigest(),
        "public_inputs": 3,
        "development": True,
    }
    assert sorted(stamps(made)) == ["development_3.ptau", "manifest.json", "small.vkey.json", "small.zkey"]


def test_the_keys_prove(made):
    key = ProvingKey.load(read_manifest(made).zkey_path("small"))
    witness = samples.witness()
    assert key.verifier.verify(from_limbs(witness[1:4]), prove(key, witness))
    assert key.verification_key == read_verification_key(made / "small.vkey.json")


def test_a_second_call_changes_nothing(folder):
    before = stamps(folder)
    assert ensure_circuit_keys(folder, CIRCUITS) == read_manifest(folder)
    assert stamps(folder) == before


@pytest.mark.parametrize("file", ["small.zkey", "small.vkey.json"])
@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"damaged")], ids=["lost", "damaged"])
def test_a_lost_or_damaged_key_is_made_again(folder, file, damage):
    before = read_manifest(folder)
    damage(folder / file)
    after = ensure_circuit_keys(folder, CIRCUITS)
    assert after.find("small").verification_key_digest != before.find("small").verification_key_digest
    ProvingKey.load(after.zkey_path("small"))


def test_a_changed_circuit_gets_new_keys(folder):
    changed = replace(samples.circuit(), n_public_inputs=1, n_private_inputs=5)
    before = read_manifest(folder).find("small")
    entry = ensure_circuit_keys(folder, {"small": changed}).find("small")
    assert entry.public_inputs == 2
    assert entry.r1cs_sha256 != before.r1cs_sha256
    assert read_verification_key(folder / entry.verification_key).n_public == 2


def test_keys_of_other_circuits_stay(folder):
    small = read_manifest(folder).find("small")
    manifest = ensure_circuit_keys(folder, {"other": samples.circuit()})
    assert [entry.name for entry in manifest.circuits] == ["small", "other"]
    assert manifest.find("small") == small
    assert manifest == read_manifest(folder)


def test_a_damaged_manifest_or_ptau_is_replaced(folder):
    (folder / "manifest.json").write_text("{")
    (folder / "development_3.ptau").write_bytes(b"ptau")
    ensure_circuit_keys(folder, CIRCUITS)
    assert read_manifest(folder).find("small") is not None


def test_callers_at_the_same_time_get_one_key(tmp_path):
    manifests = []
    threads = [
        threading.Thread(target=lambda: manifests.append(ensure_circuit_keys(tmp_path / "new", CIRCUITS)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(manifests) == 3
    assert manifests[0] == manifests[1] == manifests[2] == read_manifest(tmp_path / "new")


def test_progress_names_the_circuit(tmp_path):
    said = []
    ensure_circuit_keys(tmp_path, CIRCUITS, lambda activity, done, total: said.append((activity, done, total)))
    assert any(activity.startswith("small: ") for activity, _, _ in said)
    assert all(0 <= done <= total for _, done, total in said)


@pytest.mark.parametrize(
    "document",
    [
        "",
        "[]",
        '{"version": 2, "circuits": []}',
        '{"version": 1}',
        '{"version": 1, "circuits": [5]}',
        '{"version": 1, "circuits": [{"name": "small"}]}',
    ],
)
def test_a_malformed_manifest_is_refused(tmp_path, document):
    (tmp_path / "manifest.json").write_text(document)
    with pytest.raises(FormatError, match="gelap keys make"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("zkey", "../elsewhere.zkey"),
        ("zkey", "/etc/passwd"),
        ("verification_key", ".."),
        ("zkey", ""),
        ("public_inputs", "3"),
        ("public_inputs", True),
        ("development", "no"),
        ("name", 5),
    ],
)
def test_a_manifest_entry_of_the_wrong_type_or_place_is_refused(folder, field, value):
    document = json.loads((folder / "manifest.json").read_text())
    document["circuits"][0][field] = value
    (folder / "manifest.json").write_text(json.dumps(document))
    with pytest.raises(FormatError, match="malformed"):
        read_manifest(folder)


def test_an_unknown_circuit_has_no_key(made):
    with pytest.raises(FormatError, match="no keys of circuit large"):
        read_manifest(made).zkey_path("large")


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FormatError, match="choose another folder"):
        ensure_circuit_keys(tmp_path / "file" / "keys", CIRCUITS)


def test_the_default_folder_is_in_the_cache_unless_chosen(monkeypatch, tmp_path):
    monkeypatch.setenv("GELAP_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("GELAP_KEY_DIR", raising=False)
    assert default_directory() == tmp_path / "keys"
    monkeypatch.setenv("GELAP_KEY_DIR", str(tmp_path / "mine"))
    assert default_directory() == tmp_path / "mine"


def test_the_list_names_circuits_and_their_keys(made):
    entry = read_manifest(made).find("small")
    result = CliRunner().invoke(app, ["keys", "list", "--dir", str(made)])
    assert result.exit_code == 0
    assert "small" in result.stdout
    assert entry.verification_key_digest[:16] in result.stdout
    as_json = CliRunner().invoke(app, ["keys", "list", "--json", "--dir", str(made)])
    assert json.loads(as_json.stdout)[0]["verification_key_digest"] == entry.verification_key_digest


def test_listing_an_empty_folder_says_how_to_make_keys(tmp_path):
    result = CliRunner().invoke(app, ["keys", "list", "--dir", str(tmp_path)])
    assert result.exit_code == 2
    assert "gelap keys make" in result.stderr
