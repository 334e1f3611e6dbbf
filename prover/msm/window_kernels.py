"""The last step of a multi-scalar multiplication, which all ways of doing it share."""

from prover.kernels.cpu.curve import add_points, double_point, infinity, load_point, store_point, to_affine
from prover.kernels.device import export


@export("u64[:,:], i64, i64, i64, like, u64[:,:]")
def combine_windows(sums, windows, parts, window_bits, like, result):
    """Row 0 of `result` = the affine sum over windows j of 2^(window_bits * j) * (sum of the parts of window j)."""
    total = infinity(like)
    for window in range(windows - 1, -1, -1):
        for _ in range(window_bits):
            total = double_point(total)
        for part in range(parts):
            total = add_points(total, load_point(sums, window * parts + part, like))
    store_point(sums, 0, total)
    to_affine(sums, result, like, 0, 1)
