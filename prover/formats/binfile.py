"""The container that iden3's binary formats share: a magic word, a version, and numbered sections.

    magic (4 bytes) | version (u32) | number of sections (u32) | { id (u32) | size (u64) | content }*

All integers are little-endian. Sections come in any order and unknown ones are skipped, as the `.r1cs` specification
asks.
Source: https://github.com/iden3/r1csfile/blob/master/doc/r1cs_bin_format.md and iden3/binfileutils.
"""

import os
import stat
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from prover.errors import FormatError
from prover.formats.field_arrays import first_not_below
from prover.formats.files import AnyPath, atomic_write, open_for_reading

_HEADER = struct.Struct("<4sII")
_SECTION = struct.Struct("<IQ")
_MAX_SECTIONS = 64
_FIELD_BYTES = 32
_CHUNK_BYTES = 1 << 22


@dataclass(frozen=True)
class FileFormat:
    """A kind of file: how it begins, what to call it, and what a user can do about a bad one."""

    magic: bytes
    version: int
    name: str
    advice: str


class SectionFile:
    """A file's sections, found and measured; their content is mapped, not loaded.

    `data` is the whole file as uint8. Constructing it checks the framing: magic, version, every section inside the
    file, none twice, nothing left over.
    """

    def __init__(self, path: AnyPath, file_format: FileFormat, data: np.ndarray):
        self.path = os.fspath(path)
        self.format = file_format
        self._data = data
        self._sections = self._scan()

    def error(self, problem: str) -> FormatError:
        """The error to raise about this file, with its name and what to do."""
        return FormatError(f"{self.path}: {problem}; {self.format.advice}")

    def _scan(self) -> dict[int, tuple[int, int]]:
        data = self._data
        if len(data) < _HEADER.size:
            raise self.error(f"too short to be {self.format.name}")
        magic, version, count = _HEADER.unpack(data[: _HEADER.size].tobytes())
        if magic != self.format.magic:
            raise self.error(f"this is not {self.format.name}")
        if version != self.format.version:
            raise self.error(f"version {version} is not supported, only version {self.format.version}")
        if count > _MAX_SECTIONS:
            raise self.error(f"{count} sections are more than any such file has")
        sections: dict[int, tuple[int, int]] = {}
        position = _HEADER.size
        for _ in range(count):
            if len(data) - position < _SECTION.size:
                raise self.error("the file is cut off")
            number, size = _SECTION.unpack(data[position : position + _SECTION.size].tobytes())
            position += _SECTION.size
            if size > len(data) - position:
                raise self.error(
                    f"section {number} is cut off: it claims {size} bytes, {len(data) - position} are left"
                )
            if number in sections:
                raise self.error(f"section {number} appears twice")
            sections[number] = (position, size)
            position += size
        if position != len(data):
            raise self.error(f"{len(data) - position} bytes follow the last section")
        return sections

    def __contains__(self, number: int) -> bool:
        return number in self._sections

    def section(self, number: int) -> np.ndarray:
        """A section's content as a read-only uint8 view."""
        if number not in self._sections:
            raise self.error(f"section {number} is missing")
        position, size = self._sections[number]
        return self._data[position : position + size]

    def cursor(self, number: int) -> "Cursor":
        """A small section's content, to be read piece by piece."""
        return Cursor(self, number, self.section(number))

    def elements(self, number: int, count: int, words: int, modulus: int) -> np.ndarray:
        """A section that holds exactly `count` rows of `words` uint64 limbs, every 4 limbs a number below `modulus`.

        Returns a read-only view of shape (count, words). It may be unaligned: sections start at multiples of 4.
        """
        content = self.section(number)
        expected = count * words * 8
        if len(content) != expected:
            raise self.error(f"section {number} has {len(content)} bytes where the header asks for {expected}")
        array = content.view("<u8").reshape(count, words)
        wrong = first_not_below(array, modulus)
        if wrong is not None:
            raise self.error(f"section {number} holds a number outside the field at row {wrong * 4 // words}")
        return array


class Cursor:
    """Reads a section's fields in order; running out of bytes, or leaving some, is an error."""

    def __init__(self, file: SectionFile, number: int, content: np.ndarray):
        self._file = file
        self._number = number
        self._content = content
        self._position = 0

    @property
    def remaining(self) -> int:
        return len(self._content) - self._position

    def error(self, problem: str) -> FormatError:
        return self._file.error(f"section {self._number}: {problem}")

    def take(self, size: int) -> bytes:
        if size > self.remaining:
            raise self.error("too short")
        start = self._position
        self._position += size
        return self._content[start : self._position].tobytes()

    def u8(self) -> int:
        return self.take(1)[0]

    def u32(self) -> int:
        return int.from_bytes(self.take(4), "little")

    def u64(self) -> int:
        return int.from_bytes(self.take(8), "little")

    def prime(self, expected: int) -> None:
        """Read a field's size and modulus, which must be the expected one of BN254."""
        size = self.u32()
        if size != _FIELD_BYTES or int.from_bytes(self.take(size), "little") != expected:
            raise self.error("made for another curve; only BN254 (snarkjs calls it bn128) is supported")

    def limbs(self, words: int, modulus: int) -> np.ndarray:
        """Read `words` uint64 limbs (a point in Montgomery form), every 4 a number below `modulus`."""
        array = np.frombuffer(self.take(8 * words), dtype="<u8").copy()
        if first_not_below(array, modulus) is not None:
            raise self.error("a coordinate is outside the field")
        return array

    def finish(self) -> None:
        if self.remaining:
            raise self.error(f"{self.remaining} bytes too long")


@contextmanager
def open_sections(path: AnyPath, file_format: FileFormat) -> Iterator[SectionFile]:
    """Map a file and find its sections; want of memory inside the block becomes a FormatError.

    The file stays mapped for as long as a view of it lives. Replacing it (as our writers do) is safe meanwhile;
    truncating it in place is not.
    """
    try:
        yield SectionFile(path, file_format, _map(path, file_format))
    except MemoryError as error:
        raise FormatError(f"{path}: too large for this machine's memory; use a machine with more") from error


def _map(path: AnyPath, file_format: FileFormat) -> np.ndarray:
    with open_for_reading(path) as stream:
        status = os.fstat(stream.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise FormatError(f"{path}: not a regular file; {file_format.advice}")
        if status.st_size == 0:
            raise FormatError(f"{path}: the file is empty; {file_format.advice}")
        return np.asarray(np.memmap(stream, dtype=np.uint8, mode="r"))


@dataclass(frozen=True)
class Section:
    """A section to write: its number, its exact size in bytes, and its content in pieces."""

    number: int
    size: int
    pieces: Iterable[bytes]


def bytes_section(number: int, content: bytes) -> Section:
    return Section(number, len(content), [content])


def array_section(number: int, array: np.ndarray) -> Section:
    """A section that is an array's memory, written a few megabytes at a time."""
    return Section(number, array.nbytes, _array_pieces(array))


def _array_pieces(array: np.ndarray) -> Iterator[bytes]:
    if len(array) == 0:
        return
    rows = max(1, _CHUNK_BYTES * len(array) // max(1, array.nbytes))
    for start in range(0, len(array), rows):
        yield array[start : start + rows].tobytes()


def write_sections(path: AnyPath, file_format: FileFormat, sections: Sequence[Section], private: bool = False) -> None:
    """Write a file of these sections, in this order, atomically (see atomic_write)."""
    with atomic_write(path, private) as stream:
        stream.write(_HEADER.pack(file_format.magic, file_format.version, len(sections)))
        for section in sections:
            stream.write(_SECTION.pack(section.number, section.size))
            written = sum(stream.write(piece) for piece in section.pieces)
            if written != section.size:
                raise RuntimeError(f"section {section.number} was announced with {section.size} bytes, not {written}")


def prime_bytes(modulus: int) -> bytes:
    """A field's size and modulus as they stand in headers."""
    return _FIELD_BYTES.to_bytes(4, "little") + modulus.to_bytes(_FIELD_BYTES, "little")


def require_shape(name: str, array: np.ndarray, shape: tuple[int, ...], dtype: type = np.uint64) -> None:
    """Refuse an array that would make a file lie about its counts."""
    if array.shape != shape or array.dtype != dtype:
        raise FormatError(
            f"{name} must be {np.dtype(dtype)} of shape {shape}, not {array.dtype} of shape {array.shape}"
        )
