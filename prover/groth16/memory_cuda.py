"""What a proving key and a batch of proofs need of a device's memory, computed before any of it is taken.

Resident are the key's matrices, the tables of its domain, its bases and tables of their multiples. A batch needs its
scalars twice, since the next one is filled while the present one is proved, the quotient's polynomials, and the
workspace that the sums share. Where that does not fit, the batch shrinks first; a key whose bases do not fit even with
batches of one is streamed from the host, a part at a time.
"""

from dataclasses import dataclass

from prover.devices.budget import readable
from prover.errors import DeviceOutOfMemory
from prover.msm.cuda_plan import G1, G2, CudaPlan, Group, make_plan

ELEMENT = 32
_MATRIX_ENTRY = 4 + ELEMENT
# Points, halves, products and proofs of one proof at the end, rounded up.
_FINISH = 2048
# Twiddles of the transforms' passes, and what every array is rounded up to.
_SMALL_TABLES = 1 << 20
# Of the memory that is left, for the workspace of the sums; the rest is for bases and tables. More where it must be.
_WORKSPACE_SHARES = (0.25, 0.5, 0.75, 0.9)
# Proofs of small circuits are batched up to here; a larger domain fills a GPU with fewer proofs.
MOST_PROOFS = 64
_ENOUGH_ELEMENTS = 1 << 21

_GROUPS: dict[str, Group] = {"a": G1, "b1": G1, "b2": G2, "c": G1}


@dataclass(frozen=True)
class KeyShape:
    """entries: coefficients of A and B; points: of each sum, without those at infinity."""

    n_vars: int
    n_public: int
    domain: int
    entries: int
    points: dict[str, int]

    @property
    def key_bytes(self) -> int:
        """Matrices, tables of the domain and lists of rows; an upper bound."""
        matrices = self.entries * _MATRIX_ENTRY + 2 * 4 * (self.domain + 1) + 4 * self.domain
        # Factors between two passes, both ways, and those of the step to the coset; a third pass adds little.
        transforms = 3 * ELEMENT * self.domain * 9 // 8 + _SMALL_TABLES
        lists = sum(4 * count for count in self.points.values())
        return matrices + transforms + lists

    @property
    def upload_bytes(self) -> int:
        """What uploading takes for a while beside what stays: one sum's bases, and points to make tables with."""
        return max(2 * count * _GROUPS[name].point_bytes for name, count in self.points.items())

    def batch_bytes(self, batch: int) -> int:
        """Everything that a batch of proofs needs but the workspace of the sums."""
        rows = 2 * (self.n_vars + 3) * batch * ELEMENT
        arriving = 2 * self.n_vars * batch * ELEMENT
        quotient = (3 + 1) * self.domain * batch * ELEMENT
        return rows + arriving + quotient + 2 * _FINISH * batch + _SMALL_TABLES

    def usual_batch(self) -> int:
        """Proofs that are worth making at once: a power of two."""
        return max(1, min(MOST_PROOFS, _ENOUGH_ELEMENTS // self.domain))


@dataclass(frozen=True)
class MemoryPlan:
    """batch: proofs at once; tables: bytes that each sum's bases and tables may take; workspace: the same of the sums'
    workspace; sums: how each is computed within that; total: bytes of all, with what uploading takes for a while.
    """

    batch: int
    tables: dict[str, int]
    workspace: int
    sums: dict[str, CudaPlan]
    total: int

    @property
    def streamed(self) -> bool:
        """Does a part of the bases stay on the host?"""
        return any(plan.streamed for plan in self.sums.values())


def plan_memory(shape: KeyShape, available: int, multiprocessors: int, batch: int | None = None) -> MemoryPlan:
    """The largest batch, up to `batch` (None: the usual one), with which the key and its proofs fit.

    A smaller batch goes before streaming the key. Raises DeviceOutOfMemory where not even one proof with a streamed key
    fits.
    """
    sizes = [batch or shape.usual_batch()]
    while sizes[-1] > 1:
        sizes.append(sizes[-1] // 2)
    streamed: MemoryPlan | None = None
    for size in sizes:
        plan = _plan(shape, available, multiprocessors, size)
        if plan is not None and not plan.streamed:
            return plan
        streamed = plan or streamed
    if streamed is None:
        least = shape.key_bytes + shape.batch_bytes(1)
        raise DeviceOutOfMemory(
            f"a key with {shape.n_vars:,} wires and a domain of {shape.domain:,} needs more than {readable(least)} of "
            f"the device's memory, and {readable(max(0, available))} may be used: free some, raise "
            "GELAP_DEVICE_MEMORY, or prove on the CPU with --device cpu"
        )
    return streamed


def _plan(shape: KeyShape, available: int, multiprocessors: int, batch: int) -> MemoryPlan | None:
    """The plan with the most tables for batches of this size, resident if that is possible."""
    streamed = None
    for share in _WORKSPACE_SHARES:
        plan = _plan_with(shape, available, multiprocessors, batch, share)
        if plan is not None and not plan.streamed:
            return plan
        streamed = streamed or plan
    return streamed


def _plan_with(
    shape: KeyShape, available: int, multiprocessors: int, batch: int, workspace_share: float
) -> MemoryPlan | None:
    rest = available - shape.key_bytes - shape.batch_bytes(batch)
    if rest <= 0:
        return None
    workspace = int(rest * workspace_share)
    tables = _shares(shape, rest - workspace)
    sums = {}
    try:
        for name, count in shape.points.items():
            sums[name] = make_plan(_GROUPS[name], count, batch, tables[name], workspace, multiprocessors)
    except DeviceOutOfMemory:
        return None
    resident = sum(plan.table_bytes for plan in sums.values())
    total = available - rest + max(plan.workspace_bytes for plan in sums.values()) + resident
    return MemoryPlan(batch, tables, workspace, sums, total)


def _shares(shape: KeyShape, available: int) -> dict[str, int]:
    """Bytes for each sum's tables, in proportion to its bases; uploading needs its own while none is complete."""
    sizes = {name: count * _GROUPS[name].point_bytes for name, count in shape.points.items()}
    total = max(1, sum(sizes.values()))
    usable = max(0, available - shape.upload_bytes)
    return {name: usable * size // total for name, size in sizes.items()}
