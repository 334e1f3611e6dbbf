"""Timing one piece of work: fresh inputs for every run, every output checked, the first run not counted."""

import time
from collections.abc import Callable
from typing import TypeVar

from bench.errors import WrongResultError

Inputs = TypeVar("Inputs")
Output = TypeVar("Output")


def timed_runs(
    prepare: Callable[[], Inputs],
    work: Callable[[Inputs], Output],
    is_right: Callable[[Inputs, Output], bool],
    runs: int,
) -> list[float]:
    """Seconds of `runs` calls of `work`, in order, each on new inputs from `prepare`, after one that is not counted.

    Raises WrongResultError at the first output that `is_right` refuses.
    """
    seconds = []
    for _ in range(runs + 1):
        inputs = prepare()
        start = time.perf_counter()
        output = work(inputs)
        seconds.append(time.perf_counter() - start)
        if not is_right(inputs, output):
            raise WrongResultError("an output is wrong, so its time means nothing; run the tests of the prover")
    return seconds[1:]
