"""`.sym`: the names of a circuit's signals, one a line: label, wire (-1 if optimised away), component, dotted name."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from prover.errors import FormatError
from prover.formats.files import AnyPath, atomic_write, open_for_reading

_LINE = re.compile(rb"([0-9]{1,19}),(-1|[0-9]{1,19}),([0-9]{1,19}),([^,\n]+)\n")
_MAX_LINE = 1 << 16


class Symbol(NamedTuple):
    label: int
    wire: int
    component: int
    name: str


def write_sym(path: AnyPath, rows: Iterable[tuple[int, int, int, str]]) -> None:
    """Write (label, wire, component, name) rows, atomically, as circom does. Raises FormatError."""
    with atomic_write(path) as stream:
        for label, wire, component, name in rows:
            line = f"{label},{wire},{component},{name}\n".encode()
            if not _LINE.fullmatch(line):
                raise FormatError(f"signal {label} cannot be written; its name must not be empty nor hold a comma")
            stream.write(line)


def read_sym(path: AnyPath) -> list[Symbol]:
    """Read all rows; raises FormatError naming the first line that is none."""
    symbols: list[Symbol] = []
    with open_for_reading(path) as stream:
        while line := stream.readline(_MAX_LINE):
            symbol = _parse(line)
            if symbol is None:
                place = f"{path}: line {len(symbols) + 1}"
                raise FormatError(f"{place} is not label,wire,component,name; compile the circuit again")
            symbols.append(symbol)
    return symbols


def _parse(line: bytes) -> Symbol | None:
    match = _LINE.fullmatch(line)
    if match is None:
        return None
    label, wire, component, name = match.groups()
    try:
        return Symbol(int(label), int(wire), int(component), name.decode())
    except UnicodeDecodeError:
        return None
