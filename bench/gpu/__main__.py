"""`python -m bench.gpu`: check a GPU's results and measure it, in one run of a few minutes.

Laws at small sizes first; then the multiply rate, transforms, sums, single proofs, batches, and laws at large sizes. A
part that fails, crashes or takes too long loses nothing of the others: each runs in a process of its own. Prints a
table after every part and all of them at the end; the JSON document is written after every part. Exit code 0 when all
is right, 1 when a result is wrong, 2 when there is no GPU or a part failed. Imports only NumPy, Numba and CuPy.
"""

import argparse
import json
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench.gpu import report
from bench.gpu.parts import CPU, EXTENTS, NAMES, Extent, Findings, reporter, run_part
from bench.gpu.timing import description
from bench.load import OtherLoad
from bench.result import Report
from prover.devices.choice import choose
from prover.devices.opened import ProvingDevice, open_device
from prover.errors import DeviceError, ProverError

# Less is not worth starting a process for.
_LEAST_SECONDS = 10.0


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.gpu", description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N, or shim for a trial on a CPU")
    parser.add_argument("--extent", choices=EXTENTS, default="full", help="how much; tiny is for the shim")
    parser.add_argument("--json", type=Path, default=Path("gpu-bench.json"), help="the document; default: %(default)s")
    parser.add_argument("--only", help=f"comma-separated: {','.join(NAMES)}")
    parser.add_argument("--minutes", type=float, help="end within so many; default: 9.5 for quick, else no limit")
    parser.add_argument("--in-process", action="store_true", help="no processes, for debuggers and compute-sanitizer")
    parser.add_argument("--commit", help="the source's commit, for copies without a .git that tells")
    options = parser.parse_args(arguments)
    wanted = options.only.split(",") if options.only else NAMES
    unknown = sorted(set(wanted) - set(NAMES))
    if unknown:
        parser.error(f"there is no part {unknown[0]!r}; --only takes: {','.join(NAMES)}")
    try:
        choice = choose(options.device)
        if choice.kind == "cpu":
            raise DeviceError(f"no GPU was chosen: {choice.reason}")
        run = _Run(options, EXTENTS[options.extent])
        parts = [name for name in NAMES if name in wanted]
        if options.in_process:
            _, owner = open_device(options.device)
            assert owner is not None
            with owner:
                run.here(owner, parts)
        else:
            run.apart(parts, choice.kind == "cuda")
    except ProverError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return run.end()


class _Run:
    """One document in the making."""

    def __init__(self, options: argparse.Namespace, extent: Extent) -> None:
        self._options = options
        self._extent = extent
        self._start = time.time()
        minutes = extent.minutes if options.minutes is None else options.minutes
        self._end = None if minutes is None else self._start + 60 * minutes
        self._progress = reporter(self._start)
        self._load = OtherLoad()
        self._laws: dict[str, str | None] = {}
        self._problems: dict[str, list[str]] = {}
        self._seconds: dict[str, float] = {}
        self._wrong = False
        settings = {"extent": options.extent, "repeat": extent.runs}
        self._document: Report = report.new_report("gpu", settings, {})
        self._document.machine["commit"] = self._document.machine["commit"] or options.commit

    def here(self, owner: ProvingDevice, parts: list[str]) -> None:
        for name in parts:
            found, start = Findings(), time.time()
            found.facts(owner.run(description, owner.device))
            run_part(name, owner, self._extent, found, self._progress)
            self._add(name, found, start)

    def apart(self, parts: list[str], compiled: bool) -> None:
        start = time.time()
        if compiled:
            self._progress("compiling the GPU's and the CPU's kernels", 0, 1)
            processes = {name: self._begin(name) for name in ("compile", CPU)}
            for name, process in processes.items():
                self._add(name, self._finish(name, process, start), start)
        for name in parts:
            start = time.time()
            if self._end is not None and self._end - start < _LEAST_SECONDS:
                found = Findings()
                found.problems.append("there was no time left for it")
            else:
                found = self._finish(name, self._begin(name), start)
            self._add(name, found, start)

    def _target(self, name: str) -> Path:
        target: Path = self._options.json
        return target.with_name(f"{target.name}.{name}")

    def _begin(self, name: str) -> "subprocess.Popen[bytes]":
        self._target(name).unlink(missing_ok=True)
        options = {
            "--device": self._options.device,
            "--extent": self._options.extent,
            "--start": str(self._start),
            "--target": str(self._target(name)),
        }
        command = [sys.executable, "-u", "-m", "bench.gpu.parts", name]
        return subprocess.Popen([*command, *(word for pair in options.items() for word in pair)])

    def _finish(self, name: str, process: "subprocess.Popen[bytes]", start: float) -> Findings:
        """Wait for a part, no longer than it may take, and read what it found."""
        limit = start + self._extent.part_seconds
        if self._end is not None:
            limit = min(limit, self._end)
        problem = None
        try:
            process.wait(max(_LEAST_SECONDS, limit - time.time()))
        except subprocess.TimeoutExpired:
            problem = f"was stopped after {time.time() - start:.0f} s; give it more with --only {name} and --minutes"
        finally:
            _stop(process)
        found = Findings.read(self._target(name))
        if problem is None and process.returncode and not found.problems:
            problem = f"ended with code {process.returncode}"
        if problem is not None:
            found.problems.append(problem)
        self._target(name).unlink(missing_ok=True)
        return found

    def _add(self, name: str, found: Findings, start: float) -> None:
        self._seconds[name] = round(time.time() - start, 1)
        self._document.results += found.results
        self._document.machine["gpu"] |= found.gpu
        self._laws |= found.laws
        self._wrong = self._wrong or found.wrong
        if found.problems:
            self._problems[name] = found.problems
        self._document.settings |= {
            "laws": [law for law, problem in self._laws.items() if problem is None],
            "problems": self._problems,
            "seconds": self._seconds,
        }
        self._write()
        print(f"--- {name}: {self._seconds[name]} s", flush=True)
        for law, problem in found.laws.items():
            print(f"{'holds' if problem is None else 'WRONG'}  {law}{'' if problem is None else f': {problem}'}")
        for problem in found.problems:
            print(f"problem: {problem}")
        if found.results:
            print("\n".join(report.table(found.results)))
        sys.stdout.flush()

    def _write(self) -> None:
        content: dict[str, Any] = self._document.document()
        self._options.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    def end(self) -> int:
        """Print everything once more, short; the exit code."""
        report.finish(self._document, self._load)
        self._write()
        print("\n" + "\n".join(report.lines(self._document)))
        wrong = [law for law, problem in self._laws.items() if problem is not None]
        print(f"laws that hold: {', '.join(self._document.settings.get('laws', [])) or 'none was checked'}")
        if wrong:
            print(f"laws that do NOT hold: {', '.join(wrong)}")
        for name, problems in self._problems.items():
            print(f"{name} failed: {'; '.join(problems)}")
        print(f"all runs are in {self._options.json}", flush=True)
        if self._wrong:
            return 1
        return 2 if self._problems else 0


def _stop(process: "subprocess.Popen[bytes]") -> None:
    with suppress(subprocess.TimeoutExpired):
        if process.poll() is None:
            process.terminate()
            process.wait(10)
    if process.poll() is None:
        process.kill()
        process.wait()


if __name__ == "__main__":
    sys.exit(main())
