"""A circuit's witness program as steps for a GPU: operations that do not depend on each other run side by side.

One statement is a long chain of dependent operations, and a GPU is slow at chains: a multiplication takes a lone thread
some 600 cycles. So each proof of a batch gets WORKERS threads, and the program becomes steps of at most that many
operations, with a barrier after each. Operations with the longest chain behind them go first (list scheduling by
critical path: T. C. Hu, "Parallel sequencing and assembly line problems", 1961), and wide parts of a program fill the
gaps of narrow ones. No schedule has fewer steps than the longest chain; eight workers come close:

| circuit | operations | longest chain | steps, 1 worker | 2 | 4 | 8 | 16 | 32 |
|---|---|---|---|---|---|---|---|---|
| spend_2x2 | 40,857 | 9,380 | 40,857 | 20,429 | 10,386 | 9,517 | 9,390 | 9,383 |
| insert_64 | 49,816 | 8,345 | 49,816 | 24,908 | 13,890 | 10,603 | 9,135 | 8,531 |
"""

import heapq
from dataclasses import dataclass

import numpy as np

from prover.circuit.program import Opcode, WitnessProgram

WORKERS = 8
"""Threads that share one proof."""

LINEAR, PRODUCT, INVERSE, BIT = range(4)
"""What an operation does with its combinations; see witness.cu."""

# How much longer an inversion takes than the other operations; it only guides which goes first.
_INVERSE_WEIGHT = 20


@dataclass(frozen=True, eq=False)
class Schedule:
    """Operations in the order of their steps.

    A *row* holds one field element for each proof: row i < n_wires is wire i, the others up to n_rows are scratch and
    serve several variables one after another.

    step_ptr: uint32 (steps + 1,); operations: uint32 (n, 4): kind, target row, first term, number of terms of the left
    combination | right << 16, where `right` is the number of terms of the right one, which follow the left's, for
    PRODUCT (0 for a square) and the number of the bit for BIT. terms: uint32 (m, 2): row, number of the coefficient.
    """

    n_wires: int
    n_rows: int
    step_ptr: np.ndarray
    operations: np.ndarray
    terms: np.ndarray

    @property
    def n_steps(self) -> int:
        return len(self.step_ptr) - 1


@dataclass
class _Operation:
    kind: int
    target: int
    left: list[tuple[int, int]]
    right: list[tuple[int, int]]
    bit: int = 0

    @property
    def operands(self) -> set[int]:
        return {register for register, _ in self.left} | {register for register, _ in self.right}


def make_schedule(program: WitnessProgram, workers: int = WORKERS) -> Schedule:
    """Lay out a program for this many workers a proof. Takes about a second for 50,000 instructions.

    Raises ValueError for a combination of 2^16 terms or more.
    """
    operations = _live(_operations(program), program)
    steps = _steps(operations, program.n_registers, workers)
    return _layout(operations, steps, program)


def longest_chain(program: WitnessProgram) -> int:
    """The number of operations in the longest chain of dependent ones."""
    depth = [0] * program.n_registers
    for operation in _live(_operations(program), program):
        depth[operation.target] = 1 + max((depth[register] for register in operation.operands), default=0)
    return max(depth)


def _operations(program: WitnessProgram) -> list[_Operation]:
    """The instructions, each bit of a BITS as an operation of its own."""
    row_ptr = program.row_ptr.tolist()
    pairs = list(zip(program.register.tolist(), program.coefficient.tolist(), strict=True))
    columns = (program.opcode, program.target, program.left, program.right)
    operations: list[_Operation] = []
    for opcode, target, left, right in zip(*(column.tolist() for column in columns), strict=True):
        terms = pairs[row_ptr[left] : row_ptr[left + 1]]
        if opcode == Opcode.BITS:
            operations.extend(_Operation(BIT, target + bit, terms, [], bit) for bit in range(right))
        elif opcode == Opcode.INVERSE:
            operations.append(_Operation(INVERSE, target, terms, []))
        elif opcode == Opcode.LINEAR:
            operations.append(_Operation(LINEAR, target, terms, []))
        else:
            others = pairs[row_ptr[right] : row_ptr[right + 1]]
            if not terms or not others:
                operations.append(_Operation(LINEAR, target, [], []))
            else:
                operations.append(_Operation(PRODUCT, target, terms, [] if others == terms else others))
    return operations


def _live(operations: list[_Operation], program: WitnessProgram) -> list[_Operation]:
    """Those that a wire depends on."""
    needed = np.zeros(program.n_registers, dtype=bool)
    needed[program.wire_register] = True
    kept = []
    for operation in reversed(operations):
        if needed[operation.target]:
            needed[list(operation.operands)] = True
            kept.append(operation)
    return kept[::-1]


def _steps(operations: list[_Operation], n_registers: int, workers: int) -> list[list[int]]:
    """Numbers of operations, step by step."""
    producer = [-1] * n_registers
    waits_for = [0] * len(operations)
    followers: list[list[int]] = [[] for _ in operations]
    for number, operation in enumerate(operations):
        for register in operation.operands:
            if producer[register] >= 0:
                followers[producer[register]].append(number)
                waits_for[number] += 1
        producer[operation.target] = number
    chain = [0] * len(operations)
    for number in reversed(range(len(operations))):
        weight = _INVERSE_WEIGHT if operations[number].kind == INVERSE else 1
        chain[number] = weight + max((chain[follower] for follower in followers[number]), default=0)
    ready = [(-chain[number], number) for number, count in enumerate(waits_for) if count == 0]
    heapq.heapify(ready)
    steps = []
    while ready:
        step = [heapq.heappop(ready)[1] for _ in range(min(workers, len(ready)))]
        steps.append(step)
        for number in step:
            for follower in followers[number]:
                waits_for[follower] -= 1
                if waits_for[follower] == 0:
                    heapq.heappush(ready, (-chain[follower], follower))
    return steps


def _layout(operations: list[_Operation], steps: list[list[int]], program: WitnessProgram) -> Schedule:
    """Give every variable a row, and lay out operations and terms."""
    n_wires = len(program.wire_register)
    row_of = np.full(program.n_registers, -1, dtype=np.int64)
    row_of[program.wire_register] = np.arange(n_wires)
    last_use = [-1] * program.n_registers
    for number, step in enumerate(steps):
        for index in step:
            for register in operations[index].operands:
                last_use[register] = number
    rows = row_of.tolist()
    n_rows = n_wires
    free: list[int] = []
    laid_out: list[tuple[int, int, int, int]] = []
    terms: list[tuple[int, int]] = []
    for number, step in enumerate(steps):
        released: set[int] = set()
        for index in step:
            operation = operations[index]
            if rows[operation.target] < 0:
                if not free:
                    free.append(n_rows)
                    n_rows += 1
                rows[operation.target] = free.pop()
            right = operation.bit if operation.kind == BIT else len(operation.right)
            if max(len(operation.left), right) >= 1 << 16:
                raise ValueError("the witness program has a linear combination of 2^16 terms or more")
            counts = len(operation.left) | right << 16
            laid_out.append((operation.kind, rows[operation.target], len(terms), counts))
            terms.extend((rows[register], coefficient) for register, coefficient in operation.left + operation.right)
            released.update(register for register in operation.operands if last_use[register] == number)
        # Others may still read in this step, so rows are free from the next one on.
        free.extend(rows[register] for register in released if rows[register] >= n_wires)
    return Schedule(
        n_wires=n_wires,
        n_rows=n_rows,
        step_ptr=np.cumsum([0, *map(len, steps)]).astype(np.uint32),
        operations=np.array(laid_out, dtype=np.uint32).reshape(-1, 4),
        terms=np.array(terms, dtype=np.uint32).reshape(-1, 2),
    )
