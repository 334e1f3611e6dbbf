"""The folder of a `gelap up`: what it keeps, for this run or for the next ones too.

    api-key, api-key.header   the tenant's API key; as a header for `curl -H @FILE`
    cluster-key.pem           the X25519 private key that inputs are sealed to
    redis/                    the private Redis's append-only file
    redis-url                 for operators' commands while it runs; holds a password
    first-proof.json          a sealed request for a first proof
    logs/                     of the gateway and the workers

Every file with a secret is readable by its owner only.
"""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gelap.servers import ServerError


@dataclass(frozen=True)
class DataFolder:
    """`kept`: it outlives the run. `lock` is the descriptor that says that somebody uses it."""

    path: Path
    kept: bool
    lock: int

    @property
    def redis(self) -> Path:
        return self._folder("redis")

    @property
    def logs(self) -> Path:
        return self._folder("logs")

    def read(self, name: str) -> str | None:
        """The text of a file; None when there is none."""
        try:
            return (self.path / name).read_text(encoding="ascii").strip()
        except FileNotFoundError:
            return None

    def write(self, name: str, text: str) -> Path:
        """Put a file in place, whole, for its owner only."""
        path = self.path / name
        handle, temporary = tempfile.mkstemp(dir=self.path)  # mode 600
        with open(handle, "w", encoding="ascii") as file:
            file.write(text)
        os.replace(temporary, path)
        return path

    def _folder(self, name: str) -> Path:
        folder = self.path / name
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder


@contextlib.contextmanager
def data_folder(chosen: Path | None) -> Iterator[DataFolder]:
    """Use the chosen folder, made if absent, or a temporary one. Raises ServerError when another process uses it."""
    with contextlib.ExitStack() as stack:
        if chosen is None:
            path = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gelap-up-")))
        else:
            path = chosen.expanduser().absolute()
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = stack.enter_context(open(path / ".lock", "w"))
        except OSError as error:
            raise ServerError(f"{path} cannot be used ({error.strerror}): name another folder") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ServerError(
                f"another `gelap up`, or a Redis that one left behind, uses {path}: stop it, or name another folder"
            ) from None
        yield DataFolder(path, chosen is not None, lock.fileno())
