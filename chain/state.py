"""Follows a pool: keeps its tree up to date with the chain, and starts over when read blocks were replaced."""

from chain.errors import MismatchError
from chain.events import CommitmentQueued
from chain.pool import Pool
from chain.rpc import on_one_endpoint
from chain.tree import PoolTree
from protocol.merkle import HashPairs


class PoolState:
    """The pool's tree in memory, with what a sequencer needs to know about the queue.

    `hash_pairs` hashes many pairs at once; give a fast one when the pool is large.
    """

    def __init__(self, pool: Pool, hash_pairs: HashPairs | None = None) -> None:
        self._pool = pool
        self._hash_pairs = hash_pairs
        self._restart()

    def _restart(self) -> None:
        self.tree = PoolTree(self._hash_pairs)
        self._cursor: tuple[int, str] | None = None
        self._waiting: dict[int, CommitmentQueued] = {}

    def sync(self) -> PoolTree:
        """Read what is new and return the tree as of the newest block, checked against the contract.

        Starts from the pool's deployment again when the last block read is gone. Raises MismatchError when the events
        do not lead to the contract's state even when read afresh.
        """
        # Head, events and the contract's word on them from one endpoint: two can be on different forks.
        w3 = self._pool.w3
        try:
            on_one_endpoint(w3, self._follow)
        except MismatchError:
            # A block replaced while it was read looks like this; only a mismatch that stays is one.
            self._restart()
            on_one_endpoint(w3, self._follow)
        return self.tree

    def _follow(self) -> None:
        pool = self._pool
        if self._cursor is not None and pool.block_hash(self._cursor[0]) != self._cursor[1]:
            self._restart()
        head = pool.block_number()
        for page in pool.pages(self._cursor[0] + 1 if self._cursor else None, head):
            for event in page.events:
                self.tree.apply(event)
                if isinstance(event, CommitmentQueued):
                    self._waiting[event.position] = event
            self._cursor = (page.last_block, page.last_hash)
        for position in [p for p in self._waiting if p < self.tree.inserted_count]:
            del self._waiting[position]
        self.tree.check(pool, head)

    def oldest_pending_time(self) -> int | None:
        """When the oldest pending commitment was queued, in seconds since 1970; None when nothing is pending."""
        event = self._waiting.get(self.tree.inserted_count)
        return None if event is None else event.origin.timestamp
