"""Where compiled kernels are kept: one folder for each exact set of sources.

A kernel whose field arithmetic changed in another file must not be served stale: a stale kernel is a wrong proof. So
the folder is named by a digest of every source that ends up in machine code, the compiler's versions and settings, and
the CPU. Images are renamed into place whole, so processes may share the folder.

Every process holds a shared lock on the folder it uses. When a new folder is made, old ones that nobody holds and
nobody used for a day are removed, but for the newest few.
"""

import fcntl
import hashlib
import os
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

from prover.cache import cache_directory
from prover.kernels.host import compiler_identity, cpu_identity

_PACKAGE = Path(__file__).resolve().parents[1]
_KERNEL_FOLDERS = ("kernels", "ntt", "msm", "witness")
# Files elsewhere that kernels take constants from; a test finds those that are missing here.
_CONSTANTS = ("protocol/field.py", "prover/circuit/program.py")
_LOCK = ".in-use"
_KEPT_FOLDERS = 4
_UNUSED_SECONDS = 24 * 3600


def sources() -> list[Path]:
    """Every file whose content can end up in machine code."""
    found = [source for folder in _KERNEL_FOLDERS for source in (_PACKAGE / folder).rglob("*.py")]
    kernels = sorted(source for source in found if not _is_for_gpus(source.relative_to(_PACKAGE)))
    return kernels + [_PACKAGE.parent / name for name in _CONSTANTS]


def kernel_digest() -> str:
    """Hex digest (32 characters) of the kernel sources, the compiler and the CPU."""
    digest = hashlib.sha256()
    for source in sources():
        content = source.read_bytes()
        digest.update(f"{source.relative_to(_PACKAGE.parent)}\0{len(content)}\0".encode())
        digest.update(content)
    digest.update(f"{compiler_identity()}\0{cpu_identity()}".encode())
    return digest.hexdigest()[:32]


def _is_for_gpus(source: Path) -> bool:
    """Is this a file without Numba kernels: `kernels/cuda/...`, or one with `cuda` in its name?"""
    return source.parts[:2] == ("kernels", "cuda") or "cuda" in source.stem.split("_")


# Open lock files, kept until the process ends.
_held: list[int] = []


def _hold(folder: Path) -> None:
    """Make the folder if absent, and keep it from being removed for as long as this process lives."""
    while True:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not os.access(folder, os.W_OK):
            return
        try:
            descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        except FileNotFoundError:
            continue
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        os.utime(descriptor)
        if _is_still_there(descriptor, folder / _LOCK):
            _held.append(descriptor)
            return
        # The folder was removed before the lock was ours.
        os.close(descriptor)


def _is_still_there(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _remove_old(parent: Path) -> None:
    """Remove the folders of other versions that are neither among the newest, nor used of late, nor in use."""
    import shutil

    folders = sorted((path for path in parent.iterdir() if path.is_dir()), key=_last_use, reverse=True)
    for folder in folders[_KEPT_FOLDERS:]:
        if time.time() - _last_use(folder) < _UNUSED_SECONDS:
            continue
        with suppress(OSError):
            descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
            finally:
                os.close(descriptor)


def _last_use(folder: Path) -> float:
    for path in (folder / _LOCK, folder):
        with suppress(OSError):
            return path.stat().st_mtime
    return 0.0


@cache
def kernel_folder() -> Path:
    """The folder of this version's kernels, made if absent.

    When it cannot be made or written to, kernels are compiled into a temporary folder and a warning says so, unless it
    has images already: then it is used as it is.
    """
    folder = cache_directory() / "kernels" / kernel_digest()
    try:
        is_new = not folder.exists()
        _hold(folder)
        if is_new:
            _remove_old(folder.parent)
        usable = os.access(folder, os.W_OK) or any(folder.glob("*.kernels"))
    except OSError:
        usable = False
    if not usable:
        folder = temporary_folder(folder)
    return folder


@cache
def temporary_folder(instead_of: Path) -> Path:
    """A folder for this process's kernels that is removed when the process ends; a warning says what to do."""
    import atexit
    import shutil
    import tempfile
    import warnings

    warnings.warn(
        f"cannot write to {instead_of}: kernels will be compiled again in every process; "
        "set GELAP_CACHE_DIR to a writable folder",
        stacklevel=2,
    )
    folder = Path(tempfile.mkdtemp(prefix="gelap-kernels-"))
    owner = os.getpid()

    def remove() -> None:
        if os.getpid() == owner:
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    return folder
