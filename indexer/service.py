"""One indexer process: the follower in a thread, the API in the event loop, both ended by SIGTERM or SIGINT."""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from gelap.listener import HttpListener, stop_signal
from indexer.api.app import Api, api_app, metrics_app
from indexer.api.limits import RateLimit
from indexer.api.tips import Tips
from indexer.database import migrate, read_engine, require_current, write_engine
from indexer.errors import SettingsError
from indexer.follower import Follower, Pace
from indexer.reader import Reader, pools_of
from indexer.rpc import Endpoint, Endpoints
from indexer.store import Store
from indexer.window import Window

_GRACE_SECONDS = 5.0

log = structlog.get_logger("gelap.indexer")


@dataclass(frozen=True)
class IndexerConfig:
    """`rpc_urls` and `pool` are needed to follow the chain; `pool` is 20 bytes. Addresses are host:port.

    `database_read_url` is a replica's, or None for the same database. `follow` and `serve` choose the two halves.
    """

    database_url: str
    database_read_url: str | None = None
    rpc_urls: Sequence[str] = ()
    pool: bytes | None = None
    chain_id: int | None = None
    first_block: int = 0
    pace: Pace = field(default_factory=Pace)
    max_window: int = 10_000
    rpc_timeout: float = 30.0
    address: str = "127.0.0.1:8090"
    metrics_address: str | None = None
    rate: float = 50.0
    burst: int = 200
    follow: bool = True
    serve: bool = True


async def run(config: IndexerConfig) -> None:
    """Index and serve until told to stop. Raises IndexerError: HaltError when events and contract disagree."""
    if not (config.follow or config.serve):
        raise SettingsError("--no-follow and --no-api together leave nothing to do")
    stopping = stop_signal()
    async with contextlib.AsyncExitStack() as running:
        follower, chain_id = None, config.chain_id
        if config.follow:
            follower, chain_id = await asyncio.to_thread(make_follower, config)
        ports = {}
        if config.serve:
            listener = await running.enter_async_context(_serving(config, chain_id))
            ports["port"] = listener.port
        if config.metrics_address:
            metrics_listener = HttpListener(metrics_app(), config.metrics_address, SettingsError)
            ports["metrics_port"] = (await running.enter_async_context(metrics_listener)).port
        log.info("indexer ready", chain_id=chain_id, follows=config.follow, **ports)
        until_stopped = asyncio.create_task(stopping.wait())
        if follower is None:
            await until_stopped
        else:
            following = asyncio.create_task(asyncio.to_thread(follower.run))
            await asyncio.wait([following, until_stopped], return_when=asyncio.FIRST_COMPLETED)
            log.info("stopping: finishing the page in hand")
            follower.stop()
            until_stopped.cancel()
            await following
    log.info("indexer stopped")


def make_follower(config: IndexerConfig) -> tuple[Follower, int]:
    """A follower whose database has all tables, and the chain's id. Raises IndexerError."""
    if config.pool is None:
        raise SettingsError("an indexer needs the pool's address: set GELAP_POOL or --pool")
    endpoints = Endpoints(
        [Endpoint(url, config.rpc_timeout, Window(largest=config.max_window)) for url in config.rpc_urls],
        config.chain_id,
    )
    chain_id = config.chain_id
    if chain_id is None:
        chain_id = endpoints.attempt(lambda endpoint: endpoint.number("eth_chainId"))
    engine = write_engine(config.database_url)
    migrate(engine)
    store = Store(engine, chain_id, config.pool, config.first_block)
    return Follower(store, endpoints, config.pool, config.pace), chain_id


@contextlib.asynccontextmanager
async def _serving(config: IndexerConfig, chain_id: int | None):  # type: ignore[no-untyped-def]
    engine = read_engine(config.database_read_url or config.database_url)
    await asyncio.to_thread(require_current, engine)
    if chain_id is None:
        chain_id = only_chain(await asyncio.to_thread(pools_of, engine))
    reader = Reader(engine, chain_id)
    async with Tips(reader) as tips:
        app = api_app(Api(reader, tips, RateLimit(config.rate, config.burst)))
        async with HttpListener(app, config.address, SettingsError, grace=_GRACE_SECONDS) as listener:
            try:
                yield listener
            finally:
                # Streams of new blocks never end by themselves.
                await tips.close()
                await listener.stop()
    engine.dispose()


def only_chain(pools: list[tuple[int, bytes]]) -> int:
    """The one chain in a database. Raises SettingsError when there are several, or none."""
    if len(pools) != 1:
        found = ", ".join(str(chain_id) for chain_id, _ in pools) or "none"
        raise SettingsError(f"the database holds the pools of these chains: {found}; choose one with --chain-id")
    return pools[0][0]
