"""`python -m bench.gpu`: check a GPU's results and measure it, in one run of a few minutes.

Laws at small and large sizes first; then the multiply rate, transforms, sums, single proofs and batches. Prints a short
table at the end and writes everything as JSON. Exit code 0 when all is right, 1 when a result is wrong, 2 when there is
no GPU. Imports no more than NumPy, Numba and CuPy.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from bench.errors import BenchError, WrongResultError
from bench.gpu import laws, proofs, report, sums, transforms
from bench.gpu.tasks import compile_kernels
from bench.load import OtherLoad
from bench.result import Report, Result
from prover.devices.opened import ProvingDevice, open_device
from prover.errors import DeviceError, ProverError
from prover.progress import Reporter


class Extent(NamedTuple):
    """What is measured: sizes as numbers of elements, points and proofs."""

    large: bool
    transforms: list[int]
    points: list[int]
    points_in_batches: list[int]
    single: list[str]
    batched: str
    batches: list[int]
    runs: int


FULL = Extent(
    large=True,
    transforms=[1 << 15, 1 << 18, 1 << 20, 1 << 22],
    points=[1 << 15, 1 << 18, 1 << 20, 1 << 22],
    points_in_batches=[1 << 15],
    single=["spend", "chain:800k", "chain:1600k", "chain:3200k"],
    batched="spend",
    batches=[1, 4, 16, 32, 64, 128],
    runs=5,
)
QUICK = Extent(
    True, [1 << 15, 1 << 20], [1 << 15, 1 << 20], [1 << 15], ["spend", "chain:800k"], "spend", [1, 16, 64], 5
)
TINY = Extent(False, [64], [50], [20], ["chain:240"], "chain:240", [1, 2], 2)
EXTENTS = {"full": FULL, "quick": QUICK, "tiny": TINY}
# Proofs in a batch of sums over the same bases.
_BATCH = 64


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.gpu", description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N, or shim for a trial on a CPU")
    parser.add_argument("--extent", choices=EXTENTS, default="full", help="how much; tiny is for the shim")
    parser.add_argument("--json", type=Path, help="where to write the document; default: gpu-bench.json")
    parser.add_argument("--only", help="comma-separated: laws,ntt,msm,prove,batch")
    parser.add_argument("--commit", help="the source's commit, for copies without a .git that tells")
    options = parser.parse_args(arguments)
    try:
        choice, owner = open_device(options.device)
        if owner is None:
            raise DeviceError(f"no GPU was chosen: {choice.reason}")
        with owner:
            target = options.json or Path("gpu-bench.json")
            return _measure(owner, EXTENTS[options.extent], target, options.only, options.commit)
    except WrongResultError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except (BenchError, ProverError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _measure(owner: ProvingDevice, extent: Extent, target: Path, only: str | None, commit: str | None) -> int:
    device, load, progress = owner.device, OtherLoad(), _progress()
    wanted = set((only or "laws,ntt,msm,prove,batch").split(","))
    compile_kernels(owner, progress)
    document = owner.run(report.new_report, "gpu", {"repeat": extent.runs, "only": sorted(wanted)}, device)
    document.machine["commit"] = document.machine["commit"] or commit
    parts: dict[str, Callable[[], list[Result]]] = {
        "ntt": lambda: owner.run(transforms.measure, device, extent.transforms, [1], extent.runs, progress),
        "msm": lambda: [
            *owner.run(sums.measure, device, extent.points, ["g1", "g2"], [1], extent.runs, progress),
            *owner.run(sums.measure, device, extent.points_in_batches, ["g1", "g2"], [_batch(extent)], 3, progress),
        ],
        "prove": lambda: proofs.measure_single(owner, extent.single, extent.runs, progress),
        "batch": lambda: proofs.measure_batches(owner, extent.batched, extent.batches, 3, progress),
    }
    problem: Exception | None = None
    try:
        if "laws" in wanted:
            document.settings["laws"] = laws.check_all(owner, extent.large, progress)
        for name, part in parts.items():
            if name in wanted:
                document.results += part()
                # A run that is cut short leaves what it measured.
                _write(document, target)
    except (BenchError, ProverError) as error:
        # What was measured before is worth keeping.
        problem = error
    report.finish(document, load)
    _write(document, target)
    print("\n".join(report.lines(document)))
    print(f"laws: {', '.join(document.settings.get('laws', [])) or 'not checked'}; all runs are in {target}")
    if problem is not None:
        raise problem
    return 0


def _write(document: Report, target: Path) -> None:
    target.write_text(json.dumps(document.document(), indent=2) + "\n", encoding="utf-8")


def _batch(extent: Extent) -> int:
    return _BATCH if extent.large else 2


def _progress() -> Reporter:
    start = time.perf_counter()

    def tell(activity: str, done: int, total: int) -> None:
        print(f"[{time.perf_counter() - start:6.1f} s] {activity}", file=sys.stderr, flush=True)

    return tell


if __name__ == "__main__":
    sys.exit(main())
