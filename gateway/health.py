"""Whether the cluster really consumes jobs: workers that beat, and a queue that moves."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from worker.jobs import Overview
from worker.registry import LiveWorker

# What the store counts when a worker has got anywhere with a job.
_PROGRESS = ("SUCCEEDED", "FAILED", "retries")


class Consumption:
    """Workers that live but get nowhere for `stall` seconds, while jobs wait, do not consume.

    `stall` must be longer than the longest proof: while all workers are at one, nothing else moves.
    """

    def __init__(self, stall: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._stall = stall
        self._clock = clock
        self._seen: tuple[int, ...] = ()
        self._since = clock()

    def observe(self, overview: Overview, workers: Sequence[LiveWorker]) -> bool:
        """Take in what the cluster looks like now; returns whether it consumes."""
        now = self._clock()
        seen = (overview.running, *(overview.counters.get(name, 0) for name in _PROGRESS))
        if overview.queued == 0 or seen != self._seen:
            self._seen, self._since = seen, now
        return bool(workers) and now - self._since < self._stall


@dataclass
class Condition:
    """What probes and gauges say of this gateway; the server keeps it up to date, once a second."""

    store_up: bool = False
    consuming: bool = False
    draining: bool = False

    @property
    def ready(self) -> bool:
        """Whether it should get calls. Not: whether workers live; jobs may wait for them to be started."""
        return self.store_up and not self.draining
