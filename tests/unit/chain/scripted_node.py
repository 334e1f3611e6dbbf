"""A JSON-RPC node on a real socket that answers as a test says, or misbehaves."""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CHAIN_ID = 31337


class Refusal(Exception):
    """Raised by an answer: JSON-RPC's error."""

    def __init__(self, message: str, code: int = -32000, data: str | None = None) -> None:
        self.error: dict[str, Any] = {"code": code, "message": message} | ({} if data is None else {"data": data})


class Status(Exception):
    """Raised by an answer: an HTTP status without JSON."""

    def __init__(self, code: int, **headers: str) -> None:
        self.code = code
        self.headers = headers


class HangUp(Exception):
    """Raised by an answer: the connection ends without one."""


class Drip(Exception):
    """Raised by an answer: it comes a byte at a time."""


class Node:
    """`answers[method](*params)` gives the result; `asked` is what was asked, in order."""

    def __init__(self, **answers: Callable[..., Any]) -> None:
        self.answers: dict[str, Callable[..., Any]] = {"eth_chainId": lambda: hex(CHAIN_ID)} | answers
        self.asked: list[tuple[str, list[Any]]] = []
        self.url = ""

    def methods(self) -> list[str]:
        return [method for method, _ in self.asked if method != "eth_chainId"]


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # head and body in one packet

    def do_POST(self) -> None:
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        node = self.server.node
        node.asked.append((question["method"], question["params"]))
        head = {"jsonrpc": "2.0", "id": question["id"]}
        try:
            self._send(200, json.dumps(head | {"result": node.answers[question["method"]](*question["params"])}))
        except Refusal as refusal:
            self._send(200, json.dumps(head | {"error": refusal.error}))
        except Status as status:
            self._send(status.code, "busy", status.headers)
        except HangUp:
            self.close_connection = True
        except Drip:
            self._drip()

    def _send(self, code: int, body: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body.encode())

    def _drip(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        with contextlib.suppress(OSError):
            for _ in range(1000):
                self.wfile.write(b" ")
                self.wfile.flush()
                time.sleep(0.02)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, node: Node) -> None:
        self.node = node
        super().__init__(("127.0.0.1", 0), _Handler)


@contextlib.contextmanager
def serving(*nodes: Node) -> Iterator[list[str]]:
    """The nodes' URLs, while they answer."""
    servers = [_Server(node) for node in nodes]
    threads = [threading.Thread(target=server.serve_forever, args=(0.01,)) for server in servers]
    for thread in threads:
        thread.start()
    for node, server in zip(nodes, servers, strict=True):
        node.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield [node.url for node in nodes]
    finally:
        for server, thread in zip(servers, threads, strict=True):
            server.shutdown()
            server.server_close()
            thread.join()
