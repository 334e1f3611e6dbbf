"""From a builder to a circuit: numbers wires and lays out matrices and the witness program."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from protocol.field import R
from prover.circuit.builder import Builder, Signal, constrained_variables
from prover.circuit.linear import ONE, LinearCombination
from prover.circuit.program import Opcode, WitnessProgram
from prover.limbs import to_limbs
from prover.r1cs import R1CS, SparseMatrix


@dataclass(frozen=True, eq=False)
class Circuit:
    """A compiled circuit.

    Wire 0 is the constant one, wires 1.. are the inputs in the order of `signals`, public ones first, then internal
    wires. `scopes[constraint_scope[i]]` says in words where constraint i belongs, and `variable_scope` the same of each
    variable. Variables are the witness program's registers and the labels of the `.sym` file; those that no constraint
    names are not wires.
    """

    name: str
    signals: tuple[Signal, ...]
    r1cs: R1CS
    program: WitnessProgram
    scopes: tuple[str, ...] = field(repr=False)
    constraint_scope: np.ndarray = field(repr=False)
    variable_scope: np.ndarray = field(repr=False)

    @property
    def n_constraints(self) -> int:
        return self.r1cs.n_constraints

    @property
    def n_public(self) -> int:
        return self.r1cs.n_public

    @property
    def domain_size(self) -> int:
        """Size of the evaluation domain that a Groth16 proof of this circuit needs, a power of two."""
        return 1 << (self.n_constraints + self.n_public).bit_length()

    def place_of(self, constraint: int) -> str:
        """Where in the statement a constraint belongs, such as `input 0: membership`."""
        return self.scopes[self.constraint_scope[constraint]] or f"constraint {constraint}"

    def signal_names(self) -> list[str]:
        """One name per input wire, in order: `root`, `nullifier[0]`, `inPath[1][31]`."""
        names = []
        for signal in self.signals:
            for index in np.ndindex(*signal.shape):
                names.append(signal.name + "".join(f"[{i}]" for i in index))
        return names

    def symbols(self) -> Iterator[tuple[int, int, int, str]]:
        """The rows of the `.sym` file: label, wire or -1, component (always 0), name such as `main.inPath[1][31]`.

        Internal variables are named by their place in the statement: `main.input_0.membership.v1234`.
        """
        wire_of = np.full(len(self.variable_scope), -1, dtype=np.int64)
        wire_of[self.r1cs.labels] = np.arange(self.r1cs.n_wires)
        names = self.signal_names()
        places = [re.sub(r"[^A-Za-z0-9.]+", "_", scope.replace(": ", ".")) for scope in self.scopes]
        for label in range(1, len(wire_of)):
            if label <= len(names):
                name = names[label - 1]
            else:
                place = places[self.variable_scope[label]]
                name = f"{place}.v{label}" if place else f"v{label}"
            yield label, int(wire_of[label]), 0, f"main.{name}"


def compile_circuit(builder: Builder) -> Circuit:
    """Number the wires and lay everything out as arrays.

    Raises ValueError when an input stands in no constraint: a proof would say nothing about it, and anybody could
    change it under a valid proof.
    """
    used = constrained_variables(builder.constraints)
    inputs = range(1, 1 + builder.n_inputs)
    unused = [number for number in inputs if number not in used]
    if unused:
        names = [signal.name for signal in builder.signals for _ in range(signal.size)]
        raise ValueError(f"circuit {builder.name}: no constraint uses the input {names[unused[0] - 1]}")
    wires = [ONE, *inputs, *sorted(variable for variable in used if variable > builder.n_inputs)]
    wire_of = np.zeros(builder.n_variables, dtype=np.uint32)
    wire_of[wires] = np.arange(len(wires), dtype=np.uint32)

    coefficients = _Interned()
    n_public = sum(signal.size for signal in builder.signals if signal.public)
    sides = [[getattr(constraint, side) for constraint in builder.constraints] for side in ("a", "b", "c")]
    matrices = [_matrix(side, wire_of, coefficients) for side in sides]
    program_layout = _ProgramLayout(builder, coefficients)
    constants = to_limbs(coefficients.values)
    r1cs = R1CS(
        n_wires=len(wires),
        n_outputs=0,
        n_public_inputs=n_public,
        n_private_inputs=builder.n_inputs - n_public,
        a=matrices[0].with_values(constants),
        b=matrices[1].with_values(constants),
        c=matrices[2].with_values(constants),
        labels=np.array(wires, dtype=np.uint64),
        n_labels=builder.n_variables,
    )
    return Circuit(
        name=builder.name,
        signals=tuple(builder.signals),
        r1cs=r1cs,
        program=program_layout.program(constants, np.array(wires, dtype=np.int32)),
        scopes=tuple(builder.scopes),
        constraint_scope=np.array([constraint.scope for constraint in builder.constraints], dtype=np.int32),
        variable_scope=np.array(builder.variable_scopes, dtype=np.int32),
    )


class _Interned:
    """Coefficients numbered in the order they appear; number 0 is 1 and number 1 is -1."""

    def __init__(self) -> None:
        self.values = [1, R - 1]
        self._numbers = {1: 0, R - 1: 1}

    def numbers(self, coefficients: Iterable[int]) -> list[int]:
        known, values = self._numbers, self.values
        result = []
        for coefficient in coefficients:
            number = known.setdefault(coefficient, len(values))
            if number == len(values):
                values.append(coefficient)
            result.append(number)
        return result


@dataclass(frozen=True)
class _Rows:
    """Linear combinations in compressed sparse row form, coefficients by number."""

    row_ptr: np.ndarray
    variable: np.ndarray
    coefficient: np.ndarray

    def with_values(self, constants: np.ndarray) -> SparseMatrix:
        return SparseMatrix(self.row_ptr, self.variable, constants[self.coefficient])


def _rows(combinations: Iterable[LinearCombination], coefficients: _Interned) -> _Rows:
    lengths: list[int] = []
    variables: list[int] = []
    numbers: list[int] = []
    for combination in combinations:
        lengths.append(len(combination.terms))
        variables.extend(combination.terms)
        numbers.extend(coefficients.numbers(combination.terms.values()))
    row_ptr = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=row_ptr[1:])
    return _Rows(row_ptr, np.array(variables, dtype=np.int32), np.array(numbers, dtype=np.int32))


def _matrix(combinations: Iterable[LinearCombination], wire_of: np.ndarray, coefficients: _Interned) -> _Rows:
    """The combinations with wire numbers, ascending within each row."""
    rows = _rows(combinations, coefficients)
    wires = wire_of[rows.variable]
    row_of = np.repeat(np.arange(len(rows.row_ptr) - 1), np.diff(rows.row_ptr))
    order = np.lexsort((wires, row_of))
    return _Rows(rows.row_ptr, wires[order], rows.coefficient[order])


class _ProgramLayout:
    """The builder's instructions as columns."""

    def __init__(self, builder: Builder, coefficients: _Interned) -> None:
        self.n_registers = builder.n_variables
        self.n_inputs = builder.n_inputs
        combinations: list[LinearCombination] = []
        columns: list[tuple[int, int, int, int]] = []
        for instruction in builder.instructions:
            left = len(combinations)
            combinations.append(instruction.left)
            right = instruction.n_bits
            if instruction.opcode is Opcode.PRODUCT:
                assert instruction.right is not None
                right = len(combinations)
                combinations.append(instruction.right)
            columns.append((instruction.opcode, instruction.target, left, right))
        self.columns = np.array(columns, dtype=np.int32).reshape(-1, 4)
        self.rows = _rows(combinations, coefficients)

    def program(self, constants: np.ndarray, wire_register: np.ndarray) -> WitnessProgram:
        opcode, target, left, right = (np.ascontiguousarray(column) for column in self.columns.T)
        return WitnessProgram(
            n_registers=self.n_registers,
            n_inputs=self.n_inputs,
            opcode=opcode.astype(np.uint8),
            target=target,
            left=left,
            right=right,
            row_ptr=self.rows.row_ptr,
            register=self.rows.variable,
            coefficient=self.rows.coefficient,
            constants=constants,
            wire_register=wire_register,
        )
