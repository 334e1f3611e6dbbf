"""An HTTP listener in the event loop of the gateway, for REST and for probes."""

import asyncio
import contextlib
import math
import socket
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from gateway.tls import Tls
from worker.errors import ConfigurationError

_BACKLOG = 1024
_KEEP_ALIVE = 65
_MAX_HEADER_BYTES = 16 << 10
_POLL_SECONDS = 0.02


class HttpListener:
    """Listens inside `async with`; raises ConfigurationError when it cannot. `port` is known then.

    `grace` is how many seconds answers in hand have after a stop; those of callers who do not read are then given up.
    """

    def __init__(self, app: ASGIApp, address: str, tls: Tls | None = None, grace: float = 1.0) -> None:
        self._address = address
        self._socket = _bind(address)
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            http="h11",
            h11_max_incomplete_event_size=_MAX_HEADER_BYTES,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE,
            backlog=_BACKLOG,
            timeout_graceful_shutdown=math.ceil(grace),
            ssl_context_factory=(lambda *_: tls.context) if tls else None,
        )
        self._server = _Server(config)
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "HttpListener":
        self._task = asyncio.create_task(self._server.serve(sockets=[self._socket]))
        while not self._server.started:
            if self._task.done():
                self._task.result()
                raise ConfigurationError(f"cannot listen on {self._address}")
            await asyncio.sleep(_POLL_SECONDS)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.force_exit = True
        await self.stop()

    async def stop(self) -> None:
        """Accept nothing more, and return when the answers in hand are out."""
        self._server.should_exit = True
        if self._task:
            await asyncio.shield(self._task)


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The gateway has its own word on signals."""
        yield


def _bind(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, ValueError):
        raise ConfigurationError(f"{address} is no address to listen on, such as 127.0.0.1:8080") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(where)
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"cannot listen on {address} ({error.strerror}): is the port taken, or the address not this machine's?"
        ) from None
    return listener
