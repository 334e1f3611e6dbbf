"""Finished pages in Redis, for several API processes. Whatever happens to it, pages are read from the database instead.

What is in it is believed, as the database is: give it a password, and let nobody else write there. Set its
`maxmemory-policy` to `allkeys-lru`: a page of a thousand leaves takes 700 kB.
"""

import threading
import time
from collections.abc import Callable

import redis
import structlog
from redis.backoff import NoBackoff
from redis.retry import Retry

from indexer import metrics
from indexer.errors import SettingsError

# A page is read from the database in a few milliseconds: to wait longer for Redis is worse than to be without.
_TIMEOUT = 0.1
REST_SECONDS = 5.0
KEEP_SECONDS = 7 * 24 * 3600
_PREFIX = "gelap:indexer:page:"

log = structlog.get_logger("gelap.indexer")


class PageCache:
    """For use by several threads. After a failure Redis is left alone for a while. Raises SettingsError."""

    def __init__(self, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        try:
            self._client = redis.Redis.from_url(
                url, socket_timeout=_TIMEOUT, socket_connect_timeout=_TIMEOUT, retry=Retry(NoBackoff(), 0)
            )
        except ValueError:
            raise SettingsError(
                "GELAP_INDEXER_REDIS_URL is no Redis's URL, such as redis://:password@host:6379/1"
            ) from None
        self._clock = clock
        self._lock = threading.Lock()
        self._rests_until = float("-inf")

    def get(self, key: str) -> bytes | None:
        """A page's body; None when it is not there, or Redis does not answer."""
        found = self._ask(lambda: self._client.get(_PREFIX + key))
        if found is not None:
            metrics.CACHE.labels("hit").inc()
        return found  # type: ignore[return-value]

    def put(self, key: str, body: bytes) -> None:
        metrics.CACHE.labels("miss").inc()
        self._ask(lambda: self._client.set(_PREFIX + key, body, ex=KEEP_SECONDS))

    def close(self) -> None:
        self._client.close()

    def _ask(self, question: Callable[[], object]) -> object:
        if self._clock() < self._rests_until:
            return None
        try:
            return question()
        except (redis.RedisError, OSError) as error:
            metrics.CACHE.labels("error").inc()
            with self._lock:
                told = self._clock() < self._rests_until
                self._rests_until = self._clock() + REST_SECONDS
            if not told:
                log.warning("Redis does not answer: pages come from the database", reason=type(error).__name__)
            return None
