"""How often one address may ask: a token bucket each."""

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable

# Addresses remembered at once; the one that asked longest ago is forgotten first.
MAX_ADDRESSES = 65_536


class RateLimit:
    """`rate` requests a second on average and `burst` at once from each address; rate 0 for no limit.

    IPv6 addresses count by their /64, which is what one customer of a provider has.
    """

    def __init__(self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._clock = rate, max(1, burst), clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def seconds_to_wait(self, address: str, cost: int = 1) -> float:
        """Take `cost` requests from the bucket of `address`; above 0 when there were not as many, and how long until
        there are. More than a burst counts as one."""
        if self._rate <= 0:
            return 0.0
        key = _customer(address)
        now = self._clock()
        tokens, at = self._buckets.pop(key, (float(self._burst), now))
        tokens = min(self._burst, tokens + (now - at) * self._rate)
        cost = min(cost, self._burst)
        allowed = tokens >= cost
        self._buckets[key] = (tokens - cost if allowed else tokens, now)
        if len(self._buckets) > MAX_ADDRESSES:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (cost - tokens) / self._rate


def retry_after(seconds: float) -> str:
    return str(max(1, math.ceil(seconds)))


def _customer(address: str) -> str:
    """The address, an IPv6 one cut to its first 64 bits: text would not do, as it leaves zeros out."""
    if ":" not in address:
        return address
    try:
        parsed = ipaddress.IPv6Address(address)
    except ValueError:
        return address
    return str(parsed.ipv4_mapped or int(parsed) >> 64)
