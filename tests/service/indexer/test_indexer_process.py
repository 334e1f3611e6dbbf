"""`gelap indexer run` as a process: killed, restarted, stopped; against a recorded chain over HTTP."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests

from bench.index.chain import POOL, SyntheticChain, busy_chain
from bench.index.server import Recording, serving
from gelap.children import Child
from indexer.database import read_engine
from indexer.errors import StoreError
from indexer.reader import Reader
from prover.kernels.cpu.poseidon import hash_pairs
from tests.service.indexer.processes import ONE_POOL, end, ready, start_indexer, until

COMMITMENTS = 2_000


class Held(Recording):
    """Answers nothing about blocks after `last` while it is held."""

    def __init__(self, chain: SyntheticChain, last: int) -> None:
        super().__init__(chain)
        self.last = last
        self.asked, self.released = threading.Event(), threading.Event()

    def answer(self, body: bytes) -> bytes:
        question = json.loads(body)
        if question["method"] == "eth_getLogs" and int(question["params"][0]["toBlock"], 16) > self.last:
            self.asked.set()
            self.released.wait()
        return super().answer(body)


@pytest.fixture(scope="module")
def chain() -> SyntheticChain:
    return busy_chain(COMMITMENTS, hash_pairs)


@pytest.fixture(scope="module")
def node() -> Iterator[str]:
    with serving(Recording(SyntheticChain())) as url:
        yield url


def start(folder: Path, database: str, rpc: str, *options: str) -> Child:
    environment = {"GELAP_DATABASE_URL": database, "GELAP_RPC_URL": rpc}
    return start_indexer(folder, (*ONE_POOL, *options), environment)


def commitments_in(database: str) -> int:
    engine = read_engine(database)
    try:
        return Reader(engine, 31337).summary().counters.queued
    except StoreError:
        return 0
    finally:
        engine.dispose()


@pytest.mark.slow
def test_a_killed_indexer_goes_on_where_it_was_and_stops_when_told(
    chain: SyntheticChain, database: str, tmp_path: Path
) -> None:
    commitments = len(chain.commitments)
    recording = Held(chain, 40)
    with ExitStack() as stack:
        rpc = stack.enter_context(serving(recording))
        stack.callback(recording.released.set)
        child = start(tmp_path, database, rpc, "--max-window", "2")
        stack.callback(child.kill)
        until(lambda: recording.asked.is_set() and commitments_in(database) >= 100, child)
        child.kill()
        recording.released.set()
        half = commitments_in(database)
        assert 100 <= half < commitments
        child = start(tmp_path, database, rpc)
        stack.callback(child.kill)
        listening = ready(child)
        api = f"http://127.0.0.1:{listening['port']}"
        until(lambda: status_of(api)["commitments"] == commitments, child)
        status = status_of(api)
        assert (int(status["root"], 16), status["tip"]["number"]) == (chain.root, chain.head)
        metrics = requests.get(f"http://127.0.0.1:{listening['metrics_port']}/metrics", timeout=60).text
        # The second process wrote only what the first had not.
        written = next(
            float(line.split()[1]) for line in metrics.splitlines() if 'kind="commitment"' in line and "total" in line
        )
        assert written == commitments - half
        assert f'gelap_indexer_tip_block{{chain="local"}} {float(chain.head)}' in metrics
        command = [sys.executable, "-m", "gelap.cli", "indexer", "status", "--json"]
        told = subprocess.run(
            command, env=os.environ | {"GELAP_DATABASE_URL": database}, capture_output=True, check=True, timeout=60
        )
        assert json.loads(told.stdout) == status
        end(child)


def status_of(api: str) -> dict[str, Any]:
    found: dict[str, Any] = requests.get(f"{api}/v1/status", timeout=60).json()
    return found


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--pool", "0x12"], 2, "GELAP_POOL is an address"),
        (["--rpc-url", "ftp://x"], 2, "http or https URL"),
        (["--address", "nowhere"], 2, "is no address to listen on"),
        (["--no-follow", "--no-api"], 2, "leave nothing to do"),
        (["--rpc-url", "http://127.0.0.1:9/secret-key"], 1, "no endpoint of the chain can be used"),
    ],
)
def test_a_mistake_ends_in_one_line_that_says_what_to_do(
    node: str, tmp_path: Path, options: list[str], code: int, message: str
) -> None:
    rpc = [] if "--rpc-url" in options else ["--rpc-url", node]
    command = [sys.executable, "-m", "gelap.cli", "indexer", "run", "--pool", "0x" + POOL.hex(), *rpc, *options]
    environment = os.environ | {"GELAP_DATABASE_URL": f"sqlite:///{tmp_path}/indexer.sqlite"}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert (ended.returncode, message in ended.stderr) == (code, True), ended.stderr
    assert "Traceback" not in ended.stderr
    assert "secret-key" not in ended.stderr
