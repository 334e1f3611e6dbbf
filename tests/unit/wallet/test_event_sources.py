"""A wallet reads events from wherever it is told, believes none of them, and changes nothing on a lie."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from chain.errors import MismatchError, ReorgError, RpcError, SourceError
from chain.events import AccountUpdated, CommitmentQueued, EventPage, PoolEvent
from protocol.keys import Account
from protocol.memo import encrypt
from prover.kernels.cpu.poseidon import hash_pairs
from wallet import following
from wallet.following import open_notes
from wallet.notes import Balance, NoteManager
from wallet.sources import Lag
from wallet.spend import payment, to_oneself
from wallet.store import token_text
from wallet.wallet import Wallet

from .conftest import EventPool, Events, pages_of

TOKEN = 0x5FBDB2315678AFECB367F032D93F642F64180AA3
TEXT = token_text(TOKEN)


class Served:
    """A source that serves what it is told, honest unless told otherwise."""

    def __init__(self, events: Events, last: int | None = None) -> None:
        self.events = events
        self.last = last
        self.asked: list[tuple[int, str] | None] = []
        self.forge: Callable[[list[PoolEvent]], list[PoolEvent]] = lambda honest: honest
        self.forge_pages: Callable[[list[EventPage]], list[EventPage]] = lambda honest: honest
        self.errors: list[Exception] = []

    def pages(self, after: tuple[int, str] | None = None) -> Iterator[EventPage]:
        self.asked.append(after)
        if self.errors:
            raise self.errors.pop(0)
        last = self.last if self.last is not None else self.events.all[-1].origin.block_number
        pages = pages_of(self.forge(list(self.events.all)), 1 if after is None else after[0] + 1, last)
        yield from self.forge_pages(list(pages))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sourced.db"


@pytest.fixture
def source(alice: Account, bob: Account, events: Events) -> Served:
    """A pool with notes of alice's and strangers', some in the tree, some waiting: eight blocks."""
    for owner in (bob, alice, bob):
        events.deposit(to_oneself(owner, TOKEN, 100))
    events.insert()
    events.deposit(to_oneself(bob, TOKEN, 7))
    events.deposit(to_oneself(alice, TOKEN, 20))
    events.insert()
    events.deposit(to_oneself(alice, TOKEN, 3))
    return Served(events)


def opened(path: Path, alice: Account, pool: EventPool, source: object, **options: object) -> NoteManager:
    return open_notes(path, alice, pool=pool, source=source, hash_pairs=hash_pairs, **options)  # type: ignore[arg-type]


def test_an_honest_source_gives_what_the_node_gives(
    alice: Account, event_pool: EventPool, source: Served, path: Path, tmp_path: Path
) -> None:
    with (
        opened(path, alice, event_pool, source) as sourced,
        opened(tmp_path / "node.db", alice, event_pool, None) as node,
    ):
        assert sourced.sync() == node.sync() == 8
        assert sourced.all() == node.all()
        assert sourced.balance(TEXT) == Balance(120, 3)
        assert sourced.select(TEXT, 110).root == event_pool.merkle_root()


def test_a_source_is_asked_for_what_is_new_and_for_nothing_of_the_wallets(
    alice: Account, event_pool: EventPool, source: Served, path: Path
) -> None:
    with opened(path, alice, event_pool, source) as notes:
        notes.sync()
        notes.sync()
        assert source.asked == [None, (8, event_pool.block_hash(8))]


def test_progress_is_told_page_by_page_in_blocks(
    alice: Account, event_pool: EventPool, source: Served, path: Path
) -> None:
    told: list[tuple[int, int]] = []
    with opened(path, alice, event_pool, source) as notes:
        notes.sync(lambda done, total: told.append((done, total)))
        assert told == [(3, 8), (6, 8), (8, 8)]


def without(kind: type) -> Callable[[list[PoolEvent]], list[PoolEvent]]:
    """Leaves the last event of this kind out."""

    def forge(honest: list[PoolEvent]) -> list[PoolEvent]:
        index = max(index for index, event in enumerate(honest) if isinstance(event, kind))
        return honest[:index] + honest[index + 1 :]

    return forge


def to_the_victim(alice: Account) -> Callable[[list[PoolEvent]], list[PoolEvent]]:
    """Puts a note that promises a million to the victim in the place of the one that waits."""
    output = payment(alice.address(0), TOKEN, 1_000_000)

    def forge(honest: list[PoolEvent]) -> list[PoolEvent]:
        last = honest[-1]
        assert isinstance(last, CommitmentQueued)
        memo = encrypt(output.note, output.address)
        return [*honest[:-1], replace(last, commitment=output.note.commitment, memo=memo)]

    return forge


def other_pool(bob: Account) -> Callable[[list[PoolEvent]], list[PoolEvent]]:
    other = Events()
    for _ in range(3):
        other.deposit(to_oneself(bob, TOKEN, 5))
    other.insert()
    return lambda honest: list(other.all)


def other_root(honest: list[PoolEvent]) -> list[PoolEvent]:
    return [replace(event, root=event.root ^ 1) if isinstance(event, AccountUpdated) else event for event in honest]


FORGERIES = {
    "another pool": lambda alice, bob: other_pool(bob),
    "a deposit left out": lambda alice, bob: without(CommitmentQueued),
    "a tree update left out": lambda alice, bob: without(AccountUpdated),
    "everything left out": lambda alice, bob: lambda honest: [],
    "another root": lambda alice, bob: other_root,
    "a waiting note exchanged": lambda alice, bob: to_the_victim(alice),
}


@pytest.mark.parametrize("name", FORGERIES)
@pytest.mark.parametrize("read_before", [0, 4], ids=["cold", "warm"])
def test_a_source_that_lies_is_reported_and_nothing_is_written_down(
    alice: Account, bob: Account, event_pool: EventPool, source: Served, path: Path, name: str, read_before: int
) -> None:
    with opened(path, alice, event_pool, source) as notes:
        if read_before:
            source.last = read_before
            notes.sync()
            source.last = None
        before, known = path.read_bytes(), notes.all()
        source.forge = FORGERIES[name](alice, bob)
        with pytest.raises(MismatchError, match="source of events disagrees with the contract"):
            notes.sync()
        assert notes.all() == known
        assert path.read_bytes() == before
        source.forge = lambda honest: honest
        assert notes.sync() == 8
        assert notes.balance(TEXT) == Balance(120, 3)


PAGE_FORGERIES: dict[str, Callable[[list[EventPage]], list[EventPage]]] = {
    "a page left out": lambda pages: [pages[0], *pages[2:]],
    "a page twice": lambda pages: [pages[0], *pages],
    "back to the start": lambda pages: [*pages, pages[0]],
    "a page that ends before it begins": lambda pages: [replace(pages[0], first_block=3, last_block=1)],
    "events of other blocks": lambda pages: [replace(page, events=pages[0].events) for page in pages],
}


@pytest.mark.parametrize("name", PAGE_FORGERIES)
def test_pages_that_leave_blocks_out_or_go_back_are_refused(
    alice: Account, event_pool: EventPool, source: Served, path: Path, name: str
) -> None:
    with opened(path, alice, event_pool, source) as notes:
        before = path.read_bytes()
        source.forge_pages = PAGE_FORGERIES[name]
        with pytest.raises(SourceError, match="use another one, or read from the node"):
            notes.sync()
        assert path.read_bytes() == before


def test_blocks_of_another_fork_are_refused(alice: Account, event_pool: EventPool, source: Served, path: Path) -> None:
    with opened(path, alice, event_pool, source) as notes:
        before = path.read_bytes()
        source.forge_pages = lambda pages: [replace(page, last_hash="0x" + "ee" * 32) for page in pages]
        with pytest.raises(MismatchError, match="the node has another block 8"):
            notes.sync()
        assert path.read_bytes() == before


def test_a_source_that_is_behind_says_how_far_and_what_it_has_counts(
    alice: Account, event_pool: EventPool, source: Served, path: Path
) -> None:
    told: list[Lag] = []
    with Wallet(path, alice, pool=event_pool, source=source, on_lag=told.append) as wallet:  # type: ignore[arg-type]
        source.last = 5
        assert (wallet.sync(), wallet.synced_to()) == (5, 5)
        assert wallet.balance(TEXT) == Balance(100)
        assert told == [wallet.lag()] == [Lag(3, event_pool.now() - event_pool.time_of(5))]
        source.last = 0
        wallet.sync()
        assert (wallet.synced_to(), wallet.lag().blocks) == (5, 3), "nothing goes back"
        source.last = None
        wallet.sync()
        assert (wallet.synced_to(), wallet.lag()) == (8, Lag())
        assert len(told) == 2


def test_a_source_that_has_nothing_yet_is_behind_by_everything(
    alice: Account, event_pool: EventPool, source: Served, path: Path
) -> None:
    source.last = 0
    with Wallet(path, alice, pool=event_pool, source=source) as wallet:  # type: ignore[arg-type]
        assert (wallet.sync(), wallet.synced_to(), wallet.lag().blocks) == (0, None, 8)


def test_a_node_that_keeps_no_old_state_still_confirms_the_root(
    alice: Account, event_pool: EventPool, source: Served, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pruned(block: int | str = "latest") -> int:
        raise RpcError("missing trie node")

    monkeypatch.setattr(event_pool, "merkle_root", pruned)
    with opened(path, alice, event_pool, source) as notes:
        source.last = 5
        assert notes.sync() == 5
        source.forge = other_pool(alice)
        source.last = 6
        with pytest.raises(MismatchError):
            notes.sync()


def test_a_source_is_not_read_beyond_the_confirmed_blocks(
    alice: Account, event_pool: EventPool, source: Served, path: Path
) -> None:
    with opened(path, alice, event_pool, source, confirmations=3) as notes:
        assert notes.sync() == 5
        assert notes.balance(TEXT) == Balance(100)


def test_another_block_at_the_source_leads_to_reading_again(
    alice: Account, event_pool: EventPool, source: Served, path: Path
) -> None:
    with opened(path, alice, event_pool, source) as notes:
        source.last = 4
        notes.sync()
        source.last = None
        source.errors = [ReorgError("another block")]
        assert notes.sync() == 8
        assert source.asked[-2:] == [(4, event_pool.block_hash(4)), None]
        assert notes.balance(TEXT) == Balance(120, 3)


def test_reading_again_never_ends_before_what_was_known(
    alice: Account, event_pool: EventPool, source: Served, path: Path
) -> None:
    with opened(path, alice, event_pool, source) as notes:
        notes.sync()
        before = path.read_bytes()
        source.last = 4
        source.errors = [ReorgError("another block")]
        with pytest.raises(SourceError, match="has not come to block 8"):
            notes.sync()
        source.errors = [ReorgError("another block"), ReorgError("another block")]
        with pytest.raises(ReorgError):
            notes.sync()
        assert path.read_bytes() == before


def test_replaced_blocks_are_read_again_from_a_source(
    alice: Account, event_pool: EventPool, source: Served, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(path, alice, event_pool, source) as notes:
        notes.sync()
        fork = Events()
        fork.all = list(source.events.all[:-1])
        fork.tree = source.events.tree
        renamed = replace(source.events.all[-1].origin, block_hash="0xc8")
        fork.all.append(replace(source.events.all[-1], origin=renamed))
        honest = event_pool.block_hash
        monkeypatch.setattr(event_pool, "block_hash", lambda number: "0xc8" if number == 8 else honest(number))
        event_pool._events = source.events = fork
        source.forge_pages = lambda pages: [
            replace(page, last_hash="0xc8") if page.last_block == 8 else page for page in pages
        ]
        assert notes.sync() == 8
        assert source.asked[-1] is None
        assert notes.balance(TEXT) == Balance(120, 3)


def test_a_long_reading_is_kept_portion_by_portion(
    alice: Account, event_pool: EventPool, source: Served, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "PORTION_SECONDS", 0.0)

    def broken_off(pages: list[EventPage]) -> Iterator[EventPage]:
        yield from pages[:2]
        raise RpcError("gone")

    with opened(path, alice, event_pool, source) as notes:
        source.forge_pages = broken_off  # type: ignore[assignment]
        with pytest.raises(RpcError, match="gone"):
            notes.sync()
        source.forge_pages = lambda pages: pages
        assert notes.sync() == 8
        assert source.asked == [None, (3, event_pool.block_hash(3))], "the first portion was kept"
        assert notes.balance(TEXT) == Balance(120, 3)


def test_a_portion_whose_root_the_contract_never_had_is_not_kept(
    alice: Account, bob: Account, event_pool: EventPool, source: Served, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "PORTION_SECONDS", 0.0)
    source.forge = other_pool(bob)
    with opened(path, alice, event_pool, source) as notes:
        with pytest.raises(MismatchError):
            notes.sync()
        assert notes.all() == []
