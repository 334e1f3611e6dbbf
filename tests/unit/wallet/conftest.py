"""An account, and a chain made of events alone, for tests of what a wallet makes of them."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from chain.events import (
    AccountUpdated,
    CommitmentQueued,
    EventPage,
    NullifierUsed,
    Origin,
    PoolEvent,
    WithdrawExecuted,
)
from chain.tree import PoolTree
from protocol.keys import Account
from protocol.memo import encrypt
from prover.kernels.cpu.poseidon import hash_pairs
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
        self.tree = PoolTree(hash_pairs)
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
        self.tree = PoolTree(hash_pairs)
        self.notes = NoteManager(keys, store)
        self.scanner = Scanner(keys, store)

    def take(self, events: list[PoolEvent]) -> None:
        with self.store.transaction():
            self.scanner.apply(self.tree, events)


@pytest.fixture
def scan(alice: Account, store: Store) -> Scan:
    return Scan(alice, store)


class EventPool:
    """Stands in for a Pool and its node: a chain of these events, one transaction a block, and the contract's views."""

    chain_id = 31337
    address = "0x9fE46736679d2D9a65F0992F2272dE9f3c7fa6e0"
    deployed_at = 1
    account = None

    def __init__(self, events: Events) -> None:
        self._events = events
        self._trees: dict[int, PoolTree] = {}
        self.w3 = SimpleNamespace(provider=None)

    def time_of(self, block: int) -> int:
        return 1_700_000_000 + 12 * block

    def block_number(self) -> int:
        return self._events.all[-1].origin.block_number if self._events.all else 0

    def block_hash(self, number: int) -> str | None:
        return f"0xb{number:063x}" if number <= self.block_number() else None

    def now(self) -> int:
        return self.time_of(self.block_number() + 1)

    def pages(self, first: int | None = None, last: int | None = None) -> Iterator[EventPage]:
        return pages_of(self._events.all, first or 1, self.block_number() if last is None else last)

    def events(self, first: int | None = None, last: int | None = None) -> Iterator[PoolEvent]:
        for page in self.pages(first, last):
            yield from page.events

    def _as_of(self, block: int | str) -> PoolTree:
        known = [event for event in self._events.all if block == "latest" or event.origin.block_number <= int(block)]
        if len(known) not in self._trees:
            self._trees[len(known)] = tree = PoolTree(hash_pairs)
            for event in known:
                tree.apply(event)
        return self._trees[len(known)]

    def merkle_root(self, block: int | str = "latest") -> int:
        return self._as_of(block).root

    def next_leaf_index(self, block: int | str = "latest") -> int:
        return self._as_of(block).next_index

    def pending_count(self, block: int | str = "latest") -> int:
        return len(self._as_of(block).pending)

    def arities(self) -> set[tuple[int, int]]:
        return {(2, 2)}

    def known_root(self, root: int) -> bool:
        roots = {event.root for event in self._events.all if isinstance(event, AccountUpdated)}
        return root in roots | {PoolTree(hash_pairs).root}


def pages_of(events: Iterable[PoolEvent], first: int, last: int, size: int = 3) -> Iterator[EventPage]:
    """Pages of `size` blocks each."""
    events = list(events)
    for start in range(first, last + 1, size):
        end = min(start + size - 1, last)
        of_page = tuple(event for event in events if start <= event.origin.block_number <= end)
        yield EventPage(start, end, f"0xb{end:063x}", of_page)


@pytest.fixture
def event_pool(events: Events) -> EventPool:
    return EventPool(events)
