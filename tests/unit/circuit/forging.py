"""A second, plain-Python implementation of witness programs and constraint checks, and what a cheating prover can do.

The programs here run on integers, instruction by instruction, and any variable can be overridden on the way: that is
how a prover lies about a hint. Whether the lie gets through is decided by the constraints alone.
"""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from protocol.field import R
from prover.circuit.builder import Builder
from prover.circuit.compile import Circuit, compile_circuit
from prover.circuit.linear import LinearCombination
from prover.circuit.program import Opcode, WitnessProgram
from prover.limbs import from_limbs, to_limbs
from prover.r1cs import R1CS, SparseMatrix
from prover.witness import cpu
from prover.witness.inputs import flatten_inputs

Row = list[tuple[int, int]]


def run_program(program: WitnessProgram, inputs: list[int], overrides: Mapping[int, int] | None = None) -> list[int]:
    """All registers after running the program on integers; `overrides` maps registers to values forced on them."""
    overrides = overrides or {}
    constants = from_limbs(program.constants)
    pointers, registers_of = program.row_ptr.tolist(), program.register.tolist()
    numbers = program.coefficient.tolist()
    registers = [0] * program.n_registers
    registers[0] = 1
    registers[1 : 1 + len(inputs)] = inputs

    def value_of(row: int) -> int:
        span = range(pointers[row], pointers[row + 1])
        return sum(constants[numbers[k]] * registers[registers_of[k]] for k in span) % R

    columns = (program.opcode, program.target, program.left, program.right)
    for opcode, target, left, right in zip(*(column.tolist() for column in columns), strict=True):
        value = value_of(left)
        if opcode == Opcode.BITS:
            results = [value >> bit & 1 for bit in range(right)]
        elif opcode == Opcode.PRODUCT:
            results = [value * value_of(right) % R]
        elif opcode == Opcode.INVERSE:
            results = [pow(value, -1, R) if value else 0]
        else:
            results = [value]
        for offset, result in enumerate(results):
            registers[target + offset] = overrides.get(target + offset, result) % R
    return registers


def forged_witness(circuit: Circuit, inputs: Mapping[str, Any], overrides: Mapping[int, int]) -> np.ndarray:
    """The wires of a prover who forces `overrides` (by variable) and computes everything else honestly."""
    registers = run_program(circuit.program, flatten_inputs(circuit, inputs), overrides)
    return to_limbs(registers[register] for register in circuit.program.wire_register.tolist())


def broken_place(circuit: Circuit, witness: np.ndarray) -> str | None:
    """Where the first constraint that a witness breaks belongs, None if it satisfies all."""
    failed = cpu.first_violation(circuit.r1cs, witness)
    return None if failed is None else circuit.place_of(failed)


def broken_places(circuit: Circuit, witness: np.ndarray) -> set[str]:
    """The places of all constraints that a witness breaks."""
    return {
        circuit.place_of(number)
        for number, (*_, a, b, c) in enumerate(constraint_values(circuit.r1cs, witness))
        if (a * b - c) % R
    }


def variable(combination: LinearCombination) -> int:
    """The number of the variable that a combination consists of."""
    ((number, weight),) = combination.terms.items()
    assert weight == 1
    return number


def compile_with_results(builder: Builder, results: list[LinearCombination]) -> Circuit:
    """Compile a gadget's circuit with its results as the last wires, each demanded equal to a gadget's result."""
    for result in results:
        builder.constrain_equal(builder.hint(result), result)
    return compile_circuit(builder)


def results_of(witness: np.ndarray, count: int) -> list[int]:
    return from_limbs(witness)[-count:]


def rows_of(matrix: SparseMatrix) -> Iterator[Row]:
    """Each row of a matrix as (wire, coefficient) pairs."""
    values, wires = from_limbs(matrix.value), matrix.col.tolist()
    pointers = matrix.row_ptr.tolist()
    for start, stop in itertools.pairwise(pointers):
        yield list(zip(wires[start:stop], values[start:stop], strict=True))


def constraint_values(r1cs: R1CS, witness: np.ndarray) -> Iterator[tuple[Row, Row, Row, int, int, int]]:
    """Each constraint's three rows and their three values at a witness."""
    values = from_limbs(witness)

    def at(row: Row) -> int:
        return sum(weight * values[wire] for wire, weight in row) % R

    for a, b, c in zip(rows_of(r1cs.a), rows_of(r1cs.b), rows_of(r1cs.c), strict=True):
        yield a, b, c, at(a), at(b), at(c)


def undetermined_wires(circuit: Circuit, witness: np.ndarray) -> list[int]:
    """Internal wires that the constraints leave free near a witness, the inputs being given.

    The constraints' derivative by the internal wires is brought into echelon form over F_r; a column without a pivot is
    a direction in which the witness might move. An empty list means that no set of wires, however large, can be shifted
    together. (The converse does not hold: `b^2 = 0` fixes b, but its derivative at 0 vanishes.)
    """
    r1cs = circuit.r1cs
    n_known = 1 + r1cs.n_public_inputs + r1cs.n_private_inputs
    pivots: dict[int, dict[int, int]] = {}
    for a, b, c, a_value, b_value, _ in constraint_values(r1cs, witness):
        row: dict[int, int] = {}
        for part, factor in ((a, b_value), (b, a_value), (c, -1)):
            for wire, weight in part:
                if wire >= n_known:
                    row[wire] = (row.get(wire, 0) + factor * weight) % R
        row = {wire: weight for wire, weight in row.items() if weight}
        while (wire := next((wire for wire in row if wire in pivots), None)) is not None:
            factor = row.pop(wire)
            for other, weight in pivots[wire].items():
                row[other] = (row.get(other, 0) + factor * weight) % R
                if not row[other]:
                    del row[other]
        if row:
            wire = min(row)
            inverse = -pow(row.pop(wire), -1, R)
            pivots[wire] = {other: weight * inverse % R for other, weight in row.items()}
    return [wire for wire in range(n_known, r1cs.n_wires) if wire not in pivots]


def changeable_wires(circuit: Circuit, witness: np.ndarray) -> list[int]:
    """Wires, inputs included, that can take *some* other value while all others stay, and every constraint holds.

    Exact, not sampled: changing wire j by e turns constraint i into
    `e (A_ij b_i + B_ij a_i - C_ij) + e^2 A_ij B_ij = 0`, so each constraint that names j allows at most one e
    other than 0, or (if both coefficients vanish) every e.
    """
    anything = -1
    allowed: dict[int, int] = {}
    for a, b, c, a_value, b_value, _ in constraint_values(circuit.r1cs, witness):
        slopes: dict[int, int] = {}
        for part, factor in ((a, b_value), (b, a_value), (c, -1)):
            for wire, weight in part:
                slopes[wire] = slopes.get(wire, 0) + factor * weight
        in_a, in_b = dict(a), dict(b)
        for wire, slope in slopes.items():
            curve = in_a.get(wire, 0) * in_b.get(wire, 0) % R
            if curve:
                change = -slope * pow(curve, -1, R) % R
            elif slope % R:
                change = 0
            else:
                continue
            known = allowed.get(wire, anything)
            allowed[wire] = change if known in (anything, change) else 0
    return [wire for wire in range(1, circuit.r1cs.n_wires) if allowed.get(wire, anything) != 0]
