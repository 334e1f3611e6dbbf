"""Who took part in a ceremony: the optional facts that `.zkey` and `.ptau` contribution records end with.

    type (u32) | length (u32) | { tag (u8) | value }*        tags ascending

    1 name: length (u8), UTF-8      2 iterations exponent: u8      3 beacon hash: length (u8), bytes

A record of type 0 is a person's contribution; type 1 is a public random beacon, hashed 2^exponent times.
Source: snarkjs, zkey_utils.js and powersoftau_utils.js.
"""

from dataclasses import dataclass

from prover.errors import FormatError
from prover.formats.binfile import Cursor

_NAME, _ITERATIONS, _BEACON = 1, 2, 3
_MAX_ITERATIONS_EXPONENT = 63


@dataclass(frozen=True)
class Contributor:
    """type: 0 a contribution, 1 a beacon (then the last two fields are set)."""

    type: int = 0
    name: str | None = None
    iterations_exponent: int | None = None
    beacon_hash: bytes | None = None

    def encode(self) -> bytes:
        """Type and parameters as they end a record."""
        check = _inconsistency(self.type, self.iterations_exponent, self.beacon_hash)
        if check:
            raise FormatError(f"a contribution cannot be written: {check}")
        parameters = b""
        if self.name is not None:
            parameters += bytes([_NAME]) + _short_bytes(self.name.encode())
        if self.iterations_exponent is not None:
            parameters += bytes([_ITERATIONS, self.iterations_exponent])
        if self.beacon_hash is not None:
            parameters += bytes([_BEACON]) + _short_bytes(self.beacon_hash)
        return self.type.to_bytes(4, "little") + len(parameters).to_bytes(4, "little") + parameters


def decode_contributor(cursor: Cursor) -> Contributor:
    """Read type and parameters; raises FormatError for anything a ceremony would not have written."""
    kind = cursor.u32()
    length = cursor.u32()
    if length > cursor.remaining:
        raise cursor.error("a contribution's parameters are cut off")
    end = cursor.remaining - length
    name: str | None = None
    iterations: int | None = None
    beacon: bytes | None = None
    last = 0
    while cursor.remaining > end:
        tag = cursor.u8()
        if tag <= last:
            raise cursor.error("a contribution's parameters are not in order")
        last = tag
        if tag == _NAME:
            try:
                name = cursor.take(cursor.u8()).decode()
            except UnicodeDecodeError as error:
                raise cursor.error("a contribution's name is not UTF-8") from error
        elif tag == _ITERATIONS:
            iterations = cursor.u8()
        elif tag == _BEACON:
            beacon = cursor.take(cursor.u8())
        else:
            raise cursor.error(f"a contribution has an unknown parameter {tag}")
    if cursor.remaining != end:
        raise cursor.error("a contribution's parameters are longer than announced")
    problem = _inconsistency(kind, iterations, beacon)
    if problem:
        raise cursor.error(problem)
    return Contributor(type=kind, name=name, iterations_exponent=iterations, beacon_hash=beacon)


def _inconsistency(kind: int, iterations: int | None, beacon: bytes | None) -> str | None:
    if kind not in (0, 1):
        return f"unknown contribution type {kind}"
    if kind == 0 and (iterations is not None or beacon is not None):
        return "a contribution that is no beacon has beacon parameters"
    if kind == 1 and (iterations is None or not beacon):
        return "a beacon lacks its hash or its number of iterations"
    if iterations is not None and not 0 <= iterations <= _MAX_ITERATIONS_EXPONENT:
        return f"a beacon of 2^{iterations} iterations cannot be computed"
    return None


def _short_bytes(content: bytes) -> bytes:
    if len(content) > 255:
        raise FormatError("a contribution's name or beacon hash is longer than 255 bytes; shorten it")
    return bytes([len(content)]) + content
