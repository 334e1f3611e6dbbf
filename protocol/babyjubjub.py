"""BabyJubJub: the twisted Edwards curve `a x^2 + y^2 = 1 + d x^2 y^2` over the scalar field of BN254.

Points are affine pairs of plain integers in [0, r). The group has order 8 l with l prime; `BASE8` generates the
subgroup of order l. Since a is a square and d is not, the addition law below has no exceptional cases on the curve.

Specification: EIP-2494 and circomlib; formulas: Bernstein, Birkner, Joye, Lange, Peters, "Twisted Edwards Curves"
(https://eprint.iacr.org/2008/013), section 6.

Not constant-time: the running time depends on scalars.
"""

from typing import NamedTuple

from protocol.errors import EncodingError
from protocol.field import R

A = 168700
D = 168696
COFACTOR = 8
SUBGROUP_ORDER = 2736030358979909402780800718157159386076813972158567259200215660948447373041


class Point(NamedTuple):
    """An affine point; the coordinates are plain integers in [0, r)."""

    x: int
    y: int


IDENTITY = Point(0, 1)
BASE8 = Point(
    5299619240641551281634865583518297030282874472190772894086521144482721001553,
    16950150798460657717958625567821834550301663161624707787222815936182638968203,
)

_Projective = tuple[int, int, int]


def is_on_curve(point: Point) -> bool:
    """Say whether the coordinates are canonical and satisfy the curve equation."""
    x, y = point
    if not (0 <= x < R and 0 <= y < R):
        return False
    xx, yy = x * x % R, y * y % R
    return (A * xx + yy - 1 - D * xx * yy) % R == 0


def is_in_subgroup(point: Point) -> bool:
    """Say whether the point is on the curve and its order divides l; the identity counts."""
    return is_on_curve(point) and multiply(point, SUBGROUP_ORDER) == IDENTITY


def add(left: Point, right: Point) -> Point:
    """Return the sum of two points; both must be on the curve, which is not checked here."""
    return _to_affine(_add((left.x, left.y, 1), (right.x, right.y, 1)))


def negate(point: Point) -> Point:
    """Return the inverse of a point in the group."""
    return Point(-point.x % R, point.y)


def multiply(point: Point, scalar: int) -> Point:
    """Return `scalar * point` for a point on the curve (not checked) and any scalar >= 0; it need not be reduced.

    Raises EncodingError for a negative scalar.
    """
    if scalar < 0:
        raise EncodingError("a scalar must not be negative")
    total: _Projective = (0, 1, 1)
    base: _Projective = (point.x, point.y, 1)
    while scalar:
        if scalar & 1:
            total = _add(total, base)
        base = _add(base, base)
        scalar >>= 1
    return _to_affine(total)


def _add(left: _Projective, right: _Projective) -> _Projective:
    """Add in projective coordinates, x = X/Z and y = Y/Z; serves for doubling too."""
    x1, y1, z1 = left
    x2, y2, z2 = right
    zz = z1 * z2 % R
    zzzz = zz * zz % R
    xx = x1 * x2 % R
    yy = y1 * y2 % R
    cross = D * xx * yy % R
    minus, plus = zzzz - cross, zzzz + cross
    return (
        zz * minus % R * ((x1 + y1) * (x2 + y2) - xx - yy) % R,
        zz * plus % R * (yy - A * xx) % R,
        minus * plus % R,
    )


def _to_affine(point: _Projective) -> Point:
    x, y, z = point
    inverse = pow(z, -1, R)
    return Point(x * inverse % R, y * inverse % R)
