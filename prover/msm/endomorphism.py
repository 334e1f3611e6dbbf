"""The endomorphism of G1: (x, y) -> (BETA x, y) multiplies every point by LAMBDA, both cube roots of one.

So k P = k1 P + k2 (LAMBDA P) with k1, k2 of half k's length, and half the doublings (Gallant, Lambert, Vanstone,
"Faster point multiplication on elliptic curves with efficient endomorphisms", 2001).
"""

from protocol.field import R

# The root of F_q that goes with LAMBDA: the other one belongs to LAMBDA^2.
BETA = 2203960485148121921418603742825762020974279258880205651966
LAMBDA = 4407920970296243842393367215006156084916469457145843978461


def _short_vectors() -> tuple[tuple[int, int], tuple[int, int]]:
    """A basis of the lattice of all (a, b) with a + b LAMBDA = 0 modulo r, by Euclid's algorithm."""
    before, last = (R, 0), (LAMBDA, -1)
    while last[0] ** 2 >= R:
        before, last = last, _remainder(before, last)
    return last, min(before, _remainder(before, last), key=lambda vector: max(map(abs, vector)))


def _remainder(first: tuple[int, int], second: tuple[int, int]) -> tuple[int, int]:
    times = first[0] // second[0]
    return first[0] - times * second[0], first[1] - times * second[1]


_FIRST, _SECOND = _short_vectors()
_DETERMINANT = _FIRST[0] * _SECOND[1] - _FIRST[1] * _SECOND[0]


def split(scalar: int) -> tuple[int, int]:
    """(k1, k2) with k1 + k2 LAMBDA = scalar modulo r and |k1|, |k2| < 2^128; 0 <= scalar < r."""
    first = _rounded(scalar * _SECOND[1], _DETERMINANT)
    second = _rounded(-scalar * _FIRST[1], _DETERMINANT)
    return (
        scalar - first * _FIRST[0] - second * _SECOND[0],
        -first * _FIRST[1] - second * _SECOND[1],
    )


def _rounded(numerator: int, denominator: int) -> int:
    return (2 * numerator + denominator) // (2 * denominator)
