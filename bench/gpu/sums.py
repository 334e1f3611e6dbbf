"""Multi-scalar multiplication on a device, for one proof and for batches over the same bases."""

import numpy as np

from bench.gpu.timing import against_ceiling, device_runs
from bench.inputs import DISTRIBUTIONS, UNIFORM, KnownPoints, field_elements, scalars
from bench.result import Result
from prover.errors import DeviceOutOfMemory
from prover.kernels.cpu.points import G1_GENERATOR, G2_GENERATOR, pack_g1, pack_g2
from prover.kernels.cuda.device import Array, Device
from prover.limbs import from_limbs
from prover.msm.cuda import G1, G2, DeviceBases, Scalars, Workspace, msm, prepare
from prover.msm.cuda_plan import CudaPlan
from prover.msm.fixed_base_cuda import FixedBase
from prover.progress import Reporter

GROUPS = {"g1": G1, "g2": G2}
# Of the memory that is free, for tables; half of the rest is for the sums' workspace.
_TABLE_SHARE = 0.5


def known_points(device: Device, count: int, group: str) -> KnownPoints:
    """Random points, made on the device."""
    generator = pack_g1([G1_GENERATOR])[0] if group == "g1" else pack_g2([G2_GENERATOR])[0]
    logarithms = field_elements(count)
    return KnownPoints(FixedBase(device, generator).multiply(logarithms), from_limbs(logarithms))


def measure(
    device: Device, sizes: list[int], groups: list[str], batches: list[int], runs: int, progress: Reporter
) -> list[Result]:
    """Each group, size, number of proofs and distribution of scalars; every sum is checked by its logarithm."""
    cases = [(group, size, batch) for group in groups for size in sizes for batch in batches]
    results = []
    for done, (group, size, batch) in enumerate(cases):
        progress(f"{group.upper()}, {batch} x {size:,} points", done, len(cases))
        points = known_points(device, size, group)
        free, _ = device.memory()
        tables = int(free * _TABLE_SHARE)
        try:
            bases = prepare(device, points.points, GROUPS[group], tables, (free - tables) // 2, batch)
            workspace = Workspace(device, bases.workspace_bytes)
        except DeviceOutOfMemory:
            progress(f"{group.upper()}, {batch} x {size:,} points do not fit, left out", done, len(cases))
            continue
        for distribution in DISTRIBUTIONS:
            seconds = _runs(device, points, bases, workspace, distribution, batch, runs)
            case = {"scalars": distribution, "proofs": str(batch)}
            details = {"window_bits": bases.plan.window_bits, "tables": bases.plan.tables}
            result = Result(f"msm_{group}", size, "points", seconds, case, details)
            if distribution == UNIFORM:
                against_ceiling(device, result, multiplications(bases.plan, batch))
            results.append(result)
    return results


def multiplications(plan: CudaPlan, batch: int) -> float:
    """In F_q, for uniform scalars: a mixed addition for every digit, two additions for every bucket."""
    additions = batch * plan.count * plan.windows * plan.group.mixed
    return additions + 2 * batch * plan.sets * plan.set_buckets * plan.group.full


def _runs(
    device: Device,
    points: KnownPoints,
    bases: DeviceBases,
    workspace: Workspace,
    distribution: str,
    batch: int,
    runs: int,
) -> list[float]:
    out = device.empty((batch, points.points.shape[1]), np.uint64)

    def fresh() -> tuple[np.ndarray, Array]:
        multiples = np.stack([scalars(len(points.points), distribution) for _ in range(batch)])
        inner = np.ascontiguousarray(multiples.transpose(1, 0, 2)).view(np.uint32)
        return multiples, device.upload(inner)

    def is_right(inputs: tuple[np.ndarray, Array], sums: Array) -> bool:
        # One proof of a large batch: its scalars are multiplied by Python's integers.
        proof = int(np.random.default_rng().integers(batch))
        return np.array_equal(device.download(sums)[proof], points.sum_of_multiples(inputs[0][proof]))

    return device_runs(device, fresh, lambda inputs: msm(bases, Scalars(inputs[1]), workspace, out), is_right, runs)
