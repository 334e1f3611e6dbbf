"""One gateway process: its listeners, their health, and the care for lost jobs."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import redis
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio
from grpc_reflection.v1alpha import reflection

from gateway import metrics
from gateway.calls import Calls
from gateway.circuits import Circuits
from gateway.cluster import Cluster
from gateway.events import JobEvents
from gateway.health import Condition, Consumption
from gateway.probes import probes_app
from gateway.rest.app import rest_app
from gateway.service import ProverService
from gateway.tenants import OpenDoor, Register, TenantLimits
from gateway.tls import Tls, TlsFiles, require_tls_or_loopback
from gateway.validation import MAX_REQUEST_BYTES
from gelap.listener import HttpListener, stop_signal
from gelap.logs import where
from gelap.tracing import traces_of
from proto import prover_pb2, prover_pb2_grpc
from worker import queue
from worker.connection import connect_or_explain
from worker.errors import ConfigurationError
from worker.jobs import JobStore, Limits

SERVICE = prover_pb2.DESCRIPTOR.services_by_name["Prover"].full_name

# Threads that wait for Redis on behalf of calls.
_THREADS = 16
_REAP_SECONDS = 1.0
# Python lets another thread run after 5 ms by default: longer than a call to Redis takes.
_SWITCH_SECONDS = 0.0005
_LOOK_SECONDS = 1.0
_FILES_SECONDS = 2.0
# The last part of a drain: calls that still wait are told that the gateway stops, and have this long to pass it on.
_LAST_WORDS = 1.0

log = structlog.get_logger("gelap.gateway")


@dataclass(frozen=True)
class GatewayConfig:
    """Addresses are host:port, with port 0 for any free one; None for `http_address`, `metrics_address` is none.

    `open_door` lets in keys that nobody registered. `drain` is how many seconds calls get to end on a stop, `notice`
    how long before that the gateway already says that it is not ready but still takes calls, so that balancers notice.
    """

    redis_url: str
    key_dir: Path
    address: str
    http_address: str | None = None
    metrics_address: str | None = None
    tls: TlsFiles | None = None
    plaintext: bool = False
    open_door: bool = False
    tenants: TenantLimits = field(default_factory=TenantLimits)
    stall: float = 120.0
    notice: float = 0.0
    drain: float = 30.0
    limits: Limits = field(default_factory=lambda: Limits())


async def serve(config: GatewayConfig) -> None:
    """Serve until SIGTERM or SIGINT, then let the calls in hand end and return. Raises ConfigurationError."""
    require_tls_or_loopback(config.address, config.tls, config.plaintext, "gRPC")
    if config.http_address:
        require_tls_or_loopback(config.http_address, config.tls, config.plaintext, "REST")
    tls = Tls(config.tls) if config.tls else None
    sys.setswitchinterval(_SWITCH_SECONDS)
    traces = traces_of("gelap-gateway")
    client = connect_or_explain(config.redis_url)
    circuits = Circuits(config.key_dir)
    register = Register(client, config.tenants)
    door = OpenDoor(register) if config.open_door else register
    store = JobStore(client, config.limits)
    cluster = Cluster(client, store, queue.make_app(config.redis_url), circuits, door, traces)
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(_THREADS, thread_name_prefix="redis"))

    stopping = stop_signal()

    events = JobEvents(client)
    events.start()
    calls = Calls(cluster, events)
    watch = Watch(cluster, Consumption(config.stall))
    await watch.look()

    async with contextlib.AsyncExitStack() as running:
        running.callback(traces.close)
        server, port = await _listen(config.address, ProverService(calls, traces), watch.health, tls)
        running.push_async_callback(server.stop, 0)
        listeners = []
        if config.http_address:
            grace = config.drain + _LAST_WORDS
            context = tls.context if tls else None
            app = rest_app(calls, watch.condition, traces)
            rest = HttpListener(app, config.http_address, ConfigurationError, context, grace)
            listeners.append(await running.enter_async_context(rest))
        if config.metrics_address:
            probes = HttpListener(probes_app(watch.condition), config.metrics_address, ConfigurationError)
            await running.enter_async_context(probes)
        for seconds, action in (
            (_REAP_SECONDS, lambda: _reap(cluster)),
            (_LOOK_SECONDS, watch.look),
            (_FILES_SECONDS, lambda: _reload(circuits, tls)),
        ):
            await running.enter_async_context(_repeated(seconds, action))

        if config.open_door:
            log.warning("the door is open: every API key is let in, without limits")
        log.info(
            "gateway ready",
            address=config.address,
            port=port,
            http_port=listeners[0].port if listeners else None,
            metrics_port=probes.port if config.metrics_address else None,
            tls=tls is not None,
            circuits=sorted(circuits.current),
        )
        await stopping.wait()
        await _drain(config, watch, calls, server, listeners)
        await asyncio.to_thread(cluster.close)
    events.stop()
    log.info("gateway stopped")


class Watch:
    """Looks at the cluster, and keeps health, probes and gauges up to date."""

    def __init__(self, cluster: Cluster, consumption: Consumption) -> None:
        self.condition = Condition()
        self.health = health_aio.HealthServicer()
        self._cluster = cluster
        self._consumption = consumption

    async def look(self) -> None:
        """The empty name stands for the gateway and its Redis, the service's name for that and workers that consume."""
        try:
            overview = await asyncio.to_thread(self._cluster.overview)
            workers = await asyncio.to_thread(self._cluster.live_workers)
        except redis.RedisError:
            self.condition.store_up = self.condition.consuming = False
        else:
            self.condition.store_up = True
            self.condition.consuming = self._consumption.observe(overview, workers)
            metrics.CLUSTER.show(overview, workers, sorted(self._cluster.circuits))
        metrics.STORE_UP.set(self.condition.store_up)
        metrics.CONSUMING.set(self.condition.consuming)
        for name, serving in (("", self.condition.store_up), (SERVICE, self.condition.consuming)):
            status = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
            await self.health.set(name, status)

    async def drain(self) -> None:
        self.condition.draining = True
        metrics.DRAINING.set(1)
        await self.health.enter_graceful_shutdown()


async def _drain(
    config: GatewayConfig, watch: Watch, calls: Calls, server: grpc.aio.Server, listeners: list[HttpListener]
) -> None:
    """Be not ready, then take no more calls, then let those in hand end; those that wait on are told so at the end."""
    log.info("stopping: letting the calls in hand end", seconds=config.drain)
    await watch.drain()
    await asyncio.sleep(config.notice)
    ends = [asyncio.create_task(server.stop(config.drain + _LAST_WORDS))]
    ends += [asyncio.create_task(listener.stop()) for listener in listeners]
    _, late = await asyncio.wait(ends, timeout=config.drain)
    if late:
        log.warning("calls still wait for their jobs: they are told to ask another gateway")
        calls.end_waiting()
        await asyncio.wait(late, timeout=2 * _LAST_WORDS)


async def _listen(
    address: str, service: ProverService, health: health_aio.HealthServicer, tls: Tls | None
) -> tuple[grpc.aio.Server, int]:
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", MAX_REQUEST_BYTES),
            # Without it a second gateway on this port would start, and get half of the calls.
            ("grpc.so_reuseport", 0),
        ]
    )
    prover_pb2_grpc.add_ProverServicer_to_server(service, server)
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    names = (SERVICE, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server)
    try:
        port = server.add_secure_port(address, tls.grpc_credentials()) if tls else server.add_insecure_port(address)
    except RuntimeError:
        port = 0
    if port == 0:
        raise ConfigurationError(f"cannot listen on {address}: is the port taken, or the address not this machine's?")
    await server.start()
    return server, port


@contextlib.asynccontextmanager
async def _repeated(seconds: float, action: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Do something at once and then again and again, in the background."""

    async def repeat() -> None:
        while True:
            try:
                await action()
            except Exception as error:
                # The next time may go well; without this nobody would look after lost jobs any more.
                log.error("background work failed", exception=type(error).__name__, where=where(error))
            await asyncio.sleep(seconds)

    task = asyncio.create_task(repeat())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _reap(cluster: Cluster) -> None:
    try:
        await asyncio.to_thread(cluster.reap)
    except redis.RedisError as error:
        log.warning("lost jobs not looked for: Redis does not answer", reason=str(error))


async def _reload(circuits: Circuits, tls: Tls | None) -> None:
    await asyncio.to_thread(circuits.reload_if_changed)
    if tls:
        await asyncio.to_thread(tls.reload_if_changed)
