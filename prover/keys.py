"""The proving keys of a node: a folder of `<circuit>.zkey`, `<circuit>.vkey.json` and a manifest that lists them.

manifest.json:

    {"version": 1, "circuits": [{
        "name": "spend_2x2",
        "zkey": "spend_2x2.zkey",                    file name in this folder
        "zkey_sha256": hex,
        "verification_key": "spend_2x2.vkey.json",   file name in this folder
        "verification_key_digest": hex,              SHA-256 of the key's bytes; part of every statement hash
        "r1cs_sha256": hex,                          SHA-256 of the circuit's .r1cs file
        "public_inputs": 9,
        "development": true                          the setup was made on one machine: never for anything of value
    }]}

The manifest is written last, so whoever reads it finds the files it names.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from prover.cache import cache_directory
from prover.errors import FormatError
from prover.formats.files import atomic_write
from prover.formats.ptau import PowersOfTau, read_ptau
from prover.formats.r1cs import write_r1cs
from prover.formats.verification_key import read_verification_key, write_verification_key
from prover.formats.zkey import write_zkey
from prover.groth16.ceremony import new_powers_of_tau
from prover.groth16.setup import MAX_POWER, domain_power, setup
from prover.groth16.verification_key import verification_key
from prover.progress import Reporter, silent
from prover.r1cs import R1CS
from prover.statements import registry

MANIFEST = "manifest.json"
VERSION = 1


@dataclass(frozen=True)
class CircuitKeys:
    """One circuit's entry in the manifest; see this module's text for the fields."""

    name: str
    zkey: str
    zkey_sha256: str
    verification_key: str
    verification_key_digest: str
    r1cs_sha256: str
    public_inputs: int
    development: bool


@dataclass(frozen=True)
class Manifest:
    """The keys in `directory`, in the order they were made."""

    directory: Path
    circuits: tuple[CircuitKeys, ...]

    def find(self, name: str) -> CircuitKeys | None:
        return next((entry for entry in self.circuits if entry.name == name), None)

    def zkey_path(self, name: str) -> Path:
        """Where the proving key of circuit `name` is. Raises FormatError when there is none."""
        entry = self.find(name)
        if entry is None:
            raise FormatError(f"{self.directory}: no keys of circuit {name}; make them with `gelap keys make {name}`")
        return self.directory / entry.zkey

    def vkeys(self) -> dict[str, bytes]:
        """The verification keys by circuit, as bytes in EVM order: what a verifier contract is made of.

        Raises FormatError when a file cannot be read.
        """
        return {
            entry.name: read_verification_key(self.directory / entry.verification_key).to_bytes()
            for entry in self.circuits
        }


def default_directory() -> Path:
    """`GELAP_KEY_DIR`, else `keys` in the cache directory."""
    chosen = os.environ.get("GELAP_KEY_DIR")
    return Path(chosen).expanduser() if chosen else cache_directory() / "keys"


def read_manifest(directory: Path) -> Manifest:
    """Read `directory`/manifest.json; whether the files it names are there is not checked. Raises FormatError."""
    path = Path(directory) / MANIFEST
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FormatError(f"{path}: there are no keys; make them with `gelap keys make`") from None
    except (OSError, ValueError) as error:
        raise FormatError(f"{path}: cannot be read ({error}); make the keys again with `gelap keys make`") from error
    if not isinstance(document, dict) or document.get("version") != VERSION:
        raise FormatError(f"{path}: not a manifest of version {VERSION}; make the keys again with `gelap keys make`")
    entries = document.get("circuits")
    if not isinstance(entries, list) or not all(_is_entry(entry) for entry in entries):
        raise FormatError(f"{path}: an entry is malformed; make the keys again with `gelap keys make`")
    return Manifest(Path(directory), tuple(CircuitKeys(**entry) for entry in entries))


def known_circuits(directory: Path) -> list[str]:
    """The circuits that this release knows, of those in the manifest of `directory`; none where it cannot be read."""
    try:
        return [entry.name for entry in read_manifest(directory).circuits if entry.name in registry.names()]
    except FormatError:
        return []


def ensure_keys(directory: Path, names: Sequence[str], progress: Reporter = silent) -> Manifest:
    """Make development keys of the named circuits, where they are not there already, and return the manifest.

    Keys are kept when their circuit is the same (by the digest of its constraints) and their file is intact. Processes
    that ask at the same time wait for the first. Keys of other circuits stay. Raises InputError for an unknown circuit,
    SetupError for one that is too large, and FormatError when files cannot be written.
    """
    circuits: dict[str, R1CS] = {}
    for name in names:
        progress(f"compiling {name}", len(circuits), len(names))
        circuit = registry.build(registry.resolve(name))
        circuits[circuit.name] = circuit.r1cs
    return ensure_circuit_keys(directory, circuits, progress)


def ensure_circuit_keys(directory: Path, circuits: Mapping[str, R1CS], progress: Reporter = silent) -> Manifest:
    """As `ensure_keys`, for constraint systems by name; a name is a file name's stem."""
    directory = Path(directory)
    with _locked(directory, progress):
        try:
            entries = {entry.name: entry for entry in read_manifest(directory).circuits}
        except FormatError:
            entries = {}
        digests = {name: _r1cs_digest(directory, r1cs) for name, r1cs in circuits.items()}
        stale = [name for name in circuits if not _is_current(directory, entries.get(name), digests[name])]
        if stale:
            power = max(domain_power(circuits[name]) for name in stale)
            ptau = _development_powers(directory, power, progress)
            for name in stale:
                entries[name] = _make(directory, name, circuits[name], digests[name], ptau, progress)
                _write_manifest(directory, entries.values())
        return Manifest(directory, tuple(entries.values()))


@contextlib.contextmanager
def _locked(directory: Path, progress: Reporter) -> Iterator[None]:
    """Hold the folder's lock, made if absent; it is released when the process ends, however it ends."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = open(directory / ".lock", "w")  # noqa: SIM115  (closed below)
    except OSError as error:
        raise FormatError(f"{directory}: cannot keep keys here ({error.strerror}); choose another folder") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("waiting for another process that makes keys", 0, 1)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _r1cs_digest(directory: Path, r1cs: R1CS) -> str:
    """SHA-256 of the `.r1cs` file of the circuit, hex."""
    with tempfile.TemporaryDirectory(dir=directory) as scratch:
        path = Path(scratch) / "circuit.r1cs"
        write_r1cs(path, r1cs)
        return _file_digest(path)


def _file_digest(path: Path) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _is_current(directory: Path, entry: CircuitKeys | None, r1cs_sha256: str) -> bool:
    if entry is None or entry.r1cs_sha256 != r1cs_sha256:
        return False
    zkey, vkey = directory / entry.zkey, directory / entry.verification_key
    try:
        return _file_digest(zkey) == entry.zkey_sha256 and read_verification_key(vkey).digest().hex() == (
            entry.verification_key_digest
        )
    except (OSError, FormatError):
        return False


def _development_powers(directory: Path, power: int, progress: Reporter) -> PowersOfTau:
    """The folder's smallest powers of tau that suffice, made when there are none or they cannot be read."""
    for sufficient in range(power, MAX_POWER + 1):
        with contextlib.suppress(FormatError):
            return read_ptau(directory / f"development_{sufficient}.ptau")
    path = directory / f"development_{power}.ptau"
    new_powers_of_tau(power, path, progress)
    return read_ptau(path)


def _make(
    directory: Path, name: str, r1cs: R1CS, r1cs_sha256: str, ptau: PowersOfTau, progress: Reporter
) -> CircuitKeys:
    zkey = setup(r1cs, ptau, lambda activity, done, total: progress(f"{name}: {activity}", done, total))
    zkey_name, vkey_name = f"{name}.zkey", f"{name}.vkey.json"
    key = verification_key(zkey)
    write_zkey(directory / zkey_name, zkey)
    write_verification_key(directory / vkey_name, key)
    return CircuitKeys(
        name=name,
        zkey=zkey_name,
        zkey_sha256=_file_digest(directory / zkey_name),
        verification_key=vkey_name,
        verification_key_digest=key.digest().hex(),
        r1cs_sha256=r1cs_sha256,
        public_inputs=key.n_public,
        development=True,
    )


def _write_manifest(directory: Path, entries: Iterable[CircuitKeys]) -> None:
    document = {"version": VERSION, "circuits": [asdict(entry) for entry in entries]}
    with atomic_write(directory / MANIFEST) as stream:
        stream.write((json.dumps(document, indent=2) + "\n").encode())


def _is_entry(entry: Any) -> bool:
    """Does a JSON value have the fields of CircuitKeys, of their types, and file names that stay in the folder?"""
    if not isinstance(entry, dict) or set(entry) != {field.name for field in fields(CircuitKeys)}:
        return False
    if type(entry["public_inputs"]) is not int or type(entry["development"]) is not bool:
        return False
    texts = [value for name, value in entry.items() if name not in ("public_inputs", "development")]
    if not all(isinstance(text, str) for text in texts):
        return False
    return all(_is_file_name(entry[name]) for name in ("zkey", "verification_key"))


def _is_file_name(text: str) -> bool:
    return Path(text).name == text and text not in ("", "..")
