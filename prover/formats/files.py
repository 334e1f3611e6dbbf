"""Files that appear whole or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from prover.errors import FormatError

AnyPath = str | os.PathLike[str]


@contextmanager
def open_for_reading(path: AnyPath) -> Iterator[BinaryIO]:
    """Open a file; a failure to open it, or to read it inside the block, is a FormatError."""
    _refuse_zero_byte(path)
    try:
        with open(path, "rb") as stream:
            yield stream
    except OSError as error:
        raise FormatError(f"{path}: cannot be read ({error.strerror}); check the path") from error


@contextmanager
def atomic_write(path: AnyPath, private: bool = False) -> Iterator[BinaryIO]:
    """Open `path` for writing; its content changes only when the block ends without an exception.

    The bytes go to a temporary file in the same folder, which then replaces `path`. A symbolic link keeps pointing
    where it did; a device such as /dev/stdout is written to directly. `private` makes the file readable by its owner
    only.
    Raises FormatError when the file cannot be written.
    """
    _refuse_zero_byte(path)
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            with open(path, "wb") as stream:
                yield stream
        else:
            with _replacing(Path(os.path.realpath(path)), private) as stream:
                yield stream
    except OSError as error:
        raise FormatError(f"{path}: cannot be written ({error.strerror}); choose another place") from error


@contextmanager
def _replacing(target: Path, private: bool) -> Iterator[BinaryIO]:
    temporary = target.with_name(f".{secrets.token_hex(8)}.part")
    # Permissions are given at creation: a private file is never readable by others, not even for a moment.
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if private else 0o666)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _refuse_zero_byte(path: AnyPath) -> None:
    if "\0" in os.fspath(path):
        raise FormatError("a path cannot contain a zero byte; check the path")
