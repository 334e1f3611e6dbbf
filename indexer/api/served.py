"""What the endpoints share: the chains that are served, and the limits on those who ask."""

import asyncio
import contextlib
import gc
from collections.abc import Mapping
from dataclasses import dataclass

from gelap.rate_limit import RateLimit
from indexer.api.cache import PageCache
from indexer.api.kept import KeptPages
from indexer.api.pages import Finality
from indexer.api.tips import Tips
from indexer.health import Health
from indexer.reader import Reader

# A reader of the whole stream does not hold up others for long: that many streams are encoded at once.
_STREAMS_AT_ONCE = 4
# Pages that are read at once. SQLite's module lets other threads run at every row: two readers spend their time waking
# each other up, and are both done later than one after the other. Whoever waits is let in in the order of coming.
_PAGES_AT_ONCE = 1
# Queries of GraphQL that run at once; more wait, so that pages always find a connection to the database.
_QUERIES_AT_ONCE = 2
# The rows of a page are 2,000 objects, which are gone at its end: the collector need not look for them among it.
_ALLOCATIONS = 20_000


@dataclass(frozen=True)
class Served:
    """One chain by its name."""

    name: str
    reader: Reader
    tips: Tips


class Api:
    """The chains of one API by their names, and what it keeps between requests. Runs inside `async with`.

    `kept` and `cache` hold finished pages, in memory and in Redis; None for neither. `tip_seconds` is how often the
    database is looked at for new blocks, `query_seconds` how long a query of GraphQL may take once it has begun, and
    wait before that.
    """

    def __init__(
        self,
        readers: Mapping[str, Reader],
        limit: RateLimit,
        *,
        cache: PageCache | None = None,
        kept: KeptPages | None = None,
        health: Health | None = None,
        finality: Finality | None = None,
        tip_seconds: float = 0.5,
        query_seconds: float = 5.0,
    ) -> None:
        self.chains = {name: Served(name, reader, Tips(reader, tip_seconds)) for name, reader in readers.items()}
        self._by_id = {str(chain.reader.chain_id): chain for chain in self.chains.values()}
        self.limit = limit
        self.cache = cache
        self.kept = kept
        self.health = health or Health()
        self.finality = finality or Finality()
        self.query_seconds = query_seconds
        self.encoders = asyncio.Semaphore(_STREAMS_AT_ONCE)
        self.page_readers = asyncio.Semaphore(_PAGES_AT_ONCE)
        self.queries = asyncio.Semaphore(_QUERIES_AT_ONCE)
        self._running = contextlib.AsyncExitStack()

    async def __aenter__(self) -> "Api":
        for chain in self.chains.values():
            await self._running.enter_async_context(chain.tips)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._running.aclose()

    async def end_streams(self) -> None:
        """End the streams of new blocks, which never end by themselves."""
        for chain in self.chains.values():
            await chain.tips.close()

    @property
    def streams(self) -> int:
        return sum(chain.tips.streams for chain in self.chains.values())

    @property
    def only_chain(self) -> Served | None:
        """The one chain that is served; None when there are several."""
        return next(iter(self.chains.values())) if len(self.chains) == 1 else None

    def find(self, chain: str) -> Served | None:
        """A chain by its name, or by its id in decimal digits."""
        return self.chains.get(chain) or self._by_id.get(chain)


def spare_the_collector() -> None:
    """Take what this process has loaded out of the garbage collector's sight: for one that does nothing but serve.

    Modules are hundreds of thousands of objects that never go away. A full collection looks at all of them, and every
    request waits for it: 0.3 s, once in a hundred pages.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS, 10, 10)
