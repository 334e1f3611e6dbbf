"""Several followers in one process: each ends for itself, and the process when all have."""

import asyncio
from collections.abc import Callable

import pytest

from bench.index.chain import POOL, SyntheticChain, Transaction
from chain.errors import RpcError
from indexer.database import write_engine
from indexer.errors import HaltError
from indexer.follower import Follower, Pace
from indexer.following import Following
from indexer.health import Health, Phase
from indexer.rpc import Endpoints
from indexer.store import Store
from tests.unit.indexer.conftest import InProcess

Make = Callable[[str, SyntheticChain], Follower]


@pytest.fixture
def health() -> Health:
    return Health()


@pytest.fixture
def make(database: str, health: Health, monkeypatch: pytest.MonkeyPatch) -> Make:
    monkeypatch.setattr("indexer.follower.LONGEST_PAUSE", 0.01)

    def follower(name: str, chain: SyntheticChain) -> Follower:
        store = Store(write_engine(database), chain.chain_id, POOL, 0)
        endpoints = Endpoints([InProcess(chain, name)], chain.chain_id)
        return Follower(store, endpoints, POOL, Pace(0, 0.05), name=name, health=health)

    return follower


def chain_of(chain_id: int, broken: bool = False) -> SyntheticChain:
    chain = SyntheticChain(chain_id=chain_id, salt=str(chain_id))
    chain.add([Transaction(0, 1)])
    if broken:
        chain.blocks[-1].pending += 1
    return chain


def test_the_process_ends_when_its_last_chain_has_halted_and_names_them_all(make: Make, health: Health) -> None:
    followers = [make("base", chain_of(8453, broken=True)), make("optimism", chain_of(10, broken=True))]
    with pytest.raises(HaltError, match=r"base: halted.*optimism: halted"):
        asyncio.run(Following(followers, health).run())
    for name in ("base", "optimism"):
        found = health.of(name)
        assert found is not None
        assert found.phase is Phase.HALTED
        assert "pending commitments is 2" in str(found.reason)


def test_one_chain_that_halts_is_told_after_the_others_were_stopped(make: Make, health: Health) -> None:
    followers = [make("base", chain_of(8453)), make("optimism", chain_of(10, broken=True))]
    following = Following(followers, health)

    async def stop_once_halted() -> None:
        while health.of("optimism").phase is not Phase.HALTED or health.of("base").phase is not Phase.FOLLOWING:  # type: ignore[union-attr]
            await asyncio.sleep(0.01)
        following.stop()

    async def both() -> None:
        await asyncio.gather(following.run(), stop_once_halted())

    with pytest.raises(HaltError, match=r"^optimism: halted"):
        asyncio.run(both())
    assert health.of("base").phase is Phase.STOPPED  # type: ignore[union-attr]


def test_an_error_nobody_foresaw_ends_its_own_chain_only(make: Make, health: Health) -> None:
    chain = chain_of(10)

    def fail(method: str, params: object) -> None:
        raise ZeroDivisionError

    chain.broken = fail
    following = Following([make("base", chain_of(8453)), make("optimism", chain)], health)

    async def both() -> None:
        task = asyncio.create_task(following.run())
        while health.of("optimism").phase is not Phase.HALTED:  # type: ignore[union-attr]
            await asyncio.sleep(0.01)
        following.stop()
        await task

    with pytest.raises(HaltError, match="optimism"):
        asyncio.run(both())
    assert "ZeroDivisionError" in str(health.of("optimism"))


def test_an_endpoint_that_is_away_is_waited_for_and_shown(make: Make, health: Health) -> None:
    chain = chain_of(8453)

    def fail(method: str, params: object) -> None:
        raise RpcError("away")

    chain.broken = fail
    following = Following([make("base", chain)], health)

    async def both() -> None:
        task = asyncio.create_task(following.run())
        while health.of("base").phase is not Phase.WAITING:  # type: ignore[union-attr]
            await asyncio.sleep(0.01)
        following.stop()
        await task

    asyncio.run(both())
    assert health.of("base").phase is Phase.STOPPED  # type: ignore[union-attr]
