"""The interpreter of witness programs: see `prover.witness.cpu`."""

import numpy as np

from prover.circuit.program import Opcode
from prover.kernels.cpu.field import FR_ONE, FR_R2, PLAIN_ONE, ZERO, fr_add, fr_inverse, fr_mul, fr_sub, load, store
from prover.kernels.device import export, kernel

_PRODUCT, _INVERSE, _BITS = int(Opcode.PRODUCT), int(Opcode.INVERSE), int(Opcode.BITS)


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


@export(
    "u8[:], i32[:], i32[:], i32[:], i64[:], i32[:], i32[:], u64[:,:], i32[:], u64[:,:,:], u64[:,:], u64[:,:,:], i64"
)
def run(
    opcode, target, left, right, row_ptr, register, coefficient, constants, wire_register, inputs, registers, out, row
):
    """Run the program for statement `row`; see WitnessProgram for the program's columns.

    constants: (m, 4) Montgomery; inputs: (batch, n_inputs, 4) plain; registers: (n_registers, 4), scratch;
    out: (batch, n_wires, 4) plain.
    """
    store(registers, 0, FR_ONE)
    for i in range(inputs.shape[1]):
        store(registers, 1 + i, fr_mul(load(inputs[row], i), FR_R2))
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
        store(out[row], wire, fr_mul(load(registers, wire_register[wire]), PLAIN_ONE))
