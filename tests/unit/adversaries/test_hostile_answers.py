"""Answers that no honest server gives, to each of the clients of a wallet: nested too deep, without end, or of no form.

The clients are those of a chain's node, an indexer, a relayer and a prover.
"""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from proto import errors
from proto.rest_client import RestProverClient
from wallet.commands import looking

ASK_EVERYBODY = """
import sys
from chain.endpoints import Endpoint
from chain.errors import ChainError
from chain.relayer.client import RelayerClient
from chain.stream.source import IndexerSource
from proto.errors import ProverClientError
from proto.rest_client import RestProverClient
import web3

url, status = sys.argv[1], sys.argv[2]
assert sys.getrecursionlimit() >= 100_000, "web3 no longer brings py-ecc along"
asked = (
    lambda: Endpoint(url).call("eth_blockNumber"),
    lambda: IndexerSource(url, 1, "0x" + "11" * 20, sleep=lambda seconds: None).tip(),
    lambda: RelayerClient(url).terms(),
    lambda: RestProverClient(url, "key").circuits(),
)
for ask in asked:
    try:
        ask()
    except (ChainError, ProverClientError):
        print("one clear error")
"""


@contextmanager
def answering(content: bytes, status: int = 200, *, drip: float | None = None, endless: bool = False) -> Iterator[str]:
    """A server that answers everything with this; again and again without end, or a byte at a time."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            self.end_headers()
            try:
                if drip is None:
                    self.wfile.write(content)
                while endless:
                    self.wfile.write(content)
                    time.sleep(drip or 0)
            except OSError:
                pass  # whoever asked has had enough

        do_POST = do_DELETE = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize("status", [200, 400])
def test_brackets_end_no_process(status: int) -> None:
    """99,900 brackets: with Python's own parser they end a process that has loaded web3. Clients that read less refuse.

    In a process of its own, since a failure of this test is a segmentation fault.
    """
    with answering(b"[" * 99_900, status) as url:
        child = subprocess.run(
            [sys.executable, "-c", ASK_EVERYBODY, url, str(status)], capture_output=True, text=True, timeout=120
        )
    assert (child.returncode, child.stdout.count("one clear error")) == (0, 4), child.stderr[-2000:]


FORMS = [b"", b"[]", b"{}", b"null", b'{"circuits": [{}]}', b'{"circuits": 5}', b'{"error": 5}', b"\xff", b"<html>"]


@pytest.mark.parametrize("content", FORMS, ids=repr)
@pytest.mark.parametrize("status", [200, 400, 503])
def test_what_is_no_gateways_answer_is_told_so(content: bytes, status: int) -> None:
    """Whatever a hostile prover answers, the wallet gets the one kind of error that it knows how to report."""
    with answering(content, status) as url, RestProverClient(url, "key") as client:
        asked = (
            client.circuits,
            lambda: client.job("ab"),
            lambda: client.cancel("ab"),
            lambda: client.circuit("spend"),
            lambda: client.verify("spend", [1], bytes(256)),
            lambda: client.prove("spend", [1], {"a": 1}),
        )
        for ask in asked:
            with pytest.raises(errors.ProverClientError):
                ask()


def test_an_endless_answer_of_a_prover_is_not_read_into_memory() -> None:
    with answering(b" " * (1 << 16), endless=True) as url, RestProverClient(url, "key") as client:
        with pytest.raises(errors.UnreachableError, match="no gateway"):
            client.circuits()
        with pytest.raises(errors.UnreachableError, match="no gateway"):
            list(client.watch("ab"))


def test_a_dripping_stream_of_a_prover_ends_at_the_time_that_was_set() -> None:
    """Not one line is ever finished, and every byte comes in time."""
    with answering(b"d", drip=0.05, endless=True) as url, RestProverClient(url, "key") as client:
        started = time.monotonic()
        with pytest.raises(errors.TimedOutError):
            list(client.watch("ab", timeout=0.5))
        assert time.monotonic() - started < 120


@pytest.mark.parametrize("seconds", [2**64 - 1, 10**12, -(10**15)])
def test_a_time_that_no_calendar_has_is_shown_as_it_is(seconds: int) -> None:
    """Times of old events are in no root, so a false source can say anything; the history must still be shown."""
    assert looking._time(seconds) == f"second {seconds}"
    assert looking._time(1_700_000_000) == "2023-11-14 22:13"
