"""Times an indexer: catching up with a chain, and the API's pages, both against a database of its own."""

import contextlib
import os
import statistics
from collections.abc import Iterator
from dataclasses import dataclass

from bench.index.asking import PAGE
from bench.index.catchup import catch_up
from bench.index.pages import time_pages
from bench.index.postgresql import private_postgresql
from bench.index.server import recorded_chain
from bench.result import Result

# That of the pages, too: those of the first chain are asked for.
FIRST_CHAIN_ID = 31337


@dataclass(frozen=True)
class Plan:
    """`commitments` on each recorded chain; how many runs of catching up; `database` sqlite or postgresql.

    So many `chains` are followed at once; PostgreSQL's partitions have `range_blocks` blocks, None for all in one.
    Pages are asked for `requests` times by each of so many clients at once, for every number of `clients`; the API may
    keep so many MiB of finished ones.
    """

    commitments: int
    runs: int
    requests: int
    database: str
    clients: tuple[int, ...] = (1,)
    chains: int = 1
    range_blocks: int | None = None
    kept_mib: int = 0


def measure(plan: Plan) -> list[Result]:
    """Raises BenchError when a server does not start, or when what was indexed is not the chain's."""
    with contextlib.ExitStack() as recorded:
        chains = [
            recorded.enter_context(recorded_chain(plan.commitments, FIRST_CHAIN_ID + number))
            for number in range(plan.chains)
        ]
        commitments = chains[0].commitments
        seconds = []
        for run in range(plan.runs):
            last = run == plan.runs - 1
            with _database(plan.database) as database:
                seconds.append(catch_up(database, chains, plan.range_blocks))
                if last:
                    pages = [
                        time_pages(database, commitments, plan.requests, clients, plan.kept_mib)
                        for clients in plan.clients
                    ]
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    case = {"database": plan.database}
    if plan.range_blocks is not None:
        case["partitions"] = str(chains[0].head // plan.range_blocks + 1)
    of_chains = case | {"chains": str(plan.chains)}
    rates = {"per_second_and_chain": commitments / statistics.median(seconds)}
    results = [Result("catch-up", commitments, "commitments", seconds, of_chains, rates, threads=threads)]
    for clients, times in zip(plan.clients, pages, strict=True):
        milliseconds = sorted(1000 * each for each in times.seconds)
        details = {
            "p50_ms": _percentile(milliseconds, 50),
            "p99_ms": _percentile(milliseconds, 99),
            "pages_per_second": len(milliseconds) / times.wall,
        }
        of_clients = case | {"clients": str(clients), "kept_mib": str(plan.kept_mib)}
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
