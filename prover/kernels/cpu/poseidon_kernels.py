"""The Poseidon permutation: see `prover.kernels.cpu.poseidon`."""

from prover.kernels.cpu.field import FR_R2, PLAIN_ONE, ZERO, fr_add, fr_mul, load, store
from prover.kernels.device import export, kernel, stack_rows


@kernel
def _permute(state, mixed, full_rounds, round_constants, mds):
    """Apply the permutation to `state`, (t, 4) in Montgomery form; `mixed` is scratch of the same shape."""
    width = state.shape[0]
    rounds = round_constants.shape[0] // width
    for step in range(rounds):
        full = step < full_rounds // 2 or step >= rounds - full_rounds // 2
        for i in range(width):
            value = fr_add(load(state, i), load(round_constants, step * width + i))
            if full or i == 0:
                square = fr_mul(value, value)
                value = fr_mul(fr_mul(square, square), value)
            store(state, i, value)
        for i in range(width):
            total = ZERO
            for j in range(width):
                total = fr_add(total, fr_mul(load(mds, i * width + j), load(state, j)))
            store(mixed, i, total)
        for i in range(width):
            store(state, i, load(mixed, i))


@export("u64[:,:], u64[:,:], i64, u64[:,:], u64[:,:], i64, i64")
def hash_rows(inputs, out, full_rounds, round_constants, mds, start, stop):
    n_inputs = inputs.shape[1] // 4
    state = stack_rows(17, 4)[: n_inputs + 1]
    mixed = stack_rows(17, 4)[: n_inputs + 1]
    for row in range(start, stop):
        store(state, 0, ZERO)
        for i in range(n_inputs):
            plain = (inputs[row, 4 * i], inputs[row, 4 * i + 1], inputs[row, 4 * i + 2], inputs[row, 4 * i + 3])
            store(state, i + 1, fr_mul(plain, FR_R2))
        _permute(state, mixed, full_rounds, round_constants, mds)
        store(out, row, fr_mul(load(state, 0), PLAIN_ONE))
