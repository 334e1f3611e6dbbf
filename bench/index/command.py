"""Times an indexer: catching up with a chain, and the API's pages, both against a database of its own."""

import contextlib
import os
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass

from bench.errors import BenchError
from bench.index.asking import PAGE
from bench.index.chain import POOL
from bench.index.pages import time_pages
from bench.index.postgresql import private_postgresql
from bench.index.server import recorded_chain
from bench.result import Result
from indexer.database import migrate, write_engine
from indexer.follower import Follower, Pace
from indexer.reader import Reader
from indexer.rpc import Endpoint, Endpoints
from indexer.store import Store


@dataclass(frozen=True)
class Plan:
    """`commitments` on the recorded chain; how many runs of catching up; `database` sqlite or postgresql.

    Pages are asked for `requests` times by each of so many clients at once, for every number of `clients`.
    """

    commitments: int
    runs: int
    requests: int
    database: str
    clients: tuple[int, ...] = (1,)


def measure(plan: Plan) -> list[Result]:
    """Raises BenchError when a server does not start, or when what was indexed is not the chain's."""
    with recorded_chain(plan.commitments) as (url, commitments, head, root, _):
        seconds = []
        for run in range(plan.runs):
            last = run == plan.runs - 1
            with _database(plan.database) as database:
                seconds.append(_catch_up(database, url, head, root))
                if last:
                    pages = [time_pages(database, commitments, plan.requests, clients) for clients in plan.clients]
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    case = {"database": plan.database}
    rate = commitments / statistics.median(seconds)
    results = [Result("catch-up", commitments, "commitments", seconds, case, {"per_second": rate}, threads=threads)]
    for clients, times in zip(plan.clients, pages, strict=True):
        milliseconds = sorted(1000 * each for each in times.seconds)
        details = {
            "p50_ms": _percentile(milliseconds, 50),
            "p99_ms": _percentile(milliseconds, 99),
            "pages_per_second": len(milliseconds) / times.wall,
        }
        of_clients = case | {"clients": str(clients)}
        results.append(Result("leaf page", PAGE, "leaves", times.seconds, of_clients, details, threads=threads))
    return results


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
