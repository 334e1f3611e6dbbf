"""Running programs: confined to some CPUs, with their time and memory.

The process that measures must stay small: on Linux the peak memory of a process counts from before its exec, when it
was a copy of its parent.
"""

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.errors import ChildError

_SAMPLING_SECONDS = 0.05


@dataclass(frozen=True)
class Usage:
    """seconds: wall time from start to end; peak_bytes: largest resident memory, mapped files included;
    peak_private_bytes: largest resident memory without mapped files, sampled 20 times a second; None without /proc.
    """

    seconds: float
    peak_bytes: int
    peak_private_bytes: int | None


@contextmanager
def confined(threads: int) -> Iterator[None]:
    """Processes started inside use the first `threads` CPUs that this one may use.

    Does nothing when that is all of them. Only the calling thread is confined for the while.
    """
    before = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(before) <= threads:
        yield
        return
    os.sched_setaffinity(0, before[:threads])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def run_measured(command: Sequence[str], environment: dict[str, str], threads: int) -> Usage:
    """Run a program to its end, its output discarded. Raises ChildError with its last words when it fails."""
    with tempfile.TemporaryFile() as words:
        start = time.perf_counter()
        with confined(threads):
            process = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=words, stderr=subprocess.STDOUT
            )
        sampler = _PrivateMemory(process.pid)
        try:
            _, status, used = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            process.wait()
            raise
        finally:
            sampler.stop()
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            words.seek(0)
            lines = words.read().decode(errors="replace").strip().splitlines() or ["it said nothing"]
            raise ChildError(f"{Path(command[0]).name} failed: {lines[-1]}", 1)
    return Usage(seconds, in_bytes(used.ru_maxrss), sampler.peak)


def in_bytes(maxrss: int) -> int:
    """`ru_maxrss` of a resource usage, which is in kilobytes, except on macOS."""
    return maxrss if os.uname().sysname == "Darwin" else maxrss * 1024


class _PrivateMemory:
    """Watches a process's memory that is not backed by files, until `stop`."""

    def __init__(self, pid: int) -> None:
        self.peak: int | None = None
        self._status = Path(f"/proc/{pid}/status")
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(_SAMPLING_SECONDS):
            try:
                status = self._status.read_text()
            except OSError:
                return
            for line in status.splitlines():
                if line.startswith("RssAnon:"):
                    self.peak = max(self.peak or 0, int(line.split()[1]) * 1024)
