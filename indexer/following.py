"""The followers of one process: a thread each, none of which ends because another one did."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import structlog

from gelap.logs import where
from indexer import metrics
from indexer.config import ChainConfig
from indexer.database import migrate, write_engine
from indexer.errors import HaltError, IndexerError, SettingsError
from indexer.follower import Follower, Pace
from indexer.health import Health, Phase
from indexer.rpc import Endpoint, Endpoints
from indexer.store import Store
from indexer.window import Window

log = structlog.get_logger("gelap.indexer")


def open_followers(
    database_url: str, chains: Sequence[ChainConfig], health: Health
) -> list[tuple[ChainConfig, Follower]]:
    """A follower of each chain, whose database has all tables, and the configuration with the chain's id in it.

    An endpoint is asked only where the id is not configured. Raises IndexerError.
    """
    if not chains:
        raise SettingsError("an indexer needs the pool's address: set GELAP_POOL or --pool, or --config")
    engine = write_engine(database_url)
    migrate(engine)
    engine.dispose()
    return [_open(database_url, chain, health) for chain in chains]


def _open(database_url: str, chain: ChainConfig, health: Health) -> tuple[ChainConfig, Follower]:
    endpoints = Endpoints(
        [Endpoint(url, chain.rpc_timeout, Window(chain.first_window, chain.max_window)) for url in chain.rpc_urls],
        chain.chain_id,
    )
    chain_id = chain.chain_id
    if chain_id is None:
        chain_id = endpoints.attempt(lambda endpoint: endpoint.number("eth_chainId"))
    chain = chain.on(chain_id)
    store = Store(write_engine(database_url), chain_id, chain.pool, chain.first_block, chain.range_blocks)
    pace = Pace(chain.confirmations, chain.poll)
    return chain, Follower(store, endpoints, chain.pool, pace, name=chain.name, health=health)


class Following:
    """Runs followers until `stop`, or until all of them have ended."""

    def __init__(self, followers: Sequence[Follower], health: Health) -> None:
        self._followers = followers
        self._health = health
        self._threads = ThreadPoolExecutor(max(1, len(followers)), thread_name_prefix="follower")
        for follower in followers:
            health.set(follower.name, Phase.STARTING)
            metrics.HALTED.labels(follower.name).set(0)

    def stop(self) -> None:
        """Let every follower end after the page in hand."""
        for follower in self._followers:
            follower.stop()

    async def run(self) -> None:
        """Return when all followers have stopped. Raises HaltError once all have ended if one did so by an error."""
        loop = asyncio.get_running_loop()
        ended = await asyncio.gather(
            *(loop.run_in_executor(self._threads, self._follow, follower) for follower in self._followers)
        )
        self._threads.shutdown()
        errors = [(follower.name, error) for follower, error in zip(self._followers, ended, strict=True) if error]
        if len(self._followers) == 1 and errors:
            raise errors[0][1]
        if errors:
            raise HaltError("; ".join(f"{name}: {error}" for name, error in errors)) from errors[0][1]

    def _follow(self, follower: Follower) -> Exception | None:
        """Follow one chain to its end; whatever ends it early is the operator's business, and not the other chains'."""
        try:
            follower.run()
        except Exception as error:
            reason = str(error) if isinstance(error, IndexerError) else f"{type(error).__name__} at {where(error)}"
            self._health.set(follower.name, Phase.HALTED, reason)
            metrics.HALTED.labels(follower.name).set(1)
            log.critical("chain halted", chain=follower.name, reason=reason, others=len(self._followers) - 1)
            return error
        self._health.set(follower.name, Phase.STOPPED)
        return None
