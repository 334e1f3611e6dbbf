"""Follows the pool's events: gives every event its place, rebuilds every root, and stops at the first that differs."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from chain.errors import MismatchError
from chain.stream.records import BlockId, Inserted, Nullified, Queued, Withdrawn
from indexer.pages import Page
from indexer.tree import CAPACITY_BATCHES, UpperTree, nodes_of, subtree_roots, words_of
from protocol.merkle import BATCH


class Counters(NamedTuple):
    """How many of each there are after some block: also the numbers that the next ones get.

    `queued` commitments, `inserted` of them in the tree, in so many `batches`; `nullifiers`; `withdrawals`.
    """

    queued: int = 0
    inserted: int = 0
    batches: int = 0
    nullifiers: int = 0
    withdrawals: int = 0


class JournalBlock(NamedTuple):
    """A block that was read, and the counters after it; `has_events` is False for one that only ended a page."""

    block: BlockId
    after: Counters
    has_events: bool


class Batch(NamedTuple):
    """A tree update. Its leaves are the queue positions from `first_position` on, at the leaf indices 64 `number` on.

    `subtree` is the root of its 64 leaves, `root` that of the whole tree after it; 32 bytes each.
    """

    number: int
    first_position: int
    size: int
    subtree: bytes
    root: bytes
    event: Inserted


@dataclass
class Changes:
    """What one page adds. Nullifiers and withdrawals have running numbers from `before`'s counters on."""

    before: Counters
    after: Counters
    tip: BlockId
    commitments: list[Queued] = field(default_factory=list)
    nullifiers: list[Nullified] = field(default_factory=list)
    withdrawals: list[Withdrawn] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)
    journal: list[JournalBlock] = field(default_factory=list)

    @property
    def events(self) -> int:
        return len(self.commitments) + len(self.nullifiers) + len(self.withdrawals) + len(self.batches)


class PoolHistory:
    """The pool after some block: counters, the commitments that wait, and the tree above the batches.

    After an exception of `follow` it is of no use any more: load it anew.
    """

    def __init__(self, counters: Counters, pending: Iterable[bytes], tree: UpperTree) -> None:
        self.counters = counters
        self.tree = tree
        self._pending = list(pending)

    @classmethod
    def restored(
        cls, counters: Counters, pending: list[bytes], subtrees: list[bytes], root: bytes | None
    ) -> "PoolHistory":
        """From a store; `subtrees` are all batches' subtree roots, `root` the last batch's. Raises MismatchError."""
        tree = UpperTree()
        tree.extend(nodes_of(subtrees))
        if len(subtrees) != counters.batches or len(pending) != counters.queued - counters.inserted:
            raise MismatchError("the database has lost rows: restore it, or start with a new one")
        if root is not None and tree.root != root:
            raise MismatchError("the batches in the database do not lead to its root: it is damaged, start a new one")
        return cls(counters, pending, tree)

    @property
    def root(self) -> bytes:
        return self.tree.root

    @property
    def next_leaf_index(self) -> int:
        return BATCH * self.counters.batches

    @property
    def pending_count(self) -> int:
        return len(self._pending)

    def follow(self, page: Page) -> Changes:
        """Take the next page. Raises MismatchError when an event does not fit, or a root is not the one rebuilt."""
        before = self.counters
        changes = Changes(before, before, page.last)
        pending, taken = self._pending, 0
        leaves: list[bytes] = []
        updates: list[tuple[int, Inserted]] = []
        seen: set[bytes] = set()
        queued, inserted, batches = before.queued, before.inserted, before.batches
        following = iter(page.blocks)
        current = next(following)

        def close() -> None:
            after = Counters(
                queued,
                inserted,
                batches,
                before.nullifiers + len(changes.nullifiers),
                before.withdrawals + len(changes.withdrawals),
            )
            previous = changes.journal[-1].after if changes.journal else before
            changes.journal.append(JournalBlock(current, after, after != previous))

        for event in page.events:
            while event.block_number != current.number:
                close()
                current = next(following)
            if isinstance(event, Queued):
                if event.position != queued:
                    raise MismatchError(
                        f"block {event.block_number} queues position {event.position}, but {queued} comes next: the "
                        "endpoint leaves events out, or reading began after the pool's first block"
                    )
                queued += 1
                pending.append(event.commitment)
                changes.commitments.append(event)
            elif isinstance(event, Nullified):
                if event.nullifier in seen:
                    raise MismatchError(f"block {event.block_number} spends a note twice: the endpoint repeats events")
                seen.add(event.nullifier)
                changes.nullifiers.append(event)
            elif isinstance(event, Withdrawn):
                changes.withdrawals.append(event)
            else:
                waiting = len(pending) - taken
                if event.start_index != BATCH * batches or event.size > waiting or batches >= CAPACITY_BATCHES:
                    raise MismatchError(
                        f"block {event.block_number} inserts {event.size} leaves at {event.start_index}, but "
                        f"{waiting} wait and the next batch starts at {BATCH * batches}: the endpoint leaves events out"
                    )
                updates.append((inserted, event))
                leaves += pending[taken : taken + event.size]
                taken += event.size
                inserted += event.size
                batches += 1
        close()
        for rest in following:
            current = rest
            close()
        del pending[:taken]
        self._check_roots(changes, updates, leaves)
        self.counters = changes.after = changes.journal[-1].after
        return changes

    def _check_roots(self, changes: Changes, updates: list[tuple[int, Inserted]], leaves: list[bytes]) -> None:
        if not updates:
            return
        first = len(self.tree)
        subtrees = subtree_roots(leaves, [event.size for _, event in updates])
        roots = words_of(self.tree.append(subtrees))
        for offset, ((position, event), subtree, root) in enumerate(
            zip(updates, words_of(subtrees), roots, strict=True)
        ):
            if root != event.root:
                raise MismatchError(
                    f"the tree update in block {event.block_number} announces root 0x{event.root.hex()}, but the "
                    f"events lead to 0x{root.hex()}: the endpoint sends false events, or this is no Gelap pool"
                )
            changes.batches.append(Batch(first + offset, position, event.size, subtree, root, event))
