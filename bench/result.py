"""What was measured, and its form as JSON.

{"version": 1, "command": "msm", "started": "2026-01-31T12:00:00+00:00", "machine": {...}, "settings": {...},
 "results": [{
    "benchmark": "msm_g1",
    "case": {"scalars": "uniform"},     what distinguishes measurements of one benchmark besides size, path and threads
    "size": 16384, "unit": "points",
    "path": "ifma",                     arithmetic path that was used (see prover.kernels.paths), "" for a peer
    "threads": 2,                       CPUs the process was confined to
    "seconds": [...],                   wall time of each run, in order
    "median": s, "quartiles": [s, s], "min": s, "max": s,
    "details": {...}                    by benchmark: phases, peak memory, ...
 }]}
"""

import statistics
from dataclasses import asdict, dataclass, field
from typing import Any

VERSION = 1
# The case of work that has one form only, portable code, whatever the path.
PORTABLE = {"code": "portable on every path"}


@dataclass(frozen=True)
class Result:
    """One row; see this module's text for the fields."""

    benchmark: str
    size: int
    unit: str
    seconds: list[float]
    case: dict[str, str] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    path: str = ""
    threads: int = 0

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def quartiles(self) -> tuple[float, float]:
        if len(self.seconds) < 2:
            return self.seconds[0], self.seconds[0]
        low, _, high = statistics.quantiles(self.seconds, n=4, method="inclusive")
        return low, high

    @property
    def spread(self) -> float:
        """Distance between the quartiles as a fraction of the median."""
        low, high = self.quartiles
        return (high - low) / self.median

    @property
    def series(self) -> str:
        """A name for the measurements that differ from this one in size only; circuits are sizes of a proof."""
        case = [value for name, value in self.case.items() if name != "circuit" or self.unit != "constraints"]
        words = [self.benchmark.replace("_", " "), *case, *filter(None, [self.path])]
        return f"{', '.join(words)}, {self.threads} thread{'s' if self.threads > 1 else ''}"

    def document(self) -> dict[str, Any]:
        statistics_of_runs = {
            "median": self.median,
            "quartiles": list(self.quartiles),
            "min": min(self.seconds),
            "max": max(self.seconds),
        }
        return asdict(self) | statistics_of_runs


@dataclass
class Report:
    """All results of one command. machine: see `bench.machine`; settings: the command's options."""

    command: str
    started: str
    machine: dict[str, Any]
    settings: dict[str, Any]
    results: list[Result] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "command": self.command,
            "started": self.started,
            "machine": self.machine,
            "settings": self.settings,
            "results": [result.document() for result in self.results],
        }
