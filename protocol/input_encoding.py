"""A circuit's inputs as JSON: an object from signal names to numbers or nested arrays of numbers.

Numbers are written as decimal strings, since many JSON readers lose precision beyond 2^53; integers are read too, as
other tools for circom's `input.json` write them. Reading is strict, because the bytes come from strangers: no
duplicate names, no fractions, no negative numbers, nothing that is not below r. Messages never hold a value: they name
signals, so what stands in a name's place is repeated only if it looks like one.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

from protocol.errors import EncodingError
from protocol.field import R
from protocol.json_nesting import nests_deeper_than

# A signal's value, or an array of signals.
InputValue = int | Sequence["InputValue"]

# Arrays of the protocol's circuits nest twice; circom's rarely go beyond three.
_MAX_NESTING = 8
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,76}", re.ASCII)
# An identifier of circom, or a path of such (`main.root`).
_NAME = re.compile(r"[A-Za-z_$][A-Za-z0-9_$.]{0,63}", re.ASCII)


def encode_inputs(inputs: Mapping[str, InputValue]) -> bytes:
    """Encode inputs as compact UTF-8 JSON, signals in the mapping's order.

    Raises EncodingError, naming the signal, for anything but integers in [0, r) and sequences of them.
    """
    _check_names(inputs)
    encoded = {name: _encode(value, name) for name, value in inputs.items()}
    return json.dumps(encoded, separators=(",", ":")).encode()


def decode_inputs(data: bytes) -> dict[str, InputValue]:
    """Decode what `encode_inputs` writes into integers and lists; raises EncodingError for anything else."""
    try:
        text = data.decode("utf-8")
        if nests_deeper_than(text, 1 + _MAX_NESTING):
            raise EncodingError(f"the inputs nest arrays more than {_MAX_NESTING} deep")
        document = json.loads(
            text, object_pairs_hook=_unique, parse_float=_refuse, parse_constant=_refuse, parse_int=str
        )
    except EncodingError:
        raise
    except ValueError:
        # The parser's own message would quote the document.
        raise EncodingError("the inputs are not a JSON document in UTF-8") from None
    if not isinstance(document, dict):
        raise EncodingError("the inputs must be a JSON object from signal names to numbers")
    _check_names(document)
    return {name: _decode(value, name) for name, value in document.items()}


def _check_names(names: Iterable[str]) -> None:
    if not all(map(_NAME.fullmatch, names)):
        raise EncodingError("a signal's name is 1 to 64 letters, digits, `_`, `$` and `.`, and begins with no digit")


def _encode(value: InputValue, name: str) -> Any:
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return [_encode(item, name) for item in value]
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < R:
        raise EncodingError(f"input {name}: every number must be an integer, at least 0 and below the field's modulus")
    return str(value)


def _decode(value: Any, name: str) -> InputValue:
    if isinstance(value, list):
        return [_decode(item, name) for item in value]
    if not isinstance(value, str) or not _DECIMAL.fullmatch(value) or (number := int(value)) >= R:
        raise EncodingError(f"input {name}: every number must be in decimal, at least 0 and below the field's modulus")
    return number


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise EncodingError("the inputs name a signal twice")
    return result


def _refuse(_: str) -> NoReturn:
    raise EncodingError("the inputs hold a number that is not an integer")
