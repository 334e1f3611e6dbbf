"""Times an indexer: catching up with a chain, and the API's pages, both against a database of its own."""

import asyncio
import contextlib
import os
import statistics
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import requests

from bench.errors import BenchError
from bench.index.chain import POOL
from bench.index.postgresql import private_postgresql
from bench.index.server import recorded_chain
from bench.result import Result
from gelap.listener import HttpListener
from gelap.rate_limit import RateLimit
from indexer.api.app import api_app
from indexer.api.served import Api
from indexer.database import migrate, read_engine, write_engine
from indexer.errors import SettingsError
from indexer.follower import Follower, Pace
from indexer.reader import Reader
from indexer.rpc import Endpoint, Endpoints
from indexer.store import Store

PAGE = 1_000


@dataclass(frozen=True)
class Plan:
    """`commitments` on the recorded chain; how many runs of each measurement; `database` sqlite or postgresql."""

    commitments: int
    runs: int
    requests: int
    database: str


def measure(plan: Plan) -> list[Result]:
    """Raises BenchError when a server does not start, or when what was indexed is not the chain's."""
    with recorded_chain(plan.commitments) as (url, commitments, head, root):
        seconds = []
        for run in range(plan.runs):
            last = run == plan.runs - 1
            with _database(plan.database) as database:
                seconds.append(_catch_up(database, url, head, root))
                if last:
                    pages = _pages(database, commitments, plan.requests)
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    case = {"database": plan.database}
    rate = commitments / statistics.median(seconds)
    milliseconds = sorted(1000 * each for each in pages)
    return [
        Result("catch-up", commitments, "commitments", seconds, case, {"per_second": rate}, threads=threads),
        Result(
            "leaf page",
            PAGE,
            "leaves",
            pages,
            case,
            {"p50_ms": _percentile(milliseconds, 50), "p99_ms": _percentile(milliseconds, 99)},
            threads=threads,
        ),
    ]


def _percentile(ordered: list[float], percent: int) -> float:
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


@contextlib.contextmanager
def _database(kind: str) -> Iterator[str]:
    if kind == "postgresql":
        with private_postgresql() as url:
            yield url
        return
    import tempfile

    with tempfile.TemporaryDirectory(prefix="gelap-bench-") as folder:
        yield f"sqlite:///{folder}/indexer.sqlite"


def _catch_up(database: str, url: str, head: int, root: int) -> float:
    """Seconds from an empty database with its tables to everything written and checked against the contract."""
    engine = write_engine(database)
    migrate(engine)
    endpoints = Endpoints([Endpoint(url)])
    chain_id = endpoints.attempt(lambda endpoint: endpoint.number("eth_chainId"))
    follower = Follower(Store(engine, chain_id, POOL, 0), endpoints, POOL, Pace(0))
    started = time.perf_counter()
    follower.round()
    seconds = time.perf_counter() - started
    summary = Reader(engine, chain_id).summary()
    if summary.tip is None or summary.tip.number != head or summary.root != root.to_bytes(32, "big"):
        raise BenchError("what was indexed is not what is on the chain")
    endpoints.close()
    engine.dispose()
    return seconds


def _pages(database: str, commitments: int, number: int) -> list[float]:
    """Seconds of each of so many requests, one after another over one connection, for pages all over the tree."""
    ports: list[int] = []
    ready, done = threading.Event(), threading.Event()
    engine = read_engine(database)

    async def serve() -> None:
        api = Api({"local": Reader(engine, 31337)}, RateLimit(0, 1))
        async with api, HttpListener(api_app(api), "127.0.0.1:0", SettingsError) as listener:
            ports.append(listener.port)
            ready.set()
            await asyncio.to_thread(done.wait)

    server = threading.Thread(target=lambda: asyncio.run(serve()))
    server.start()
    try:
        if not ready.wait(30):
            raise BenchError("the API did not start")
        return _ask(f"http://127.0.0.1:{ports[0]}/v1/leaves", commitments, number)
    finally:
        done.set()
        server.join()
        engine.dispose()


def _ask(url: str, commitments: int, number: int) -> list[float]:
    session = requests.Session()
    session.trust_env = False
    seconds = []
    # The newest commitments may still wait for the tree.
    full_pages = max(1, (commitments - 64) // PAGE)
    for request in range(-5, number):
        first = PAGE * (request * 7 % full_pages)
        started = time.perf_counter()
        response = session.get(url, params={"from": first, "limit": PAGE}, timeout=30)
        body = response.content
        elapsed = time.perf_counter() - started
        if response.status_code != 200 or body.count(b'"leaf_index"') != PAGE:
            raise BenchError(f"the API answered a page with status {response.status_code} and other leaves")
        if request >= 0:
            seconds.append(elapsed)
    return seconds
