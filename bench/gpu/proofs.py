"""Whole proofs on a device: one at a time, and by the batch. Every proof is verified before its time counts."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from bench import circuits
from bench.errors import WrongResultError
from bench.keys import Generators, known_tau_key
from bench.result import Result
from prover.circuit.compile import Circuit
from prover.devices.opened import ProvingDevice
from prover.errors import InvalidProofError
from prover.formats.proof import Proof
from prover.formats.zkey import ZKey
from prover.groth16.batches import Outcome
from prover.groth16.cuda import DeviceProver
from prover.kernels.cpu.points import G1_GENERATOR, G2_GENERATOR, pack_g1, pack_g2
from prover.msm.fixed_base_cuda import FixedBase
from prover.progress import Reporter
from prover.witness.cpu import solve

# Batches of each size that are proved in one go, so that arriving, proving and verifying overlap as in a worker.
_BATCHES_IN_A_RUN = 8


def make_key(owner: ProvingDevice, circuit: Circuit, progress: Reporter) -> ZKey:
    """A key from a tau that this process knows, its points computed on the device: for benchmarks only."""

    def multiplier(generator: np.ndarray) -> Any:
        base = owner.run(FixedBase, owner.device, generator)
        return lambda scalars: owner.run(base.multiply, scalars)

    g1, g2 = pack_g1([G1_GENERATOR])[0], pack_g2([G2_GENERATOR])[0]
    return known_tau_key(circuit.r1cs, Generators(multiplier(g1), multiplier(g2)), progress)


def measure_single(owner: ProvingDevice, names: list[str], runs: int, progress: Reporter) -> list[Result]:
    """One proof at a time with the key resident, from a finished witness to the verified proof.

    details: milliseconds on the device by device events, and of each step alone; seconds that building the circuit, its
    key and its tables took.
    """
    results = []
    for done, name in enumerate(names):
        progress(f"{name}: circuit and key", done, len(names))
        clock = _Clock()
        circuit = circuits.build(name)
        clock.lap("circuit")
        zkey = make_key(owner, circuit, progress)
        clock.lap("key")
        prover = DeviceProver(owner, zkey, batch=1)
        clock.lap("upload")
        fresh = circuits.statements(circuit)
        witnesses = [solve(circuit, fresh())[0] for _ in range(2)]
        progress(f"{name}: proofs", done, len(names))
        prover.warm_up(witnesses[0])
        seconds = []
        for run in range(runs):
            start = time.perf_counter()
            prover.prove(witnesses[run % 2])
            seconds.append(time.perf_counter() - start)
        details = {
            "device_ms": prover.device_milliseconds(runs),
            "steps_ms": prover.steps_milliseconds(),
            "seconds": clock.laps,
            "streamed": prover.plan.streamed,
            "memory_bytes": prover.plan.total,
        }
        case = {"circuit": circuit.name}
        results.append(Result("groth16_single", circuit.n_constraints, "constraints", seconds, case, details))
        prover.close()
    return results


def measure_batches(
    owner: ProvingDevice,
    name: str,
    batches: list[int],
    runs: int,
    progress: Reporter,
    keep: Callable[[Result], None] = lambda result: None,
) -> list[Result]:
    """Proofs a second against the size of a batch: from witnesses, and from statements whose witnesses the device
    computes. keep: is told each result when it is there.
    """
    progress(f"{name}: circuit and key", 0, len(batches))
    circuit = circuits.build(name)
    zkey = make_key(owner, circuit, progress)
    fresh = circuits.statements(circuit)
    statements = [fresh() for _ in range(min(max(batches), 64))]
    witnesses = [solve(circuit, statement)[0] for statement in statements]
    results = []
    for done, size in enumerate(batches):
        progress(f"{name}: batches of {size}", done, len(batches))
        prover = DeviceProver(owner, zkey, batch=size, circuit=circuit)
        count = prover.batch * _BATCHES_IN_A_RUN
        many = [place % len(statements) for place in range(count)]
        sources: dict[str, Callable[[], list[Outcome]]] = {
            "witnesses": partial(prover.prove_many, [witnesses[place] for place in many]),
            "statements": partial(prover.prove_statements, [statements[place] for place in many]),
        }
        for source, prove in sources.items():
            seconds = []
            for _ in range(runs + 1):
                start = time.perf_counter()
                outcomes = prove()
                seconds.append((time.perf_counter() - start) / _BATCHES_IN_A_RUN)
                demand_proofs(outcomes)
            case = {"circuit": circuit.name, "from": source}
            result = Result("groth16_batch", prover.batch, "proofs", seconds[1:], case)
            result.details["proofs_per_second"] = prover.batch / result.median
            result.details["device_ms"] = prover.device_milliseconds(runs)
            results.append(result)
            keep(result)
        prover.close()
    return results


def demand_proofs(outcomes: Sequence[Outcome]) -> None:
    """Raise WrongResultError where a proof did not verify, and any other error that stands for a proof."""
    for outcome in outcomes:
        if isinstance(outcome, InvalidProofError):
            raise WrongResultError("the device made a proof that does not verify; run tests/gpu")
        if not isinstance(outcome, Proof):
            raise outcome


class _Clock:
    """Seconds between laps, by name."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = now - self._last
        self._last = now
