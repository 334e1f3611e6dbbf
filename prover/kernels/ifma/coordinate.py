"""Arithmetic of point coordinates in eight lanes: F_q (type LANES) for G1, F_q2 (a pair of LANES) for G2.

One name serves both, as in `prover.kernels.cpu.coordinate`. Bounds, as multiples of q, that the operations keep:
- "small" values are below 1.7 q: what is stored in points, and what `mul` and `square` return.
- `difference` takes small values and returns one below 3.7 q, the largest that `mul` takes for both factors.
All values are carried.
"""

from typing import Any

from llvmlite import ir
from numba import types

from protocol.field import Q
from prover.kernels.device import intrinsic
from prover.kernels.ifma import emit
from prover.kernels.ifma.emit import LaneField, Limbs
from prover.kernels.ifma.lanes import LANES, PAIR, byte_to_mask, coordinate_type, mask_to_byte, pair

FQ = LaneField(Q)


class _Base:
    """F_q: an element is one list of limbs."""

    @staticmethod
    def read(builder: ir.IRBuilder, value: ir.Value) -> list[Limbs]:
        return [emit.limbs(builder, value)]

    @staticmethod
    def write(builder: ir.IRBuilder, parts: list[Limbs]) -> ir.Value:
        return emit.element(builder, parts[0])

    @staticmethod
    def multiply(builder: ir.IRBuilder, a: list[Limbs], b: list[Limbs]) -> list[Limbs]:
        return [FQ.multiply(builder, a[0], b[0])]

    @staticmethod
    def square(builder: ir.IRBuilder, a: list[Limbs]) -> list[Limbs]:
        return [FQ.square(builder, a[0])]


class _Extension:
    """F_q2: an element is two lists of limbs, real part first."""

    @staticmethod
    def read(builder: ir.IRBuilder, value: ir.Value) -> list[Limbs]:
        return [emit.limbs(builder, builder.extract_value(value, i)) for i in range(2)]

    @staticmethod
    def write(builder: ir.IRBuilder, parts: list[Limbs]) -> ir.Value:
        return pair(builder, *(emit.element(builder, part) for part in parts))

    @staticmethod
    def multiply(builder: ir.IRBuilder, a: list[Limbs], b: list[Limbs]) -> list[Limbs]:
        """Karatsuba: for factors below 3.7 q all three products are below 1.7 q, and low + high below 2.4 q."""
        sums = [emit.carry(builder, emit.add(builder, *factor)) for factor in (a, b)]
        low, high = FQ.multiply(builder, a[0], b[0]), FQ.multiply(builder, a[1], b[1])
        cross = FQ.multiply(builder, *sums)
        real = emit.add(builder, emit.subtract(builder, low, high), FQ.multiple(2))
        both = emit.add(builder, low, high)
        imaginary = emit.add(builder, emit.subtract(builder, cross, both), FQ.multiple(3))
        return [FQ.reduce(builder, real), FQ.reduce(builder, imaginary)]

    @staticmethod
    def square(builder: ir.IRBuilder, a: list[Limbs]) -> list[Limbs]:
        """(a0 + a1)(a0 - a1) + (2 a0) a1 i, for a small a: both below 1.2 q."""
        total = emit.carry(builder, emit.add(builder, a[0], a[1]))
        gap = emit.carry(builder, emit.add(builder, emit.subtract(builder, a[0], a[1]), FQ.multiple(2)))
        twice = emit.carry(builder, emit.add(builder, a[0], a[0]))
        return [FQ.multiply(builder, total, gap), FQ.multiply(builder, twice, a[1])]


_FIELDS: dict[Any, Any] = {LANES: _Base, PAIR: _Extension}


def _componentwise(builder: ir.IRBuilder, kind: Any, work: Any, *values: ir.Value) -> ir.Value:
    field = _FIELDS[kind]
    parts = zip(*(field.read(builder, value) for value in values), strict=True)
    return field.write(builder, [work(*part) for part in parts])


@intrinsic
def mul(typing_context, a, b):
    """a * b / 2^260."""
    if a not in _FIELDS or a != b:
        return None

    def generate(context, builder, signature, arguments):
        field = _FIELDS[a]
        return field.write(builder, field.multiply(builder, *(field.read(builder, value) for value in arguments)))

    return a(a, b), generate


@intrinsic
def square(typing_context, a):
    """a * a / 2^260, below 1.2 q for a small a."""
    if a not in _FIELDS:
        return None

    def generate(context, builder, signature, arguments):
        field = _FIELDS[a]
        return field.write(builder, field.square(builder, field.read(builder, arguments[0])))

    return a(a), generate


@intrinsic
def difference(typing_context, a, b):
    """a - b + 2 q, for b at most 2 q."""
    if a not in _FIELDS or a != b:
        return None

    def generate(context, builder, signature, arguments):
        def work(x, y):
            return emit.carry(builder, emit.add(builder, emit.subtract(builder, x, y), FQ.multiple(2)))

        return _componentwise(builder, a, work, *arguments)

    return a(a, b), generate


@intrinsic
def sum_x(typing_context, slope_squared, x1, x2):
    """slope^2 - x1 - x2, small: the x of a sum. slope_squared is below 1.2 q."""
    if x1 not in _FIELDS or not slope_squared == x1 == x2:
        return None

    def generate(context, builder, signature, arguments):
        def work(s, a, b):
            total = emit.subtract(builder, emit.subtract(builder, s, a), b)
            return FQ.reduce(builder, emit.add(builder, total, FQ.multiple(4)))

        return _componentwise(builder, x1, work, *arguments)

    return x1(slope_squared, x1, x2), generate


@intrinsic
def small_difference(typing_context, a, b):
    """a - b, small; a is small and b at most 2 q."""
    if a not in _FIELDS or a != b:
        return None

    def generate(context, builder, signature, arguments):
        def work(x, y):
            return FQ.reduce(builder, emit.add(builder, emit.subtract(builder, x, y), FQ.multiple(3)))

        return _componentwise(builder, a, work, *arguments)

    return a(a, b), generate


@intrinsic
def negate_where(typing_context, mask, value):
    """-value in the lanes of `mask`, for a value below 2 q: between 0 and 2 q. `mask` is uint8, a bit a lane."""
    if mask != types.uint8 or value not in _FIELDS:
        return None

    def generate(context, builder, signature, arguments):
        lanes = byte_to_mask(builder, arguments[0])

        def work(part):
            return emit.carry(builder, emit.select(builder, lanes, emit.subtract(builder, FQ.multiple(2), part), part))

        return _componentwise(builder, value, work, arguments[1])

    return value(mask, value), generate


@intrinsic
def one_where(typing_context, mask, value):
    """One in the lanes of `mask`, `value` in the others."""
    if mask != types.uint8 or value not in _FIELDS:
        return None

    def generate(context, builder, signature, arguments):
        lanes = byte_to_mask(builder, arguments[0])
        field = _FIELDS[value]
        parts = field.read(builder, arguments[1])
        ones = [emit.constant((1 << emit.R_BITS) % Q), emit.constant(0)]
        return field.write(
            builder, [emit.select(builder, lanes, one, part) for one, part in zip(ones, parts, strict=False)]
        )

    return value(mask, value), generate


@intrinsic
def unusual(typing_context, x1, x2, gap):
    """A bit a lane: must these points be added with care? `gap` = difference(x2, x1).

    Set where a point may be infinity, stored as zeros, or where the x's may be equal. The lowest limb decides, so a
    lane is set without need about once in 2^50.
    """
    if x1 not in _FIELDS or not x1 == x2 == gap:
        return None

    def generate(context, builder, signature, arguments):
        field = _FIELDS[x1]
        first, second, difference = (field.read(builder, value) for value in arguments)

        def zero(parts):
            return _all(builder, [builder.icmp_unsigned("==", part[0], emit.splat(0)) for part in parts])

        same = _all(builder, [FQ.is_multiple(builder, part, 3) for part in difference])
        return mask_to_byte(builder, builder.or_(same, builder.or_(zero(first), zero(second))))

    return types.uint8(x1, x2, gap), generate


def _all(builder: ir.IRBuilder, masks: list[ir.Value]) -> ir.Value:
    return masks[0] if len(masks) == 1 else builder.and_(*masks)


@intrinsic
def lanes_like(typing_context, like):
    """A value of eight coordinates of the group of `like`; its content means nothing."""
    kind = coordinate_type(like)
    if kind is None:
        return None
    return kind(like), lambda context, builder, signature, arguments: ir.Constant(
        context.get_value_type(kind), ir.Undefined
    )
