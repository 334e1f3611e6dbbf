"""The circuits that this cluster proves, as `gelap keys make` describes them in manifest.json.

Read by gateways too, so it loads nothing of the prover.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from worker.errors import ConfigurationError

FILE_NAME = "manifest.json"
VERSION = 1

_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class CircuitEntry:
    """One circuit: its proving key and verification key (files, with SHA-256 digests), and how many public inputs.

    `verification_key_digest` is the SHA-256 of the verification key's bytes, not of its file.
    """

    name: str
    zkey: Path
    zkey_sha256: bytes
    verification_key: Path
    verification_key_digest: bytes
    public_inputs: int
    development: bool


def read_manifest(folder: Path) -> Mapping[str, CircuitEntry]:
    """Return the circuits of `folder`/manifest.json by name. Raises ConfigurationError."""
    path = folder / FILE_NAME
    try:
        document = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(f"there are no proving keys in {folder}: run `gelap keys make`") from None
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from None
    if not isinstance(document, dict) or document.get("version") != VERSION:
        raise ConfigurationError(f"{path} is not of version {VERSION}: run `gelap keys make` of this release")
    try:
        entries = [_entry(folder, item) for item in document["circuits"]]
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(f"{path} is malformed ({error}): run `gelap keys make`") from None
    if not entries:
        raise ConfigurationError(f"{path} names no circuit: run `gelap keys make`")
    return {entry.name: entry for entry in entries}


def _entry(folder: Path, item: Mapping[str, Any]) -> CircuitEntry:
    count = item["public_inputs"]
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise ValueError(f"public_inputs is {count!r}")
    return CircuitEntry(
        name=str(item["name"]),
        zkey=_beside(folder, item["zkey"]),
        zkey_sha256=_digest(item["zkey_sha256"]),
        verification_key=_beside(folder, item["verification_key"]),
        verification_key_digest=_digest(item["verification_key_digest"]),
        public_inputs=count,
        development=bool(item["development"]),
    )


def _beside(folder: Path, name: str) -> Path:
    if Path(name).name != name:
        raise ValueError(f"{name!r} is not the name of a file beside it")
    return folder / name


def _digest(text: str) -> bytes:
    if not _DIGEST.fullmatch(text):
        raise ValueError("a digest is not 64 hexadecimal digits")
    return bytes.fromhex(text)
