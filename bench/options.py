"""What the user may write for sizes and threads. Raises BenchError, which says what is allowed."""

import re

from bench.child import PATHS
from bench.errors import BenchError
from bench.machine import usable_cores

MAX_SIZE = 1 << 24


def sizes(text: str) -> list[int]:
    """`1000,2^14` -> [1000, 16384]: numbers from 1 to 2^24, ascending, without repetitions."""
    found = {_size(part.strip()) for part in text.split(",")}
    return sorted(found)


def _size(text: str) -> int:
    match = re.fullmatch(r"2\^([0-9]{1,2})|([0-9]{1,9})", text)
    size = 0 if match is None else 1 << int(match[1]) if match[1] else int(match[2])
    if not 1 <= size <= MAX_SIZE:
        raise BenchError(f"{text!r} is not a size; write numbers from 1 to 2^24, such as --sizes 1000,2^14")
    return size


def powers_of_two(text: str) -> list[int]:
    """As `sizes`, powers of two only."""
    found = sizes(text)
    for size in found:
        if size & (size - 1):
            raise BenchError(f"a transform has 2^k elements, not {size}; write --sizes 2^10,2^14")
    return found


def threads(numbers: list[int] | None) -> list[int]:
    """Numbers of threads, each at most the CPUs of this machine; all of them when none is asked for."""
    most = usable_cores()
    for number in numbers or []:
        if not 1 <= number <= most:
            raise BenchError(f"{number} threads cannot be measured here; choose 1 to {most}, the CPUs of this machine")
    return sorted(set(numbers or [most]))


def paths(names: list[str] | None) -> list[str]:
    """Arithmetic paths in the order given; `auto` when none is asked for."""
    for name in names or []:
        if name not in PATHS:
            raise BenchError(f"there is no arithmetic path {name!r}; choose from: {', '.join(PATHS)}")
    return list(dict.fromkeys(names or ["auto"]))


def groups(names: list[str] | None) -> list[str]:
    """`g1`, `g2` or both."""
    for name in names or []:
        if name not in ("g1", "g2"):
            raise BenchError(f"there is no group {name!r}; choose g1 or g2")
    return sorted(set(names or ["g1", "g2"]))
