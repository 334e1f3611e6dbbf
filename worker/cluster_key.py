"""The file with the X25519 private key that the workers of one cluster share; gateways never see it."""

import os
import stat
import tempfile
from pathlib import Path

from protocol.errors import SealingError
from protocol.sealing import ClusterPrivateKey
from worker.errors import ConfigurationError


def load_cluster_key(path: Path) -> tuple[ClusterPrivateKey, bool]:
    """Read the key from a PEM file that only its owner can read, making key and file when there is no file.

    Returns the key and whether it was made now. Raises ConfigurationError. Workers that start together on one machine
    agree on one key: a file appears whole, and never replaces another.
    """
    try:
        made = not path.exists() and _create(path)
        with path.open() as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            text = file.read()
    except OSError as error:
        raise ConfigurationError(f"the cluster key {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is not an X25519 private key in PEM (PKCS #8)") from None
    if mode & 0o077:
        raise ConfigurationError(f"others can read the cluster key {path}: run `chmod 600 {path}`")
    try:
        return ClusterPrivateKey.from_pem(text), made
    except SealingError as error:
        raise ConfigurationError(f"{path}: {error}") from None


def _create(path: Path) -> bool:
    """Write a new key; False when another process was faster."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent)  # mode 600
    try:
        with open(handle, "w") as file:
            file.write(ClusterPrivateKey.generate().to_pem())
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)
    except FileExistsError:
        return False
    finally:
        os.unlink(temporary)
    return True
