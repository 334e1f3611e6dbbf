"""BabyJubJub in Montgomery form, where an addition takes three constraints, but has exceptional cases.

    v^2 = u^3 + 168698 u^2 + u,   u = (1 + y) / (1 - y),   v = u / x

The chord rule fails for `P + P` and `P + (-P)`, and two points have no image: the identity (0, 1) and, for v, the point
of order two (0, -1). The functions here say what callers must guarantee; `scalar_mul` arranges it by the points'
classes modulo the subgroup of prime order (see there), never by luck.

In each constraint the slope stands in matrix B and the coordinates in A: wires outside B spare a proof their share of
the multi-scalar multiplication in G2, its most expensive part.

The map and the formulas: https://eprint.iacr.org/2008/013, section 3; iden3's "Baby Jubjub" (EIP-2494).
"""

from typing import NamedTuple

from protocol.babyjubjub import A, D, Point
from protocol.field import R
from prover.circuit.builder import Builder
from prover.circuit.gadgets.edwards import EdwardsPoint
from prover.circuit.linear import LinearCombination

MONTGOMERY_A = 2 * (A + D) * pow(A - D, -1, R) % R
assert 4 * pow(A - D, -1, R) % R == 1, "the coefficient of v^2 is one"


class MontgomeryPoint(NamedTuple):
    """A point inside a circuit, not the identity."""

    u: LinearCombination
    v: LinearCombination


def constant_to_montgomery(point: Point) -> tuple[int, int]:
    """The image of a fixed point that is neither the identity nor of order two."""
    u = (1 + point.y) * pow(1 - point.y, -1, R) % R
    return u, u * pow(point.x, -1, R) % R


def to_montgomery(builder: Builder, point: EdwardsPoint) -> MontgomeryPoint:
    """Two constraints. The caller guarantees a point on the curve that is neither the identity nor of order two."""
    u = builder.quotient(1 + point.y, 1 - point.y)
    return MontgomeryPoint(u, builder.quotient(u, point.x))


def to_edwards(builder: Builder, point: MontgomeryPoint) -> EdwardsPoint:
    """Two constraints. The caller guarantees that the point is not of order two; u = -1 is on no point of the curve."""
    return EdwardsPoint(
        builder.quotient(point.u, point.v),
        builder.quotient(point.u - 1, point.u + 1),
    )


def add(builder: Builder, left: MontgomeryPoint, right: MontgomeryPoint) -> MontgomeryPoint:
    """`left + right`, three constraints. The caller guarantees `left != right` and `left != -right`."""
    slope = builder.quotient(right.v - left.v, right.u - left.u)
    u = builder.hint(builder.hint_product(slope, slope) - MONTGOMERY_A - left.u - right.u)
    builder.constrain(slope, slope, u + MONTGOMERY_A + left.u + right.u)
    v = builder.hint(builder.hint_product(left.u - u, slope) - left.v)
    builder.constrain(left.u - u, slope, v + left.v)
    return MontgomeryPoint(u, v)


def double_and_add(builder: Builder, point: MontgomeryPoint, addend: MontgomeryPoint) -> MontgomeryPoint:
    """`2 * point + addend` as `(point + addend) + point`, five constraints: the v of the inner sum is never needed.

    With `s` the slope of the inner sum `(u_r, v_r)`, `v_r = s (u_p - u_r) - v_p`, so the outer slope is
    `2 v_p / (u_p - u_r) - s`. The caller guarantees `addend != +-point` and `point + addend != +-point`.
    The trick is known from zcash's Orchard.
    """
    slope = builder.quotient(addend.v - point.v, addend.u - point.u)
    inner_u = builder.hint(builder.hint_product(slope, slope) - MONTGOMERY_A - point.u - addend.u)
    builder.constrain(slope, slope, inner_u + MONTGOMERY_A + point.u + addend.u)
    outer = builder.quotient(2 * point.v, point.u - inner_u) - slope
    u = builder.hint(builder.hint_product(outer, outer) - MONTGOMERY_A - point.u - inner_u)
    builder.constrain(outer, outer, u + MONTGOMERY_A + point.u + inner_u)
    v = builder.hint(builder.hint_product(point.u - u, outer) - point.v)
    builder.constrain(point.u - u, outer, v + point.v)
    return MontgomeryPoint(u, v)
