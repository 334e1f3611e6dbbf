"""What became of a load: checked, summed up, and as JSON.

{"version": 1, "command": "serve", "started": "...", "machine": {...}, "settings": {...},
 "offered": 50.0, "seconds": 20.1,         requests a second as planned; from the first one due to the last one answered
 "requests": 1000, "statuses": {"OK": 1000}, "goodput": 49.7,     answered in time, a second
 "faults": {"lost": 0, "delivered_twice": 0, "wrong": 0},
 "latency": {"p50": s, "p95": s, "p99": s, "max": s},             from when a request was due to its answer
 "overhead": {...},                        the same without the device's work and waiting for it while it does others
 "phases": {"queue": {...}, ...},          what the jobs themselves say
 "by_kind": {"20 ms": {"requests": n, "latency": {...}}, ...},
 "kills": 0, "lost_attempts": 0, "retries": 0,
 "timeline": [[second, due, answered, p50, p99], ...]}
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.serve.cluster import CIRCUIT, VERIFICATION_KEY_DIGEST
from bench.serve.load import Request
from worker.fake import FakeCircuit
from worker.manifest import CircuitEntry

VERSION = 1
PHASES = ("queue", "witness", "wait", "prove", "total")


@dataclass(frozen=True)
class Faults:
    """Requests without a proof, jobs whose result was accepted more than once, and proofs of something else."""

    lost: int
    delivered_twice: int
    wrong: int

    @property
    def any(self) -> bool:
        return bool(self.lost or self.delivered_twice or self.wrong)


def check(requests: Sequence[Request], logs_of_workers: str) -> Faults:
    """Hold what came back against what was asked for, and against what the workers say they did."""
    entry = CircuitEntry(CIRCUIT, Path(), bytes(32), Path(), VERIFICATION_KEY_DIGEST, 1, True)
    verifier = FakeCircuit(entry, 0)
    answered = [request for request in requests if request.status == "OK"]
    done = Counter(re.findall(r'"event": "job done", "job": "([0-9a-f]{32})"', logs_of_workers))
    wrong = [each for each in answered if not (each.fake and verifier.verify([each.public_input], each.proof))]
    return Faults(
        lost=len(requests) - len(answered),
        delivered_twice=sum(times > 1 for times in done.values()) + len(answered) - len({r.job_id for r in answered}),
        wrong=len(wrong),
    )


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """p50, p95, p99 and the maximum: each the smallest value that so many per cent of all do not exceed."""
    ordered = sorted(values)
    if not ordered:
        return {}
    ranks = {name: ordered[max(0, -(-len(ordered) * part // 100) - 1)] for name, part in _PARTS.items()}
    return {name: round(value, 5) for name, value in (ranks | {"max": ordered[-1]}).items()}


_PARTS = {"p50": 50, "p95": 95, "p99": 99}


def document(
    requests: Sequence[Request], seconds: float, faults: Faults, kills: int, counters: Mapping[str, int]
) -> dict[str, Any]:
    """All but the machine and the settings."""
    answered = [request for request in requests if request.status == "OK"]
    phases = {phase: [each.phases[phase] for each in answered if phase in each.phases] for phase in PHASES}
    kinds = sorted({request.kind.name for request in requests})
    return {
        "version": VERSION,
        "command": "serve",
        "offered": round(len(requests) / requests[-1].due, 3),
        "seconds": round(seconds, 3),
        "requests": len(requests),
        "statuses": dict(Counter(request.status for request in requests)),
        "goodput": round(len(answered) / seconds, 3),
        "faults": {"lost": faults.lost, "delivered_twice": faults.delivered_twice, "wrong": faults.wrong},
        "latency": percentiles([each.latency for each in answered]),
        "overhead": percentiles([each.overhead for each in answered]) if phases["prove"] else {},
        "phases": {phase: percentiles(values) for phase, values in phases.items() if values},
        "by_kind": {
            name: {
                "requests": sum(each.kind.name == name for each in requests),
                "latency": percentiles([each.latency for each in answered if each.kind.name == name]),
            }
            for name in kinds
        },
        "kills": kills,
        "lost_attempts": counters.get("lost_attempts", 0),
        "retries": counters.get("retries", 0),
        "timeline": _timeline(requests),
    }


def _timeline(requests: Sequence[Request]) -> list[list[float]]:
    """For each second: requests that were due, answers, and the latency of those that were due then."""
    rows: list[list[float]] = []
    last = int(max(request.ended for request in requests))
    for second in range(last + 1):
        due = [each for each in requests if int(each.due) == second]
        answers = sum(int(each.ended) == second and each.status == "OK" for each in requests)
        found = percentiles([each.latency for each in due if each.status == "OK"])
        rows.append([second, len(due), answers, found.get("p50", 0.0), found.get("p99", 0.0)])
    return rows
