"""Where Numba keeps compiled kernels: one folder for each exact set of sources.

Numba's own cache only notices a change in the file that holds the cached function. A kernel whose field arithmetic
changed in another file would be served stale, and a stale kernel is a wrong proof. So the folder is named by a digest
of every source that ends up in machine code, the Numba and llvmlite versions, and the CPU. Code for GPUs holds no Numba
kernel and does not count. Numba writes its files to a temporary name and renames them, so processes may share the
folder.

Every process holds a shared lock on the folder it uses. When a new folder is made, old ones that nobody holds and
nobody used for a day are removed, but for the newest few.

Importing this module is what sets the folder; `prover.kernels.cpu` imports it before any kernel is declared.
"""

import atexit
import fcntl
import hashlib
import os
import shutil
import tempfile
import time
import warnings
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from llvmlite import binding

from prover.cache import cache_directory

_PACKAGE = Path(__file__).resolve().parents[1]
_KERNEL_FOLDERS = ("kernels", "ntt", "msm", "witness")
_LOCK = ".in-use"
_KEPT_FOLDERS = 4
_UNUSED_SECONDS = 24 * 3600


def kernel_digest() -> str:
    """Hex digest (32 characters) of the kernel sources, the compiler and the CPU."""
    digest = hashlib.sha256()
    for folder in _KERNEL_FOLDERS:
        for source in sorted((_PACKAGE / folder).rglob("*.py")):
            if _is_for_gpus(source.relative_to(_PACKAGE)):
                continue
            digest.update(str(source.relative_to(_PACKAGE)).encode() + b"\0")
            digest.update(hashlib.sha256(source.read_bytes()).digest())
    compiler = (version("numba"), version("llvmlite"), version("numpy"))
    cpu = (binding.get_host_cpu_name(), binding.get_host_cpu_features().flatten())
    digest.update("\0".join(compiler + cpu).encode())
    return digest.hexdigest()[:32]


def _is_for_gpus(source: Path) -> bool:
    """Is this a file without Numba kernels: `kernels/cuda/...`, or one named `cuda.py`, `..._cuda.py`?"""
    return source.parts[:2] == ("kernels", "cuda") or source.stem.split("_")[-1] == "cuda"


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


def use_kernel_cache() -> Path:
    """Point Numba at the folder of this version's kernels, made if absent, and return it.

    When it cannot be made, kernels are compiled into a temporary folder and a warning says so.
    """
    folder = cache_directory() / "kernels" / kernel_digest()
    try:
        is_new = not folder.exists()
        _hold(folder)
        if is_new:
            _remove_old(folder.parent)
        writable = os.access(folder, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        warnings.warn(
            f"cannot write to {folder}: kernels will be compiled again in every process; "
            "set GELAP_CACHE_DIR to a writable folder",
            stacklevel=2,
        )
        folder = Path(tempfile.mkdtemp(prefix="gelap-kernels-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    # Numba reads the variable when it is first imported; another library may have done that already.
    os.environ["NUMBA_CACHE_DIR"] = str(folder)
    from numba import config

    vars(config)["CACHE_DIR"] = str(folder)
    return folder


KERNEL_FOLDER = use_kernel_cache()
