"""HTTP listeners inside an event loop that has other work too: what every server of the product serves through."""

import asyncio
import contextlib
import ipaddress
import math
import signal
import socket
import ssl
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

_BACKLOG = 1024
_KEEP_ALIVE = 65
_MAX_HEADER_BYTES = 16 << 10
_POLL_SECONDS = 0.02


class HttpListener:
    """Listens at host:port inside `async with`; `port` is the real one, also for port 0.

    Leaving the block gives up the answers in hand; `stop` before it lets them end, for `grace` seconds at most. `error`
    is what the caller's package raises for an address that cannot be listened on. Without `tls` it is plain HTTP.

    `proxies` (addresses and networks, separated by commas or blanks) are believed when they say in X-Forwarded-For whom
    they ask for: a request is then from the last address there that is none of theirs. From anybody else the header is
    ignored.
    """

    def __init__(
        self,
        app: ASGIApp,
        address: str,
        error: type[Exception],
        tls: ssl.SSLContext | None = None,
        grace: float = 1.0,
        proxies: str = "",
    ) -> None:
        self._address = address
        self._error = error
        trusted = _networks(proxies, error)
        self._socket = _bind(address, error)
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
            # Limits count by the address of the connection: a header that says another one is anybody's word.
            proxy_headers=bool(trusted),
            forwarded_allow_ips=trusted,
            timeout_keep_alive=_KEEP_ALIVE,
            backlog=_BACKLOG,
            timeout_graceful_shutdown=math.ceil(grace),
            ssl_context_factory=(lambda *_: tls) if tls else None,
        )
        self._server = _Server(config)
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "HttpListener":
        self._task = asyncio.create_task(self._server.serve(sockets=[self._socket]))
        while not self._server.started:
            if self._task.done():
                self._task.result()
                raise self._error(f"cannot listen on {self._address}")
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


def stop_signal() -> asyncio.Event:
    """An event that SIGTERM or SIGINT sets, in place of ending the process. Call it inside the event loop."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    return told


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The process has its own word on signals: see `stop_signal`."""
        yield


def _networks(text: str, error: type[Exception]) -> list[str]:
    """The networks that `text` names, IPv4 ones also as an IPv6 socket sees them (RFC 4291, 2.5.5.2)."""
    found: list[str] = []
    for name in text.replace(",", " ").split():
        try:
            network = ipaddress.ip_network(name)
        except ValueError:
            raise error(
                f"{name[:60]!r} is no proxy to trust: name addresses and networks, such as 10.0.0.0/8, 192.168.1.7"
            ) from None
        found.append(str(network))
        if network.version == 4:
            found.append(f"::ffff:{network.network_address}/{96 + network.prefixlen}")
    return found


def _bind(address: str, error: type[Exception]) -> socket.socket:
    host, _, port = address.rpartition(":")
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, ValueError):
        raise error(f"{address} is no address to listen on, such as 127.0.0.1:8080") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(where)
    except OSError as failure:
        listener.close()
        raise error(
            f"cannot listen on {address} ({failure.strerror}): is the port taken, or the address not this machine's?"
        ) from None
    return listener
