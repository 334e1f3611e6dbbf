"""`gelap bench serve`: put a load on a private cluster, check every answer, and tell how long it took."""

import json
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import redis
from rich.console import Console
from rich.table import Table

from bench import machine
from bench.errors import WrongResultError
from bench.load import OtherLoad
from bench.serve import outcome
from bench.serve.cluster import ClusterPlan, served_cluster
from bench.serve.load import prepare, run
from bench.serve.mix import JobKind
from worker.jobs import JobStore

# Before it counts: imports, connections and script caches.
_WARM_UP_REQUESTS = 40


def measure(
    plan: ClusterPlan, rate: float, number: int, kinds: list[JobKind], *, timeout: float, submit_only: bool, seed: int
) -> dict[str, Any]:
    """Return the document of `bench.serve.outcome`. Raises BenchError, WrongResultError when an answer is wrong."""
    document: dict[str, Any] = {"started": datetime.now(UTC).isoformat(timespec="seconds")}
    with tempfile.TemporaryDirectory(prefix="gelap-bench-") as folder, served_cluster(plan, Path(folder)) as cluster:
        requests = prepare(cluster.address, rate, number, kinds, seed)
        warm_up = prepare(cluster.address, 100.0, _WARM_UP_REQUESTS, [JobKind(1, 1.0, kinds[0].priority)], seed + 1)
        run(cluster.address, warm_up, timeout)
        others = OtherLoad()
        with cluster.kills_from_now_on(plan):
            seconds = run(cluster.address, requests, timeout, submit_only)
        cores = others.cores()
        store = JobStore(redis.Redis.from_url(cluster.redis_url))
        counters = store.overview().counters
        faults = (
            outcome.check(requests, cluster.logs_of_workers())
            if not submit_only
            else outcome.Faults(sum(request.status != "OK" for request in requests), 0, 0)
        )
        document |= {"machine": machine.describe() | {"all_cores_busy": cores}}
        document |= outcome.document(requests, seconds, faults, cluster.kills, counters)
    if faults.delivered_twice or faults.wrong:
        raise WrongResultError(f"the cluster broke its promise: {faults}")
    return document


def show(document: dict[str, Any], stream: Any = sys.stdout) -> None:
    """Print the summary as a table."""
    table = Table("milliseconds", "p50", "p95", "p99", "max", box=None)
    rows = {"latency": document["latency"], "overhead": document["overhead"], **document["phases"]}
    for kind, values in document["by_kind"].items():
        if len(document["by_kind"]) > 1:
            rows[f"latency of {kind}"] = values["latency"]
    for name, values in rows.items():
        if values:
            table.add_row(name, *(f"{values[part] * 1000:.1f}" for part in ("p50", "p95", "p99", "max")))
    console = Console(file=stream, width=None if stream.isatty() else 150)
    console.print(
        f"{document['requests']} requests at {document['offered']:.1f} a second, {document['goodput']:.1f} answered a "
        f"second, {json.dumps(document['statuses'])}"
    )
    console.print(
        f"lost {document['faults']['lost']}, delivered twice {document['faults']['delivered_twice']}, wrong "
        f"{document['faults']['wrong']}; workers killed {document['kills']} times, {document['lost_attempts']} "
        "attempts lost with them"
    )
    console.print(table)
