"""Between the two Montgomery forms of F_q: R = 2^256 of the portable kernels and R = 2^260 of the lanes.

Both pack an element into four 64-bit limbs. The portable form is canonical; the lanes' form may be any number below
2^256 on the way out.
"""

from numba.extending import overload

from protocol.field import Q
from prover.kernels.cpu.coordinate import FQ2_TYPE, FQ_TYPE, load, store
from prover.kernels.cpu.field import fq_mul, limb_tuple
from prover.kernels.device import export, kernel
from prover.kernels.ifma.emit import R_BITS

_TO_LANES = limb_tuple((1 << R_BITS) % Q)
_FROM_LANES = limb_tuple(pow(2, 512 - R_BITS, Q))


# The factor comes first: only the first operand of fq_mul has to be canonical.
@kernel
def _fq_to_lanes(a):
    return fq_mul(_TO_LANES, a)


@kernel
def _fq_from_lanes(a):
    return fq_mul(_FROM_LANES, a)


def to_lanes(a):
    """A coordinate in the portable form -> in the lanes' form, canonical; only inside kernels."""
    raise NotImplementedError("coordinates are converted inside kernels only")


def from_lanes(a):
    """A coordinate in the lanes' form -> in the portable form, canonical; only inside kernels."""
    raise NotImplementedError("coordinates are converted inside kernels only")


@overload(to_lanes)
def _to_lanes(a):
    if a == FQ_TYPE:
        return lambda a: _fq_to_lanes(a)
    if a == FQ2_TYPE:
        return lambda a: (_fq_to_lanes(a[0]), _fq_to_lanes(a[1]))
    return None


@overload(from_lanes)
def _from_lanes(a):
    if a == FQ_TYPE:
        return lambda a: _fq_from_lanes(a)
    if a == FQ2_TYPE:
        return lambda a: (_fq_from_lanes(a[0]), _fq_from_lanes(a[1]))
    return None


@export("u64[:,:], u64[:,:], like, i64, i64")
def points_to_lanes(points, out, like, start, stop):
    """Rows start .. stop-1 of `out` = those of `points`, affine, in the lanes' form."""
    for i in range(start, stop):
        store(out, i, 0, to_lanes(load(points, i, 0, like)))
        store(out, i, 1, to_lanes(load(points, i, 1, like)))


@export("u64[:,:], u64[:,:], like, i64, i64")
def points_from_lanes(points, out, like, start, stop):
    """Rows start .. stop-1 of `out` = those of `points`, affine and in the lanes' form, in the portable form."""
    for i in range(start, stop):
        store(out, i, 0, from_lanes(load(points, i, 0, like)))
        store(out, i, 1, from_lanes(load(points, i, 1, like)))
