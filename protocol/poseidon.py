"""Poseidon over the scalar field of BN254, with circomlib's parameters: the hash `H_n` of the protocol.

The permutation works on a state of `t = n + 1` field elements. A round adds constants, raises elements to the fifth
power (all of them in a full round, only the first in a partial round) and multiplies the state by an MDS matrix.
Half of the full rounds come before the partial rounds and half after. `H_n(inputs)` starts from
`(0, input_1, ..., input_n)` and returns the first element of the final state.

Nothing here is a table of magic numbers: the constants and the matrix are drawn from the Grain LFSR, as the
designers' `generate_parameters_grain.sage` draws them.

Specification: Grassi, Khovratovich, Rechberger, Roy, Schofnegger, "Poseidon: A New Hash Function for Zero-Knowledge
Proof Systems" (https://eprint.iacr.org/2019/458), section 2 and appendices E and F; circomlib's choice of rounds.

All numbers are plain integers in [0, r). Not constant-time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from operator import mul

from protocol.errors import EncodingError
from protocol.field import R

MAX_INPUTS = 16

_FIELD_BITS = 254
_FULL_ROUNDS = 8
# Partial rounds for t = 2, 3, ..., 17.
_PARTIAL_ROUNDS = (56, 57, 56, 60, 60, 63, 64, 63, 60, 66, 60, 65, 70, 60, 64, 68)


@dataclass(frozen=True)
class Parameters:
    """What defines the permutation of width `t = n_inputs + 1`; every number is a plain integer in [0, r).

    `round_constants[round][i]` is added to element i before the S-box, `full_rounds + partial_rounds` rows of t.
    `mds[i][j]` is the weight of old element j in new element i, t rows of t.
    """

    full_rounds: int
    partial_rounds: int
    round_constants: tuple[tuple[int, ...], ...]
    mds: tuple[tuple[int, ...], ...]


@cache
def parameters(n_inputs: int) -> Parameters:
    """Return the parameters of `H_n`, generated on first use.

    Raises EncodingError unless 1 <= n_inputs <= 16, the widths for which circomlib fixes a number of rounds.
    """
    if not 1 <= n_inputs <= MAX_INPUTS:
        raise EncodingError(f"Poseidon takes 1 to {MAX_INPUTS} inputs, got {n_inputs}")
    width = n_inputs + 1
    partial_rounds = _PARTIAL_ROUNDS[n_inputs - 1]
    bits = _grain_bits(width, partial_rounds)
    constants = tuple(
        tuple(_draw_below_modulus(bits) for _ in range(width)) for _ in range(_FULL_ROUNDS + partial_rounds)
    )
    return Parameters(_FULL_ROUNDS, partial_rounds, constants, _cauchy_matrix(bits, width))


def poseidon(inputs: Sequence[int]) -> int:
    """Return `H_n(inputs)`, n = len(inputs).

    Raises EncodingError for no inputs, more than 16, or an input outside [0, r): a value and its alias modulo r must
    not hash alike.
    """
    params = parameters(len(inputs))
    if not all(0 <= value < R for value in inputs):
        raise EncodingError("an input of Poseidon must be at least 0 and below the field's modulus")
    first_partial = params.full_rounds // 2
    first_closing = first_partial + params.partial_rounds
    mds = params.mds
    state = [0, *inputs]
    for index, constants in enumerate(params.round_constants):
        if first_partial <= index < first_closing:
            state = [a + b for a, b in zip(state, constants, strict=True)]
            state[0] = pow(state[0], 5, R)
        else:
            state = [pow(a + b, 5, R) for a, b in zip(state, constants, strict=True)]
        state = [sum(map(mul, row, state)) % R for row in mds]
    return state[0]


def hash_pairs(pairs: Sequence[tuple[int, int]]) -> list[int]:
    """Return `[H2(left, right), ...]`: the readable twin of the prover's batch hash, for trees."""
    return [poseidon(pair) for pair in pairs]


def _grain_bits(width: int, partial_rounds: int) -> Iterator[int]:
    """Yield the bits of the self-shrinking Grain LFSR for this instance.

    The register holds 80 bits, bit 0 the oldest. Its youngest tap is 62, so 18 new bits depend on old ones only and
    are made at once. Output comes in pairs: the second bit of a pair counts if the first is 1.
    """
    block = 18
    seed = (
        f"{1:02b}"  # prime field
        f"{0:04b}"  # S-box x^5
        f"{_FIELD_BITS:012b}{width:012b}{_FULL_ROUNDS:010b}{partial_rounds:010b}" + "1" * 30
    )
    register = int(seed[::-1], 2)

    def raw_bits() -> Iterator[int]:
        nonlocal register
        while True:
            new = register ^ register >> 13 ^ register >> 23 ^ register >> 38 ^ register >> 51 ^ register >> 62
            new &= (1 << block) - 1
            register = register >> block | new << (80 - block)
            yield from (new >> i & 1 for i in range(block))

    raw = raw_bits()
    for _ in range(160):
        next(raw)
    for keep, bit in zip(raw, raw, strict=False):
        if keep:
            yield bit


def _draw(bits: Iterator[int]) -> int:
    value = 0
    for _ in range(_FIELD_BITS):
        value = value << 1 | next(bits)
    return value


def _draw_below_modulus(bits: Iterator[int]) -> int:
    while (value := _draw(bits)) >= R:
        pass
    return value


def _cauchy_matrix(bits: Iterator[int], width: int) -> tuple[tuple[int, ...], ...]:
    """Draw `x_i`, `y_j`, all different, and return `1 / (x_i + y_j)`: every square submatrix is invertible.

    These draws are reduced modulo r instead of rejected, as the generator of the paper does.
    """
    while True:
        values = [_draw(bits) % R for _ in range(2 * width)]
        xs, ys = values[:width], values[width:]
        if len(set(values)) == len(values) and all((x + y) % R for x in xs for y in ys):
            return tuple(tuple(pow(x + y, -1, R) for y in ys) for x in xs)
