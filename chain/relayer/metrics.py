"""What Prometheus reads from a relayer: every metric it has, in one place.

No label holds anything of a caller: neither addresses, nor what was paid to whom.
"""

from prometheus_client import Counter, Gauge, Histogram

from gelap.metrics_registry import process_registry

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

REGISTRY = process_registry()

REQUESTS = Counter(
    "gelap_relayer_requests",
    "Answered requests, by route and outcome: ok, or the code of the refusal",
    ("route", "outcome"),
    registry=REGISTRY,
)
REQUEST_SECONDS = Histogram(
    "gelap_relayer_request_seconds", "Time to an answer", ("route",), buckets=_BUCKETS, registry=REGISTRY
)
PENDING = Gauge("gelap_relayer_pending", "Payments under way: not in a block, or not deep enough", registry=REGISTRY)
OLDEST_PENDING = Gauge(
    "gelap_relayer_oldest_pending_seconds",
    "How long the oldest payment under way has been so, 0 without one",
    registry=REGISTRY,
)
PAYMENTS = Counter(
    "gelap_relayer_payments", "Payments that ended, by state: settled or failed", ("state",), registry=REGISTRY
)
REPLACED = Counter("gelap_relayer_replaced", "Transactions sent again, dearer or to cancel", registry=REGISTRY)
REORGS = Counter(
    "gelap_relayer_reorged_payments",
    "Payments whose block was replaced, and that are under way again",
    registry=REGISTRY,
)
BALANCE = Gauge("gelap_relayer_balance_ether", "The account's ether", registry=REGISTRY)
GAS = Counter("gelap_relayer_gas", "Units of gas paid for, those of failed payments included", registry=REGISTRY)
GAS_ETHER = Counter("gelap_relayer_gas_ether", "Ether paid for gas", registry=REGISTRY)
FEES = Counter(
    "gelap_relayer_fees",
    "Fees earned in the token's smallest unit, by token and way: chain or note. A payment that a reorganisation undid "
    "counts again when it is settled again",
    ("token", "way"),
    registry=REGISTRY,
)
PRICES_USABLE = Gauge(
    "gelap_relayer_prices_usable", "0 while the file of prices cannot be read and older prices hold", registry=REGISTRY
)
NODE_UP = Gauge("gelap_relayer_node_up", "1 while the chain's node answers, else 0", registry=REGISTRY)
