"""A NoteManager against a plain model of a purse: whatever happens to notes, both own and choose the same."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain.events import AccountUpdated, CommitmentQueued, Origin
from chain.tree import PoolTree
from protocol.keys import Account
from protocol.merkle import root_from_path
from protocol.note import Note
from wallet.coins import Coin, choose
from wallet.errors import InsufficientFundsError, RequestError, WalletError
from wallet.notes import Balance, NoteManager, Progress
from wallet.payments import Payment
from wallet.spend import to_oneself
from wallet.store import Store, StoredNote, token_text

TOKENS = (0x5FBDB2315678AFECB367F032D93F642F64180AA3, 0x9FE46736679D2D9A65F0992F2272DE9F3C7FA6E0)
ORIGIN = Origin(1, "0x", "0x", 0, 0)


class Followed:
    """A follower whose chain is a tree in memory."""

    def __init__(self) -> None:
        self.tree = PoolTree()
        self.synced = 0

    def sync(self, progress: Progress | None = None) -> int:
        self.synced += 1
        return 7


@dataclass
class Held:
    """What the model knows of a note."""

    token: int
    amount: int
    placed: bool = False
    spent: bool = False
    deadline: int | None = None

    @property
    def free(self) -> bool:
        return self.placed and not self.spent and self.deadline is None


class Purse:
    """A NoteManager and its model, moved along together."""

    def __init__(self, account: Account, store: Store) -> None:
        self.store = store
        self.follower = Followed()
        self.notes = NoteManager(account, store, self.follower)
        self.model: list[Held] = []
        self._account = account

    def queue(self, token: int, amount: int, index: int | None) -> None:
        note = to_oneself(self._account, token, amount).note
        if index is not None:
            note = Note(token, amount, self._account.address(index).owner, note.blinding)
        self.follower.tree.apply(CommitmentQueued(len(self.model), note.commitment, b"", ORIGIN))
        with self.store.transaction():
            self.notes.add(StoredNote(len(self.model), note, index))
        self.model.append(Held(token, amount))

    def insert(self) -> None:
        tree = self.follower.tree
        count = len(tree.pending)
        if count:
            plan = tree.plan(count)
            batch = tree.apply(AccountUpdated(plan.new_root, plan.start_index, count, ORIGIN))
            assert batch is not None
            with self.store.transaction():
                self.notes.place(batch)
            for held in self.model:
                held.placed = True

    def pay(self, picks: list[int], deadline: int) -> None:
        """Sign a payment that takes some free notes."""
        free = [position for position, held in enumerate(self.model) if held.free]
        chosen = {free[pick % len(free)] for pick in picks} if free else set()
        if chosen:
            nullifiers = [self.nullifier(position) for position in sorted(chosen)]
            with self.store.transaction():
                self.store.reserve(nullifiers, deadline)
                self.store.keep_payment(Payment("send", "", 1, 0, "", deadline, tuple(nullifiers)))
            for position in chosen:
                self.model[position].deadline = deadline

    def spend(self, pick: int) -> None:
        """One note is spent on chain, by an unfinished payment or from another device."""
        placed = [position for position, held in enumerate(self.model) if held.placed and not held.spent]
        if not placed:
            return
        position = placed[pick % len(placed)]
        payments = self.store.payments()
        nullifier = self.nullifier(position)
        with self.store.transaction():
            found = self.notes.mark_spent(nullifier, "0xaa")
        assert found is not None
        assert found.position == position
        self.model[position].spent = True
        for payment in payments:
            if nullifier in payment.nullifiers:
                for other, held in enumerate(self.model):
                    if held.placed and self.nullifier(other) in payment.nullifiers:
                        held.deadline = None

    def expire(self, now: int) -> None:
        with self.store.transaction():
            self.store.release_expired(now)
        for held in self.model:
            if held.deadline is not None and held.deadline < now:
                held.deadline = None

    def nullifier(self, position: int) -> int:
        stored = self.store.notes_between(position, 1)[0]
        assert stored.nullifier is not None
        return stored.nullifier

    def compare(self, token: int, amount: int) -> None:
        text = token_text(token)
        owned = {
            position: held
            for position, held in enumerate(self.model)
            if held.token == token and held.amount and not held.spent
        }
        free = {position: held for position, held in owned.items() if held.free}
        assert [stored.position for stored in self.notes.unspent(text)] == list(owned)
        assert [stored.position for stored in self.notes.spendable(text)] == list(free)
        balance = Balance(
            spendable=sum(held.amount for held in free.values()),
            pending=sum(held.amount for held in owned.values() if not held.placed),
            reserved=sum(held.amount for held in owned.values() if held.placed and held.deadline is not None),
        )
        assert self.notes.balance(text) == balance
        assert (text in self.notes.balances()) == bool(owned)
        assert len(self.notes.all()) == len(self.model)
        coins = [Coin(position, held.amount) for position, held in free.items()]
        try:
            expected = choose(coins, amount, pending=balance.pending, reserved=balance.reserved)
        except InsufficientFundsError as error:
            with pytest.raises(type(error)):
                self.notes.select(text, amount)
            return
        funds = self.notes.select(text, amount)
        assert sorted(item.note.amount for item in funds.notes) == sorted(coin.amount for coin in expected)
        assert funds.amount >= amount
        assert (funds.token, funds.root) == (text, self.follower.tree.root)
        for item in funds.notes:
            assert root_from_path(item.note.commitment, item.leaf_index, item.path) == funds.root
            assert item.note.owner == self._account.owner(item.nullifying_key)


@contextmanager
def purse_of(account: Account) -> Iterator[Purse]:
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "wallet.db", bytes(64)) as store:
        yield Purse(account, store)


TOKEN = st.sampled_from(TOKENS)
STEP = st.one_of(
    st.tuples(st.just("queue"), TOKEN, st.integers(0, 40), st.none() | st.integers(0, 2)),
    st.tuples(st.just("insert")),
    st.tuples(st.just("pay"), st.lists(st.integers(0, 9), min_size=1, max_size=2), st.integers(1, 9)),
    st.tuples(st.just("spend"), st.integers(0, 9)),
    st.tuples(st.just("expire"), st.integers(1, 9)),
)


@settings(max_examples=30, deadline=None)
@given(steps=st.lists(STEP, max_size=14), token=TOKEN, amount=st.integers(1, 60))
def test_whatever_happens_to_notes_the_manager_and_the_model_agree(
    alice: Account, steps: list[tuple], token: int, amount: int
) -> None:
    with purse_of(alice) as purse:
        for name, *arguments in steps:
            getattr(purse, name)(*arguments)
        purse.compare(token, amount)


def test_a_strangers_nullifier_spends_nothing(alice: Account) -> None:
    with purse_of(alice) as purse:
        purse.queue(TOKENS[0], 5, None)
        purse.insert()
        assert purse.notes.mark_spent(12345, "0xaa") is None
        assert purse.notes.balance(token_text(TOKENS[0])) == Balance(5)


def test_merging_selects_notes_with_their_paths(alice: Account) -> None:
    with purse_of(alice) as purse:
        for amount in (5, 40, 10):
            purse.queue(TOKENS[0], amount, None)
        purse.insert()
        assert purse.notes.select_to_merge(token_text(TOKENS[0])).amount == 50


def test_notes_that_follow_no_chain_say_so(alice: Account, store: Store) -> None:
    notes = NoteManager(alice, store)
    with pytest.raises(WalletError, match="follow no chain"):
        notes.sync()
    with pytest.raises(RequestError, match="token must be"):
        notes.unspent("tok")


def test_synchronising_is_the_followers_work(alice: Account) -> None:
    with purse_of(alice) as purse:
        assert (purse.notes.sync(), purse.follower.synced) == (7, 1)
