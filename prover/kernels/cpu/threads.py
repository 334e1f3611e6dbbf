"""Kernels in parallel: they release the GIL, so plain threads do.

The calling thread does its share, and the others live for one call. That costs some 50 us each and makes it safe to
fork between calls, as Celery does.
"""

import itertools
import os
from collections.abc import Callable, Iterable
from threading import Thread


def default_threads() -> int:
    """The number of CPUs this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run_all(tasks: Iterable[Callable[[], object]], threads: int | None = None) -> None:
    """Run every task, at most `threads` at a time (default: one a CPU); the first exception is raised."""
    tasks = list(tasks)
    threads = min(threads or default_threads(), len(tasks))
    if threads <= 1:
        for task in tasks:
            task()
        return
    # Taking the next item of a list is one step for the interpreter, so no task is run twice.
    remaining = iter(tasks)
    errors: list[BaseException] = []

    def work() -> None:
        for task in remaining:
            if errors:
                return
            try:
                task()
            except BaseException as error:
                errors.append(error)

    helpers = [Thread(target=work) for _ in range(threads - 1)]
    for helper in helpers:
        helper.start()
    work()
    for helper in helpers:
        helper.join()
    if errors:
        raise errors[0]


def run_ranges(work: Callable[[int, int], object], count: int, threads: int | None = None, least: int = 2048) -> None:
    """Split range(count) evenly and call `work(start, stop)` for each part; parts hold `least` items or more."""
    threads = threads or default_threads()
    parts = max(1, min(threads, count // least))
    bounds = [count * i // parts for i in range(parts + 1)]

    def task(start: int, stop: int) -> Callable[[], object]:
        return lambda: work(start, stop)

    run_all([task(start, stop) for start, stop in itertools.pairwise(bounds)], threads)
