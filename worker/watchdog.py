"""Ends a worker whose device hangs: its thread cannot be ended, but the process can be started again."""

import os
import threading
from collections.abc import Callable

import structlog

log = structlog.get_logger("gelap.worker")

# As in sysexits.h: a failure that may pass, so supervisors start the process again.
EXIT_STATUS = 75


class Watchdog:
    """Looks every second; `limit` is the seconds that a batch may take, `busy_seconds` how long this one has."""

    def __init__(
        self, busy_seconds: Callable[[], float], limit: float, end: Callable[[int], object] = os._exit
    ) -> None:
        self._busy_seconds = busy_seconds
        self._limit = limit
        self._end = end
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopping.wait(min(1.0, self._limit / 4)):
            if self._busy_seconds() > self._limit:
                log.critical("the device hangs: ending this worker, other workers get its jobs", seconds=self._limit)
                self._end(EXIT_STATUS)
