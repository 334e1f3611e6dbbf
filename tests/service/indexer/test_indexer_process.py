"""`gelap indexer run` as a process: killed, restarted, stopped; against a recorded chain over HTTP."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from bench.index.chain import POOL
from bench.index.server import RecordedChain, recorded_chain
from gelap.children import Child
from indexer.database import read_engine
from indexer.errors import StoreError
from indexer.reader import Reader
from tests.service.indexer.processes import ONE_POOL, ready, start_indexer

COMMITMENTS = 6_000


@pytest.fixture(scope="module")
def recorded() -> Iterator[RecordedChain]:
    with recorded_chain(COMMITMENTS) as served:
        yield served


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


def test_a_killed_indexer_goes_on_where_it_was_and_stops_when_told(
    recorded: RecordedChain, database: str, tmp_path: Path
) -> None:
    rpc, commitments, head, root, _ = recorded
    child = start(tmp_path, database, rpc, "--max-window", "2")
    while (half := commitments_in(database)) < 100:
        assert child.ended() is None, child.ended()
        time.sleep(0.01)
    child.kill()
    half = commitments_in(database)
    assert 100 <= half < commitments
    child = start(tmp_path, database, rpc)
    try:
        listening = ready(child)
        api = f"http://127.0.0.1:{listening['port']}"
        deadline = time.monotonic() + 60
        while (status := requests.get(f"{api}/v1/status", timeout=10).json())["commitments"] < commitments:
            assert time.monotonic() < deadline, child.log_text()
            time.sleep(0.05)
        assert (int(status["root"], 16), status["tip"]["number"]) == (root, head)
        metrics = requests.get(f"http://127.0.0.1:{listening['metrics_port']}/metrics", timeout=10).text
        # The second process wrote only what the first had not.
        written = next(
            float(line.split()[1]) for line in metrics.splitlines() if 'kind="commitment"' in line and "total" in line
        )
        assert written == commitments - half
        assert f'gelap_indexer_tip_block{{chain="local"}} {float(head)}' in metrics
        command = [sys.executable, "-m", "gelap.cli", "indexer", "status", "--json"]
        told = subprocess.run(
            command, env=os.environ | {"GELAP_DATABASE_URL": database}, capture_output=True, check=True, timeout=60
        )
        assert json.loads(told.stdout) == status
    finally:
        child.process.send_signal(signal.SIGTERM)
        assert child.process.wait(20) == 0, child.log_text()


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
    recorded: RecordedChain, tmp_path: Path, options: list[str], code: int, message: str
) -> None:
    rpc = [] if "--rpc-url" in options else ["--rpc-url", recorded.url]
    command = [sys.executable, "-m", "gelap.cli", "indexer", "run", "--pool", "0x" + POOL.hex(), *rpc, *options]
    environment = os.environ | {"GELAP_DATABASE_URL": f"sqlite:///{tmp_path}/indexer.sqlite"}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert (ended.returncode, message in ended.stderr) == (code, True), ended.stderr
    assert "Traceback" not in ended.stderr
    assert "secret-key" not in ended.stderr
