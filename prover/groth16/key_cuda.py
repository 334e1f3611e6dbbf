"""A proving key that stays on a device.

The scalars of a batch are rows of one array, (n_vars + 3, batch) elements:

    row 0: r        rows 1 .. n_vars: the witness        then s        then -r s

so that each sum takes neighbouring rows in place, and neither blinding nor constant terms cost a sum of their own:

    A       rows 0 .. n_vars                  bases delta, A_0 + alpha, A_1, ...           (wire 0 is the constant 1)
    B, B1   rows 1 .. n_vars + 1              bases B_0 + beta, B_1, ..., delta
    C, H    private wires' rows .. the last,  bases C_i, infinity (for s), delta, H_i
            then the quotient
"""

from dataclasses import dataclass

import numpy as np

from prover.errors import FormatError
from prover.formats.zkey import ZKey
from prover.groth16.memory_cuda import KeyShape, MemoryPlan
from prover.groth16.quotient_cuda import DeviceQuotient
from prover.kernels.cpu.pairing import g1_on_curve, g2_on_curve
from prover.kernels.cuda.device import Array, Device
from prover.limbs import to_limbs
from prover.msm.cpu import msm_g1, msm_g2
from prover.msm.cuda import G1, G2, DeviceBases, Scalars, Workspace, msm, prepare

# Rows of scalars beside the witness.
EXTRA_ROWS = 3
SUMS = ("a", "b1", "b2", "c")
_GROUPS = {"a": G1, "b1": G1, "b2": G2, "c": G1}


def key_bases(zkey: ZKey) -> dict[str, np.ndarray]:
    """The bases of the sums, by the names in SUMS, in the order of the table above; Montgomery form as in ZKey.

    Raises FormatError for a point that is not on its curve.
    """
    delta_g1, delta_g2 = zkey.delta_g1[None], zkey.delta_g2[None]
    one_each = to_limbs([1, 1])
    first_a = msm_g1(np.stack([zkey.points_a[0], zkey.alpha_g1]), one_each)[None]
    first_b1 = msm_g1(np.stack([zkey.points_b1[0], zkey.beta_g1]), one_each)[None]
    first_b2 = msm_g2(np.stack([zkey.points_b2[0], zkey.beta_g2]), one_each)[None]
    bases = {
        "a": np.concatenate([delta_g1, first_a, zkey.points_a[1:]]),
        "b1": np.concatenate([first_b1, zkey.points_b1[1:], delta_g1]),
        "b2": np.concatenate([first_b2, zkey.points_b2[1:], delta_g2]),
        "c": np.concatenate([zkey.points_c, np.zeros_like(delta_g1), delta_g1, zkey.points_h]),
    }
    if not all((g2_on_curve if name == "b2" else g1_on_curve)(points) for name, points in bases.items()):
        raise FormatError("the proving key holds a point that is not on its curve; fetch or make the key again")
    return bases


def key_shape(zkey: ZKey, bases: dict[str, np.ndarray]) -> KeyShape:
    """What the key's memory is planned from."""
    return KeyShape(
        n_vars=zkey.n_vars,
        n_public=zkey.n_public,
        domain=zkey.domain_size,
        entries=zkey.a.nnz + zkey.b.nnz,
        points={name: int(np.count_nonzero(points.any(axis=1))) for name, points in bases.items()},
    )


@dataclass(frozen=True, eq=False)
class DeviceKey:
    """The key's bases with tables of their multiples, its matrices and the tables of its domain."""

    n_vars: int
    n_public: int
    bases: dict[str, DeviceBases]
    quotient: DeviceQuotient

    @classmethod
    def upload(cls, device: Device, zkey: ZKey, bases: dict[str, np.ndarray], plan: MemoryPlan) -> "DeviceKey":
        """Raises DeviceOutOfMemory."""
        return cls(
            n_vars=zkey.n_vars,
            n_public=zkey.n_public,
            bases={
                name: prepare(device, bases[name], _GROUPS[name], plan.tables[name], plan.workspace, plan.batch)
                for name in SUMS
            },
            quotient=DeviceQuotient(device, zkey.a, zkey.b, zkey.n_vars),
        )

    @property
    def nbytes(self) -> int:
        """Device memory held."""
        return self.quotient.nbytes + sum(bases.nbytes for bases in self.bases.values())

    @property
    def streamed(self) -> bool:
        """Does a part of the bases stay on the host, to be sent for every proof?"""
        return any(bases.host is not None for bases in self.bases.values())

    @property
    def workspace_bytes(self) -> int:
        """What the sums need meanwhile, one after the other."""
        return max(bases.workspace_bytes for bases in self.bases.values())

    def sum(self, name: str, rows: Array, quotient: Array, workspace: Workspace, out: Array) -> None:
        """Queue one of the sums over a batch: uint64 (batch, 16) or (batch, 32), XYZZ coordinates.

        rows: uint32 (n_vars + 3, batch, 8), as above; quotient: uint32 (domain, batch, 8), read for "c" only.
        """
        if name == "a":
            scalars = [Scalars(rows[: self.n_vars + 1])]
        elif name == "c":
            scalars = [Scalars(rows[self.n_public + 2 :]), Scalars(quotient)]
        else:
            scalars = [Scalars(rows[1 : self.n_vars + 2])]
        msm(self.bases[name], scalars, workspace, out, affine=False)
