"""One gateway process: the gRPC server, its health, and the care for lost jobs."""

import asyncio
import contextlib
import signal
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

from gateway.cluster import Cluster
from gateway.events import JobEvents
from gateway.service import ProverService
from gateway.validation import MAX_REQUEST_BYTES
from proto import prover_pb2, prover_pb2_grpc
from worker import queue
from worker.connection import connect_or_explain
from worker.errors import ConfigurationError
from worker.jobs import JobStore, Limits
from worker.manifest import read_manifest

SERVICE = prover_pb2.DESCRIPTOR.services_by_name["Prover"].full_name

# Threads that wait for Redis on behalf of calls.
_THREADS = 16
_REAP_SECONDS = 1.0
_HEALTH_SECONDS = 1.0

log = structlog.get_logger("gelap.gateway")


@dataclass(frozen=True)
class GatewayConfig:
    """`address` is host:port, with port 0 for any free one; `drain` the seconds that calls get to end on a stop."""

    redis_url: str
    key_dir: Path
    address: str
    drain: float = 10.0
    limits: Limits = field(default_factory=Limits)


async def serve(config: GatewayConfig) -> None:
    """Serve until SIGTERM or SIGINT, then let the calls in hand end and return. Raises ConfigurationError."""
    client = connect_or_explain(config.redis_url)
    circuits = read_manifest(config.key_dir)
    cluster = Cluster(client, JobStore(client, config.limits), queue.make_app(config.redis_url), circuits)
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS, thread_name_prefix="redis"))

    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)

    events = JobEvents(client)
    events.start()
    health = health_aio.HealthServicer()
    await _tell_health(cluster, health)
    server, port = await _listen(config.address, ProverService(cluster, events), health)
    async with (
        _repeated(_REAP_SECONDS, lambda: _reap(cluster)),
        _repeated(_HEALTH_SECONDS, lambda: _tell_health(cluster, health)),
    ):
        log.info("gateway ready", address=config.address, port=port, circuits=sorted(circuits))
        await stopping.wait()
        log.info("stopping: letting the calls in hand end")
        await health.enter_graceful_shutdown()
    await server.stop(config.drain)
    events.stop()
    log.info("gateway stopped")


async def _listen(
    address: str, service: ProverService, health: health_aio.HealthServicer
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
        port = server.add_insecure_port(address)
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
            await action()
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


async def _tell_health(cluster: Cluster, health: health_aio.HealthServicer) -> None:
    """The empty name stands for the gateway and its Redis, the service's name for that and a live worker."""
    try:
        workers = len(await asyncio.to_thread(cluster.live_workers))
        reachable = True
    except redis.RedisError:
        workers, reachable = 0, False
    for name, serving in (("", reachable), (SERVICE, workers > 0)):
        status = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        await health.set(name, status)
