"""With a proxy, every connection of a wallet goes through it: there is no other one, and no name is looked up here."""

import contextlib
import http.server
import json
import socket
import socketserver
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from typer.testing import CliRunner

from chain.errors import RelayerError, RpcError, SourceError
from chain.pool import Pool
from chain.stream.source import IndexerSource
from chain.token import Token
from tests.service.chain.anvil import until
from tests.service.chain.service_processes import indexer_and_relayer
from wallet import keystore
from wallet.cli import app
from wallet.errors import RequestError, UnproxiedError
from wallet.network import ChosenProver, connect, isolated, open_indexer, open_relayer

# Names that no resolver knows (RFC 6761): only the proxy can lead to what is behind them.
NODE, PROVER, INDEXER, RELAYER = "node.invalid", "prover.invalid", "indexer.invalid", "relayer.invalid"
DEAD_NODE = "dead-node.invalid"
RECEIVER = "0x" + "00" * 19 + "AB"


class SocksServer(socketserver.ThreadingTCPServer):
    """SOCKS 5 (RFC 1928) for names alone, which takes any user (RFC 1929); remembers who asked it for what."""

    allow_reuse_address = daemon_threads = True

    def __init__(self, behind: dict[str, int]) -> None:
        self.behind = behind
        self.asked: list[str] = []
        self.users: dict[str, set[str]] = {}
        super().__init__(("127.0.0.1", 0), SocksConnection)

    @property
    def port(self) -> int:
        return self.server_address[1]


class SocksConnection(socketserver.StreamRequestHandler):
    server: SocksServer

    def handle(self) -> None:
        _, methods = self.rfile.read(2)
        user = ""
        if 2 in self.rfile.read(methods):
            self.wfile.write(b"\x05\x02")
            self.rfile.read(1)
            user = self.rfile.read(self.rfile.read(1)[0]).decode()
            self.rfile.read(self.rfile.read(1)[0])
            self.wfile.write(b"\x01\x00")
        else:
            self.wfile.write(b"\x05\x00")
        _, command, _, kind = self.rfile.read(4)
        assert (command, kind) == (1, 3), "connect, by name"
        name = self.rfile.read(self.rfile.read(1)[0]).decode()
        self.rfile.read(2)
        self.server.asked.append(name)
        self.server.users.setdefault(name, set()).add(user)
        if name not in self.server.behind:
            self.wfile.write(b"\x05\x04\x00\x01" + bytes(6))  # host unreachable
            return
        with socket.create_connection(("127.0.0.1", self.server.behind[name])) as inner:
            self.wfile.write(b"\x05\x00\x00\x01" + bytes(6))
            back = threading.Thread(target=_pour, args=(inner, self.connection), daemon=True)
            back.start()
            _pour(self.connection, inner)


def _pour(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


class Gateway(http.server.BaseHTTPRequestHandler):
    """A gateway that is always out of order: what matters is how it was reached."""

    def do_GET(self) -> None:
        body = json.dumps({"type": "about:blank", "title": "out of order", "status": 503}).encode()
        self.send_response(503)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_: Any) -> None:
        pass


@contextlib.contextmanager
def served(server: socketserver.BaseServer) -> Iterator[Any]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def proxy(pool: Pool, token: Token, tmp_path: Path) -> Iterator[SocksServer]:
    """A proxy behind which are the node, a gateway, and an indexer and a relayer in processes of their own."""
    with (
        served(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Gateway)) as gateway,
        indexer_and_relayer(pool, token, tmp_path) as (indexer, relayer),
    ):
        node = urlsplit(pool.w3.provider.endpoint_uri).port  # type: ignore[attr-defined]
        behind = {NODE: node, PROVER: gateway.server_address[1], INDEXER: indexer, RELAYER: relayer}
        with served(SocksServer(behind)) as server:
            yield server


@dataclass
class Watch:
    """What was connected to and looked up, save by the threads that something else had started before."""

    others: set[threading.Thread]
    seen: list[tuple[str, Any]] = field(default_factory=list)


_watching: list[Watch] = []


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    """Python reports every connection and look-up of this process, whichever library makes it."""
    if not _watching or event not in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname"):
        return
    (watch,) = _watching
    if threading.current_thread() in watch.others or "process_request_thread" in threading.current_thread().name:
        return
    if event != "socket.connect":
        watch.seen.append((event, arguments[0]))
    elif isinstance(arguments[1], tuple):
        watch.seen.append((event, arguments[1][:2]))


sys.addaudithook(_audit)


@contextlib.contextmanager
def watched() -> Iterator[list[tuple[str, Any]]]:
    """What this process connects to and looks up, save in the threads of the proxy itself."""
    watch = Watch({*threading.enumerate()} - {threading.current_thread()})
    _watching.append(watch)
    try:
        yield watch.seen
    finally:
        _watching.clear()


@pytest.mark.slow
def test_there_is_no_connection_and_no_look_up_beside_the_proxy(
    proxy: SocksServer,
    pool: Pool,
    token: Token,
    prover,
    insert_all: Callable[[], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Reading from nodes and an indexer, depositing, having a payment proved elsewhere and handing one to a relayer
    show nobody this machine's address.
    """
    cheap = keystore.Cost(n=2, r=1)
    monkeypatch.setattr(keystore, "Cost", lambda: cheap)
    # What a careless client would take from the environment and go around the proxy for.
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    for name, content in (("passphrase", "a good long one"), ("words", "abandon " * 23 + "art")):
        (tmp_path / name).write_text(content)
    (tmp_path / "evm").write_text(pool.account.key.hex())  # type: ignore[union-attr]
    environment = {
        "GELAP_WALLET": str(tmp_path / "wallet"),
        "GELAP_PASSPHRASE_FILE": str(tmp_path / "passphrase"),
        "GELAP_EVM_KEY_FILE": str(tmp_path / "evm"),
        "GELAP_RPC_URL": f"http://{DEAD_NODE}:8545 http://{NODE}:8545",
        "GELAP_INDEXER": f"http://{INDEXER}:8090",
        "GELAP_RELAYER": f"http://{RELAYER}",
        "GELAP_PROXY": f"socks5h://127.0.0.1:{proxy.port}",
        "GELAP_API_KEY": "key",
    }

    def run(*arguments: str) -> int:
        with watched() as found:
            result = CliRunner().invoke(app, list(arguments), env=environment)
        seen.extend(found)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result.exit_code

    seen: list[tuple[str, Any]] = []
    where = ["--pool", pool.address, "--deployed-at", str(pool.deployed_at)]
    assert run("import", "--mnemonic-file", str(tmp_path / "words")) == 0
    assert run("sync", *where) == 0
    assert run("deposit", token.address, "400", "--yes") == 0
    insert_all()
    wait_for_indexer(proxy.behind[INDEXER], pool)
    withdraw = ["withdraw", RECEIVER, token.address, "20", "--max-fee", "99", "--yes"]
    assert run(*withdraw, "--prover", f"http://{PROVER}") == 12, "the gateway is out of order"
    assert set(proxy.asked) == {DEAD_NODE, NODE, INDEXER, RELAYER, PROVER}
    monkeypatch.setattr(ChosenProver, "prove", lambda self, *statement: prover.prove(*statement))
    proxy.asked.clear()
    assert run(*withdraw) == 0
    assert token.balance_of(RECEIVER) == 20
    assert run("status") == 0
    assert set(proxy.asked) == {DEAD_NODE, NODE, INDEXER, RELAYER}
    connections = {where for event, where in seen if event == "socket.connect"}
    assert connections == {("127.0.0.1", proxy.port)}
    assert {name for event, name in seen if event != "socket.connect"} <= {"127.0.0.1"}
    # Tor gives each user circuits of its own: the services see different addresses.
    users = [proxy.users[name] for name in (NODE, INDEXER, RELAYER, PROVER)]
    assert [len(names) for names in users] == [1, 1, 1, 1]
    assert len(set.union(*users)) == 4
    assert proxy.users[DEAD_NODE] == proxy.users[NODE]


def wait_for_indexer(port: int, pool: Pool) -> None:
    """Until it has read the newest block."""
    source = IndexerSource(f"http://127.0.0.1:{port}", pool.chain_id, pool.address)
    until(lambda: (tip := source.tip()) is not None and tip.number >= pool.block_number())


def test_a_connection_around_the_proxy_would_be_noticed(pool: Pool) -> None:
    port = urlsplit(pool.w3.provider.endpoint_uri).port  # type: ignore[attr-defined]
    with watched() as seen:
        connect(f"http://127.0.0.1:{port}", None)
    assert ("socket.connect", ("127.0.0.1", port)) in seen


def test_a_proxy_that_is_down_is_not_gone_around(pool: Pool) -> None:
    uri = pool.w3.provider.endpoint_uri  # type: ignore[attr-defined]
    dead = "socks5h://127.0.0.1:9"
    with watched() as seen:
        with pytest.raises(RpcError):
            connect(uri, dead)
        with pytest.raises(SourceError):
            open_indexer(uri, pool.chain_id, pool.address, dead).tip()
        with pytest.raises(RelayerError), open_relayer(uri, dead) as relayer:
            relayer.terms()
    assert {where for event, where in seen if event == "socket.connect"} == {("127.0.0.1", 9)}


def test_a_thread_of_its_own_does_not_go_around_the_proxy(pool: Pool) -> None:
    node = urlsplit(pool.w3.provider.endpoint_uri).port  # type: ignore[attr-defined]
    with served(SocksServer({NODE: node})) as server:
        w3 = connect(f"http://{NODE}:8545", f"socks5h://127.0.0.1:{server.port}")
        with watched() as seen:
            thread = threading.Thread(target=lambda: w3.eth.block_number)
            thread.start()
            thread.join()
    assert {where for event, where in seen if event == "socket.connect"} == {("127.0.0.1", server.port)}


def test_a_user_of_the_proxy_that_was_named_is_kept_and_other_proxies_get_none() -> None:
    assert isolated("socks5h://me:secret@127.0.0.1:9050", "node") == "socks5h://me:secret@127.0.0.1:9050"
    assert isolated("http://127.0.0.1:3128", "node") == "http://127.0.0.1:3128"
    assert isolated(None, "node") is None
    node, relayer = (isolated("socks5h://127.0.0.1:9050", service) for service in ("node", "relayer"))
    assert node != relayer
    assert str(node).endswith("@127.0.0.1:9050")


def chosen(where: str, proxy: str | None, api_key: str | None = "key") -> ChosenProver:
    return ChosenProver(where, key_directory=Path(), api_key=api_key, fingerprint=None, proxy=proxy)


def test_what_cannot_go_through_the_proxy_is_refused_with_advice() -> None:
    tor = "socks5h://127.0.0.1:9050"
    with pytest.raises(UnproxiedError, match="REST address"):
        chosen("grpc://prover.example:50051", tor)
    for leaking in ("socks5://127.0.0.1:9050", "127.0.0.1:9050", "socks5h://"):
        for opening in (
            lambda proxy: connect("http://node.invalid", proxy),
            lambda proxy: open_indexer("http://indexer.invalid", 1, RECEIVER, proxy),
            lambda proxy: open_relayer("http://relayer.invalid", proxy),
            lambda proxy: chosen("https://prover.invalid", proxy),
        ):
            with pytest.raises(UnproxiedError, match="socks5h://host:port"):
                opening(leaking)
    assert chosen("https://prover.example", tor).is_remote
    assert not chosen("local", tor).is_remote
    with pytest.raises(RequestError, match="GELAP_API_KEY"):
        chosen("https://prover.example", None, api_key=None)
    with pytest.raises(RequestError, match="a prover is"):
        chosen("pigeon", None)
