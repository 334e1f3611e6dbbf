"""Where a wallet reads the pool's events: its node, or a service that keeps them ready, such as an indexer.

A source is asked for everything after a block, never for anything of this wallet's, and is not believed: the wallet
rebuilds the tree, compares it with the contract through its own node, and takes nothing over that does not agree.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Protocol

from chain.errors import MismatchError, SourceError
from chain.events import AccountUpdated, CommitmentQueued, EventPage, PoolEvent
from chain.pool import Pool


class EventSource(Protocol):
    """Serves pages of consecutive blocks, from the first block that is asked for to the last that it has.

    `chain.stream.source.IndexerSource` is one.
    """

    def pages(self, after: tuple[int, str] | None = None) -> Iterator[EventPage]:
        """The pages after the block `after` (number and 0x hash), all for None; nothing when it has none yet.

        Raises ReorgError when it has another block in that place, and SourceError or RpcError when it cannot serve.
        """


class NodeSource:
    """The pool's events as its own node has them, up to `confirmations` blocks before the newest."""

    def __init__(self, pool: Pool, confirmations: int = 0) -> None:
        self._pool = pool
        self._confirmations = confirmations

    def pages(self, after: tuple[int, str] | None = None) -> Iterator[EventPage]:
        first = self._pool.deployed_at if after is None else after[0] + 1
        head = self._pool.block_number() - self._confirmations
        return self._pool.pages(first, head) if first <= head else iter(())


@dataclass(frozen=True)
class Lag:
    """How far a source is behind the node: so many blocks, and seconds of the chain's time. 0 for a source that is up
    to date."""

    blocks: int = 0
    seconds: int = 0


OnLag = Callable[[Lag], None]
"""Told after a `sync` whose source was behind; what it did not serve is not in the wallet yet."""


def consecutive(
    pages: Iterator[EventPage], after: int | None, last: int, hash_of: Callable[[int], str | None]
) -> Iterator[EventPage]:
    """The pages up to the block `last`, each where the one before it ended; `after` None begins anywhere.

    A page that goes beyond `last` is cut there, with the hash that `hash_of` gives. Raises SourceError when blocks are
    left out or come twice, or an event is of another block than its page or stands in the place of another.
    """
    previous = after
    for page in pages:
        if page.last_block < page.first_block or (previous is not None and page.first_block != previous + 1):
            raise SourceError(
                f"the source of events goes from block {previous} to {page.first_block}-{page.last_block}: it leaves "
                "blocks out or goes back; use another one, or read from the node"
            )
        if not all(page.first_block <= event.origin.block_number <= page.last_block for event in page.events):
            raise SourceError(
                f"the source of events puts events of other blocks into {page.first_block}-{page.last_block}: use "
                "another one, or read from the node"
            )
        if any(_place(one) >= _place(next_one) for one, next_one in pairwise(page.events)):
            raise SourceError(
                f"the source of events gives those of {page.first_block}-{page.last_block} out of order, or twice: use "
                "another one, or read from the node"
            )
        previous = page.last_block
        if page.first_block > last:
            return
        yield page if page.last_block <= last else _cut(page, last, hash_of)


def _cut(page: EventPage, last: int, hash_of: Callable[[int], str | None]) -> EventPage:
    events = tuple(event for event in page.events if event.origin.block_number <= last)
    return replace(page, last_block=last, last_hash=hash_of(last) or "", events=events)


@dataclass(frozen=True)
class Portion:
    """Consecutive pages that are taken over together; `is_last` of the last one that the source serves."""

    pages: tuple[EventPage, ...]
    is_last: bool

    @property
    def first_block(self) -> int:
        return self.pages[0].first_block

    @property
    def last_block(self) -> int:
        return self.pages[-1].last_block

    @property
    def last_hash(self) -> str:
        return self.pages[-1].last_hash

    def events(self) -> list[PoolEvent]:
        return [event for page in self.pages for event in page.events]


def in_portions(pages: Iterator[EventPage], events: int, seconds: float) -> Iterator[Portion]:
    """The pages, gathered until they hold so many events or took so long to arrive."""
    gathered: list[EventPage] = []
    count, started = 0, time.monotonic()
    for page in pages:
        if gathered and (count >= events or time.monotonic() - started >= seconds):
            yield Portion(tuple(gathered), False)
            gathered, count, started = [], 0, time.monotonic()
        gathered.append(page)
        count += len(page.events)
    if gathered:
        yield Portion(tuple(gathered), True)


class Unconfirmed:
    """What was read since the last tree update, and what waits from before it: no root confirms it.

    A source could put another commitment in the place of one that waits, with a memo that promises money. Such events
    are few and recent, so the node is asked for its own.
    """

    def __init__(self) -> None:
        self._events: list[PoolEvent] = []
        self._start: tuple[int, int] | None = None

    def take(self, portion: Portion, inserted: int) -> None:
        """What was read next, after which so many commitments are in the tree."""
        if self._start is None:
            self._start = (portion.first_block, -1)
        self._events.extend(portion.events())
        updates = [index for index, event in enumerate(self._events) if isinstance(event, AccountUpdated)]
        if updates:
            waiting = (
                index
                for index, event in enumerate(self._events)
                if isinstance(event, CommitmentQueued) and event.position >= inserted
            )
            self._events = self._events[min(updates[-1], next(waiting, updates[-1])) :]
            self._start = _place(self._events[0])

    def compare(self, pool: Pool, last: int) -> None:
        """Raises MismatchError when the node has other events from there to the block `last`."""
        if self._start is None:
            return
        theirs = [event for event in pool.events(self._start[0], last) if _place(event) >= self._start]
        if theirs != self._events:
            raise MismatchError(f"the node has other events in the blocks {self._start[0]} to {last}")


def _place(event: PoolEvent) -> tuple[int, int]:
    return event.origin.block_number, event.origin.log_index
