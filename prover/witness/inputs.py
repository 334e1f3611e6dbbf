"""A circuit's inputs: from a mapping by name to one list in the order of the wires."""

from collections.abc import Iterator, Mapping
from typing import Any

from protocol.field import R
from prover.circuit.compile import Circuit
from prover.errors import InputError


def flatten_inputs(circuit: Circuit, inputs: Mapping[str, Any]) -> list[int]:
    """All inputs, in the order of the wires.

    A value is an integer in [0, r) or a nested list of them, of the signal's shape. Raises InputError for inputs that
    are missing, unknown, misshapen or out of range; the message names the input and never a value.
    """
    known = {signal.name for signal in circuit.signals}
    unknown = sorted(str(name) for name in inputs if name not in known)
    if unknown:
        raise InputError(f"{circuit.name} has no input {unknown[0]!r}; its inputs: {', '.join(sorted(known))}")
    values: list[int] = []
    for signal in circuit.signals:
        if signal.name not in inputs:
            raise InputError(f"the input {signal.name} of {circuit.name} is missing")
        values.extend(_flatten(inputs[signal.name], signal.shape, signal.name))
    return values


def _flatten(value: Any, shape: tuple[int, ...], name: str) -> Iterator[int]:
    if not shape:
        if isinstance(value, bool) or not isinstance(value, int):
            raise InputError(f"the input {name} must be an integer, not {type(value).__name__}")
        if not 0 <= value < R:
            raise InputError(f"the input {name} must be at least 0 and below the field's modulus")
        yield value
        return
    if not isinstance(value, list | tuple) or len(value) != shape[0]:
        raise InputError(f"the input {name} must be a list of {shape[0]} elements")
    for index, element in enumerate(value):
        yield from _flatten(element, shape[1:], f"{name}[{index}]")
