"""The sum of one window in portable machine code: see `prover.msm.cpu`."""

from prover.kernels.cpu.coordinate import is_zero, load, store, zero
from prover.kernels.cpu.curve import add_points, infinity, load_point, store_point
from prover.kernels.device import export
from prover.msm.pairwise import fill_buckets


@export(
    "u64[:,:], i16[:], u64[:,:], u64[:,:], i64, like, i64, i64, u64[:,:], u64[:,:], u64[:,:], i32[:], i32[:], i64[:]"
)
def window_sum(
    bases, digits, buckets, sums, row, like, start, stop, points, pair_sums, scratch, bucket_of, starts, place
):
    """Row `row` of `sums` = sum of digits[i] * bases[i] over start <= i < stop.

    `buckets` and what follows `stop` are scratch: see `prover.msm.pairwise.fill_buckets`.
    """
    for bucket in range(buckets.shape[0]):
        store(buckets, bucket, 2, zero(like))
    fill_buckets(bases, digits, buckets, like, start, stop, points, pair_sums, scratch, bucket_of, starts, place)
    # sum of (b + 1) * bucket_b: `running` has the buckets from b up, and is counted once for each b.
    running = infinity(like)
    total = infinity(like)
    for bucket in range(buckets.shape[0] - 1, -1, -1):
        if not is_zero(load(buckets, bucket, 2, like)):
            running = add_points(running, load_point(buckets, bucket, like))
        total = add_points(total, running)
    store_point(sums, row, total)
