"""The pool's queue and Merkle tree rebuilt from its events, and checked against the contract at every step.

A commitment waits in the queue at its position (0, 1, 2, ...). Each tree update moves the next `count` of them to the
leaves `start_index ..`, so `leafIndex = startIndex + (position - first position of its batch)`. Short batches leave
gaps, which is why position and leaf index differ.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from chain.errors import MismatchError
from chain.events import AccountUpdated, CommitmentQueued, PoolEvent
from chain.pool import Pool
from chain.rpc import on_one_endpoint
from protocol.errors import TreeError
from protocol.merkle import BatchInsertion, HashPairs, MerkleTree


@dataclass(frozen=True, slots=True)
class Batch:
    """One tree update: the queue positions `first_position .. first_position + count - 1` became leaves."""

    first_position: int
    start_index: int
    count: int


class PoolTree:
    """Everything the pool has queued and inserted. All values are plain integers below the scalar field's order.

    `apply` takes every event in chain order (it ignores those that do not concern the tree) and raises MismatchError at
    the first that does not fit: a tree that differs from the contract's must never be proved against, so drop it then.
    """

    def __init__(self, hash_pairs: HashPairs | None = None) -> None:
        self._tree = MerkleTree(hash_pairs)
        self._queue: list[int] = []
        self._batches: list[Batch] = []

    @classmethod
    def from_history(
        cls, commitments: Sequence[int], batches: Iterable[Batch], root: int | None, hash_pairs: HashPairs | None = None
    ) -> "PoolTree":
        """Rebuild from stored history in bulk; `root` is the last batch's root, None when there was no batch.

        Raises MismatchError when the history does not lead to that root.
        """
        rebuilt = cls(hash_pairs)
        rebuilt._queue = list(commitments)
        rebuilt._batches = list(batches)
        parts = [commitments[batch.first_position : batch.first_position + batch.count] for batch in rebuilt._batches]
        try:
            rebuilt._tree = MerkleTree.from_batches(parts, hash_pairs)
        except TreeError as error:
            raise MismatchError(f"the stored history of the pool is damaged: {error}") from error
        if root is not None and rebuilt.root != root:
            raise MismatchError("the stored history of the pool does not lead to its stored root")
        return rebuilt

    @property
    def root(self) -> int:
        return self._tree.root

    @property
    def next_index(self) -> int:
        """Where the next batch starts: a multiple of 64."""
        return self._tree.next_index

    @property
    def inserted_count(self) -> int:
        """How many queued commitments are leaves by now."""
        return self._batches[-1].first_position + self._batches[-1].count if self._batches else 0

    @property
    def queued_count(self) -> int:
        """How many commitments were ever queued: the next one gets this position."""
        return len(self._queue)

    @property
    def pending(self) -> list[int]:
        """The commitments that wait for a tree update, oldest first."""
        return self._queue[self.inserted_count :]

    def commitment(self, position: int) -> int:
        return self._queue[position]

    def leaf_index(self, position: int) -> int | None:
        """Where the commitment of this queue position stands in the tree; None while it waits."""
        if position >= self.inserted_count:
            return None
        batch = self._batches[bisect_right(self._batches, position, key=lambda batch: batch.first_position) - 1]
        return batch.start_index + position - batch.first_position

    def path(self, leaf_index: int) -> list[int]:
        """The 32 siblings of a leaf, leaf level first."""
        return self._tree.path(leaf_index)

    def plan(self, count: int) -> BatchInsertion:
        """What inserting the first `count` pending commitments would do; changes nothing."""
        return self._tree.plan_batch(self.pending[:count])

    def apply(self, event: PoolEvent) -> Batch | None:
        """Take one event; returns the batch if it was a tree update."""
        if isinstance(event, CommitmentQueued):
            if event.position != len(self._queue):
                raise MismatchError(
                    f"the event in block {event.origin.block_number} queues position {event.position}, but "
                    f"{len(self._queue)} comes next: the node left events out, or blocks were replaced; read again"
                )
            self._queue.append(event.commitment)
        elif isinstance(event, AccountUpdated):
            return self._update(event)
        return None

    def _update(self, event: AccountUpdated) -> Batch:
        place = f"the tree update in block {event.origin.block_number}"
        pending = self.pending
        if event.start_index != self.next_index or not 1 <= event.count <= len(pending):
            raise MismatchError(
                f"{place} inserts {event.count} leaves at {event.start_index}, but {len(pending)} are pending and the "
                f"next batch starts at {self.next_index}: events are missing; read again from the pool's deployment"
            )
        try:
            insertion = self._tree.insert_batch(pending[: event.count])
        except TreeError as error:
            raise MismatchError(f"{place} cannot be followed: {error}") from error
        if insertion.new_root != event.root:
            raise MismatchError(
                f"{place} announces root {event.root:#x}, but the events lead to {insertion.new_root:#x}: "
                "this is not a Gelap pool, or the node sent false events; nothing may be built on it"
            )
        batch = Batch(self.inserted_count, event.start_index, event.count)
        self._batches.append(batch)
        return batch

    def check(self, pool: Pool, block: int) -> None:
        """Compare with the contract's own state at `block`; raises MismatchError on any difference."""
        root, next_index, pending = on_one_endpoint(
            pool.w3, lambda: (pool.merkle_root(block), pool.next_leaf_index(block), pool.pending_count(block))
        )
        for name, ours, theirs in (
            ("Merkle root", self.root, root),
            ("next leaf index", self.next_index, next_index),
            ("number of pending commitments", len(self.pending), pending),
        ):
            if ours != theirs:
                raise MismatchError(
                    f"at block {block} the contract's {name} is {theirs}, but its events lead to {ours}: "
                    "the node's answers disagree with each other; use another node"
                )
