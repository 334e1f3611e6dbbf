"""Pages that never change again: what may keep them, and that none outlives a reorganisation."""

from collections.abc import Iterator

import pytest
import requests

from bench.index.chain import SyntheticChain, Transaction
from indexer.api.pages import Finality
from indexer.follower import Follower
from tests.service.indexer.conftest import served

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)

DEPOSIT, INSERT = Transaction(0, 1), Transaction(inserts=64)
# The blocks of the made-up chain are 12 s apart.
FINALITY = Finality(blocks=4, seconds=48)
FINISHED = "public, max-age=31536000, immutable"


@pytest.fixture
def chain() -> SyntheticChain:
    """Two batches in block 1, one more in the newest block, which is 4 blocks later."""
    chain = SyntheticChain()
    chain.add([*[DEPOSIT] * 128, INSERT, INSERT])
    for _ in range(3):
        chain.add([])
    chain.add([*[DEPOSIT] * 64, INSERT])
    return chain


@pytest.fixture
def api(follower: Follower, database: str) -> Iterator[str]:
    with served(database, 31337, finality=FINALITY) as url:
        yield url


def leaves(api: str, first: int, limit: int, known: str | None = None) -> requests.Response:
    headers = {} if known is None else {"If-None-Match": known}
    return requests.get(f"{api}/v1/leaves?from={first}&limit={limit}", headers=headers, timeout=60)


@pytest.mark.parametrize(
    ("first", "limit", "finished"),
    [(0, 128, True), (0, 100, True), (64, 64, True), (0, 129, False), (64, 128, False), (0, 200, False)],
)
def test_a_page_is_finished_when_it_is_full_and_its_last_block_is_old(
    api: str, first: int, limit: int, finished: bool
) -> None:
    expected = FINISHED if finished else "no-cache"
    assert leaves(api, first, limit).headers["Cache-Control"] == expected


@pytest.mark.parametrize("finality", [Finality(5, 48), Finality(4, 49)])
def test_both_blocks_and_seconds_must_have_passed(follower: Follower, database: str, finality: Finality) -> None:
    with served(database, 31337, finality=finality) as url:
        assert leaves(url, 0, 64).headers["Cache-Control"] == "no-cache"


def test_whoever_has_a_page_already_gets_no_body(api: str) -> None:
    for first, limit in ((0, 64), (0, 1000)):
        tag = leaves(api, first, limit).headers["ETag"]
        again = leaves(api, first, limit, f'"other", {tag}')
        assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)
        assert leaves(api, first, limit, '"other"').status_code == 200


def test_pages_of_other_ranges_have_other_tags(api: str) -> None:
    tags = [leaves(api, *page).headers["ETag"] for page in ((0, 64), (0, 65), (64, 64), (0, 1000))]
    tags.append(requests.get(f"{api}/v1/queue?limit=64", timeout=60).headers["ETag"])
    assert len(set(tags)) == 5


def test_an_unfinished_pages_tag_changes_when_leaves_are_added(
    api: str, chain: SyntheticChain, follower: Follower
) -> None:
    finished, open_page = leaves(api, 0, 64).headers["ETag"], leaves(api, 0, 1000).headers["ETag"]
    chain.add([DEPOSIT, INSERT])
    follower.round()
    assert leaves(api, 0, 64, finished).status_code == 304
    response = leaves(api, 0, 1000, open_page)
    assert (response.status_code, len(response.json()["leaves"])) == (200, 193)


def test_a_replaced_block_gives_its_pages_other_tags(api: str, chain: SyntheticChain, follower: Follower) -> None:
    old = leaves(api, 0, 64).headers["ETag"]
    chain.cut(0)
    chain.add([*[DEPOSIT] * 128, INSERT, INSERT])
    for _ in range(8):
        chain.add([])
    follower.round()
    response = leaves(api, 0, 64, old)
    assert response.status_code == 200
    assert [int(leaf["commitment"], 16) for leaf in response.json()["leaves"]] == chain.commitments[:64]
