"""One process a GPU: a lock file for each device, held for as long as the process proves on it.

Two processes on one GPU take turns by the millisecond, and each sees memory vanish that it had counted on. The lock
ends with its process, however it ends.
"""

import fcntl
import os
from pathlib import Path
from types import TracebackType

from prover.cache import cache_directory
from prover.errors import DeviceUnavailable


class DeviceLock:
    """Holds device `name` until `release`. Raises DeviceUnavailable when another process does, or the file cannot be
    made. folder: default `devices` in the cache directory.
    """

    def __init__(self, name: str, folder: Path | None = None) -> None:
        folder = folder or cache_directory() / "devices"
        path = folder / f"{name.replace(':', '-')}.lock"
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise DeviceUnavailable(
                f"{path}: {error.strerror}; set GELAP_CACHE_DIR to a folder that can be written"
            ) from None
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(self._descriptor, 20, 0).decode(errors="replace").strip()
            os.close(self._descriptor)
            raise DeviceUnavailable(
                f"{name} belongs to another process{f' ({owner})' if owner else ''}: "
                "stop it, or choose another device with --device"
            ) from None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"pid {os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let others have the device; a second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> "DeviceLock":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
