"""Points of BabyJubJub times scalars given as bits: two constraints a bit for a fixed point, six for any.

Both work in Montgomery form, whose addition fails when its operands are equal or opposite, and neither leaves that to
luck or to an argument about the size of scalars. The curve's group is cyclic of order 8 l; E below has order 8, so each
point is `c E + (a point of order l)` for one *class* c modulo 8. Two points are neither equal nor opposite if their
classes differ and do not add to 0, and a point of a class other than 0 and 4 is neither the identity nor of order two.
So small multiples of E are mixed into the operands such that every operation is safe by the classes alone, for every
scalar; what the multiples of E sum to is known and taken off at the end.
"""

from collections.abc import Sequence
from functools import cache

from protocol.babyjubjub import BASE8, SUBGROUP_ORDER, A, Point, add, multiply
from prover.circuit.builder import Builder
from prover.circuit.gadgets import edwards, montgomery
from prover.circuit.gadgets.bits import Bit
from prover.circuit.gadgets.edwards import EdwardsPoint
from prover.circuit.gadgets.montgomery import MontgomeryPoint
from prover.circuit.linear import LinearCombination, Operand, weighted_sum

# The generator of the whole group, of order 8 l, from EIP-2494.
_GENERATOR = Point(
    995203441582195749578291179787384436505546430278305826713579947235728471134,
    5472060717959818805561601436314318772137091100104008585924551046643952123905,
)
ORDER_EIGHT = multiply(_GENERATOR, SUBGROUP_ORDER)
"""E: its multiples are the eight points whose order divides 8."""


def class_point(number: int) -> Point:
    """`number * E`, the representative of a class."""
    return multiply(ORDER_EIGHT, number % 8)


def multiply_base(builder: Builder, bits: Sequence[Bit]) -> EdwardsPoint:
    """`scalar * B8` for a scalar given by its bits, least significant first: any scalar, reduced or not.

    Two bits select one of four fixed points, at one constraint; additions take three. The sum is of class 2 and 3 in
    turn, the addends of class 1 and -1, so they are never equal or opposite. The sum ends in class 2, and adding
    `-2 E`, a point with y = 0, is linear. The caller guarantees that the bits are bits.
    """
    windows = [bits[i : i + 2] for i in range(0, len(bits), 2)]
    tables = _base_tables(len(windows))
    total = _select(builder, tables[0], windows[0])
    for table, window in zip(tables[1:], windows[1:], strict=True):
        total = montgomery.add(builder, total, _select(builder, table, window))
    return edwards.add_constant(builder, montgomery.to_edwards(builder, total), class_point(-2))


_Table = list[tuple[int, int]]


@cache
def _base_tables(count: int) -> list[_Table]:
    """For each window, the four points `digit * 4^window * B8 + class * E` in Montgomery form."""
    first_class = 2 if count % 2 else 3
    classes = [first_class, *((-1) ** (count - i) for i in range(1, count))]
    tables = []
    base = BASE8
    for number in classes:
        point = class_point(number)
        table = []
        for _ in range(4):
            table.append(montgomery.constant_to_montgomery(point))
            point = add(point, base)
        tables.append(table)
        base = multiply(base, 4)
    return tables


def _select(builder: Builder, table: _Table, window: Sequence[Bit]) -> MontgomeryPoint:
    """The table's entry at the number that the window's one or two bits make."""
    low = window[0]
    high: Operand = window[1] if len(window) == 2 else 0
    both = builder.product(low, high)

    def coordinate(t0: int, t1: int, t2: int, t3: int) -> LinearCombination:
        return weighted_sum(((t0, 1), (t1 - t0, low), (t2 - t0, high), (t3 - t2 - t1 + t0, both)))

    us, vs = zip(*table, strict=True)
    return MontgomeryPoint(coordinate(*us), coordinate(*vs))


def multiply_point(builder: Builder, bits: Sequence[Bit], point: EdwardsPoint) -> EdwardsPoint:
    """`scalar * point` for a scalar of at least four bits, least significant first: any scalar, reduced or not.

    With the lowest bit set to one, a scalar of n bits is `2^(n-1)` plus the sum of `(2 b_i - 1) * 2^(i-1)` for
    i = 1 .. n-1: starting from the point, each step doubles and adds or subtracts. The lowest bit is put right at the
    end by a complete addition.

    What is added or subtracted in step i is `point + 4 E` for odd i and `point + E` for even i. Classes, up to sign:
    the sum is 3 before odd steps and 2 before even ones, except that it starts as 1 (odd) or 4 (even). Odd: the addend
    4 differs from +-3, the inner sum +-3 + 4 = -+1 too, and the result is +-6 + 4 = +-2. Even: the addend +-1 differs
    from +-2, the inner sum is +-1 or +-3, and the result is +-4 +- 1 = +-3. From the start 1: addend 4, inner sum 5,
    result 6 = -2. From the start 4: addend +-1, inner sum 4 +- 1, result +-1, which the odd step treats like the start.
    So no operation meets an exceptional case. In the end all doubled multiples of E have vanished except those of the
    last two steps, `4 E +- 2 E`, where the sign is bit 2's: taking off a point with y = 0 costs two constraints.

    The caller guarantees that the bits are bits and that the point has order l: it is not the identity.
    """
    count = len(bits)
    if count < 4:
        raise ValueError("the scalar must have four bits or more")
    with_one = montgomery.to_montgomery(builder, edwards.add_constant(builder, point, class_point(1)))
    with_four = montgomery.to_montgomery(builder, edwards.add_constant(builder, point, class_point(4)))
    total = with_four if count % 2 else with_one
    for i in reversed(range(1, count)):
        total = montgomery.double_and_add(builder, total, _signed(builder, bits[i], with_four if i % 2 else with_one))
    odd_multiple = _remove_class(builder, montgomery.to_edwards(builder, total), bits[2])
    return edwards.add(builder, odd_multiple, _negated_unless(builder, bits[0], point))


def _signed(builder: Builder, bit: Bit, point: MontgomeryPoint) -> MontgomeryPoint:
    """The point for bit 1, its negative for bit 0."""
    return MontgomeryPoint(point.u, 2 * builder.product(point.v, bit) - point.v)


def _remove_class(builder: Builder, point: EdwardsPoint, bit: Bit) -> EdwardsPoint:
    """Add `2 E` for bit 1 and `-2 E` for bit 0: with `2 E = (c, 0)`, the sum with `(+-c, 0)` is `+-(c y, -a c x)`."""
    x, _ = class_point(2)
    signed_x = 2 * builder.product(point.x, bit) - point.x
    signed_y = 2 * builder.product(point.y, bit) - point.y
    return EdwardsPoint(x * signed_y, -A * x * signed_x)


def _negated_unless(builder: Builder, bit: Bit, point: EdwardsPoint) -> EdwardsPoint:
    """The identity for bit 1, `-point` for bit 0."""
    keep = 1 - bit
    return EdwardsPoint(-builder.product(point.x, keep), 1 + builder.product(point.y - 1, keep))
