"""Numbers that both kernels and the code around them need; importing this loads no compiler."""

from protocol.field import Q, R

LIMBS = 4
Limbs = tuple[int, int, int, int]
Coordinate = Limbs | tuple[Limbs, Limbs]

# Eight lanes of five 52-bit limbs: see `prover.kernels.ifma.emit`.
LANES = 8
LANE_LIMBS = 5
LANE_BITS = 52
LANE_R_BITS = LANE_LIMBS * LANE_BITS
# Limbs of eight elements as `prover.kernels.ifma.lanes.spill` writes them.
SPILLED = LANE_LIMBS * LANES


def limbs_of(value: int) -> Limbs:
    """The four 64-bit limbs of 0 <= value < 2^256, least significant first."""
    a, b, c, d = ((value >> (64 * i)) & (2**64 - 1) for i in range(LIMBS))
    return a, b, c, d


def lane_limbs_of(value: int) -> list[int]:
    """The five 52-bit limbs of 0 <= value < 2^260, least significant first."""
    return [(value >> (LANE_BITS * i)) & ((1 << LANE_BITS) - 1) for i in range(LANE_LIMBS)]


def montgomery(value: int, modulus: int) -> Limbs:
    """The Montgomery form (R = 2^256) of `value` modulo `modulus`."""
    return limbs_of((value << 256) % modulus)


ZERO = limbs_of(0)
PLAIN_ONE = limbs_of(1)
FR_R2 = montgomery(1 << 256, R)
FQ_R2 = montgomery(1 << 256, Q)
FQ_ONE = montgomery(1, Q)
FQ2_ONE = (FQ_ONE, ZERO)
