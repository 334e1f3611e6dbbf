"""Proofs as a user makes them: one process from start to proof file, key and kernels in the disk cache."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.child import environment, run_task
from bench.peers import ProverProgram
from bench.processes import Usage, run_measured
from bench.result import Result
from prover.progress import on_terminal


def measure(
    prepared: dict[str, Any], folder: Path, programs: Sequence[ProverProgram], threads: int, runs: int
) -> list[Result]:
    """Prove each witness in `folder` with each program, in turn; then verify every proof.

    prepared: what `bench.proving.prepare` returned. Taking turns spreads a disturbance of the machine over all
    programs. Raises ChildError when a program fails or one of its proofs does not verify.
    """
    usages: list[list[Usage]] = [[] for _ in programs]
    proofs = []
    with on_terminal("bench") as progress:
        for run in range(runs + 1):
            for number, program in enumerate(programs):
                done, total = run * len(programs) + number, (runs + 1) * len(programs)
                progress(f"{prepared['circuit']}: {program.name}, whole process", done, total)
                files = {name: str(folder / f"{run}-{number}-{name}.json") for name in ("proof", "public")}
                command = program.command(
                    prepared["zkey"], str(folder / f"{run}.wtns"), files["proof"], files["public"]
                )
                usages[number].append(run_measured(command, environment(program.path), threads))
                proofs.append(files)
    run_task("check", {"vkey": prepared["vkey"], "proofs": proofs}, "auto", threads)
    return [
        _result(prepared, program, threads, counted) for program, (_, *counted) in zip(programs, usages, strict=True)
    ]


def _result(prepared: dict[str, Any], program: ProverProgram, threads: int, usages: list[Usage]) -> Result:
    private = [usage.peak_private_bytes for usage in usages if usage.peak_private_bytes is not None]
    return Result(
        benchmark=f"{program.name}_process",
        size=prepared["constraints"],
        unit="constraints",
        seconds=[usage.seconds for usage in usages],
        case={"circuit": prepared["circuit"]},
        details={
            "peak_bytes": max(usage.peak_bytes for usage in usages),
            "peak_private_bytes": max(private, default=None),
        },
        path=program.path,
        threads=threads,
    )
