"""The parts of `python -m bench.gpu`, and what a part leaves behind while it runs.

Each part runs in a process of its own, `python -m bench.gpu.parts NAME ...`: after a kernel that broke a rule nothing
in its process can use the GPU any more, and one that never ends can only be killed. Everything that was found is
written down at once, so that whatever ends a part loses no more than what it was doing.
"""

import argparse
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from bench import circuits
from bench.errors import BenchError, WrongResultError
from bench.gpu import laws, proofs, sums, timing, transforms
from bench.keys import known_tau_key
from bench.result import Result
from prover.devices.opened import ProvingDevice, open_device
from prover.errors import DeviceLost, ProverError
from prover.groth16.prove import ProvingKey, prove
from prover.progress import Reporter
from prover.witness.cpu import solve

# Proofs in a batch of sums over the same bases.
_BATCH = 64


class Extent(NamedTuple):
    """What is measured: sizes as numbers of elements, points and proofs; part_seconds: the most that a part may take;
    minutes: the most that all may take together, None for no limit.
    """

    large: bool
    transforms: list[int]
    points: list[int]
    points_in_batches: list[int]
    single: list[str]
    batched: str
    batches: list[int]
    runs: int
    part_seconds: float
    minutes: float | None = None


EXTENTS = {
    "full": Extent(
        large=True,
        transforms=[1 << 15, 1 << 18, 1 << 20, 1 << 22],
        points=[1 << 15, 1 << 18, 1 << 20, 1 << 22],
        points_in_batches=[1 << 15],
        single=["spend", "chain:800k", "chain:1600k", "chain:3200k"],
        batched="spend",
        batches=[1, 4, 16, 32, 64, 128],
        runs=5,
        part_seconds=1200,
    ),
    # Within ten minutes on a machine that has compiled nothing yet.
    "quick": Extent(
        large=True,
        transforms=[1 << 20],
        points=[1 << 20],
        points_in_batches=[1 << 15],
        single=["spend", "chain:800k"],
        batched="spend",
        batches=[64, 16, 1],
        runs=5,
        part_seconds=150,
        minutes=9.5,
    ),
    "tiny": Extent(False, [64], [50], [20], ["chain:240"], "chain:240", [1, 2], 2, part_seconds=600),
}


class Findings:
    """What a part found: results, laws with what is wrong with each (None: it holds), facts, and problems.

    target: a JSON file that is written anew with every finding, never half; None keeps them in memory only.
    """

    def __init__(self, target: Path | None = None) -> None:
        self.results: list[Result] = []
        self.laws: dict[str, str | None] = {}
        self.gpu: dict[str, Any] = {}
        self.problems: list[str] = []
        self.wrong = False
        self._target = target

    @classmethod
    def read(cls, source: Path) -> "Findings":
        """Those that a process wrote; none if it wrote none."""
        found = cls()
        try:
            content = json.loads(source.read_bytes())
        except (OSError, ValueError):
            return found
        found.results = [Result(**row) for row in content.pop("results")]
        vars(found).update(content)
        return found

    def result(self, result: Result) -> None:
        self.results.append(result)
        self._write()

    def law(self, name: str, problem: str | None) -> None:
        self.laws[name] = problem
        self.wrong = self.wrong or problem is not None
        self._write()

    def facts(self, facts: dict[str, Any]) -> None:
        self.gpu |= facts
        self._write()

    def problem(self, error: BaseException) -> None:
        """Note it, and where it happened if nobody foresaw it."""
        known = isinstance(error, (BenchError, ProverError))
        if not known:
            traceback.print_exception(error, file=sys.stderr)
        self.problems.append(str(error) if known else f"{type(error).__name__}: {error}")
        self.wrong = self.wrong or isinstance(error, WrongResultError)
        self._write()

    def _write(self) -> None:
        if self._target is None:
            return
        content = {
            "results": [asdict(result) for result in self.results],
            "laws": self.laws,
            "gpu": self.gpu,
            "problems": self.problems,
            "wrong": self.wrong,
        }
        half = self._target.with_name(self._target.name + ".half")
        half.write_text(json.dumps(content), encoding="utf-8")
        os.replace(half, self._target)


def run_part(name: str, owner: ProvingDevice, extent: Extent, found: Findings, progress: Reporter) -> None:
    """Run a part on a device. What goes wrong is noted, and ends the part only where the GPU is lost."""
    for step in _PARTS[name](owner, extent, found, progress):
        try:
            step()
        except Exception as error:  # Whatever it is, the figures of the other steps are worth having.
            found.problem(error)
            if isinstance(error, DeviceLost):
                return


Steps = Iterable[Callable[[], None]]


def _compile(owner: ProvingDevice, extent: Extent, found: Findings, progress: Reporter) -> Steps:
    yield lambda: owner.run(owner.device.preload, None, lambda unit: progress(f"{unit} is compiled", 0, 1))


def _rate(owner: ProvingDevice, extent: Extent, found: Findings, progress: Reporter) -> Steps:
    progress("multiplications alone", 0, 1)
    yield lambda: found.facts(owner.run(timing.gpu_facts, owner.device))
    if owner.choice.kind == "cuda":
        yield lambda: found.facts({"rates_per_second": owner.run(timing.rates, owner.device)})


def _laws(owner: ProvingDevice, extent: Extent, found: Findings, progress: Reporter, large: bool = False) -> Steps:
    for name, law in laws.laws(owner, large):
        called = f"{name}, large sizes" if large else name

        def step(called: str = called, law: Callable[[], None] = law) -> None:
            progress(f"law: {called}", 0, 1)
            try:
                law()
            except Exception as error:
                found.law(called, f"{type(error).__name__}: {error}")
                raise
            found.law(called, None)
            progress(f"law: {called} holds", 1, 1)

        yield step


def _large(owner: ProvingDevice, extent: Extent, found: Findings, progress: Reporter) -> Steps:
    return _laws(owner, extent, found, progress, large=True) if extent.large else []


def _ntt(owner: ProvingDevice, extent: Extent, found: Findings, progress: Reporter) -> Steps:
    for size in extent.transforms:
        yield partial(_keep, found, transforms.measure, owner, [size], [1], extent.runs, progress)


def _msm(owner: ProvingDevice, extent: Extent, found: Findings, progress: Reporter) -> Steps:
    batch = _BATCH if extent.large else 2
    for group in sums.GROUPS:
        for size in extent.points:
            yield partial(_keep, found, sums.measure, owner, [size], [group], [1], extent.runs, progress)
        for size in extent.points_in_batches:
            yield partial(_keep, found, sums.measure, owner, [size], [group], [batch], 3, progress)


def _keep(found: Findings, measure: Callable[..., list[Result]], owner: ProvingDevice, *arguments: Any) -> None:
    for result in owner.run(measure, owner.device, *arguments):
        found.result(result)


def _prove(owner: ProvingDevice, extent: Extent, found: Findings, progress: Reporter) -> Steps:
    def step(name: str) -> None:
        for result in proofs.measure_single(owner, [name], extent.runs, progress):
            found.result(result)

    return (partial(step, name) for name in extent.single)


def _batch(owner: ProvingDevice, extent: Extent, found: Findings, progress: Reporter) -> Steps:
    def step() -> None:
        proofs.measure_batches(owner, extent.batched, extent.batches, 3, progress, found.result)

    yield step


_PARTS: dict[str, Callable[[ProvingDevice, Extent, Findings, Reporter], Steps]] = {
    "compile": _compile,
    "laws": _laws,
    "rate": _rate,
    "ntt": _ntt,
    "msm": _msm,
    "prove": _prove,
    "batch": _batch,
    "large": _large,
}
# Those that --only takes, in this order.
NAMES = [name for name in _PARTS if name != "compile"]
CPU = "cpu"


def compile_for_cpu() -> None:
    """Make the CPU's kernels, which check everything, by using them: half a minute where they are not cached."""
    circuit = circuits.build("chain:240")
    key = ProvingKey.from_zkey(known_tau_key(circuit.r1cs))
    witness = solve(circuit, circuits.statements(circuit)())[0]
    prove(key, witness)


def reporter(start: float) -> Reporter:
    """Lines on stderr with the seconds since `start`, a time.time()."""

    def tell(activity: str, done: int, total: int) -> None:
        print(f"[{time.time() - start:6.1f} s] {activity}", file=sys.stderr, flush=True)

    return tell


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.gpu.parts", description=__doc__)
    parser.add_argument("name", choices=[*_PARTS, CPU])
    parser.add_argument("--device", required=True)
    parser.add_argument("--extent", choices=EXTENTS, required=True)
    parser.add_argument("--start", type=float, required=True)
    parser.add_argument("--target", type=Path, required=True)
    options = parser.parse_args(arguments)
    found = Findings(options.target)
    if options.name == CPU:
        compile_for_cpu()
        return 0
    try:
        _, owner = open_device(options.device)
        assert owner is not None
        with owner:
            found.facts(owner.run(timing.description, owner.device))
            run_part(options.name, owner, EXTENTS[options.extent], found, reporter(options.start))
    except (BenchError, ProverError) as error:
        found.problem(error)
    return 1 if found.problems else 0


if __name__ == "__main__":
    sys.exit(main())
