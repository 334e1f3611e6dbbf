"""Keeps a wallet's file in step with the pool, and checks what it reads against the contract."""

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from chain.agreement import Look, meet, require_agreement
from chain.errors import FalseEventsError, MismatchError, ReorgError, RpcError, SourceError, UnavailableError
from chain.events import EventPage
from chain.pool import Pool
from chain.rpc import endpoint_count, on_one_endpoint
from chain.tree import PoolTree
from protocol.field import to_bytes32
from protocol.keys import FullViewingKey
from protocol.merkle import HashPairs
from wallet import spot_checks
from wallet.notes import NoteManager, Progress
from wallet.scanner import OpenMemos, Scanner, open_memos
from wallet.sealed import file_key
from wallet.sources import EventSource, Lag, NodeSource, OnLag, Portion, Unconfirmed, consecutive, in_portions
from wallet.spot_checks import Sample
from wallet.store import Store

PORTION_EVENTS, PORTION_SECONDS = 40_000, 15.0
"""What is read is confirmed and written down when there are so many events, or at the first page after so long. So many
memos are worth trying in several processes (`wallet.trial`).
"""


class PoolFollower:
    """Follows one pool for one store. `now` is the chain's time at the last `sync`, in seconds since 1970, and `lag`
    how far the source was behind then.

    Nothing is written down before the node confirms it: portion by portion, each ending in a block that the node has
    and a root that the contract knows, the last in exactly the contract's state.
    """

    def __init__(
        self,
        pool: Pool,
        store: Store,
        scanner: Scanner,
        *,
        hash_pairs: HashPairs | None = None,
        confirmations: int = 0,
        source: EventSource | None = None,
        on_lag: OnLag | None = None,
    ) -> None:
        """`hash_pairs` hashes many tree nodes at once. The newest `confirmations` blocks are left out.

        `source` None is the node itself. A source that is behind is no error: `on_lag` is told.
        """
        self._pool = pool
        self._store = store
        self._scanner = scanner
        self._hash_pairs = hash_pairs
        self._confirmations = confirmations
        self._own_node = source is None
        self._source = NodeSource(pool, confirmations) if source is None else source
        self._on_lag = on_lag
        self._tree: PoolTree | None = None
        self._tree_cursor: tuple[int, str] | None = None
        self.now = 0
        self.lag = Lag()

    @property
    def tree(self) -> PoolTree:
        """The tree as of the stored cursor, rebuilt from the file when memory has another one or none."""
        cursor = self._store.cursor()
        if self._tree is None or self._tree_cursor != cursor:
            batches, root = self._store.batches()
            self._tree = PoolTree.from_history(self._store.queue(), batches, root, self._hash_pairs)
            self._tree_cursor = cursor
        return self._tree

    def sync(self, progress: Progress | None = None) -> int:
        """Read what is new; returns the number of the last block read, 0 before the first.

        Can be repeated and interrupted at any time: it goes on after the last portion it took over. When blocks that
        were read are no longer part of the chain, everything is read again, and what was known stays until that
        succeeded. Raises MismatchError when the events do not lead to the contract's state, NodesDisagreeError when
        several nodes do not tell one story, and SourceError for a source that contradicts itself: the file is as it was
        then.
        """
        all_answer = meet(self._pool, self._confirmations)
        head = max(self._pool.block_number() - self._confirmations, 0)
        reading = _Reading(head, progress or (lambda done, total: None))
        cursor = self._store.cursor()
        theirs = None if cursor is None else self._pool.block_hash(cursor[0])
        if cursor is not None and theirs is None and not all_answer:
            raise UnavailableError(
                f"the nodes that answer have not come to block {cursor[0]}, which was read before: wait until they "
                "have, or until the others answer"
            )
        if cursor is not None and theirs != cursor[1]:
            self._read_again(reading, cursor)
        else:
            try:
                self._read_on(reading, cursor)
            except FalseEventsError:
                raise  # read again, it would be drawn again, and might go through
            except (MismatchError, ReorgError):
                # Blocks replaced while they were read look like this. Only a mismatch that stays is one.
                self._read_again(reading, cursor)
        self.now = self._pool.now()
        return self._caught_up(head)

    def _caught_up(self, head: int) -> int:
        cursor = self._store.cursor()
        if cursor is None:
            self.lag = Lag(max(head - self._pool.deployed_at + 1, 0), 0)
            last = 0
        else:
            last = cursor[0]
            # Of the last block read, not of the newest: a payment in the blocks between may have settled in time.
            time = self._pool.time_of(last)
            with self._store.transaction():
                self._store.release_expired(time)
            self.lag = Lag(max(head - last, 0), max(self.now - time, 0) if last < head else 0)
        if self.lag.blocks and not self._own_node and self._on_lag is not None:
            self._on_lag(self.lag)
        return last

    def _read_on(self, reading: "_Reading", cursor: tuple[int, str] | None) -> None:
        unconfirmed, kept = Unconfirmed(), False
        for portion in self._portions(reading, cursor):
            try:
                with self._writing() as tree:
                    self._take(tree, portion, unconfirmed)
                    self._confirm(tree, portion, unconfirmed)
                    self._spot_check(self._samples(portion))
            except FalseEventsError:
                if kept:
                    # The same source gave what was taken over before: it may be false too, and is read again.
                    with self._writing(forget=True):
                        pass
                raise
            kept = True

    def _read_again(self, reading: "_Reading", known: tuple[int, str] | None) -> None:
        """Everything, in one transaction, and at least as far as `known`, the last block that was read before."""
        unconfirmed = Unconfirmed()
        with self._writing(forget=True) as tree:
            last: Portion | None = None
            samples: list[Sample] = []
            for portion in self._portions(reading, None):
                self._take(tree, portion, unconfirmed)
                samples += self._samples(portion)
                last = portion
            goal = min(known[0] if known else 0, reading.head)
            if last is not None and last.last_block >= goal:
                self._confirm(tree, last, unconfirmed)
                self._spot_check(samples)
            elif goal >= self._pool.deployed_at:
                raise SourceError(
                    f"the source of events has not come to block {goal}, which was read before: try again later, use "
                    "another one, or read from the node"
                )

    def _portions(self, reading: "_Reading", cursor: tuple[int, str] | None) -> Iterator[Portion]:
        after = None if cursor is None else cursor[0]
        pages = consecutive(self._source.pages(cursor), after, reading.head, self._pool.block_hash)
        return in_portions(reading.reported(pages), PORTION_EVENTS, PORTION_SECONDS)

    def _take(self, tree: PoolTree, portion: Portion, unconfirmed: Unconfirmed) -> None:
        try:
            self._scanner.apply(tree, portion.events())
        except MismatchError as error:
            raise self._disbelieved(error) from error
        unconfirmed.take(portion, tree.inserted_count)
        self._store.set_cursor(portion.last_block, portion.last_hash)

    def _confirm(self, tree: PoolTree, portion: Portion, unconfirmed: Unconfirmed) -> None:
        """Ask the node whether what was read up to the end of this portion is the contract's history."""
        try:
            on_one_endpoint(self._pool.w3, lambda: self._compare(tree, portion, unconfirmed))
            state = (tree.root, tree.next_index, len(tree.pending))
            require_agreement(self._pool, portion.last_block, Look(portion.last_hash, state))
        except MismatchError as error:
            raise self._disbelieved(error) from error

    def _samples(self, portion: Portion) -> list[Sample]:
        """What to ask others for again: of a node alone there is nobody else to ask."""
        return [] if self._own_node and endpoint_count(self._pool.w3) < 2 else spot_checks.samples(portion)

    def _spot_check(self, samples: list[Sample]) -> None:
        name = None if self._own_node else f"the indexer {getattr(self._source, 'name', '')}".strip()
        for sample in samples:
            spot_checks.compare(self._pool, sample, name)

    def _compare(self, tree: PoolTree, portion: Portion, unconfirmed: Unconfirmed) -> None:
        if self._pool.block_hash(portion.last_block) != portion.last_hash:
            raise MismatchError(f"the node has another block {portion.last_block}")
        if portion.is_last:
            self._check(tree, portion.last_block)
        else:
            self._require_known(tree)
        if not self._own_node:
            unconfirmed.compare(self._pool, portion.last_block)

    def _check(self, tree: PoolTree, block: int) -> None:
        try:
            tree.check(self._pool, block)
        except UnavailableError:
            raise
        except RpcError:
            self._require_known(tree)  # a node that keeps no state as old as a source that is behind

    def _require_known(self, tree: PoolTree) -> None:
        if not self._pool.known_root(tree.root):
            raise MismatchError(f"the contract never had the root {tree.root:#x} that the events lead to")

    def _disbelieved(self, error: MismatchError) -> MismatchError:
        if self._own_node:
            return error
        return MismatchError(
            f"the source of events disagrees with the contract: {error}. Nothing was written down: use another source, "
            "or read from the node"
        )

    @contextlib.contextmanager
    def _writing(self, forget: bool = False) -> Iterator[PoolTree]:
        """A transaction of the store together with the tree in memory: on an error neither has changed."""
        with self._store.transaction():
            if forget:
                self._store.forget_chain()
            tree = PoolTree(self._hash_pairs) if forget else self.tree
            self._tree = None
            yield tree
            self._tree_cursor = self._store.cursor()
        self._tree = tree


@dataclass
class _Reading:
    """One `sync`: up to which block, and who is told how far it has come."""

    head: int
    progress: Progress

    def reported(self, pages: Iterator[EventPage]) -> Iterator[EventPage]:
        """The pages, and a word on each as it arrives."""
        first: int | None = None
        for page in pages:
            first = page.first_block if first is None else first
            self.progress(page.last_block - first + 1, self.head - first + 1)
            yield page


def open_store(path: Path | str, keys: FullViewingKey, pool: Pool) -> Store:
    """The wallet file at `path`, made if it is not there; it belongs to this account and pool from then on."""
    belongs_to = {"pool": f"{pool.chain_id}:{pool.address}", "account": _fingerprint(keys)}
    return Store(path, file_key(keys), belongs_to)


def open_notes(
    path: Path | str,
    keys: FullViewingKey,
    *,
    pool: Pool,
    hash_pairs: HashPairs | None = None,
    open_memos: OpenMemos = open_memos,
    confirmations: int = 0,
    source: EventSource | None = None,
) -> NoteManager:
    """The notes in the wallet file at `path`, following `pool`; for use without the facade `wallet.wallet.Wallet`."""
    store = open_store(path, keys, pool)
    scanner = Scanner(keys, store, open_memos)
    follower = PoolFollower(pool, store, scanner, hash_pairs=hash_pairs, confirmations=confirmations, source=source)
    return NoteManager(keys, store, follower)


def _fingerprint(keys: FullViewingKey) -> str:
    """Names an account without saying which: the file alone does not link it to the account's public key."""
    secret = to_bytes32(keys.public.x) + to_bytes32(keys.public.y) + keys.viewing_key
    return hashlib.sha256(b"gelap/v1/wallet" + secret).hexdigest()
