"""A TCP relay in front of a node's JSON-RPC port that a test can kill, or have hold a request or lose an answer."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

from tests.e2e.world.ports import reserved_port

_CHUNK = 1 << 16


class Endpoint:
    """Relays to `target` (host:port in an http URL) from a port of its own, which it keeps over deaths until `close`.

    `caught` is set when the fault asked for by `hold` or `lose_answer` happened.
    """

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        self._target = (parts.hostname or "", parts.port or 0)
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._pattern: bytes | None = None
        self._forward = True
        self.caught = threading.Event()
        self._kept = contextlib.ExitStack()
        self.port = self._kept.enter_context(reserved_port())
        self._listener = self._listen()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def alive(self) -> bool:
        return self._listener.fileno() != -1

    def kill(self) -> None:
        """Refuse connections and break those that are open."""
        # A thread in accept() keeps the port open until it wakes up.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._acceptor.join()
        with self._lock:
            for each in list(self._open):
                _close(each)
            self._open.clear()

    def revive(self) -> None:
        self._listener = self._listen()

    def close(self) -> None:
        if self.alive:
            self.kill()
        self._kept.close()

    @contextlib.contextmanager
    def hold(self, method: str) -> Iterator[None]:
        """Keep back each request of this JSON-RPC method: the node never sees it, its caller waits."""
        with self._fault(method, forward=False):
            yield

    @contextlib.contextmanager
    def lose_answer(self, method: str) -> Iterator[None]:
        """Let each request of this method through, and break the connection in place of the answer."""
        with self._fault(method, forward=True):
            yield

    @contextlib.contextmanager
    def _fault(self, method: str, forward: bool) -> Iterator[None]:
        self.caught.clear()
        self._pattern, self._forward = f'"{method}"'.encode(), forward
        try:
            yield
        finally:
            self._pattern = None

    def _listen(self) -> socket.socket:
        listener = socket.create_server(("127.0.0.1", self.port), backlog=64)
        self._acceptor = threading.Thread(target=self._accept, args=(listener,), daemon=True)
        self._acceptor.start()
        return listener

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                node = socket.create_connection(self._target, timeout=10)
                node.settimeout(None)
            except OSError:
                client.close()
                continue
            for each in (client, node):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._open |= {client, node}
            muted = threading.Event()
            for pump in (self._to_node, self._to_client):
                threading.Thread(target=pump, args=(client, node, muted), daemon=True).start()

    def _to_node(self, client: socket.socket, node: socket.socket, muted: threading.Event) -> None:
        for data in _received(client):
            if self._pattern is not None and self._pattern in data:
                if not self._forward:
                    self.caught.set()
                    continue
                muted.set()
            if not _sent(node, data):
                break
        self._end(client, node)

    def _to_client(self, client: socket.socket, node: socket.socket, muted: threading.Event) -> None:
        for data in _received(node):
            if muted.is_set():
                self.caught.set()
                break
            if not _sent(client, data):
                break
        self._end(client, node)

    def _end(self, *connections: socket.socket) -> None:
        with self._lock:
            self._open -= set(connections)
        for each in connections:
            _close(each)


def _received(connection: socket.socket) -> Iterator[bytes]:
    with contextlib.suppress(OSError):
        while data := connection.recv(_CHUNK):
            yield data


def _sent(connection: socket.socket, data: bytes) -> bool:
    try:
        connection.sendall(data)
    except OSError:
        return False
    return True


def _close(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
