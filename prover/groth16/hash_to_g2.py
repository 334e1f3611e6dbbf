"""The deterministic point of G2 that a ceremony's transcript stands for.

A contributor proves knowledge of its secret x with pairs (S, xS) in G1 and (P, xP) in G2, where P comes out of the hash
of everything said before, so nobody knows a ratio between P and other points in advance. The map is the one of snarkjs
0.7 (`keypair.js`, and ffjavascript's `chacha.js` and `fromRng`): the digest seeds a ChaCha20 stream, x coordinates are
drawn until one lies on the twist, and the point is multiplied by the twist's cofactor to land in the subgroup.

Plain Python integers: it runs a handful of times per ceremony, at about 20 ms.
"""

from collections.abc import Iterator

from protocol.field import Q

Fq2 = tuple[int, int]

COFACTOR = 0x30644E72E131A029B85045B68181585E06CEECDA572A2489345F2299C0F9FA8D
# The twist is y^2 = x^3 + 3 / (9 + u), with u^2 = -1.
TWIST_B: Fq2 = (
    19485874751759354771024239261021720505790618469301721065564631296452457478373,
    266929791119991161246907387137283842545076965332900288569378510910307636690,
)
_MONTGOMERY_INVERSE = pow(1 << 256, -1, Q)
_CHACHA_CONSTANT = (0x61707865, 0x3320646E, 0x79622D32, 0x6B206574)
_WORD = 0xFFFFFFFF


def hash_to_g2(digest: bytes) -> tuple[Fq2, Fq2]:
    """Map a transcript hash (its first 32 bytes count) to an affine point of G2, plain coordinates."""
    words = _chacha_words([int.from_bytes(digest[i : i + 4], "big") for i in range(0, 32, 4)])
    while True:
        x = (_field_element(words), _field_element(words))
        wants_greater = next(words) & 1
        y = sqrt(_add(_multiply(_square(x), x), TWIST_B))
        if y is None:
            continue
        if wants_greater != is_greater(y):
            y = (-y[0] % Q, -y[1] % Q)
        return multiply_point((x, y), COFACTOR)


def is_greater(value: Fq2) -> bool:
    """Whether `value` is the greater of itself and its negative, the c1 coordinate counting first."""
    c0, c1 = value
    return (c1 if c1 else c0) > (Q - 1) // 2


def sqrt(value: Fq2) -> Fq2 | None:
    """A square root in F_q2, or None; Adj and Rodriguez-Henriquez, eprint 2012/685, algorithm 9 (q = 3 mod 4)."""
    a1 = _power(value, (Q - 3) // 4)
    root = _multiply(a1, value)
    alpha = _multiply(a1, root)
    if alpha == (Q - 1, 0):
        candidate = (-root[1] % Q, root[0])
    else:
        candidate = _multiply(_power(_add((1, 0), alpha), (Q - 1) // 2), root)
    return candidate if _square(candidate) == value else None


def multiply_point(point: tuple[Fq2, Fq2], scalar: int) -> tuple[Fq2, Fq2]:
    """scalar * point on the twist by double-and-add in affine coordinates; the result must not be infinity.

    The scalar is not reduced: a point fresh from the curve equation has a larger order than the subgroup's.
    """
    result: tuple[Fq2, Fq2] | None = None
    for bit in bin(scalar)[2:]:
        if result is not None:
            result = _chord(result, result)
        if bit == "1":
            result = point if result is None else _chord(result, point)
    if result is None:
        raise ValueError("the scalar must not be zero")
    return result


def _chord(left: tuple[Fq2, Fq2], right: tuple[Fq2, Fq2]) -> tuple[Fq2, Fq2]:
    (x1, y1), (x2, y2) = left, right
    if left == right:
        rise, run = _multiply((3, 0), _square(x1)), _add(y1, y1)
    else:
        rise, run = _subtract(y2, y1), _subtract(x2, x1)
    slope = _multiply(rise, _inverse(run))
    x3 = _subtract(_subtract(_square(slope), x1), x2)
    return x3, _subtract(_multiply(slope, _subtract(x1, x3)), y1)


def _chacha_words(seed: list[int]) -> Iterator[int]:
    """The 32-bit words of a ChaCha20 stream (RFC 8439 rounds, a 128-bit block counter from zero, no nonce)."""
    counter = 0
    while True:
        start = [*_CHACHA_CONSTANT, *seed, *((counter >> shift) & _WORD for shift in (0, 32, 64, 96))]
        state = list(start)
        for _ in range(10):
            for i in range(4):
                _quarter_round(state, i, 4 + i, 8 + i, 12 + i)
            for i in range(4):
                _quarter_round(state, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
        yield from ((word + first) & _WORD for word, first in zip(state, start, strict=True))
        counter += 1


def _quarter_round(state: list[int], a: int, b: int, c: int, d: int) -> None:
    for target, other, mixed, distance in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        state[target] = (state[target] + state[other]) & _WORD
        word = state[mixed] ^ state[target]
        state[mixed] = ((word << distance) | (word >> (32 - distance))) & _WORD


def _field_element(words: Iterator[int]) -> int:
    """The next field element: 254 bits of the stream, redrawn until below q, read as a Montgomery representative."""
    while True:
        value = 0
        for position in range(0, 256, 64):
            value |= ((next(words) << 32) | next(words)) << position
        value &= (1 << Q.bit_length()) - 1
        if value < Q:
            return value * _MONTGOMERY_INVERSE % Q


def _add(a: Fq2, b: Fq2) -> Fq2:
    return (a[0] + b[0]) % Q, (a[1] + b[1]) % Q


def _subtract(a: Fq2, b: Fq2) -> Fq2:
    return (a[0] - b[0]) % Q, (a[1] - b[1]) % Q


def _multiply(a: Fq2, b: Fq2) -> Fq2:
    return (a[0] * b[0] - a[1] * b[1]) % Q, (a[0] * b[1] + a[1] * b[0]) % Q


def _square(a: Fq2) -> Fq2:
    return _multiply(a, a)


def _inverse(a: Fq2) -> Fq2:
    norm = pow(a[0] * a[0] + a[1] * a[1], -1, Q)
    return a[0] * norm % Q, -a[1] * norm % Q


def _power(base: Fq2, exponent: int) -> Fq2:
    result = (1, 0)
    for bit in bin(exponent)[2:]:
        result = _square(result)
        if bit == "1":
            result = _multiply(result, base)
    return result
