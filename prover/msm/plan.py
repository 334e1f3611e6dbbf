"""How a multi-scalar multiplication is cut into windows and parts.

Pippenger's bucket method: a scalar is written in base 2^c with digits d_j, so the sum of scalar_i * P_i is the sum over
j of 2^(cj) times a window sum W_j = sum of d_ij * P_i. A window sum puts each point in the bucket of its digit and then
adds up d * bucket_d with two additions a bucket. Digits are signed, |d| <= 2^(c-1): negating a point is free, so
2^(c-1) buckets are enough. Small scalars have zero digits in the high windows and cost nothing there; a one costs a
single addition.

See Bernstein, Doumen, Lange, Oosterwijk, "Faster batch forgery identification" (2012), section 4.
"""

from dataclasses import dataclass

SCALAR_BITS = 254
MAX_WINDOW_BITS = 16
# Multiplications of an affine addition into a bucket, and of the two additions that empty one.
_ADD_COST = 6
_EMPTY_COST = 28


@dataclass(frozen=True)
class Plan:
    """window_bits: c; windows: how many cover a signed scalar; parts: pieces the points are split in, for threads."""

    window_bits: int
    windows: int
    parts: int

    @property
    def buckets(self) -> int:
        return 1 << (self.window_bits - 1)


def windows_for(window_bits: int, scalar_bits: int = SCALAR_BITS) -> int:
    """Windows that hold every scalar below 2^scalar_bits in signed digits: one bit more, for the last carry."""
    return -(-(scalar_bits + 1) // window_bits)


def make_plan(count: int, threads: int, window_bits: int | None = None) -> Plan:
    """The cheapest plan for `count` points; `window_bits` (2 to 16) overrides the choice.

    The points are split only when there are too few windows to keep `threads` busy.
    """
    if window_bits is None:
        window_bits = min(
            range(2, MAX_WINDOW_BITS + 1),
            key=lambda bits: windows_for(bits) * (count * _ADD_COST + (_EMPTY_COST << (bits - 1))),
        )
    elif not 2 <= window_bits <= MAX_WINDOW_BITS:
        raise ValueError(f"window_bits must be 2 to {MAX_WINDOW_BITS}, got {window_bits}")
    windows = windows_for(window_bits)
    parts = 1 if threads == 1 else max(1, min(-(-2 * threads // windows), count >> window_bits))
    return Plan(window_bits, windows, parts)
