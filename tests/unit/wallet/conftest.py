"""An account, and a chain made of events alone, for tests of what a wallet makes of them."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chain.events import AccountUpdated, CommitmentQueued, NullifierUsed, Origin, PoolEvent, WithdrawExecuted
from chain.tree import PoolTree
from protocol.keys import Account
from protocol.memo import encrypt
from wallet.notes import NoteManager
from wallet.scanner import Scanner
from wallet.spend import Output, PreparedSpend
from wallet.store import Store

TOKEN = 0x5FBDB2315678AFECB367F032D93F642F64180AA3


@pytest.fixture(scope="session")
def alice() -> Account:
    return Account.from_seed(bytes(range(64)))


@pytest.fixture(scope="session")
def bob() -> Account:
    return Account.from_seed(bytes(range(64)), index=1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "wallet.db", bytes(64)) as opened:
        yield opened


class Events:
    """Makes the events that a pool would emit, one call a transaction, and keeps its tree."""

    def __init__(self) -> None:
        self.tree = PoolTree()
        self.all: list[PoolEvent] = []
        self._numbers = itertools.count(1)

    def transaction(self, *makers: Callable[[Origin], PoolEvent]) -> list[PoolEvent]:
        block = next(self._numbers)
        made = [
            maker(Origin(block, f"0xb{block:063x}", f"0xa{block:063x}", log_index, 1_700_000_000 + 12 * block))
            for log_index, maker in enumerate(makers)
        ]
        for event in made:
            self.tree.apply(event)
        self.all.extend(made)
        return made

    def queued(self, commitment: int, memo: bytes, offset: int = 0) -> Callable[[Origin], PoolEvent]:
        position = self.tree.queued_count + offset
        return lambda origin: CommitmentQueued(position, commitment, memo, origin)

    def deposit(self, output: Output) -> list[PoolEvent]:
        memo = encrypt(output.note, output.address, output.text)
        return self.transaction(self.queued(output.note.commitment, memo))

    def settle(self, spend: PreparedSpend, *withdrawn: tuple[str, str, int]) -> list[PoolEvent]:
        public = spend.witness.public
        nullifiers = [lambda origin, n=n: NullifierUsed(n, origin) for n in public.nullifiers]
        outputs = [
            self.queued(commitment, memo, offset)
            for offset, (commitment, memo) in enumerate(zip(public.commitments, spend.memos, strict=True))
        ]
        payouts = [lambda origin, w=w: WithdrawExecuted(*w, origin) for w in withdrawn]
        return self.transaction(*nullifiers, *outputs, *payouts)

    def insert(self) -> list[PoolEvent]:
        """Put all that is pending (64 at most) into the tree."""
        count = min(64, len(self.tree.pending))
        plan = self.tree.plan(count)
        return self.transaction(lambda origin: AccountUpdated(plan.new_root, plan.start_index, count, origin))


@pytest.fixture
def events() -> Events:
    return Events()


class Scan:
    """A wallet's view of these events: a store, its scanner and the tree moved along."""

    def __init__(self, keys: Account, store: Store) -> None:
        self.store = store
        self.tree = PoolTree()
        self.notes = NoteManager(keys, store)
        self.scanner = Scanner(keys, store)

    def take(self, events: list[PoolEvent]) -> None:
        with self.store.transaction():
            self.scanner.apply(self.tree, events)


@pytest.fixture
def scan(alice: Account, store: Store) -> Scan:
    return Scan(alice, store)
