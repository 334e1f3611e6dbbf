"""One indexer process: a follower a chain, each in its thread, and the API in the event loop; a signal ends both."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import structlog

from gelap.listener import HttpListener, stop_signal
from gelap.rate_limit import RateLimit
from indexer.api.app import api_app, metrics_app
from indexer.api.cache import PageCache
from indexer.api.kept import KeptPages
from indexer.api.served import Api, spare_the_collector
from indexer.chains import preset_of
from indexer.config import ChainConfig, IndexerConfig
from indexer.database import read_engine, require_current
from indexer.errors import SettingsError
from indexer.following import Following, open_followers
from indexer.health import Health
from indexer.reader import Reader, pools_of

_GRACE_SECONDS = 5.0

log = structlog.get_logger("gelap.indexer")


async def run(config: IndexerConfig) -> None:
    """Index and serve until told to stop, or until no chain is followed any more.

    Raises IndexerError: HaltError when events and contract of a chain disagreed, once every other chain has ended too.
    """
    if not (config.follow or config.serve):
        raise SettingsError("--no-follow and --no-api together leave nothing to do")
    stopping = stop_signal()
    health = Health()
    async with contextlib.AsyncExitStack() as running:
        chains, following = config.chains, None
        if config.follow:
            opened = await asyncio.to_thread(open_followers, config.database_url, config.chains, health)
            chains = tuple(chain for chain, _ in opened)
            following = Following([follower for _, follower in opened], health)
        ports = {}
        if config.serve:
            listener = await running.enter_async_context(_serving(config, chains, health))
            ports["port"] = listener.port
        if config.metrics_address:
            metrics_listener = HttpListener(metrics_app(), config.metrics_address, SettingsError)
            ports["metrics_port"] = (await running.enter_async_context(metrics_listener)).port
        names = [chain.name for chain in chains]
        log.info("indexer ready", chains=names, follows=config.follow, **ports)
        until_stopped = asyncio.create_task(stopping.wait())
        if following is None:
            await until_stopped
        else:
            ended = asyncio.create_task(following.run())
            await asyncio.wait([ended, until_stopped], return_when=asyncio.FIRST_COMPLETED)
            log.info("stopping: finishing the page in hand")
            following.stop()
            until_stopped.cancel()
            await ended
    log.info("indexer stopped")


@contextlib.asynccontextmanager
async def _serving(
    config: IndexerConfig, chains: tuple[ChainConfig, ...], health: Health
) -> AsyncIterator[HttpListener]:
    engine = read_engine(config.database_read_url or config.database_url)
    await asyncio.to_thread(require_current, engine)
    if chains:
        served = {str(chain.name): chain.chain_id for chain in chains if chain.chain_id is not None}
    else:
        pools = await asyncio.to_thread(pools_of, engine)
        served = {preset_of(chain_id).name: chain_id for chain_id, _ in pools if config.chain_id in (None, chain_id)}
    readers = {name: Reader(engine, chain_id) for name, chain_id in served.items()}
    if not readers:
        which = "no pool" if config.chain_id is None else f"no pool of chain {config.chain_id}"
        raise SettingsError(f"the database holds {which} yet: run `gelap indexer run` with a chain to follow first")
    cache = None if config.redis_url is None else PageCache(config.redis_url)
    spare_the_collector()
    api = Api(readers, RateLimit(config.rate, config.burst), cache=cache, kept=KeptPages(), health=health)
    listening = HttpListener(
        api_app(api), config.address, SettingsError, grace=_GRACE_SECONDS, proxies=config.trusted_proxies
    )
    async with api, listening as listener:
        try:
            yield listener
        finally:
            await api.end_streams()
            await listener.stop()
    if cache is not None:
        cache.close()
    engine.dispose()
