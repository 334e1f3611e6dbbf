"""JSON as snarkjs writes it, read without trust.

Numbers are decimal strings; points have three coordinates, the last of which only tells infinity apart. The text is
indented by one space, as `bfj.write(..., {space: 1})` does.
"""

import json
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from protocol.field import Q
from protocol.json_nesting import nests_deeper_than
from prover.errors import FormatError
from prover.formats.files import AnyPath, atomic_write, open_for_reading
from prover.formats.points import G1Point, G2Point

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,77}", re.ASCII)
# A verification key nests four deep.
_MAX_NESTING = 16
_CURVES = ("BN128", "BN254", "ALTBN128")

CURVE = "bn128"
PROTOCOL = "groth16"


def read_text(path: AnyPath, limit: int) -> str:
    """A file's text; FormatError when it cannot be read, is not UTF-8 or is longer than `limit` bytes."""
    with open_for_reading(path) as stream:
        content = stream.read(limit + 1)
    if len(content) > limit:
        raise FormatError(f"{path}: larger than {limit} bytes, too long for what it should be; check the path")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise FormatError(f"{path}: not a JSON document (it is not UTF-8); check the path") from error


def write_text(path: AnyPath, text: str) -> None:
    """Write a document atomically, without a final newline, as snarkjs does."""
    with atomic_write(path) as stream:
        stream.write(text.encode())


def parse(text: str | bytes) -> Any:
    """Parse JSON; refuses duplicate keys, NaN, endless numbers and bottomless nesting with FormatError."""
    try:
        if isinstance(text, bytes):
            text = text.decode()
        if nests_deeper_than(text, _MAX_NESTING):
            raise FormatError(f"the JSON document nests more than {_MAX_NESTING} deep")
        return json.loads(text, object_pairs_hook=_unique_keys, parse_constant=_no_constant)
    except FormatError:
        raise
    except ValueError as error:
        raise FormatError("this is not a JSON document") from error


def dump(document: object) -> str:
    return json.dumps(document, indent=1)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise FormatError("the JSON document repeats a key")
    return document


def _no_constant(name: str) -> NoReturn:
    raise FormatError(f"the JSON document holds {name}, which is no number")


def require_object(document: object, what: str) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise FormatError(f"{what} must be a JSON object")
    return document


def require_groth16(document: dict[str, Any], what: str) -> None:
    """Refuse other proof systems and curves; old files may not name the curve."""
    if document.get("protocol") != PROTOCOL:
        raise FormatError(f'{what} must have "protocol": "{PROTOCOL}"')
    curve = document.get("curve", CURVE)
    if not isinstance(curve, str) or re.sub(r"[^A-Z0-9]", "", curve.upper()) not in _CURVES:
        raise FormatError(f'{what} is for another curve; only "{CURVE}" (BN254) is supported')


def number(value: object, modulus: int, what: str) -> int:
    """A decimal string below `modulus`; the message never repeats the value."""
    if not isinstance(value, str) or not _DECIMAL.fullmatch(value):
        raise FormatError(f"{what} must be a decimal number in quotes")
    parsed = int(value)
    if parsed >= modulus:
        raise FormatError(f"{what} is not below the field's modulus")
    return parsed


def items(value: object, count: int, what: str) -> list[Any]:
    if not isinstance(value, list) or len(value) != count:
        raise FormatError(f"{what} must be a list of {count}")
    return value


def g1_to_json(point: G1Point) -> list[str]:
    if point == (0, 0):
        return ["0", "1", "0"]
    return [str(point[0]), str(point[1]), "1"]


def g2_to_json(point: G2Point) -> list[list[str]]:
    if point == ((0, 0), (0, 0)):
        return [["0", "0"], ["1", "0"], ["0", "0"]]
    return [*_pairs(point), ["1", "0"]]


def _pairs(point: G2Point) -> list[list[str]]:
    return [[str(c0), str(c1)] for c0, c1 in point]


def g1_from_json(value: object, what: str) -> G1Point:
    """Plain coordinates of [x, y, "1"]; infinity, [x, y, "0"], is (0, 0)."""
    x, y, z = (number(item, Q, what) for item in items(value, 3, what))
    return (x, y) if _is_finite(z, what) else (0, 0)


def g2_from_json(value: object, what: str) -> G2Point:
    """Plain coordinates of [[x.c0, x.c1], [y.c0, y.c1], ["1", "0"]]; infinity, which ends in zeros, is all zero."""
    (x0, x1), (y0, y1), (z0, z1) = (_fq2(item, what) for item in items(value, 3, what))
    if z1:
        raise FormatError(f"{what} must be an affine point")
    return ((x0, x1), (y0, y1)) if _is_finite(z0, what) else ((0, 0), (0, 0))


def _fq2(value: object, what: str) -> Sequence[int]:
    return [number(item, Q, what) for item in items(value, 2, what)]


def _is_finite(z: int, what: str) -> bool:
    if z > 1:
        raise FormatError(f"{what} must be an affine point")
    return z == 1
