"""The notes of one account: what it owns, what it can spend now, and what pays for a payment.

    with open_notes("alice.db", account, pool=pool) as notes:          # wallet.following
        notes.sync()
        notes.balance(token)
        funds = notes.select(token, 40)                                # for a wallet.transactions.TransactionBuilder

A NoteManager holds nothing itself: notes are in the wallet's file, the tree is the follower's. Several may look at one
file.
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from chain.tree import Batch, PoolTree
from protocol.keys import FullViewingKey
from protocol.statements import SpentNote
from wallet.checks import token_address
from wallet.coins import MAX_INPUTS, Coin, choose, choose_to_merge
from wallet.errors import WalletError
from wallet.store import Store, StoredNote

Progress = Callable[[int, int], None]
"""Told how many blocks are read, of how many."""


class Follower(Protocol):
    """Keeps a wallet's file in step with the pool; see `wallet.following`."""

    @property
    def tree(self) -> PoolTree:
        """The pool's tree as of the last block in the file."""

    def sync(self, progress: Progress | None = None) -> int:
        """Read what is new; returns the number of the last block read."""


@dataclass(frozen=True)
class Balance:
    """What an account owns of one token, in its smallest unit.

    `spendable` now; `pending` as soon as a tree update includes it; `reserved` when an unfinished payment settles (then
    it is gone, save the change) or its deadline passes.
    """

    spendable: int = 0
    pending: int = 0
    reserved: int = 0

    @property
    def total(self) -> int:
        return self.spendable + self.pending + self.reserved


@dataclass(frozen=True)
class Funds:
    """Notes of one token to be spent together, each with its key and its path under `root`, a root of the pool's."""

    token: str
    root: int
    notes: tuple[SpentNote, ...]

    @property
    def amount(self) -> int:
        return sum(item.note.amount for item in self.notes)


class NoteManager:
    """See the module. Everything is as of the last `sync`. Errors are WalletError and ChainError."""

    def __init__(self, keys: FullViewingKey, store: Store, follower: Follower | None = None) -> None:
        """Without a follower it knows what the file holds and nothing of the chain: `sync` and `select` need one."""
        self._keys = keys
        self._store = store
        self._follower = follower

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the wallet's file."""
        self._store.close()

    # Looking

    def all(self) -> list[StoredNote]:
        """Every note this account ever had, spent ones and those of amount 0 too, oldest first."""
        return self._store.notes()

    def unspent(self, token: str) -> list[StoredNote]:
        """The unspent notes of a token with an amount above 0, oldest first, whether or not they can be spent now."""
        return self._store.unspent(token_address(token))

    def spendable(self, token: str) -> list[StoredNote]:
        """Those of them that are in the tree and in no unfinished payment."""
        return [stored for stored in self.unspent(token) if stored.leaf_index is not None and not stored.reserved]

    def balance(self, token: str) -> Balance:
        spendable = pending = reserved = 0
        for stored in self.unspent(token):
            if stored.leaf_index is None:
                pending += stored.note.amount
            elif stored.reserved:
                reserved += stored.note.amount
            else:
                spendable += stored.note.amount
        return Balance(spendable, pending, reserved)

    def balances(self) -> dict[str, Balance]:
        """The balance of every token of which there is an unspent note, by the token's address."""
        return {token: self.balance(token) for token in self._store.tokens()}

    def nullifying_key(self, stored: StoredNote) -> int:
        """The key that nullifies this note."""
        if stored.address_index is None:
            return self._keys.nullifying_key_for_note(stored.note.blinding)
        return self._keys.nullifying_key_for_address(stored.address_index)

    # Following the chain

    def sync(self, progress: Progress | None = None) -> int:
        """Read what is new on the chain; returns the number of the last block read. See `wallet.following.Follower`."""
        return self._followed().sync(progress)

    def add(self, stored: StoredNote) -> None:
        """A note of this account was queued. Call this and the next two inside the store's transaction."""
        self._store.add_note(stored)

    def place(self, batch: Batch) -> None:
        """These queue positions are leaves now: notes among them have their nullifiers, and can be spent."""
        for stored in self._store.notes_between(batch.first_position, batch.count):
            leaf_index = batch.start_index + stored.position - batch.first_position
            nullifier = stored.note.nullifier(self.nullifying_key(stored), leaf_index)
            self._store.place_note(stored.position, leaf_index, nullifier)

    def mark_spent(self, nullifier: int, transaction: str) -> StoredNote | None:
        """The note with this nullifier was spent by this transaction; returns it, or None when it is not ours.

        Unfinished payments that take the note are over: their other notes are free again.
        """
        stored = self._store.spend_note(nullifier, transaction)
        if stored is not None:
            self._store.release([nullifier])
            self._store.forget_payments_of(nullifier)
        return stored

    # Choosing

    def select(self, token: str, amount: int, *, merging: int = MAX_INPUTS) -> Funds:
        """The one or two notes that pay `amount` (above 0, fee included); see `wallet.coins.choose` for which, and for
        its errors, in which `merging` is how many notes a consolidation could take.
        """
        token = token_address(token)
        spendable, balance = self.spendable(token), self.balance(token)
        chosen = choose(_coins(spendable), amount, pending=balance.pending, reserved=balance.reserved, merging=merging)
        return self._funds(token, spendable, chosen)

    def select_to_merge(self, token: str, most: int = MAX_INPUTS) -> Funds:
        """The largest notes that can be spent, at most so many; ConsolidationError when there are not two."""
        token = token_address(token)
        spendable = self.spendable(token)
        return self._funds(token, spendable, choose_to_merge(_coins(spendable), most))

    def _funds(self, token: str, spendable: list[StoredNote], chosen: list[Coin]) -> Funds:
        tree = self._followed().tree
        positions = {coin.position for coin in chosen}
        notes = [self._spent(tree, stored) for stored in spendable if stored.position in positions]
        return Funds(token, tree.root, tuple(notes))

    def _spent(self, tree: PoolTree, stored: StoredNote) -> SpentNote:
        assert stored.leaf_index is not None  # only notes in the tree are chosen
        return SpentNote(stored.note, self.nullifying_key(stored), stored.leaf_index, tree.path(stored.leaf_index))

    def _followed(self) -> Follower:
        if self._follower is None:
            raise WalletError("these notes follow no chain: open them with wallet.following.open_notes")
        return self._follower


def _coins(notes: list[StoredNote]) -> list[Coin]:
    return [Coin(stored.position, stored.note.amount) for stored in notes]
