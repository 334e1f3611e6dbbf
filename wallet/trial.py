"""Tries a viewing key on very many memos, in as many processes as there are CPUs.

A memo costs one X25519 exchange, some 40 µs, whoever it is for. Processes are spawned, not forked, get the key through
a pipe, and return what they opened; they pay only for many memos, so few are tried in this process.
"""

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from types import TracebackType

from protocol.memo import MemoOpener, Opened
from wallet.scanner import Sealed, open_memos

FEW = 20_000
"""Up to so many memos are tried in this process: starting others takes as long as trying these."""
_CHUNK = 4_096

_opener: MemoOpener | None = None


class TrialProcesses:
    """Opens memos as `wallet.scanner.open_memos` does, faster. Use it in `with`; processes start on first need."""

    def __init__(self, processes: int | None = None, few: int = FEW) -> None:
        """As many processes as this one may use CPUs, unless told."""
        self._processes = processes or _usable_cpus()
        self._few = few
        self._pool: ProcessPoolExecutor | None = None
        self._key = b""

    def __enter__(self) -> "TrialProcesses":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def __call__(self, viewing_key: bytes, memos: Sequence[Sealed]) -> list[Opened | None]:
        if len(memos) <= self._few or self._processes == 1:
            return open_memos(viewing_key, memos)
        opened: list[Opened | None] = [None] * len(memos)
        starts = range(0, len(memos), _CHUNK)
        found = self._started(viewing_key).map(_try, (memos[start : start + _CHUNK] for start in starts))
        for start, chunk in zip(starts, found, strict=True):
            for offset, memo in chunk:
                opened[start + offset] = memo
        return opened

    def _started(self, viewing_key: bytes) -> ProcessPoolExecutor:
        if self._pool is None or viewing_key != self._key:
            self.close()
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self._processes, context, _take_key, (viewing_key,))
            self._key = viewing_key
        return self._pool


def _usable_cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _take_key(viewing_key: bytes) -> None:
    global _opener
    _opener = MemoOpener(viewing_key)


def _try(memos: Sequence[Sealed]) -> list[tuple[int, Opened]]:
    assert _opener is not None  # every process takes the key before its first memo
    return list(_opened(_opener, memos))


def _opened(opener: MemoOpener, memos: Sequence[Sealed]) -> Iterator[tuple[int, Opened]]:
    for index, (memo, commitment) in enumerate(memos):
        found = opener.open(memo, commitment)
        if found is not None:
            yield index, found
