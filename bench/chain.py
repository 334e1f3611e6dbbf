"""Poseidon chains of any length, laid out by repetition: millions of constraints in seconds.

A chain of three links is compiled as any circuit is. Its middle link is what every further link looks like, with other
numbers for its own wires, its item and the wire it takes from the link before; so the arrays of a longer chain are the
short one's with the middle part repeated and those numbers shifted. The result is the circuit that the builder would
have made, array for array.
"""

from dataclasses import dataclass

import numpy as np

from prover.circuit.builder import Builder, Signal
from prover.circuit.compile import Circuit, compile_circuit
from prover.circuit.gadgets.poseidon import poseidon
from prover.circuit.program import Opcode, WitnessProgram
from prover.r1cs import R1CS, SparseMatrix

# Wires and registers before the items: the constant one, `output`, `start`.
_BEFORE_ITEMS = 3
# Links of the circuit that is compiled: the first, one that is repeated, and the last.
_SHORT = 3


def compile_chain(name: str, length: int) -> Circuit:
    """The chain H2(... H2(H2(start, x_1), x_2) ..., x_length) = output, compiled link by link."""
    builder = Builder(name)
    output = builder.public_input("output")
    state = builder.private_input("start")
    items = builder.private_inputs("item", length)
    for number, item in enumerate(items, start=1):
        state = poseidon(builder, [state, item], output if number == len(items) else None)
    return compile_circuit(builder)


def repeat_chain(name: str, length: int) -> Circuit:
    """The circuit of `compile_chain`, in a time that hardly depends on the length."""
    if length <= _SHORT:
        return compile_chain(name, length)
    short, longer = compile_chain(name, _SHORT), compile_chain(name, _SHORT + 1)
    wires = _Numbering.of(short.r1cs.n_wires, longer.r1cs.n_wires, length)
    registers = _Numbering.of(short.program.n_registers, longer.program.n_registers, length)
    rows = _Parts.of(short.n_constraints, longer.n_constraints)
    a, b, c = (_repeat_matrix(matrix, rows, wires) for matrix in (short.r1cs.a, short.r1cs.b, short.r1cs.c))
    labels = _repeat_numbers(short.r1cs.labels, wires, registers)
    return Circuit(
        name=name,
        signals=tuple(
            Signal(signal.name, (length,) if signal.shape else (), signal.public) for signal in short.signals
        ),
        r1cs=R1CS(
            n_wires=wires.total,
            n_outputs=0,
            n_public_inputs=1,
            n_private_inputs=1 + length,
            a=a,
            b=b,
            c=c,
            labels=labels.astype(np.uint64),
            n_labels=registers.total,
        ),
        program=_repeat_program(short.program, longer.program, registers, wires),
        scopes=short.scopes,
        constraint_scope=np.zeros(len(a.row_ptr) - 1, dtype=short.constraint_scope.dtype),
        variable_scope=np.zeros(registers.total, dtype=short.variable_scope.dtype),
    )


@dataclass(frozen=True)
class _Numbering:
    """How wires, or registers, are numbered: those before the items, the items, `link` numbers for each link."""

    link: int
    length: int
    total: int

    @classmethod
    def of(cls, short: int, longer: int, length: int) -> "_Numbering":
        link = longer - short - 1
        return cls(link, length, short + (length - _SHORT) * (link + 1))

    def shifted(self, numbers: np.ndarray, place: int, places: np.ndarray) -> np.ndarray:
        """Numbers of the short chain's link `place`, as the links `places` of the long one have them.

        numbers: (n,); places: (m,), from 0. Returns (m, n).
        """
        first_internal = _BEFORE_ITEMS + _SHORT
        moves = (places - place)[:, None]
        more_items = self.length - _SHORT
        numbers = numbers.astype(np.int64)
        return (
            numbers
            + moves * ((numbers >= _BEFORE_ITEMS) & (numbers < first_internal))
            + (moves * self.link + more_items) * (numbers >= first_internal)
        )


@dataclass(frozen=True)
class _Parts:
    """Where the short chain's first, middle and last link begin and end in an array: four places."""

    ends: tuple[int, int, int, int]

    @classmethod
    def of(cls, short: int, longer: int, before: int = 0) -> "_Parts":
        """From the array's lengths in the short chain and in one that has a link more; `before`: entries of no link."""
        link = longer - short
        return cls((before, before + link, before + 2 * link, short))

    def slices(self) -> list[tuple[int, slice]]:
        return [(link, slice(*self.ends[link : link + 2])) for link in range(_SHORT)]


def _places(link: int, length: int) -> np.ndarray:
    """Where the links of the long chain are that look like link 0, 1 or 2 of the short one."""
    return {0: np.array([0]), 1: np.arange(1, length - 1), 2: np.array([length - 1])}[link]


def _repeat(array: np.ndarray, parts: _Parts, length: int) -> np.ndarray:
    """The array with its middle link's part repeated, values as they are."""
    pieces = [array[: parts.ends[0]]]
    for link, part in parts.slices():
        pieces += [array[part]] * len(_places(link, length))
    return np.concatenate(pieces)


def _repeat_shifted(array: np.ndarray, parts: _Parts, numbering: _Numbering) -> np.ndarray:
    """The array with its middle link's part repeated, its values being numbers of wires or registers."""
    pieces = [array[: parts.ends[0]].astype(np.int64)]
    for link, part in parts.slices():
        pieces.append(numbering.shifted(array[part], link, _places(link, numbering.length)).reshape(-1))
    return np.concatenate(pieces).astype(array.dtype)


def _row_parts(row_ptr: np.ndarray, rows: _Parts) -> _Parts:
    """The parts of the entries, from the parts of the rows."""
    first, second, third, last = (int(row_ptr[end]) for end in rows.ends)
    return _Parts((first, second, third, last))


def _repeat_row_ptr(row_ptr: np.ndarray, rows: _Parts, length: int) -> np.ndarray:
    counts = _repeat(np.diff(row_ptr), rows, length)
    return np.concatenate([[0], np.cumsum(counts)]).astype(row_ptr.dtype)


def _repeat_matrix(matrix: SparseMatrix, rows: _Parts, wires: _Numbering) -> SparseMatrix:
    entries = _row_parts(matrix.row_ptr, rows)
    return SparseMatrix(
        row_ptr=_repeat_row_ptr(matrix.row_ptr, rows, wires.length),
        col=_repeat_shifted(matrix.col, entries, wires),
        value=_repeat(matrix.value, entries, wires.length),
    )


def _with_items(numbers: np.ndarray, numbering: _Numbering, parts: _Parts) -> np.ndarray:
    """Numbers by wire or register -> the same for the long chain, whose items are numbered one after another."""
    items = np.arange(_BEFORE_ITEMS, _BEFORE_ITEMS + numbering.length)
    links = _repeat_shifted(numbers, parts, numbering)[parts.ends[0] :]
    return np.concatenate([numbers[:_BEFORE_ITEMS], items, links]).astype(numbers.dtype)


def _repeat_numbers(numbers: np.ndarray, of: _Numbering, to: _Numbering) -> np.ndarray:
    """The register of each wire of the long chain, from that of the short one's."""
    before = _BEFORE_ITEMS + _SHORT
    parts = _Parts((before, before + of.link, before + 2 * of.link, len(numbers)))
    return _with_items(numbers, to, parts)


def _repeat_program(
    short: WitnessProgram, longer: WitnessProgram, registers: _Numbering, wires: _Numbering
) -> WitnessProgram:
    length = registers.length
    instructions = _Parts.of(short.n_instructions, longer.n_instructions)
    rows = _Parts.of(len(short.row_ptr) - 1, len(longer.row_ptr) - 1)
    entries = _row_parts(short.row_ptr, rows)
    # `left` and `right` number the combinations, which are counted through as instructions are.
    opcode = _repeat(short.opcode, instructions, length)
    products = opcode == Opcode.PRODUCT
    first_row = np.cumsum(1 + products) - (1 + products)
    return WitnessProgram(
        n_registers=registers.total,
        n_inputs=2 + length,
        opcode=opcode,
        target=_repeat_shifted(short.target, instructions, registers),
        left=first_row.astype(short.left.dtype),
        right=np.where(products, first_row + 1, 0).astype(short.right.dtype),
        row_ptr=_repeat_row_ptr(short.row_ptr, rows, length),
        register=_repeat_shifted(short.register, entries, registers),
        coefficient=_repeat(short.coefficient, entries, length),
        constants=short.constants,
        wire_register=_repeat_numbers(short.wire_register, wires, registers),
    )
