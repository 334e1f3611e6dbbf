"""GraphQL for statistics, on both databases, against sums that are made from the chain's own logs."""

import json
import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from graphql import build_client_schema, get_introspection_query, print_schema
from sqlalchemy import create_engine, make_url, text

from bench.index.chain import POOL, SyntheticChain, Transaction
from chain.stream.records import Event, Inserted, Nullified, Queued, Withdrawn
from gelap.rate_limit import RateLimit
from indexer import analytics
from indexer.api.graphql.schema import make_schema
from indexer.database import migrate, sqlite_url, write_engine
from indexer.events import parse_log
from indexer.follower import Follower, Pace
from indexer.rpc import Endpoints
from indexer.store import Store
from prover.kernels.cpu.poseidon import hash_pairs
from tests.service.indexer.conftest import served, served_chains
from tests.unit.indexer.conftest import InProcess

PERIODS = {"HOUR": 3_600, "DAY": 86_400, "WEEK": 604_800}
# 1970 began on a Thursday.
OFFSETS = {"HOUR": 0, "DAY": 0, "WEEK": 4 * 86_400}
DEPOSIT, WITHDRAWAL, INSERT = Transaction(0, 1), Transaction(2, 2, withdrawal=True), Transaction(inserts=64)


@pytest.fixture(scope="module")
def chain() -> SyntheticChain:
    """Eleven days with a block each 1,000 s, quiet from the third to the sixth."""
    chain = SyntheticChain(hash_pairs, block_seconds=1_000)
    for number in range(1, 950):
        quiet = 200 < number < 500
        busy = [WITHDRAWAL] * (number % 3) + [DEPOSIT] + [INSERT] * (number % 7 == 0)
        chain.add([] if quiet or number % 5 else busy)
    return chain


def follow(chain: SyntheticChain, database: str) -> Follower:
    store = Store(write_engine(database), chain.chain_id, POOL, 0)
    follower = Follower(store, Endpoints([InProcess(chain)], chain.chain_id), POOL, Pace(0))
    follower.round()
    return follower


@pytest.fixture(scope="module")
def sqlite(chain: SyntheticChain, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database with the chain in it, which no test changes."""
    url = sqlite_url(tmp_path_factory.mktemp("analytics") / "indexer.sqlite")
    migrate(write_engine(url))
    follow(chain, url)
    return url


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def indexed(request: pytest.FixtureRequest, chain: SyntheticChain) -> str:
    """The same on both databases."""
    if request.param == "sqlite":
        found: str = request.getfixturevalue("sqlite")
        return found
    server = make_url(request.getfixturevalue("postgresql"))
    with create_engine(
        server.set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT"
    ).connect() as connection:
        # It is there where the tests are in an order that needs it a second time.
        connection.execute(text("DROP DATABASE IF EXISTS analytics WITH (FORCE)"))
        connection.execute(text("CREATE DATABASE analytics"))
    url = server.set(database="analytics").render_as_string(hide_password=False)
    migrate(write_engine(url))
    follow(chain, url)
    return url


@pytest.fixture(scope="module")
def api(indexed: str) -> Iterator[str]:
    with served(indexed, 31337) as url:
        yield url


@pytest.fixture(scope="module")
def sqlite_api(sqlite: str) -> Iterator[str]:
    """For what no database has a part in."""
    with served(sqlite, 31337) as url:
        yield url


def post(api: str, query: str, variables: dict[str, Any] | None = None, **headers: str) -> requests.Response:
    return requests.post(
        f"{api}/v1/graphql", json={"query": query, "variables": variables or {}}, headers=headers, timeout=60
    )


def ask(api: str, query: str, **variables: Any) -> Any:
    answer = post(api, query, variables).json()
    assert "errors" not in answer, answer
    return answer["data"]


def pages(api: str, field: str, nodes: str, **arguments: Any) -> list[Any]:
    """All nodes of a field, page by page."""
    found, after = [], None
    while True:
        given = ", ".join(f"{name}: {value}" for name, value in arguments.items())
        cursor = f', after: "{after}"' if after else ""
        text = (
            f"{{ pool {{ {field}({given}{cursor}) {{ nodes {{ {nodes} }} pageInfo {{ hasNextPage endCursor }} }} }} }}"
        )
        page = ask(api, text)["pool"][field]
        found += page["nodes"]
        after = page["pageInfo"]["endCursor"]
        assert page["pageInfo"]["hasNextPage"] == (after is not None)
        if after is None:
            return found


def events(chain: SyntheticChain, kind: type[Event]) -> list[tuple[Any, int]]:
    """The naive model: all events of a kind, and when they happened."""
    return [
        (event, block.timestamp)
        for block in chain.blocks
        for log in block.logs
        if isinstance(event := parse_log(log, "0x" + POOL.hex()), kind)
    ]


def start_of(period: str, timestamp: int) -> int:
    return (timestamp - OFFSETS[period]) // PERIODS[period] * PERIODS[period] + OFFSETS[period]


def test_totals_are_those_of_the_chain(api: str, chain: SyntheticChain) -> None:
    pool = ask(
        api,
        "{ pool { chain chainId address root tip { number hash timestamp } totals { commitments pending batches"
        " leavesUsed nullifiers withdrawals } } }",
    )["pool"]
    batches = len(events(chain, Inserted))
    assert pool == {
        "chain": "local",
        "chainId": 31337,
        "address": "0x" + POOL.hex(),
        "root": f"0x{chain.root:064x}",
        "tip": {"number": chain.head, "hash": chain.blocks[-1].hash, "timestamp": chain.blocks[-1].timestamp},
        "totals": {
            "commitments": len(events(chain, Queued)),
            "pending": chain.pending,
            "batches": batches,
            "leavesUsed": 64 * batches,
            "nullifiers": len(events(chain, Nullified)),
            "withdrawals": len(events(chain, Withdrawn)),
        },
    }


@pytest.mark.parametrize(("period", "first"), [("HOUR", 500), ("HOUR", 40), ("DAY", 2), ("DAY", 100), ("WEEK", 1)])
def test_history_has_the_counters_at_the_end_of_each_period(
    api: str, chain: SyntheticChain, period: str, first: int
) -> None:
    expected: dict[int, dict[str, int]] = {}
    commitments = inserted = withdrawals = 0
    for block in chain.blocks:
        found = [parse_log(log, "0x" + POOL.hex()) for log in block.logs]
        commitments += sum(isinstance(event, Queued) for event in found)
        inserted += sum(event.size for event in found if isinstance(event, Inserted))
        withdrawals += sum(isinstance(event, Withdrawn) for event in found)
        if found:
            counters = {"commitments": commitments, "pending": commitments - inserted, "withdrawals": withdrawals}
            expected[start_of(period, block.timestamp)] = counters
    nodes = pages(api, "history", "start totals { commitments pending withdrawals }", period=period, first=first)
    assert {node["start"]: node["totals"] for node in nodes} == expected
    assert [node["start"] for node in nodes] == sorted(expected)


@pytest.mark.parametrize(("period", "first"), [("HOUR", 500), ("HOUR", 20), ("DAY", 2), ("DAY", 100), ("WEEK", 1)])
def test_withdrawals_are_summed_by_period_and_token(api: str, chain: SyntheticChain, period: str, first: int) -> None:
    expected: dict[tuple[int, str], list[Withdrawn]] = defaultdict(list)
    for event, timestamp in events(chain, Withdrawn):
        expected[start_of(period, timestamp), "0x" + event.token.hex()].append(event)
    nodes = pages(api, "withdrawalTotals", "start token withdrawals amount receivers", period=period, first=first)
    assert nodes == [
        {
            "start": start,
            "token": token,
            "withdrawals": len(of_token),
            "amount": str(sum(event.amount for event in of_token)),
            "receivers": len({event.receiver for event in of_token}),
        }
        for (start, token), of_token in sorted(expected.items())
    ]
    assert max(int(node["amount"]) for node in nodes) > 1 << 64


def test_statistics_can_begin_at_a_time(api: str, chain: SyntheticChain) -> None:
    since = chain.blocks[700].timestamp
    whole = pages(api, "history", "start", period="DAY")
    assert pages(api, "history", "start", period="DAY", since=since) == [
        node for node in whole if node["start"] >= start_of("DAY", since)
    ]
    assert pages(api, "history", "start", period="DAY", since=chain.blocks[-1].timestamp + 86_400) == []
    assert pages(api, "withdrawalTotals", "start", period="DAY", since=0) == pages(
        api, "withdrawalTotals", "start", period="DAY"
    )


def test_withdrawals_and_batches_are_paged_by_cursor(api: str, chain: SyntheticChain) -> None:
    withdrawn, inserted = events(chain, Withdrawn), events(chain, Inserted)
    nodes = pages(api, "withdrawals", "number receiver token amount block { number timestamp }", first=37)
    assert nodes == [
        {
            "number": number,
            "receiver": "0x" + event.receiver.hex(),
            "token": "0x" + event.token.hex(),
            "amount": str(event.amount),
            "block": {"number": event.block_number, "timestamp": timestamp},
        }
        for number, (event, timestamp) in enumerate(withdrawn)
    ]
    assert len(nodes) > 100
    nodes = pages(api, "batches", "number startIndex size fill root", first=5)
    assert nodes == [
        {
            "number": number,
            "startIndex": 64 * number,
            "size": event.size,
            "fill": event.size / 64,
            "root": "0x" + event.root.hex(),
        }
        for number, (event, _) in enumerate(inserted)
    ]
    assert len(nodes) > 5


def test_a_cursor_of_a_replaced_block_is_refused(database: str) -> None:
    chain = SyntheticChain()
    chain.add([WITHDRAWAL] * 4)
    follower = follow(chain, database)
    page = "{ pool { withdrawals(first: 2%s) { nodes { number } pageInfo { endCursor } } } }"
    with served(database, 31337) as api:
        cursor = ask(api, page % "")["pool"]["withdrawals"]["pageInfo"]["endCursor"]
        following = page % f', after: "{cursor}"'
        assert [node["number"] for node in ask(api, following)["pool"]["withdrawals"]["nodes"]] == [2, 3]
        chain.cut(0)
        chain.add([WITHDRAWAL] * 4)
        chain.add([])
        follower.round()
        answer = post(api, following).json()
        assert "was replaced by another" in answer["errors"][0]["message"]


def test_two_chains_are_one_query_of_one_state(database: str) -> None:
    for name, chain_id, commitments in (("base", 8453, 3), ("optimism", 10, 5)):
        chain = SyntheticChain(chain_id=chain_id, salt=name)
        chain.add([Transaction(0, commitments)])
        follow(chain, database)
    with served_chains(database, {"base": 8453, "optimism": 10}) as api:
        found = ask(api, '{ chains { chain totals { commitments } } pool(chain: "10") { chain } }')
        assert [(pool["chain"], pool["totals"]["commitments"]) for pool in found["chains"]] == [
            ("base", 3),
            ("optimism", 5),
        ]
        assert found["pool"]["chain"] == "optimism"
        answer = post(api, "{ pool { chain } }").json()
        assert answer["errors"][0]["message"] == "name one of these chains: base, optimism"


def test_a_query_that_the_database_cannot_answer_in_time_is_given_up(
    indexed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    endless = text("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n")
    monkeypatch.setattr(analytics, "_first_period", lambda view, *_: view.connection.scalar(endless))
    with served(indexed, 31337, query_seconds=1.0) as api:
        response = post(api, "{ pool { history { nodes { start } } } }")
        assert (response.status_code, response.elapsed.total_seconds() < 10) == (503, True)
        assert "takes longer than 1 s" in response.json()["detail"]
        # The connection is as good as before, for longer than that query had.
        for _ in range(8):
            assert ask(api, "{ pool { totals { commitments } } }")["pool"]["totals"]["commitments"] > 0
            time.sleep(0.13)


def test_introspection_gives_the_schema(sqlite_api: str) -> None:
    told = ask(sqlite_api, get_introspection_query())
    assert print_schema(build_client_schema(told)) == print_schema(make_schema())


def test_no_argument_takes_anything_of_a_user_and_no_answer_holds_a_note(sqlite_api: str) -> None:
    """Attack row 21: whoever asks for a note or an address tells whose it is, so that none can be asked for."""
    told = ask(sqlite_api, get_introspection_query())["__schema"]
    types = [each for each in told["types"] if not each["name"].startswith("__")]
    fields = [(each["name"], field) for each in types for field in each.get("fields") or ()]
    arguments = {(argument["name"], _named(argument["type"])) for _, field in fields for argument in field["args"]}
    assert arguments == {
        ("chain", "String"),
        ("first", "Int"),
        ("after", "String"),
        ("period", "Period"),
        ("since", "Long"),
    }
    assert not [each for each in types if each["kind"] == "INPUT_OBJECT"]
    for owner, field in fields:
        # Counts of notes are not notes.
        if _named(field["type"]) in ("Word", "Address", "String"):
            assert (owner, field["name"]) in {
                ("Pool", "chain"),
                ("Pool", "address"),
                ("Pool", "root"),
                ("Block", "hash"),
                ("PageInfo", "endCursor"),
                ("Withdrawal", "receiver"),
                ("Withdrawal", "token"),
                ("Withdrawal", "transactionHash"),
                ("WithdrawalTotal", "token"),
                ("Batch", "root"),
                ("Batch", "transactionHash"),
            }


def _named(type_: dict[str, Any]) -> str:
    while type_["ofType"] is not None:
        type_ = type_["ofType"]
    return str(type_["name"])


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("{ pool { withdrawals(first: 501) { nodes { number } } } }", "`first` is 1 to 500"),
        ("{ pool { withdrawals(first: 0) { nodes { number } } } }", "`first` is 1 to 500"),
        ('{ pool { withdrawals(after: "0x00") { nodes { number } } } }', "endCursor of the page before"),
        ('{ pool { history(period: HOUR, after: "d1-0") { nodes { start } } } }', "endCursor of the page before"),
        ('{ pool { withdrawals(receiver: "0x00") { nodes { number } } } }', "Unknown argument"),
        ("{ pool { nullifiers { nodes { number } } } }", "Cannot query field"),
        ('{ pool(chain: "ethereum") { chain } }', "name one of these chains: local"),
        ("{ pool { history(since: -1) { nodes { start } } } }", "Long"),
        (
            "{ pool { " + " ".join(f"w{n}: withdrawals {{ nodes {{ number }} }}" for n in range(13)) + " } }",
            "too often",
        ),
        (
            "{ pool { withdrawals(first: 500) { nodes { "
            + " ".join(f"b{n}: block {{ number hash timestamp }}" for n in range(6))
            + " } } } }",
            "more than 10000 values",
        ),
        ("{ __schema { types { fields { type { fields { type { fields { type { fields { name } } } } } } } } } }", ""),
        (
            "fragment A on Query { ...B ...B } "
            + " ".join(f"fragment {chr(n)} on Query {{ ...{chr(n + 1)} ...{chr(n + 1)} }}" for n in range(66, 89))
            + " fragment Y on Query { __typename } query { ...A }",
            "more than 10000 values",
        ),
        ("{" * 900, "Syntax Error"),
        ("query { pool(chain: " + "[" * 900 + "]" * 90, ""),
        ("{ pool { chain " + "chain " * 1000 + "} }", "1000 tokens"),
        ("mutation { pool { chain } }", ""),
        ("", "Syntax Error"),
    ],
)
def test_a_query_outside_of_the_limits_is_refused_and_read_nothing(sqlite_api: str, query: str, message: str) -> None:
    response = post(sqlite_api, query, Accept="application/graphql-response+json")
    assert response.headers["Content-Type"] == "application/graphql-response+json"
    assert response.elapsed.total_seconds() < 10
    answer = response.json()
    assert message in answer["errors"][0]["message"]
    if "data" in answer:
        assert (response.status_code, answer["data"]) == (200, None)
    else:
        assert response.status_code == 400


@pytest.mark.parametrize(
    ("body", "media_type", "status"),
    [
        (b"{}", "application/json", 400),
        (b"[]", "application/json", 400),
        (b'[{"query": "{ pool { chain } }"}]', "application/json", 400),
        (b"no json", "application/json", 400),
        (b"[" * 10_000, "application/json", 400),
        (b'{"query": "{ pool { chain } }", "variables": []}', "application/json", 400),
        (json.dumps({"query": "# " + "x" * 17_000}).encode(), "application/json", 413),
        (b'{"query": "{ pool { chain } }"}', "text/plain", 415),
    ],
)
def test_a_body_that_is_no_query_gets_problem_details(
    sqlite_api: str, body: bytes, media_type: str, status: int
) -> None:
    response = requests.post(f"{sqlite_api}/v1/graphql", data=body, headers={"Content-Type": media_type}, timeout=60)
    assert (response.status_code, response.headers["Content-Type"]) == (status, "application/problem+json")


def test_only_post_is_answered_and_nothing_is_stored(sqlite_api: str) -> None:
    response = requests.get(f"{sqlite_api}/v1/graphql", params={"query": "{ pool { chain } }"}, timeout=60)
    assert response.status_code == 405
    assert "POST" in response.headers["Allow"]
    assert post(sqlite_api, "{ pool { chain } }").headers["Cache-Control"] == "no-store"
    preflight = requests.options(f"{sqlite_api}/v1/graphql", timeout=60)
    assert (preflight.status_code, preflight.headers["Access-Control-Allow-Methods"]) == (204, "POST")


def test_a_dear_query_counts_as_many_requests(sqlite: str) -> None:
    with served(sqlite, 31337, RateLimit(0.001, 20)) as api:
        small, large = "{ pool { chain } }", "{ pool { history(first: 500) { nodes { totals { commitments } } } } }"
        codes = [post(api, query).status_code for query in (large, large, large, large, large, small)]
        # 1,508 values and 2 reads each: 4 requests; then 3 for the pool alone.
        assert codes == [200, 200, 200, 200, 200, 429]
        assert int(post(api, small).headers["Retry-After"]) > 1
