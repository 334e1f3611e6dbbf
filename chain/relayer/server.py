"""One relayer process: its listeners in the event loop, the care for payments in a thread, both ended by a signal."""

import asyncio
import contextlib
import threading
from dataclasses import dataclass

import structlog

from chain.errors import ChainError
from chain.relayer import metrics
from chain.relayer.app import relayer_app
from chain.relayer.service import Relayer
from gelap.listener import HttpListener, stop_signal
from gelap.metrics_page import metrics_app
from gelap.rate_limit import RateLimit

log = structlog.get_logger("gelap.relayer")
_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Serving:
    """Addresses are host:port, `metrics_address` None for nowhere. One address may ask `rate` times a second on average
    and `burst` times at once; rate 0 for any number. `proxies` are believed about whom they ask for, as `HttpListener`
    says. `drain` is how many seconds payments under way get on a stop.
    """

    address: str
    metrics_address: str | None = None
    rate: float = 20.0
    burst: int = 100
    drain: float = 10.0
    proxies: str = ""


async def serve(relayer: Relayer, serving: Serving) -> None:
    """Serve and care for payments until SIGTERM or SIGINT.

    Then nothing new is taken, and payments under way are followed for a while; what still waits is in the journal.
    Raises ChainError for an address that cannot be listened on.
    """
    told = stop_signal()
    stop = threading.Event()
    async with contextlib.AsyncExitStack() as running:
        app = relayer_app(relayer, RateLimit(serving.rate, serving.burst))
        listener = HttpListener(app, serving.address, ChainError, proxies=serving.proxies)
        await running.enter_async_context(listener)
        ports = {"port": listener.port}
        if serving.metrics_address:
            operators = HttpListener(metrics_app(metrics.REGISTRY), serving.metrics_address, ChainError)
            ports["metrics_port"] = (await running.enter_async_context(operators)).port
        tending = threading.Thread(target=relayer.run, args=(stop,), name="tend")
        tending.start()
        try:
            pool = relayer.pool
            log.info("relayer ready", account=relayer.address, pool=pool.address, chain_id=pool.chain_id, **ports)
            await told.wait()
            relayer.drain()
            log.info("stopping: taking nothing new", pending=relayer.pending_count())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(serving.drain):
                    while relayer.pending_count():
                        await asyncio.sleep(_POLL_SECONDS)
            await listener.stop()
        finally:
            stop.set()
            await asyncio.to_thread(tending.join)
    log.info("relayer stopped", pending=relayer.pending_count())
