"""Keeps a wallet's file in step with the pool, page by page, and checks it against the contract."""

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path

from chain.errors import MismatchError
from chain.events import EventPage
from chain.pool import Pool
from chain.rpc import rpc_errors
from chain.tree import PoolTree
from protocol.field import to_bytes32
from protocol.keys import FullViewingKey
from protocol.merkle import HashPairs
from wallet.notes import NoteManager, Progress
from wallet.scanner import OpenMemos, Scanner, open_memos
from wallet.sealed import file_key
from wallet.store import Store


class PoolFollower:
    """Follows one pool for one store. `now` is the chain's time at the last `sync`, in seconds since 1970."""

    def __init__(
        self,
        pool: Pool,
        store: Store,
        scanner: Scanner,
        *,
        hash_pairs: HashPairs | None = None,
        confirmations: int = 0,
    ) -> None:
        """`hash_pairs` hashes many tree nodes at once. The newest `confirmations` blocks are left out."""
        self._pool = pool
        self._store = store
        self._scanner = scanner
        self._hash_pairs = hash_pairs
        self._confirmations = confirmations
        self._tree: PoolTree | None = None
        self._tree_cursor: tuple[int, str] | None = None
        self.now = 0

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
        """Read what is new on the chain; returns the number of the last block read.

        Can be repeated and interrupted at any time: it goes on after the last page it read. When blocks that were read
        are no longer part of the chain, everything is read again, and what was known stays until that succeeded. Raises
        MismatchError when the events do not lead to the contract's state: nothing may be spent on such a view.
        """
        progress = progress or (lambda done, total: None)
        cursor = self._store.cursor()
        if cursor is not None and self._pool.block_hash(cursor[0]) != cursor[1]:
            head = self._read_again(progress)
        else:
            try:
                head = self._read_on(cursor, progress)
            except MismatchError:
                # Blocks replaced while they were read look like this. Only a mismatch that stays is one.
                head = self._read_again(progress)
        self.now = self._pool.now()
        if head >= self._pool.deployed_at:
            # Of the last block read, not of the newest: a payment in the blocks between may have settled in time.
            time = self._time_of(head)
            with self._store.transaction():
                self._store.release_expired(time)
        return head

    def _head(self) -> int:
        """The block up to which to read."""
        return max(self._pool.block_number() - self._confirmations, 0)

    def _read_on(self, cursor: tuple[int, str] | None, progress: Progress) -> int:
        head = self._head()
        first = self._pool.deployed_at if cursor is None else cursor[0] + 1
        if head < first:
            return head if cursor is None else cursor[0]
        for page in self._pool.pages(first, head):
            with self._writing() as tree:
                self._take(tree, page)
            progress(page.last_block - first + 1, head - first + 1)
        self.tree.check(self._pool, head)
        return head

    def _read_again(self, progress: Progress) -> int:
        with self._writing(forget=True) as tree:
            head, first = self._head(), self._pool.deployed_at
            if head < first:
                return head
            for page in self._pool.pages(first, head):
                self._take(tree, page)
                progress(page.last_block - first + 1, head - first + 1)
            tree.check(self._pool, head)
        return head

    def _time_of(self, block: int) -> int:
        with rpc_errors():
            return self._pool.w3.eth.get_block(block)["timestamp"]

    def _take(self, tree: PoolTree, page: EventPage) -> None:
        self._scanner.apply(tree, page.events)
        self._store.set_cursor(page.last_block, page.last_hash)

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
) -> NoteManager:
    """The notes in the wallet file at `path`, following `pool`; for use without the facade `wallet.wallet.Wallet`."""
    store = open_store(path, keys, pool)
    scanner = Scanner(keys, store, open_memos)
    follower = PoolFollower(pool, store, scanner, hash_pairs=hash_pairs, confirmations=confirmations)
    return NoteManager(keys, store, follower)


def _fingerprint(keys: FullViewingKey) -> str:
    """Names an account without saying which: the file alone does not link it to the account's public key."""
    secret = to_bytes32(keys.public.x) + to_bytes32(keys.public.y) + keys.viewing_key
    return hashlib.sha256(b"gelap/v1/wallet" + secret).hexdigest()
