"""Built machine code on disk: one file for each exact content, shared by processes, never half written.

A file's name is a digest of everything that its content follows from, so an entry is right or absent. Whoever builds
holds a lock on the entry; others wait for it and then read.
"""

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from prover.cache import cache_directory


def build_folder() -> Path:
    """Where compiled CUDA units are kept; not created here."""
    return cache_directory() / "cuda"


def content_digest(files: Iterable[Path], *settings: str) -> str:
    """Hex digest (32 characters) of the files' names and contents and of the settings."""
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    for setting in settings:
        digest.update(setting.encode() + b"\0")
    return digest.hexdigest()[:32]


def build_once(name: str, build: Callable[[Path], None]) -> Path:
    """The file `name` of the build folder, made by `build(path)` if it is absent.

    `build` writes to a temporary path in the same folder; the file takes its name when it is complete.
    """
    folder = build_folder()
    target = folder / name
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with open(folder / f".{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if target.exists():
            return target
        descriptor, temporary = tempfile.mkstemp(prefix=".building-", suffix=target.suffix, dir=folder)
        os.close(descriptor)
        try:
            build(Path(temporary))
            os.replace(temporary, target)
        finally:
            Path(temporary).unlink(missing_ok=True)
    return target
