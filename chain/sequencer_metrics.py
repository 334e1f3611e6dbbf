"""What Prometheus reads from a sequencer: every metric it has, in one place."""

from prometheus_client import Counter, Gauge, Histogram

from gelap.metrics_registry import process_registry

# From a GPU to one core, in seconds.
_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)

REGISTRY = process_registry()

PENDING = Gauge("gelap_sequencer_pending_commitments", "Commitments that wait for the tree", registry=REGISTRY)
OLDEST_PENDING = Gauge(
    "gelap_sequencer_oldest_pending_seconds",
    "How long the oldest commitment has waited, by the chain's time; 0 without one",
    registry=REGISTRY,
)
BATCHES = Counter(
    "gelap_sequencer_batches",
    "Batches that were proved, by outcome: inserted, or overtaken by somebody else's",
    ("outcome",),
    registry=REGISTRY,
)
LEAVES = Counter("gelap_sequencer_leaves", "Commitments that this sequencer moved into the tree", registry=REGISTRY)
PROVE_SECONDS = Histogram(
    "gelap_sequencer_prove_seconds",
    "Time of a proof, waiting for the prover included",
    buckets=_BUCKETS,
    registry=REGISTRY,
)
REPLACED = Counter("gelap_sequencer_replaced", "Transactions replaced, dearer or to cancel", registry=REGISTRY)
GAS = Counter(
    "gelap_sequencer_gas",
    "Units of gas paid for, by what for: inserted, refused, cancelled",
    ("outcome",),
    registry=REGISTRY,
)
GAS_ETHER = Counter("gelap_sequencer_gas_ether", "Ether paid for gas", registry=REGISTRY)
FAILURES = Counter(
    "gelap_sequencer_failures", "Rounds that failed and are tried again, by kind of error", ("kind",), registry=REGISTRY
)
BALANCE = Gauge("gelap_sequencer_balance_ether", "The account's ether", registry=REGISTRY)
LAST_LOOK = Gauge(
    "gelap_sequencer_last_look_timestamp_seconds",
    "When the pool was last read to its end, since 1970",
    registry=REGISTRY,
)

# Prometheus sees no rise in a counter that appears with its first event.
for _outcome in ("inserted", "overtaken"):
    BATCHES.labels(_outcome)
