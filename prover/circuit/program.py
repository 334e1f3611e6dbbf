"""The witness program: a straight line of instructions that computes every variable of a circuit from its inputs.

A program has no branches and no loops, so the same instructions run for any number of statements side by side: one
thread a statement on a GPU, one kernel call on a CPU. Registers hold field elements; register 0 is the constant one,
the inputs follow in the circuit's order, and every instruction writes registers that no earlier one wrote. Operands are
linear combinations of registers.

| opcode  | effect |
|---------|--------|
| LINEAR  | target = left |
| PRODUCT | target = left * right |
| INVERSE | target = 1 / left, and 0 for 0 |
| BITS    | the `right` registers from target on = the lowest bits of left's canonical value, lowest first |
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np


class Opcode(IntEnum):
    LINEAR = 0
    PRODUCT = 1
    INVERSE = 2
    BITS = 3


@dataclass(frozen=True)
class WitnessProgram:
    """Instructions as columns, and the linear combinations they use in compressed sparse row form.

    opcode: uint8 (n,); target, left, right: int32 (n,). `left` and `right` are rows of the combinations, except `right`
    of BITS, which is a count.
    row_ptr: int64 (rows + 1,); register, coefficient: int32 (terms,); `coefficient` is a row of `constants`.
    constants: uint64 (m, 4), plain; row 0 is the number 1 and row 1 is -1, which need no multiplication.
    wire_register: int32 (n_wires,), the register of each wire.
    """

    n_registers: int
    n_inputs: int
    opcode: np.ndarray
    target: np.ndarray
    left: np.ndarray
    right: np.ndarray
    row_ptr: np.ndarray
    register: np.ndarray
    coefficient: np.ndarray
    constants: np.ndarray
    wire_register: np.ndarray

    @property
    def n_instructions(self) -> int:
        return len(self.opcode)
