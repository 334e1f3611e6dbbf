"""HTTP listeners in one event loop, for the API and for metrics."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from indexer.errors import SettingsError

_BACKLOG = 512
_GRACE_SECONDS = 5
_POLL_SECONDS = 0.02


class HttpListener:
    """Listens at host:port inside `async with`; `port` is the real one, also for port 0. Raises SettingsError."""

    def __init__(self, app: ASGIApp, address: str) -> None:
        self._address = address
        self._socket = _bind(address)
        self.port: int = self._socket.getsockname()[1]
        self._server = _Server(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                lifespan="off",
                ws="none",
                http="h11",
                server_header=False,
                proxy_headers=False,
                backlog=_BACKLOG,
                timeout_graceful_shutdown=_GRACE_SECONDS,
            )
        )
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "HttpListener":
        self._task = asyncio.create_task(self._server.serve(sockets=[self._socket]))
        while not self._server.started:
            if self._task.done():
                self._task.result()
                raise SettingsError(f"cannot listen on {self._address}")
            await asyncio.sleep(_POLL_SECONDS)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.should_exit = True
        if self._task is not None:
            await self._task


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The indexer has its own word on signals."""
        yield


def _bind(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, ValueError):
        raise SettingsError(f"{address} is no address to listen on, such as 127.0.0.1:8090") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(where)
    except OSError as error:
        listener.close()
        raise SettingsError(f"cannot listen on {address} ({error.strerror}): is the port taken?") from None
    return listener
