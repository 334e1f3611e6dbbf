"""Finished pages in the API's memory: read once, never served after a reorganisation, and nothing else is kept."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from bench.index.chain import SyntheticChain, Transaction
from indexer.api import rest
from indexer.api.kept import KeptPages
from indexer.api.pages import Finality
from indexer.follower import Follower
from tests.service.indexer.conftest import served

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)

DEPOSIT, INSERT = Transaction(0, 1), Transaction(inserts=64)
FINALITY = Finality(blocks=4, seconds=48)


@pytest.fixture
def kept() -> KeptPages:
    return KeptPages()


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The first number of each page that is read from the database."""
    reads: list[int] = []

    def counted(view, page):  # type: ignore[no-untyped-def]
        reads.append(page.first)
        return read_page(view, page)

    read_page = rest.read_page
    monkeypatch.setattr(rest, "read_page", counted)
    return reads


@pytest.fixture
def api(follower: Follower, database: str, kept: KeptPages, reads: list[int]) -> Iterator[str]:
    with served(database, 31337, finality=FINALITY, kept=kept) as url:
        yield url


def page(api: str, path: str = "leaves", first: int = 0, limit: int = 1_000) -> requests.Response:
    response = requests.get(f"{api}/v1/{path}?from={first}&limit={limit}", timeout=60)
    assert response.status_code == 200
    return response


def test_a_finished_page_is_read_once(api: str, reads: list[int], kept: KeptPages) -> None:
    first = page(api)
    with ThreadPoolExecutor(4) as clients:
        others = list(clients.map(lambda _: page(api), range(8)))
    assert {(each.content, each.headers["ETag"]) for each in others} == {(first.content, first.headers["ETag"])}
    assert reads == [0]
    assert kept.size == len(first.content)


def test_pages_that_may_change_or_that_few_ask_for_are_read_each_time(
    api: str, reads: list[int], kept: KeptPages
) -> None:
    for first, limit in ((0, 999), (24, 1000), (1000, 1000)):
        for _ in range(2):
            page(api, first=first, limit=limit)
    assert reads == [0, 0, 24, 24, 1000, 1000]
    assert kept.size == 0


def test_no_kept_page_is_served_after_a_reorganisation(api: str, chain: SyntheticChain, follower: Follower) -> None:
    """The replaced block was taken for final, which this API should not have done: still no old leaf is served."""
    old = page(api), page(api, "queue")
    chain.cut(0)
    chain.add([*[DEPOSIT] * 1024, *[INSERT] * 16])
    for _ in range(8):
        chain.add([])
    follower.round()
    new = page(api), page(api, "queue")
    for before, after, name in zip(old, new, ("leaves", "commitments"), strict=True):
        assert after.headers["ETag"] != before.headers["ETag"]
        assert [int(row["commitment"], 16) for row in after.json()[name]] == chain.commitments[:1000]
