"""What Prometheus reads from an indexer: every metric it has, in one place.

No label holds anything of a caller. `chain` is the chain's name: a preset's, or that of the configuration.
"""

from prometheus_client import Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST as CONTENT_TYPE

from gelap.metrics_registry import process_registry

__all__ = ["CONTENT_TYPE", "REGISTRY", "exposition"]

_CHAIN = ("chain",)
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

REGISTRY = process_registry()

HEAD = Gauge(
    "gelap_indexer_head_block", "Newest block that the endpoint in use knows", labelnames=_CHAIN, registry=REGISTRY
)
TIP = Gauge("gelap_indexer_tip_block", "Newest block that is indexed", labelnames=_CHAIN, registry=REGISTRY)
LAG = Gauge(
    "gelap_indexer_lag_blocks",
    "Blocks with enough confirmations that are not indexed yet",
    labelnames=_CHAIN,
    registry=REGISTRY,
)
TIP_TIME = Gauge(
    "gelap_indexer_tip_timestamp_seconds",
    "Time of the newest indexed block, since 1970",
    labelnames=_CHAIN,
    registry=REGISTRY,
)
LAST_ROUND = Gauge(
    "gelap_indexer_last_round_timestamp_seconds",
    "When the chain was last read to its end, since 1970",
    labelnames=_CHAIN,
    registry=REGISTRY,
)
REORGS = Counter(
    "gelap_indexer_reorgs",
    "Replaced blocks found and followed, by occurrence",
    labelnames=_CHAIN,
    registry=REGISTRY,
)
REORG_BLOCKS = Histogram(
    "gelap_indexer_reorg_blocks",
    "Indexed blocks that a reorganisation replaced",
    buckets=(1, 2, 4, 8, 16, 64, 256, 1024),
    labelnames=_CHAIN,
    registry=REGISTRY,
)
RPC_ERRORS = Counter(
    "gelap_indexer_rpc_errors",
    "Endpoints given up for a while, by host and by kind of error",
    ("endpoint", "kind"),
    registry=REGISTRY,
)
MISMATCHES = Counter(
    "gelap_indexer_mismatches",
    "Rounds in which events did not lead to the contract's state",
    labelnames=_CHAIN,
    registry=REGISTRY,
)
EVENTS = Counter("gelap_indexer_events", "Events written, by kind", ("chain", "kind"), registry=REGISTRY)
WRITE_SECONDS = Histogram(
    "gelap_indexer_write_seconds",
    "Time of a write transaction",
    buckets=_BUCKETS,
    labelnames=_CHAIN,
    registry=REGISTRY,
)
COMMITMENTS = Gauge("gelap_indexer_commitments", "Commitments ever queued", labelnames=_CHAIN, registry=REGISTRY)
PENDING = Gauge(
    "gelap_indexer_pending_commitments", "Commitments that wait for the tree", labelnames=_CHAIN, registry=REGISTRY
)
LEAVES = Gauge(
    "gelap_indexer_leaves_used",
    "Leaves used up, the empty ones of short batches included",
    labelnames=_CHAIN,
    registry=REGISTRY,
)
CAPACITY_RATIO = Gauge(
    "gelap_indexer_tree_used_ratio", "Used part of the tree's leaves, 0 to 1", labelnames=_CHAIN, registry=REGISTRY
)
HALTED = Gauge(
    "gelap_indexer_halted",
    "1 once the chain is not followed any more, because its events and its contract disagree or by another error",
    labelnames=_CHAIN,
    registry=REGISTRY,
)
CALLS = Counter("gelap_indexer_api_calls", "Answered requests", ("route", "status"), registry=REGISTRY)
CALL_SECONDS = Histogram(
    "gelap_indexer_api_call_seconds", "Time to an answer's start", ("route",), buckets=_BUCKETS, registry=REGISTRY
)
CACHE = Counter(
    "gelap_indexer_api_cache", "Finished pages looked for in Redis: hit, miss, error", ("outcome",), registry=REGISTRY
)
STREAMS = Gauge("gelap_indexer_api_streams", "Open streams of new blocks", registry=REGISTRY)


def exposition() -> bytes:
    """Return all metrics in Prometheus's text format."""
    return generate_latest(REGISTRY)
