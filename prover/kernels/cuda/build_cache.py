"""Built machine code on disk: one file for each exact content, shared by processes, never half written.

A file's name holds a digest of everything that its content follows from, so a file is right or absent. Whoever builds
holds a lock; others wait for it and then read.
"""

import fcntl
import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from prover.cache import cache_directory
from prover.errors import DeviceError

# Locks are few and are never removed; two files that share one are built one after the other.
_LOCKS = 256
_MARK_SECONDS = 24 * 3600
_UNUSED_SECONDS = 30 * 24 * 3600


def build_folder() -> Path:
    """Where compiled CUDA units are kept; not created here."""
    return cache_directory() / "cuda"


def content_digest(files: Iterable[tuple[str, bytes]], *settings: str) -> str:
    """Hex digest (32 characters) of files, as names and contents, and of settings."""
    digest = hashlib.sha256()
    for name, content in files:
        digest.update(name.encode() + b"\0" + hashlib.sha256(content).digest())
    for setting in settings:
        digest.update(setting.encode() + b"\0")
    return digest.hexdigest()[:32]


def build_once(name: str, build: Callable[[Path], None]) -> Path:
    """The file `name` of the build folder, made by `build(path)` if it is absent.

    `build` writes to a temporary path in the same folder; the file takes its name when it is complete. Must not be
    called by `build`. Raises DeviceError when the folder cannot be written.
    """
    folder = build_folder()
    target = folder / name
    if target.exists():
        _mark_used(target)
        return target
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        bucket = hashlib.sha256(name.encode()).digest()[0] % _LOCKS
        with open(folder / f".lock-{bucket}", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not target.exists():
                write_atomically(target, build)
                _remove_unused(folder)
    except OSError as error:
        raise DeviceError(
            f"compiled kernels cannot be kept in {folder} ({error.strerror}): set GELAP_CACHE_DIR to a writable folder"
        ) from None
    return target


def write_atomically(target: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a temporary file beside `target`, then give it that name."""
    descriptor, temporary = tempfile.mkstemp(prefix=".building-", suffix=target.suffix, dir=target.parent)
    os.close(descriptor)
    try:
        write(Path(temporary))
        os.replace(temporary, target)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _mark_used(target: Path) -> None:
    with suppress(OSError):
        if time.time() - target.stat().st_mtime > _MARK_SECONDS:
            os.utime(target)


def _remove_unused(folder: Path) -> None:
    """Remove files that no process has asked for in a month; a process that still maps one keeps it open."""
    for path in folder.iterdir():
        with suppress(OSError):
            if not path.name.startswith(".lock-") and time.time() - path.stat().st_mtime > _UNUSED_SECONDS:
                path.unlink()
