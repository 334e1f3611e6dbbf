"""Witnesses on CPUs: runs a circuit's witness program for a batch of statements, and checks constraints.

A statement takes a few milliseconds on one thread; the statements of a batch are spread over the CPUs.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from protocol.field import R
from prover.circuit.compile import Circuit
from prover.circuit.program import Opcode
from prover.errors import InputError, KeyMismatchError, UnsatisfiedError
from prover.kernels.cpu import kernel, vector
from prover.kernels.cpu.arrays import read_only
from prover.kernels.cpu.field import (
    FR_ONE,
    FR_R2,
    PLAIN_ONE,
    ZERO,
    fr_add,
    fr_inverse,
    fr_mul,
    fr_sub,
    load,
    store,
)
from prover.kernels.cpu.threads import run_ranges
from prover.limbs import to_limbs
from prover.r1cs import R1CS

_LINEAR, _PRODUCT, _INVERSE, _BITS = (int(code) for code in Opcode)


@kernel
def _evaluate(row, row_ptr, register, coefficient, constants, registers):
    """The value of one linear combination, in Montgomery form."""
    total = ZERO
    for k in range(row_ptr[row], row_ptr[row + 1]):
        value = load(registers, register[k])
        number = coefficient[k]
        if number == 0:
            total = fr_add(total, value)
        elif number == 1:
            total = fr_sub(total, value)
        else:
            total = fr_add(total, fr_mul(load(constants, number), value))
    return total


@kernel
def _run(
    opcode, target, left, right, row_ptr, register, coefficient, constants, wire_register, inputs, out, start, stop
):
    """Run the program for statements start..stop-1.

    constants: (m, 4) Montgomery; inputs: (batch, n_inputs, 4) plain; out: (batch, n_wires, 4) plain.
    """
    n_registers = 1 + inputs.shape[1]
    for i in range(opcode.shape[0]):
        n_registers = max(n_registers, target[i] + (right[i] if opcode[i] == _BITS else 1))
    registers = np.empty((n_registers, 4), dtype=np.uint64)
    for statement in range(start, stop):
        store(registers, 0, FR_ONE)
        for i in range(inputs.shape[1]):
            store(registers, 1 + i, fr_mul(load(inputs[statement], i), FR_R2))
        for i in range(opcode.shape[0]):
            value = _evaluate(left[i], row_ptr, register, coefficient, constants, registers)
            code = opcode[i]
            if code == _BITS:
                plain = fr_mul(value, PLAIN_ONE)
                for bit in range(right[i]):
                    is_one = (plain[bit >> 6] >> np.uint64(bit & 63)) & np.uint64(1)
                    store(registers, target[i] + bit, FR_ONE if is_one else ZERO)
                continue
            if code == _PRODUCT:
                value = fr_mul(value, _evaluate(right[i], row_ptr, register, coefficient, constants, registers))
            elif code == _INVERSE:
                value = fr_inverse(value)
            store(registers, target[i], value)
        for wire in range(wire_register.shape[0]):
            store(out[statement], wire, fr_mul(load(registers, wire_register[wire]), PLAIN_ONE))


def solve(circuit: Circuit, inputs: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Compute and check the witness of one statement, or of each statement of a list.

    Inputs are by signal name: integers in [0, r), or nested lists of them. Returns uint64 (batch, n_wires, 4), plain;
    secret. Raises InputError for inputs that are missing, unknown, misshapen or out of range, and UnsatisfiedError when
    a constraint fails, naming its place in the statement and never a value.
    """
    batch = [inputs] if isinstance(inputs, Mapping) else list(inputs)
    flat = np.empty((len(batch), circuit.program.n_inputs, 4), dtype=np.uint64)
    for row, mapping in enumerate(batch):
        flat[row] = to_limbs(flatten_inputs(circuit, mapping))
    witnesses = execute(circuit, flat)
    for witness in witnesses:
        failed = first_violation(circuit.r1cs, witness)
        if failed is not None:
            raise UnsatisfiedError(
                f"the inputs of {circuit.name} contradict the statement at: {circuit.place_of(failed)}"
            )
    return witnesses


def execute(circuit: Circuit, inputs: np.ndarray) -> np.ndarray:
    """Run the witness program without checking anything.

    inputs: uint64 (batch, n_inputs, 4), plain and canonical. Returns uint64 (batch, n_wires, 4), plain.
    """
    program = circuit.program
    constants = vector.fr_to_mont(program.constants)
    columns = (program.opcode, program.target, program.left, program.right)
    combinations = (program.row_ptr, program.register, program.coefficient, constants, program.wire_register)
    arguments = [read_only(array) for array in (*columns, *combinations, inputs)]
    out = np.empty((len(inputs), circuit.r1cs.n_wires, 4), dtype=np.uint64)
    run_ranges(lambda start, stop: _run(*arguments, out, start, stop), len(inputs), least=1)
    return out


def flatten_inputs(circuit: Circuit, inputs: Mapping[str, Any]) -> list[int]:
    """The inputs as one list, in the order of the wires. Raises InputError."""
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


def first_violation(r1cs: R1CS, witness: np.ndarray) -> int | None:
    """The number of the first constraint that a witness breaks, None if it satisfies all.

    witness: uint64 (n_wires, 4), plain and canonical. Raises KeyMismatchError for a witness of another length.
    """
    if witness.shape != (r1cs.n_wires, 4):
        raise KeyMismatchError(f"the witness has {len(witness)} values and the constraint system {r1cs.n_wires} wires")
    a, b, c = (
        vector.sparse_multiply(matrix.row_ptr, matrix.col, vector.fr_to_mont(matrix.value), witness)
        for matrix in (r1cs.a, r1cs.b, r1cs.c)
    )
    broken = np.any(vector.fr_mul_vector(vector.fr_to_mont(a), b) != c, axis=1)
    return int(np.argmax(broken)) if broken.any() else None


def check(r1cs: R1CS, witness: np.ndarray) -> None:
    """Raise UnsatisfiedError naming the first constraint that a witness breaks, if it breaks any.

    witness: uint64 (n_wires, 4), plain and canonical. Raises KeyMismatchError for a witness of another length.
    """
    failed = first_violation(r1cs, witness)
    if failed is not None:
        raise UnsatisfiedError(f"the witness breaks constraint {failed} of {r1cs.n_constraints}")
