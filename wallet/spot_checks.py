"""Asks the node for a few of the events that a source served: those that no root covers could be false.

A root says what the commitments are. Nullifiers, memos, withdrawals, times and transactions are in none: an indexer, or
one of several nodes, could leave a nullifier out or spoil a memo. Of what comes, some ranges of blocks are drawn at
random, from the source's own events and never by what this wallet owns, and the nodes are asked for the same.

Every lie about an old event stands in a block that has events as the source tells it: a spend's commitments cannot be
left out. So ranges begin at blocks with events. Of n such blocks in a portion, a false one is found with a probability
of RANGES / n at least, more when others before it are near, and for certain when n is no more than RANGES.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from chain.errors import FalseEventsError, RpcError
from chain.events import PoolEvent
from chain.pool import Pool
from chain.rpc import on_each_endpoint
from wallet.sources import Portion

RANGES, BLOCKS = 2, 32
"""So many ranges of a portion, of so many blocks each."""

_RANDOM = secrets.SystemRandom()


@dataclass(frozen=True)
class Sample:
    """The events of the blocks `first .. last` as a source gave them, on the chain of the block `known`."""

    first: int
    last: int
    events: list[PoolEvent]
    known: tuple[int, str]


def drawn(portion: Portion) -> list[tuple[int, int]]:
    """First and last blocks of what to compare of a portion."""
    blocks = sorted({event.origin.block_number for event in portion.events()})
    starts = _RANDOM.sample(blocks, min(RANGES, len(blocks)))
    return [(start, min(start + BLOCKS - 1, portion.last_block)) for start in starts]


def samples(portion: Portion) -> list[Sample]:
    """What to compare of a portion, with what the source gave."""
    events = portion.events()
    return [
        Sample(
            first,
            last,
            [event for event in events if first <= event.origin.block_number <= last],
            (portion.last_block, portion.last_hash),
        )
        for first, last in drawn(portion)
    ]


def compare(pool: Pool, sample: Sample, source: str | None) -> None:
    """Raises FalseEventsError when a node that is on the sample's chain has other events than the source gave.

    `source` names an indexer, None is one of the nodes. Nodes that do not answer, are behind, or keep no events as old
    as that say nothing.
    """
    answers = [(node, theirs) for node, theirs in _asked(pool, sample) if theirs is not None]
    agreeing = [node for node, theirs in answers if theirs == sample.events]
    others = [node for node, theirs in answers if theirs != sample.events]
    if others:
        said_by = source or (agreeing[0] if agreeing else "what was read")
        raise FalseEventsError(
            f"{said_by} and {others[0]} disagree about the pool's events in the blocks {sample.first} to "
            f"{sample.last}: one of them leaves some out, adds or changes some. Nothing that came now is kept: use "
            "another indexer or node, or a node alone that you trust"
        )


def _asked(pool: Pool, sample: Sample) -> Sequence[tuple[str, list[PoolEvent] | None]]:
    def ask() -> list[PoolEvent] | None:
        number, known = sample.known
        if pool.block_hash(number) != known:
            return None
        found = list(pool.events(sample.first, sample.last))
        # Blocks may have been replaced in between.
        return found if found == sample.events or pool.block_hash(number) == known else None

    answers = [(f"the node {endpoint.name}", found) for endpoint, found in on_each_endpoint(pool.w3, ask)]
    if answers:
        return answers
    try:
        return [("the node", ask())]
    except RpcError:
        return []
