"""BabyJubJub in twisted Edwards form: the curve equation, complete addition and doubling.

    a x^2 + y^2 = 1 + d x^2 y^2,   a = 168700, d = 168696

Since a is a square and d is not, no denominator below is ever zero for points on the curve, so each quotient is fixed
by its constraint and there are no exceptional cases (https://eprint.iacr.org/2008/013, section 6). All gadgets
guarantee that results are on the curve if the operands are.
"""

from typing import NamedTuple

from protocol.babyjubjub import A, D, Point
from prover.circuit.builder import Builder
from prover.circuit.linear import LinearCombination, Operand, as_combination


class EdwardsPoint(NamedTuple):
    """A point inside a circuit."""

    x: LinearCombination
    y: LinearCombination

    @classmethod
    def of(cls, x: Operand, y: Operand) -> "EdwardsPoint":
        return cls(as_combination(x), as_combination(y))


def assert_on_curve(builder: Builder, point: EdwardsPoint) -> None:
    """Demand the curve equation. Three constraints."""
    xx = builder.product(point.x, point.x)
    yy = builder.product(point.y, point.y)
    builder.constrain(D * xx, yy, A * xx + yy - 1)


def double(builder: Builder, point: EdwardsPoint) -> EdwardsPoint:
    """`2 * point`, five constraints; by the curve equation `d x^2 y^2 = a x^2 + y^2 - 1`. Any point on the curve."""
    xx = builder.product(point.x, point.x)
    yy = builder.product(point.y, point.y)
    xy = builder.product(point.x, point.y)
    return EdwardsPoint(
        builder.quotient(2 * xy, A * xx + yy),
        builder.quotient(yy - A * xx, 2 - A * xx - yy),
    )


def add(builder: Builder, left: EdwardsPoint, right: EdwardsPoint, total: EdwardsPoint | None = None) -> EdwardsPoint:
    """`left + right`, six constraints; any points on the curve. Given `total`, demand that it is the sum."""
    x1y2 = builder.product(left.x, right.y)
    y1x2 = builder.product(left.y, right.x)
    cross = builder.product(D * x1y2, y1x2)
    outer = builder.product(left.y - A * left.x, right.x + right.y)
    # (y1 - a x1)(x2 + y2) = y1 y2 - a x1 x2 + y1 x2 - a x1 y2
    x_numerator = x1y2 + y1x2
    y_numerator = outer + A * x1y2 - y1x2
    if total is None:
        return EdwardsPoint(builder.quotient(x_numerator, 1 + cross), builder.quotient(y_numerator, 1 - cross))
    builder.constrain(1 + cross, total.x, x_numerator)
    builder.constrain(1 - cross, total.y, y_numerator)
    return total


def add_constant(builder: Builder, point: EdwardsPoint, constant: Point) -> EdwardsPoint:
    """`point + constant` for a fixed point of the curve: three constraints, none if the constant has y = 0 or x = 0."""
    cx, cy = constant
    cross = D * cx * cy
    xy = builder.product(point.x, point.y) if cross else as_combination(0)
    x_numerator = cy * point.x + cx * point.y
    y_numerator = cy * point.y - A * cx * point.x
    if not cross:
        return EdwardsPoint(x_numerator, y_numerator)
    return EdwardsPoint(
        builder.quotient(x_numerator, 1 + cross * xy),
        builder.quotient(y_numerator, 1 - cross * xy),
    )
