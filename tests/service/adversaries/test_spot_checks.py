"""Events that no root covers, false in what an indexer or one of two nodes serves: a spot check finds them.

Which blocks are compared is a matter of chance (tests/unit/wallet/test_spot_check_ranges.py says how often); here it is
decided by the tests.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chain.errors import FalseEventsError
from chain.events import TOPIC_NULLIFIER, AccountUpdated, CommitmentQueued, EventPage, NullifierUsed, PoolEvent
from chain.pool import Pool
from chain.rpc import connect
from chain.token import Token
from tests.service.adversaries.conftest import FalseNode
from tests.service.adversaries.test_false_indexers import FalseIndexer
from wallet import following, spot_checks
from wallet.sources import Portion
from wallet.wallet import Balance, Wallet

Bend = Callable[[PoolEvent], PoolEvent | None]


def with_events(bend: Bend) -> Callable[[Iterator[EventPage]], Iterator[EventPage]]:
    def pages(honest: Iterator[EventPage]) -> Iterator[EventPage]:
        for page in honest:
            yield replace(page, events=tuple(bent for each in page.events if (bent := bend(each)) is not None))

    return pages


def hide_spends(event: PoolEvent) -> PoolEvent | None:
    return None if isinstance(event, NullifierUsed) else event


def spoil_first_memo(event: PoolEvent) -> PoolEvent | None:
    if isinstance(event, CommitmentQueued) and event.position == 0:
        return replace(event, memo=bytes([event.memo[0] ^ 1]) + event.memo[1:])
    return event


def turn_clock(event: PoolEvent) -> PoolEvent | None:
    """Of all but the newest update, which is compared with the node anyway."""
    if isinstance(event, AccountUpdated):
        return event
    return replace(event, origin=replace(event.origin, timestamp=event.origin.timestamp - 3_600))


LIES: dict[str, Bend] = {"a spend hidden": hide_spends, "a memo spoilt": spoil_first_memo, "false times": turn_clock}


@pytest.fixture
def spent(rich: Wallet, token: Token, insert_all: Callable[[], None]) -> Wallet:
    """A wallet whose note of 60 is spent, and everything in the tree: no root and no count has more to say."""
    rich.send(rich.new_address(), token.address, 60)
    insert_all()
    rich.sync()
    return rich


def everything(portion: Portion) -> list[tuple[int, int]]:
    return [(portion.first_block, portion.last_block)]


def read_by(wallet: Wallet, source: FalseIndexer | None, path: Path, pool: Pool | None = None) -> Wallet:
    return Wallet(path, wallet.keys, pool=pool or wallet.pool, source=source)


def test_a_lie_in_a_range_that_is_drawn_ends_the_sync_and_leaves_nothing_behind(
    spent: Wallet, token: Token, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, bend in enumerate(LIES.values()):
        path = tmp_path / f"{number}.db"
        source = FalseIndexer(spent.pool, with_events(bend))
        with read_by(spent, source, path) as wallet:
            monkeypatch.setattr(spot_checks, "drawn", everything)
            with pytest.raises(
                FalseEventsError, match=r"the indexer and the node 127.* disagree about the pool's events"
            ):
                wallet.sync()
            assert wallet.balance(token.address) == Balance(0)
            assert wallet.history() == []
            source.bend = lambda pages: pages
            wallet.sync()
            assert wallet.balance(token.address) == spent.balance(token.address)
            assert wallet.history() == spent.history()


def test_what_came_before_the_lie_in_the_same_sync_is_forgotten_too(
    spent: Wallet, token: Token, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Portions of one event: the first are taken over before the last one turns out to be false."""
    monkeypatch.setattr(following, "PORTION_EVENTS", 1)
    asked: list[Portion] = []

    def last_ones(portion: Portion) -> list[tuple[int, int]]:
        asked.append(portion)
        return everything(portion) if len(asked) > 3 else []

    monkeypatch.setattr(spot_checks, "drawn", last_ones)
    source = FalseIndexer(spent.pool, with_events(turn_clock))
    with read_by(spent, source, tmp_path / "portions.db") as wallet:
        with pytest.raises(FalseEventsError):
            wallet.sync()
        assert len(asked) > 3
        assert wallet.balance(token.address) == Balance(0)
        assert wallet.history() == []
        source.bend = lambda pages: pages
        wallet.sync()
        assert wallet.history() == spent.history()


def test_spends_that_one_of_two_nodes_hides_are_found_with_the_other(
    spent: Wallet, node: FalseNode, token: Token, pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Roots, counts and hashes are the same on both."""
    monkeypatch.setattr(spot_checks, "drawn", everything)
    node.lies = {
        "eth_getLogs": lambda params, true: [log for log in true if log["topics"][0] != "0x" + TOPIC_NULLIFIER.hex()]
    }
    urls = [node.url, str(pool.w3.provider.endpoint_uri)]  # type: ignore[attr-defined]
    for order in (urls, urls[::-1]):
        seen = Pool(connect(order, timeout=60.0), pool.address, deployed_at=pool.deployed_at)
        with read_by(spent, None, tmp_path / f"{order[0][-5:]}.db", seen) as wallet:
            with pytest.raises(
                FalseEventsError, match=r"the node 127\S+ and the node 127\S+ disagree about the pool's"
            ):
                wallet.sync()
            assert wallet.balance(token.address) == Balance(0)


def test_a_node_that_keeps_no_old_events_is_not_asked_to_confirm_them(
    spent: Wallet, node: FalseNode, token: Token, pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spot_checks, "drawn", everything)
    newest = pool.block_number()
    node.lies = {"eth_getLogs": lambda params, true: true if int(params[0]["fromBlock"], 16) >= newest else b"pruned"}
    seen = Pool(connect(node.url, timeout=60.0), pool.address, deployed_at=pool.deployed_at)
    source = FalseIndexer(pool, lambda pages: pages)
    with read_by(spent, source, tmp_path / "pruned.db", seen) as wallet:
        wallet.sync()
        assert wallet.balance(token.address) == spent.balance(token.address)


def test_spot_checks_are_few_and_say_nothing_of_whose_wallet_asks(
    spent: Wallet,
    open_wallet: Callable[..., Wallet],
    node: FalseNode,
    pool: Pool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the same dice an account with notes and one without ask for the same; other dice, other ranges."""
    asked: list[list[Any]] = []
    for seed, wallet in ((1, spent), (1, open_wallet(1)), (2, spent), (3, spent), (4, spent)):
        monkeypatch.setattr(spot_checks, "_RANDOM", random.Random(seed))
        node.asked.clear()
        seen = Pool(connect(node.url, timeout=60.0), pool.address, deployed_at=pool.deployed_at)
        source = FalseIndexer(pool, lambda pages: pages)
        with read_by(wallet, source, tmp_path / f"{len(asked)}.db", seen) as reading:
            reading.sync()
        asked.append(list(node.asked))
    assert asked[0] == asked[1]
    assert any(other != asked[0] for other in asked[2:])
    for requests in asked:
        # One more for what came after the last tree update.
        assert [method for method, _ in requests].count("eth_getLogs") <= spot_checks.RANGES + 1
