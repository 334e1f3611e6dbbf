"""The made-up chain behind HTTP, in a process of its own, as fast as one can answer: for timing what reads it.

Every block's logs are written as JSON once, before the first request, as a recording would hold them.
"""

import json
import multiprocessing
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from bench.errors import BenchError
from bench.index.chain import Block, RefusalError, SyntheticChain, busy_chain

START_TIMEOUT = 300.0


class Recording:
    """Answers requests about a chain with bytes; blocks may be added to it and replaced meanwhile."""

    def __init__(self, chain: SyntheticChain) -> None:
        self.chain = chain
        self._logs: dict[str, str] = {}
        for block in chain.blocks:
            self._logs_of(block)

    def answer(self, body: bytes) -> bytes:
        question = json.loads(body)
        head = f'{{"jsonrpc":"2.0","id":{json.dumps(question.get("id"))},'
        try:
            if question["method"] == "eth_getLogs":
                first, last = (int(question["params"][0][name], 16) for name in ("fromBlock", "toBlock"))
                logs = ",".join(filter(None, map(self._logs_of, self.chain.logged(first, last))))
                return f'{head}"result":[{logs}]}}'.encode()
            result = self.chain.answer(question["method"], question["params"])
            return f'{head}"result":{json.dumps(result)}}}'.encode()
        except RefusalError as error:
            return f'{head}"error":{{"code":-32005,"message":{json.dumps(str(error))}}}}}'.encode()

    def _logs_of(self, block: Block) -> str:
        found = self._logs.get(block.hash)
        if found is None:
            found = ",".join(json.dumps(entry, separators=(",", ":")) for entry in block.logs)
            self._logs[block.hash] = found
        return found


@contextmanager
def serving(recording: Recording) -> Iterator[str]:
    """Serve from threads of this process; yields the URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = recording.answer(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class RecordedChain(NamedTuple):
    """A made-up chain behind HTTP: its URL, how many commitments it has, its newest block, its root, its id."""

    url: str
    commitments: int
    head: int
    root: int
    chain_id: int


def _child(commitments: int, chain_id: int, ready: Connection) -> None:
    from prover.kernels.cpu.poseidon import hash_pairs

    chain = busy_chain(commitments, hash_pairs, chain_id=chain_id)
    with serving(Recording(chain)) as url:
        ready.send(RecordedChain(url, len(chain.commitments), chain.head, chain.root, chain_id))
        ready.recv()


@contextmanager
def recorded_chain(commitments: int, chain_id: int = 31337) -> Iterator[RecordedChain]:
    """A server in a process of its own. Raises BenchError when it does not start."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_child, args=(commitments, chain_id, theirs), daemon=True)
    process.start()
    try:
        if not ours.poll(START_TIMEOUT):
            raise BenchError("the process with the recorded chain did not start")
        yield ours.recv()
    finally:
        ours.close()
        process.terminate()
        process.join()
