"""What kinds of jobs a load consists of."""

import random
import re
from dataclasses import dataclass

from bench.errors import BenchError
from proto.results import Priority


@dataclass(frozen=True)
class JobKind:
    """Jobs that take the device so many milliseconds; `weight` is their share of all jobs, relative to the others'."""

    milliseconds: int
    weight: float
    priority: Priority

    @property
    def name(self) -> str:
        return f"{self.milliseconds} ms{', bulk' if self.priority is Priority.BULK else ''}"


def parse(text: str) -> list[JobKind]:
    """`20:0.9,500:0.1:bulk` -> nine jobs of 20 ms to one bulk job of 500 ms. Raises BenchError."""
    kinds = []
    for part in text.split(","):
        match = re.fullmatch(r"([0-9]{1,6})(?::([0-9]+(?:\.[0-9]+)?))?(:bulk)?", part.strip())
        if match is None or (match[2] and float(match[2]) == 0):
            raise BenchError(
                f"{part!r} is no kind of job; write MILLISECONDS:WEIGHT, and :bulk after it for bulk jobs, such as "
                "--mix 20:0.9,500:0.1:bulk"
            )
        priority = Priority.BULK if match[3] else Priority.NORMAL
        kinds.append(JobKind(int(match[1]), float(match[2] or 1), priority))
    return kinds


def draw(kinds: list[JobKind], number: int, source: random.Random) -> list[JobKind]:
    """So many jobs, at random by weight."""
    return source.choices(kinds, [kind.weight for kind in kinds], k=number)


def arrivals(rate: float, number: int, source: random.Random) -> list[float]:
    """Seconds after the start at which requests come, as from many callers who know nothing of each other (Poisson)."""
    times, now = [], 0.0
    for _ in range(number):
        now += source.expovariate(rate)
        times.append(now)
    return times
