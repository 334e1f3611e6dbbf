"""The real contracts on anvil, and somebody hostile between them and a wallet."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from eth_account.signers.local import LocalAccount

from chain.events import TOPIC_QUEUED
from chain.pool import Pool
from chain.rpc import connect
from chain.token import Token
from protocol.memo import encrypt

# Fixtures of the contracts on anvil.
from tests.service.chain.conftest import (
    _idle_chain,
    evm_accounts,
    insert_all,
    open_wallet,
    pass_time,
    pool,
    prover,
    token,
    w3,
)
from wallet.spend import Output
from wallet.wallet import Wallet

__all__ = ["_idle_chain", "evm_accounts", "insert_all", "open_wallet", "pass_time", "pool", "prover", "token", "w3"]

Lie = Callable[[list[Any], Any], Any]
"""What a node answers, given the request's parameters and the true result (None where the truth is an error)."""


def queued_log(pool: Pool, position: int, paid: Output) -> dict[str, Any]:
    """The log of a commitment that was never queued, as a node would give it, in the newest block."""
    head = pool.block_number()
    memo = encrypt(paid.note, paid.address)
    return {
        "address": pool.address,
        "topics": ["0x" + TOPIC_QUEUED.hex(), f"0x{position:064x}"],
        "data": "0x" + f"{paid.note.commitment:064x}{64:064x}{224:064x}" + memo.hex(),
        "blockNumber": hex(head),
        "blockHash": pool.block_hash(head),
        "transactionHash": "0x" + "ab" * 32,
        "transactionIndex": "0x0",
        "logIndex": "0x63",
        "removed": False,
    }


class FalseNode(ThreadingHTTPServer):
    """A node that answers as the true one does, save where `lies` has another answer for a method.

    A lie that is bytes is the whole body of the answer. `asked` has every request: method and parameters.
    """

    daemon_threads = True

    def __init__(self, true_url: str) -> None:
        self.true_url = true_url
        self.lies: dict[str, Lie] = {}
        self.asked: list[tuple[str, list[Any]]] = []
        self.session = requests.Session()
        self.lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), _FalseAnswers)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def methods(self) -> list[str]:
        return [method for method, _ in self.asked]

    def ask_true_node(self, body: bytes) -> Any:
        with self.lock:
            headers = {"Content-Type": "application/json"}
            return self.session.post(self.true_url, data=body, headers=headers, timeout=60).json()


class _FalseAnswers(BaseHTTPRequestHandler):
    server: FalseNode
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # head and body in one packet

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        request = json.loads(body)
        method, params = request["method"], request.get("params", [])
        self.server.asked.append((method, params))
        answer = self.server.ask_true_node(body)
        lie = self.server.lies.get(method)
        if lie is not None:
            true = answer.get("result")
            told = lie(params, true)
            if isinstance(told, bytes):
                return self._answer(told)
            if told is not true:
                answer = {"jsonrpc": "2.0", "id": request["id"], "result": told}
        return self._answer(json.dumps(answer).encode())

    def _answer(self, content: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def node(pool: Pool) -> Iterator[FalseNode]:
    """A node in front of anvil that tells no lies yet."""
    server = FalseNode(str(pool.w3.provider.endpoint_uri))  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def through(
    node: FalseNode, pool: Pool, evm_accounts: list[LocalAccount], tmp_path: Path, prover: Any
) -> Iterator[Callable[..., Wallet]]:
    """Open the wallet of an account as `open_wallet` does, but on the false node."""
    opened: list[Wallet] = []

    def open_(wallet: Wallet, name: str = "through.db", prover: Any = prover) -> Wallet:
        seen = Pool(connect(node.url), pool.address, evm_accounts[0], pool.deployed_at)
        opened.append(Wallet(tmp_path / name, wallet.keys, pool=seen, prover=prover))
        return opened[-1]

    yield open_
    for wallet in opened:
        wallet.close()


@pytest.fixture
def rich(open_wallet: Callable[..., Wallet], token: Token, insert_all: Callable[[], None]) -> Wallet:
    """A wallet with notes of 100 and 60 that can be spent."""
    wallet = open_wallet(0)
    for amount in (100, 60):
        wallet.deposit(token.address, amount)
    insert_all()
    wallet.sync()
    return wallet
