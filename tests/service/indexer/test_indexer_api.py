"""The API over a real socket: pages, failures, limits, streams; and no way to ask about a user."""

import itertools
import json
from collections.abc import Iterator

import jsonschema
import pytest
import requests

from bench.index.chain import POOL, SyntheticChain, Transaction
from chain.stream.records import Event, Nullified, Queued, Withdrawn
from gelap.rate_limit import RateLimit
from indexer.database import write_engine
from indexer.events import parse_log
from indexer.follower import Follower, Pace
from indexer.rpc import Endpoints
from indexer.store import Store
from tests.service.indexer.conftest import served
from tests.unit.indexer.conftest import InProcess

# The queries are the same on both databases; those of anvil's tests run on both.
pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)

DEPOSIT, WITHDRAWAL = Transaction(0, 1), Transaction(2, 2, withdrawal=True)


@pytest.fixture
def chain(database: str) -> SyntheticChain:
    """70 leaves in two batches, 3 commitments that wait, 4 nullifiers, 2 withdrawals; indexed."""
    chain = SyntheticChain()
    chain.add([*[DEPOSIT] * 66, Transaction(inserts=64)])
    chain.add([WITHDRAWAL, WITHDRAWAL, Transaction(inserts=64)])
    chain.add([DEPOSIT] * 3)
    follow(chain, database)
    return chain


def follow(chain: SyntheticChain, database: str) -> None:
    store = Store(write_engine(database), 31337, POOL, 0)
    Follower(store, Endpoints([InProcess(chain)], 31337), POOL, Pace(0)).round()


@pytest.fixture
def api(chain: SyntheticChain, database: str) -> Iterator[str]:
    with served(database, 31337) as url:
        yield url


def get(url: str, **query: object) -> requests.Response:
    return requests.get(url, params={name: str(value) for name, value in query.items()}, timeout=60)


def test_the_status_counts_what_is_there(api: str, chain: SyntheticChain) -> None:
    status = get(f"{api}/v1/status").json()
    expected = {"commitments": 73, "pending": 3, "batches": 2, "next_leaf_index": 128, "nullifiers": 4}
    assert {name: status[name] for name in expected} == expected
    assert int(status["root"], 16) == chain.root
    assert status["tip"]["hash"] == chain.blocks[-1].hash


def test_pages_together_are_the_whole_tree_without_its_empty_leaves(api: str, chain: SyntheticChain) -> None:
    leaves, first = [], 0
    while True:
        page = get(f"{api}/v1/leaves", **{"from": first, "limit": 25}).json()
        leaves += page["leaves"]
        if page["next"] == first:
            break
        first = page["next"]
    assert [leaf["leaf_index"] for leaf in leaves] == list(range(70))
    assert [int(leaf["commitment"], 16) for leaf in leaves] == chain.commitments[:70]
    assert all(len(leaf["memo"]) == 2 + 448 for leaf in leaves)


@pytest.mark.parametrize(
    ("path", "name", "number"),
    [
        ("queue", "commitments", 73),
        ("nullifiers", "nullifiers", 4),
        ("withdrawals", "withdrawals", 2),
        ("roots", "roots", 2),
    ],
)
def test_lists_are_paged_by_number(api: str, path: str, name: str, number: int) -> None:
    whole = get(f"{api}/v1/{path}").json()
    assert (len(whole[name]), whole["next"]) == (number, number)
    assert get(f"{api}/v1/{path}", **{"from": 1, "limit": 1}).json()[name] == whole[name][1:2]
    assert get(f"{api}/v1/{path}", **{"from": number}).json() == {name: [], "next": number}


def test_the_description_names_every_route_and_what_it_takes(api: str) -> None:
    document = get(f"{api}/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    for path, methods in document["paths"].items():
        if path.endswith("/tips"):
            continue
        url = api + path.format(chain="local", leaf_index=1)
        response = get(url)
        assert response.status_code == 200, path
        described = methods["get"]["responses"]
        assert ("304" in described) == ("ETag" in response.headers)
        answer = described["200"]["content"]
        if "application/json" in answer:
            schema = document["components"]["schemas"][answer["application/json"]["schema"]["$ref"].rsplit("/", 1)[1]]
            jsonschema.validate(response.json(), schema | {"additionalProperties": False})


def test_nothing_can_be_asked_by_user(api: str) -> None:
    """Attack row 21: parameters are numbers of pages and blocks; anything else is refused, not ignored."""
    document = get(f"{api}/openapi.json").json()
    names = {each["name"] for path in document["paths"].values() for each in path["get"]["parameters"]}
    assert names == {"from", "limit", "below", "after", "hash", "leaf_index", "chain"}
    for name in ("owner", "commitment", "nullifier", "address", "view_tag"):
        assert get(f"{api}/v1/leaves", **{name: "0x00"}).status_code == 400


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/leaves?limit=0", 400),
        ("/v1/leaves?limit=1001", 400),
        ("/v1/leaves?from=-1", 400),
        ("/v1/leaves?from=99999999999999999999", 400),
        ("/v1/queue?from=x", 400),
        ("/v1/paths/128", 404),
        ("/v1/paths/4294967296", 400),
        ("/v1/paths/x", 400),
        ("/v1/events?hash=0x00", 400),
        ("/v1/events?after=3&hash=0x" + "00" * 32, 409),
        ("/v1/events?after=4", 409),
        ("/v1/nothing", 404),
    ],
)
def test_a_request_that_cannot_be_answered_gets_problem_details(api: str, path: str, status: int) -> None:
    response = requests.get(api + path, timeout=60)
    assert (response.status_code, response.headers["Content-Type"]) == (status, "application/problem+json")
    assert response.json()["status"] == status


def test_who_asks_too_often_is_told_when_to_come_back(chain: SyntheticChain, database: str) -> None:
    with served(database, 31337, RateLimit(0.001, 3)) as url:
        codes = [get(f"{url}/v1/status").status_code for _ in range(4)]
        assert codes == [200, 200, 200, 429]
        assert 900 <= int(get(f"{url}/v1/status").headers["Retry-After"]) <= 1000
        assert get(f"{url}/healthz").status_code == 200


def test_a_stream_tells_of_new_blocks(api: str, chain: SyntheticChain, database: str) -> None:
    with requests.get(f"{api}/v1/tips", stream=True, timeout=60) as response:
        data = (json.loads(line[6:]) for line in response.iter_lines() if line.startswith(b"data: "))
        assert next(data)["tip"]["number"] == 3
        chain.add([DEPOSIT])
        follow(chain, database)
        told = list(itertools.islice(data, 1))
        assert (told[0]["tip"]["number"], told[0]["commitments"]) == (4, 74)


@pytest.mark.parametrize(
    ("path", "name", "events"),
    [
        ("queue", "commitments", Queued),
        ("nullifiers", "nullifiers", Nullified),
        ("withdrawals", "withdrawals", Withdrawn),
    ],
)
def test_rows_have_the_fields_of_the_events(
    api: str, chain: SyntheticChain, path: str, name: str, events: type[Event]
) -> None:
    found = [parse_log(log, "0x" + POOL.hex()) for block in chain.blocks for log in block.logs]
    expected = []
    for number, event in enumerate(each for each in found if isinstance(each, events)):
        row = {key: "0x" + value.hex() if isinstance(value, bytes) else value for key, value in event._asdict().items()}
        if isinstance(event, Withdrawn):
            row["amount"] = str(event.amount)
        expected.append(row if "position" in row else {"number": number} | row)
    assert get(f"{api}/v1/{path}").json()[name] == expected


def test_probes_say_whether_something_is_indexed(api: str) -> None:
    assert get(f"{api}/healthz").json() == {"alive": True}
    assert get(f"{api}/readyz").status_code == 200
