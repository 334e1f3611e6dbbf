"""Many points times one scalar in eight lanes: the kernel behind `prover.msm.lane_scaling`.

Eight points take the same steps, so their running sums stay in registers, in Jacobian coordinates (x = X / Z^2, y = Y /
Z^3), and one inversion brings a batch back. Doubling is Bernstein and Lange's dbl-2009-l scaled by 1/2, which needs no
sums: with M = 3/2 X^2 and S = X Y^2 it is (M^2 - 2 S, M (S - X3) - Y^4, Y Z). No case is special: the host makes sure
that the steps meet none.
"""

import numpy as np

from prover.kernels.device import export, kernel
from prover.kernels.ifma.coordinate import (
    difference,
    lanes_like,
    mul,
    negate_where,
    one_where,
    small_difference,
    square,
    sum_x,
)
from prover.kernels.ifma.lanes import load_points, spill, store_points, unspill
from prover.kernels.ifma.loading_kernels import scaled
from prover.kernels.ifma.scalars import broadcast
from prover.msm.lane_pair_kernels import invert_lanes


@kernel
def _double(x, y, z, half_of_three):
    slope = scaled(square(x), half_of_three)
    yy = square(y)
    s = mul(x, yy)
    x3 = sum_x(square(slope), s, s)
    return x3, small_difference(mul(slope, difference(s, x3)), square(yy)), mul(y, z)


@kernel
def _add(x1, y1, z1, x2, y2):
    """(x1, y1, z1) + (x2, y2), the second affine: neither equal nor opposite, neither infinity."""
    zz = square(z1)
    gap = small_difference(mul(x2, zz), x1)
    slope = small_difference(mul(y2, mul(z1, zz)), y1)
    gap_squared = square(gap)
    gap_cubed = mul(gap, gap_squared)
    v = mul(x1, gap_squared)
    x3 = small_difference(sum_x(square(slope), v, v), gap_cubed)
    return x3, small_difference(mul(slope, difference(v, x3)), mul(y1, gap_cubed)), mul(z1, gap)


@export("u64[:], i64, i64, i8[:], u64[:,:], i64, i64, u64[:,:], u64[:,:], u64[:,:], u64[:,:], u64[:,:], u64[:], like")
def scale_batch(
    addresses, start, stop, steps, constants, target, stride, xs, ys, zs, products, row, row_addresses, like
):
    """Write multiples of the points at addresses[start:stop] to the addresses target + i * stride; lanes' form.

    start and stop are multiples of 8. steps: 0 doubles; 1 and 2 add the point and its opposite, 3 and 4 the same of its
    image (root * x, y); the first is not 0. constants: root and 3/2 in the lanes' form. Scratch of a row for each
    eight points, as `spill` writes them: xs, ys, zs, products; of eight points: row, row_addresses.
    """
    kind = lanes_like(like)
    root, half_of_three = broadcast(constants, 0), broadcast(constants, 1)
    product = one_where(np.uint8(255), kind)
    for i in range(start, stop, 8):
        x, y = load_points(addresses, i, like)
        image, opposite = scaled(x, root), negate_where(np.uint8(255), y)
        total_x, total_y, total_z = (
            (image if steps[0] > 2 else x),
            (y if steps[0] & 1 else opposite),
            one_where(np.uint8(255), kind),
        )
        for k in range(1, steps.shape[0]):
            if steps[k] == 0:
                total_x, total_y, total_z = _double(total_x, total_y, total_z, half_of_three)
            else:
                other_x, other_y = (image if steps[k] > 2 else x), (y if steps[k] & 1 else opposite)
                total_x, total_y, total_z = _add(total_x, total_y, total_z, other_x, other_y)
        group = (i - start) >> 3
        spill(xs, group, total_x)
        spill(ys, group, total_y)
        spill(zs, group, total_z)
        spill(products, group, product)
        product = mul(product, total_z)
    shared = invert_lanes(product, row, row_addresses, like)
    for i in range(stop - 8, start - 1, -8):
        group = (i - start) >> 3
        inverted = mul(shared, unspill(products, group, kind))
        shared = mul(shared, unspill(zs, group, kind))
        squared = square(inverted)
        x, y = mul(unspill(xs, group, kind), squared), mul(unspill(ys, group, kind), mul(squared, inverted))
        store_points(np.uint64(target + i * stride), x, y)
