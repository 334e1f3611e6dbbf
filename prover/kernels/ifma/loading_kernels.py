"""Points on their way from a key to the lanes: those at infinity left out, each checked to lie on its curve, converted.

A key's points are in the portable Montgomery form, canonical, at any even address. Each is read once for all of this.
"""

import numpy as np
from numba import types
from numba.extending import overload

from prover.kernels.cpu.coordinate import is_zero
from prover.kernels.device import export, intrinsic
from prover.kernels.ifma import emit
from prover.kernels.ifma.coordinate import FQ, difference, mul, small_difference, square
from prover.kernels.ifma.lanes import LANES, PAIR, load_points, load_words, mask_to_byte, store_points
from prover.kernels.ifma.scalars import broadcast


def scaled(a, factor):
    """Every component of `a` times `factor`, of F_q; only inside kernels."""
    raise NotImplementedError("lanes exist inside kernels only")


def _curve_constant(table, like):
    """The curve's b, from the host's table, for coordinates of the kind of `like`; only inside kernels."""
    raise NotImplementedError("lanes exist inside kernels only")


@overload(scaled)
def _overload_scaled(a, factor):
    if a == LANES:
        return lambda a, factor: mul(a, factor)
    if a == PAIR:
        return lambda a, factor: (mul(a[0], factor), mul(a[1], factor))
    return None


@overload(_curve_constant)
def _overload_curve_constant(table, like):
    if like == LANES:
        return lambda table, like: broadcast(table, 1)
    if like == PAIR:
        return lambda table, like: (broadcast(table, 1), broadcast(table, 2))
    return None


@intrinsic
def _nonzero(typing_context, gap):
    """A bit a lane: is this result of `difference` anything but a multiple of q?"""
    components = {LANES: 1, PAIR: 2}.get(gap)
    if components is None:
        return None

    def generate(context, builder, signature, arguments):
        parts = [arguments[0]]
        if components == 2:
            parts = [builder.extract_value(arguments[0], i) for i in range(2)]
        masks = [FQ.is_nonzero(builder, emit.limbs(builder, part), 3) for part in parts]
        return mask_to_byte(builder, masks[0] if components == 1 else builder.or_(*masks))

    return types.uint8(gap), generate


@export("i64, i64, i64, i64, u64[:], i64[:], like", "i64")
def find_finite(source, stride, count, first, addresses, places, like):
    """Write the addresses of the points that are not infinity, and their numbers; returns how many there are.

    Point i of `count` lies at source + i * stride and has the number first + i.
    """
    found = 0
    for i in range(count):
        address = np.uint64(source + i * stride)
        if not (is_zero(load_words(address, 0, like)) and is_zero(load_words(address, 1, like))):
            addresses[found] = address
            places[found] = first + i
            found += 1
    return found


@export("u64[:], i64, i64, i64, i64, u64[:,:], like", "i64")
def check_and_convert(addresses, start, stop, target, stride, constants, kind):
    """Write the points at addresses[start:stop] in the lanes' form to addresses target + i * stride.

    start and stop are multiples of 8; constants: see `prover.msm.lanes`; kind: a value of the group, as `like` is.
    Returns how many eights hold a point that is not on its curve.
    """
    wrong = 0
    factor = broadcast(constants, 0)
    for i in range(start, stop, 8):
        x, y = load_points(addresses, i, kind)
        x, y = scaled(x, factor), scaled(y, factor)
        gap = small_difference(square(y), mul(square(x), x))
        wrong += _nonzero(difference(gap, _curve_constant(constants, x))) != 0
        store_points(np.uint64(target + i * stride), x, y)
    return wrong
