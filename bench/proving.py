"""Groth16 proofs with the key in memory, and the files that proofs of whole processes start from.

Keys are for development, made on this machine, and kept in the cache directory's `bench` folder.
"""

import resource
import statistics
import time
from pathlib import Path
from typing import Any

from bench import circuits
from bench.processes import in_bytes
from bench.result import Result
from prover.cache import cache_directory
from prover.formats.wtns import read_wtns, write_wtns
from prover.groth16.prove import ProvingKey, prove
from prover.keys import ensure_circuit_keys
from prover.progress import Reporter
from prover.witness.cpu import solve


def key_directory() -> Path:
    return cache_directory() / "bench"


def witness_file(folder: str | Path, run: int) -> Path:
    """Where `prepare` puts the witness of a run; run 0 is the one that is not counted."""
    return Path(folder) / f"{run}.wtns"


def prepare(circuit: str, folder: str, runs: int, progress: Reporter) -> dict[str, Any]:
    """Make the circuit's keys, if they are not there, and witnesses of runs + 1 random statements in `folder`.

    Returns the circuit's name and sizes, the paths of its keys, and what the witnesses took: seconds of each.
    """
    progress(f"building {circuit}", 0, 1)
    built = circuits.build(circuit)
    r1cs = built.r1cs
    manifest = ensure_circuit_keys(key_directory(), {built.name: r1cs}, progress)
    fresh = circuits.statements(built)
    seconds = []
    for run in range(runs + 1):
        progress(f"{built.name}: witnesses", run, runs + 1)
        inputs = fresh()
        start = time.perf_counter()
        witness = solve(built, inputs)[0]
        seconds.append(time.perf_counter() - start)
        write_wtns(witness_file(folder, run), witness)
    zkey = manifest.zkey_path(built.name)
    return {
        "circuit": built.name,
        "constraints": r1cs.n_constraints,
        "wires": r1cs.n_wires,
        "domain": built.domain_size,
        "entries": {"a": r1cs.a.nnz, "b": r1cs.b.nnz},
        "zkey": str(zkey),
        "zkey_bytes": zkey.stat().st_size,
        "vkey": str(zkey.with_suffix(".vkey.json")),
        "witness_seconds": seconds[1:],
    }


def measure(prepared: dict[str, Any], folder: str, runs: int, progress: Reporter) -> list[Result]:
    """Prove the witnesses in `folder` with one loaded key; every proof is verified before `prove` returns it.

    details: the median seconds of each phase, the seconds the key took to load, and the process's peak memory.
    """
    name = prepared["circuit"]
    progress(f"{name}: loading the key", 0, runs + 1)
    start = time.perf_counter()
    key = ProvingKey.load(prepared["zkey"])
    load_seconds = time.perf_counter() - start
    seconds, phases = [], []
    for run in range(runs + 1):
        progress(f"{name}: proofs with the key in memory", run, runs + 1)
        witness = read_wtns(witness_file(folder, run))
        clock = _PhaseClock()
        prove(key, witness, phase_done=clock.phase_done)
        seconds.append(clock.total)
        phases.append(clock.seconds)
    details = {
        "phases": {phase: statistics.median(run[phase] for run in phases[1:]) for phase in phases[0]},
        "load_seconds": load_seconds,
        "peak_bytes": in_bytes(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss),
    }
    return [Result("gelap_resident", prepared["constraints"], "constraints", seconds[1:], {"circuit": name}, details)]


def measure_many(name: str, batches: list[int], runs: int, progress: Reporter) -> list[Result]:
    """So many proofs one after another on the CPU, each verified: what a batch on a GPU is compared with."""
    built = circuits.build(name)
    key = ProvingKey.load(
        ensure_circuit_keys(key_directory(), {built.name: built.r1cs}, progress).zkey_path(built.name)
    )
    fresh = circuits.statements(built)
    witnesses = [solve(built, fresh())[0] for _ in range(min(max(batches), 8))]
    prove(key, witnesses[0])
    results = []
    for done, size in enumerate(batches):
        progress(f"{built.name}: {size} proofs", done, len(batches))
        seconds = []
        for _ in range(runs):
            start = time.perf_counter()
            for number in range(size):
                prove(key, witnesses[number % len(witnesses)])
            seconds.append(time.perf_counter() - start)
        result = Result("groth16_batch", size, "proofs", seconds, {"circuit": built.name, "from": "witnesses"})
        result.details["proofs_per_second"] = size / result.median
        results.append(result)
    return results


class _PhaseClock:
    """Seconds of each phase of a proof, in order."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._start = self._last = time.perf_counter()

    def phase_done(self, phase: str) -> None:
        now = time.perf_counter()
        self.seconds[phase] = now - self._last
        self._last = now

    @property
    def total(self) -> float:
        return time.perf_counter() - self._start
