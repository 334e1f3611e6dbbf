"""Witnesses on CPUs: runs a circuit's witness program for a batch of statements, and checks constraints.

A `spend` takes about 10 ms on one thread, and as long again for the check; the statements of a batch are spread over
the CPUs.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from prover.circuit.compile import Circuit
from prover.errors import KeyMismatchError, UnsatisfiedError
from prover.kernels.cpu import vector
from prover.kernels.cpu.arrays import read_only
from prover.kernels.cpu.threads import run_ranges
from prover.kernels.native import entry
from prover.limbs import to_limbs
from prover.r1cs import R1CS, SparseMatrix
from prover.witness.inputs import flatten_inputs

_run = entry("prover.witness.cpu_kernels", "run")


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
    constraints = checker(circuit)
    for row, witness in enumerate(witnesses):
        failed = constraints.first_violation(witness)
        if failed is not None:
            which = f"statement {row} of the batch" if len(batch) > 1 else "the inputs"
            raise UnsatisfiedError(f"{circuit.name}: {which} cannot be proved; false at: {circuit.place_of(failed)}")
    return witnesses


def execute(circuit: Circuit, inputs: np.ndarray) -> np.ndarray:
    """Run the witness program without checking anything.

    inputs: uint64 (batch, n_inputs, 4), plain and canonical. Returns uint64 (batch, n_wires, 4), plain.
    """
    program = _program_arrays(circuit)
    statements = read_only(inputs)
    out = np.empty((len(inputs), circuit.r1cs.n_wires, 4), dtype=np.uint64)

    def run(start: int, stop: int) -> None:
        registers = np.empty((circuit.program.n_registers, 4), dtype=np.uint64)
        for row in range(start, stop):
            _run(*program, statements, registers, out, row)

    run_ranges(run, len(inputs), least=1)
    return out


def first_violation(r1cs: R1CS, witness: np.ndarray) -> int | None:
    """The number of the first constraint that a witness breaks, None if it satisfies all.

    witness: uint64 (n_wires, 4), plain and canonical. Raises KeyMismatchError for a witness of another length or with a
    first wire that is not one.
    """
    return ConstraintChecker(r1cs).first_violation(witness)


def check(r1cs: R1CS, witness: np.ndarray) -> None:
    """Raise UnsatisfiedError naming the first constraint that a witness breaks, if it breaks any.

    Otherwise as `first_violation`.
    """
    failed = first_violation(r1cs, witness)
    if failed is not None:
        raise UnsatisfiedError(f"the witness breaks constraint {failed} of {r1cs.n_constraints}")


class ConstraintChecker:
    """A constraint system made ready to check many witnesses."""

    def __init__(self, r1cs: R1CS) -> None:
        self._n_wires = r1cs.n_wires
        self._matrices_mont = [
            SparseMatrix(matrix.row_ptr, matrix.col, vector.fr_to_mont(matrix.value))
            for matrix in (r1cs.a, r1cs.b, r1cs.c)
        ]

    def first_violation(self, witness: np.ndarray) -> int | None:
        """See the function of this name."""
        if witness.shape != (self._n_wires, 4):
            raise KeyMismatchError(
                f"the witness has {len(witness)} values, the constraint system {self._n_wires} wires"
            )
        if witness[0].tolist() != [1, 0, 0, 0]:
            raise KeyMismatchError("the first value of a witness must be 1")
        # A product of a Montgomery form and a plain number is plain.
        a, b, c = (
            vector.sparse_multiply(matrix.row_ptr, matrix.col, matrix.value, witness) for matrix in self._matrices_mont
        )
        broken = np.any(vector.fr_mul_vector(vector.fr_to_mont(a), b) != c, axis=1)
        return int(np.argmax(broken)) if broken.any() else None


@lru_cache(maxsize=8)
def checker(circuit: Circuit) -> ConstraintChecker:
    """The circuit's constraints, made ready once."""
    return ConstraintChecker(circuit.r1cs)


@lru_cache(maxsize=8)
def _program_arrays(circuit: Circuit) -> tuple[np.ndarray, ...]:
    """The witness program as `_run` takes it, constants in Montgomery form."""
    program = circuit.program
    constants_mont = vector.fr_to_mont(program.constants)
    columns = (program.opcode, program.target, program.left, program.right)
    rows = (program.row_ptr, program.register, program.coefficient)
    return tuple(read_only(array) for array in (*columns, *rows, constants_mont, program.wire_register))
