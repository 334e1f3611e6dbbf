"""Finished pages in a real Redis: they are used, never outlive a reorganisation, and nobody notices when it dies."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
import requests

from bench.index.chain import POOL, SyntheticChain, Transaction
from gelap.servers import RedisServer, redis_in
from indexer import metrics
from indexer.api import cache
from indexer.api.cache import PageCache
from indexer.api.pages import Finality
from indexer.errors import SettingsError
from indexer.follower import Follower
from tests.service.indexer.conftest import served
from tests.service.indexer.processes import until

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)

DEPOSIT, INSERT = Transaction(0, 1), Transaction(inserts=64)
FINALITY = Finality(blocks=4, seconds=48)


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Redis that lives answers on a busy machine too."""
    monkeypatch.setattr(cache, "_TIMEOUT", 60.0)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    folder = tmp_path / "redis"
    folder.mkdir()
    with redis_in(folder) as server:
        yield server


@pytest.fixture
def api(follower: Follower, database: str, server: RedisServer) -> Iterator[str]:
    with served(database, 31337, finality=FINALITY, cache=PageCache(server.url)) as url:
        yield url


def page(api: str, path: str = "leaves", first: int = 0, limit: int = 1_000) -> requests.Response:
    response = requests.get(f"{api}/v1/{path}?from={first}&limit={limit}", timeout=60)
    assert response.status_code == 200
    return response


@contextmanager
def hanging(server: RedisServer) -> Iterator[None]:
    """It takes connections and answers nothing."""
    os.kill(server.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.process.pid, signal.SIGCONT)


def keys(server: RedisServer) -> list[str]:
    with redis.Redis.from_url(server.url) as client:
        return sorted(key.decode() for key in client.scan_iter())


def outcomes() -> dict[str, float]:
    return {name: metrics.CACHE.labels(name)._value.get() for name in ("hit", "miss", "error")}


def since(before: dict[str, float]) -> dict[str, float]:
    return {name: count - before[name] for name, count in outcomes().items()}


def test_a_finished_page_is_read_once_and_then_comes_from_redis(api: str, server: RedisServer) -> None:
    before = outcomes()
    first = page(api)
    (key,) = keys(server)
    assert key.startswith(f"gelap:indexer:page:1:31337:{POOL.hex()}:leaves:0:1000:")
    with redis.Redis.from_url(server.url) as client:
        assert client.get(key) == first.content
        assert 0 < client.ttl(key) <= 7 * 24 * 3600
    second = page(api)
    assert (second.content, second.headers["ETag"]) == (first.content, first.headers["ETag"])
    assert since(before) == {"hit": 1, "miss": 1, "error": 0}


def test_only_whole_pages_that_everybody_asks_for_are_kept(api: str, server: RedisServer) -> None:
    for first, limit in ((0, 999), (1, 1000), (24, 1000), (1000, 24), (1000, 1000)):
        page(api, first=first, limit=limit)
    assert keys(server) == []
    page(api, "queue")
    assert len(keys(server)) == 1


def test_a_reorganisation_leaves_no_old_page(
    api: str, chain: SyntheticChain, follower: Follower, server: RedisServer
) -> None:
    old = page(api)
    chain.cut(0)
    chain.add([*[DEPOSIT] * 1024, *[INSERT] * 16])
    for _ in range(8):
        chain.add([])
    follower.round()
    new = page(api)
    assert new.headers["ETag"] != old.headers["ETag"]
    assert [int(leaf["commitment"], 16) for leaf in new.json()["leaves"]] == chain.commitments[:1000]
    assert page(api).content == new.content
    assert len(keys(server)) == 2


def test_pages_come_from_the_database_when_redis_is_killed_and_when_it_hangs(
    api: str, database: str, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = page(api).content
    monkeypatch.setattr(cache, "_TIMEOUT", 0.1)
    with hanging(server), served(database, 31337, finality=FINALITY, cache=PageCache(server.url, lambda: 0.0)) as other:
        before = outcomes()
        # It is left alone for a while, so that not every page waits for it.
        assert all(page(other).content == expected for _ in range(6))
        assert since(before) == {"hit": 0, "miss": 6, "error": 1}
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait(60)
    assert page(api).content == expected


def test_redis_is_asked_again_after_a_rest(database: str, server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    before = PageCache(server.url)
    before.put("key", b"page")
    before.close()
    monkeypatch.setattr(cache, "_TIMEOUT", 0.1)
    now = 0.0
    pages = PageCache(server.url, lambda: now)
    with hanging(server):
        assert pages.get("key") is None
    now = 4.9
    assert pages.get("key") is None

    def found() -> bool:
        """On a busy machine it may take longer than it gets once more."""
        nonlocal now
        now += 5
        return pages.get("key") == b"page"

    until(found)
    pages.close()


def test_a_url_of_something_else_is_refused(database: str) -> None:
    with pytest.raises(SettingsError, match="GELAP_INDEXER_REDIS_URL") as refused:
        PageCache("http://user:secret@host")
    assert "secret" not in str(refused.value)
