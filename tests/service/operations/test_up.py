"""`gelap up`: everything runs, what should be kept is kept, and nothing is left when it ends, however it ends."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from gelap.servers import private_redis
from proto.errors import ProverClientError
from prover.cache import cache_directory
from prover.formats.proof import Proof
from prover.formats.verification_key import read_verification_key
from prover.groth16.verify import verify
from tests.service.cluster_processes import until
from tests.service.operations.conftest import Up, is_alive
from tests.unit.circuit.sample_statements import honest_spend, public_values

pytestmark = pytest.mark.slow

CURL_STAND_IN = Path(__file__).parents[1] / "cluster" / "curl.py"


def job(number):
    """A statement of the tiny circuit, for a fake device."""
    return [number], {"public": [number], "milliseconds": 5}


def left_by_gelap_up(folder):
    return [path.name for path in folder.iterdir() if path.name.startswith(("gelap-up-", "gelap-redis-"))]


def test_everything_runs_until_ctrl_c_and_nothing_is_left(start_up, tmp_path):
    up = start_up("--workers", "2")
    assert set(up.document["processes"]) == {"Redis", "worker 1", "worker 2", "gateway"}
    assert up.document["circuits"] == ["other", "square"]
    with up.client() as client, up.rest_client() as rest:
        assert client.prove("square", *job(1)).fake
        assert rest.prove("square", *job(2)).fake
        assert rest.prove("square", *job(1)).cached, "both doors lead to one tenant"
    with up.client("gelap_" + "0" * 32 + "_stranger") as stranger, pytest.raises(ProverClientError, match="API key"):
        stranger.circuits()

    def metrics():
        command = [sys.executable, CURL_STAND_IN, up.document["metrics"] + "/metrics"]
        return subprocess.run(command, capture_output=True, check=True).stdout.decode()

    until(lambda: "gelap_cluster_consuming 1.0" in metrics())
    folder = Path(up.document["api_key_file"]).parent
    assert folder.stat().st_mode & 0o777 == 0o700
    for name in ("api-key", "api-key.header", "cluster-key.pem", "redis-url"):
        assert (folder / name).stat().st_mode & 0o777 == 0o600, name
    secrets = (up.api_key, redis.connection.parse_url(up.redis_url)["password"])
    for pid in (up.process.pid, *up.pids):
        command = Path(f"/proc/{pid}/cmdline").read_text()
        assert not any(secret in command for secret in secrets)
    assert all(map(is_alive, up.pids))
    status, said = up.stop(signal.SIGINT)
    assert status == 0
    assert "Traceback" not in said
    assert not any(map(is_alive, up.pids))
    assert left_by_gelap_up(tmp_path) == []


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing tells a process that its parent was killed")
def test_even_a_kill_takes_the_children_along_and_the_next_start_has_everything(start_up, tmp_path):
    data = tmp_path / 'a folder\'s "name"'
    first = start_up("--data-dir", data)
    with first.client() as client:
        proved = client.prove("square", *job(3), idempotency_key="once")
    kept = (first.api_key, first.document["cluster_key_fingerprint"])

    status, said = start_up("--data-dir", data).wait()
    assert status == 1
    assert "another `gelap up`" in said

    first.process.kill()
    until(lambda: not any(map(is_alive, first.pids)))
    second = start_up("--data-dir", data)
    assert (second.api_key, second.document["cluster_key_fingerprint"]) == kept
    with second.client() as client:
        assert client.job(proved.job_id).proof == proved.proof
        again = client.prove("square", *job(3))
        assert again.cached
        assert again.proof == proved.proof
        assert client.prove("square", *job(3), idempotency_key="once").job_id == proved.job_id
    assert second.stop(signal.SIGTERM)[0] == 0
    assert not (data / "redis-url").exists()
    assert not any(map(is_alive, second.pids))


@pytest.mark.parametrize("name", ["worker", "Redis"])
def test_when_one_process_dies_all_end_and_it_is_named(start_up, name):
    up = start_up()
    os.kill(up.document["processes"][name], signal.SIGKILL)
    status, said = up.wait()
    assert status == 1
    assert f"error: the {name} was ended by SIGKILL" in said
    assert "Traceback" not in said
    assert not any(map(is_alive, up.pids))


def test_a_stop_before_everything_is_ready_leaves_nothing(start_up, tmp_path):
    up = start_up()
    until(lambda: "and the gateway" in up.errors.read_text())
    pids = [int(pid) for pid in Path(f"/proc/{up.process.pid}/task/{up.process.pid}/children").read_text().split()]
    assert pids
    status, said = up.stop(signal.SIGTERM)
    assert status == 0, said
    assert not any(map(is_alive, pids))
    assert left_by_gelap_up(tmp_path) == []


def test_a_port_that_is_taken_is_said(start_up):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        status, said = start_up("--http-address", address).wait()
    assert status == 1
    assert f"cannot listen on {address}" in said


def test_a_redis_of_the_operators_is_used_and_keeps_no_api_key_of_ours(start_up):
    with private_redis() as url:
        up = start_up(GELAP_REDIS_URL=url)
        assert set(up.document["processes"]) == {"worker", "gateway"}
        with up.client() as client:
            assert client.prove("square", *job(5)).fake
        operators = redis.Redis.from_url(url)
        assert operators.hlen("gelap:apikeys") == 1
        assert up.stop()[0] == 0
        assert operators.hlen("gelap:apikeys") == 0
        assert operators.ping()
    status, said = start_up(GELAP_REDIS_URL=url).wait()
    assert status == 2
    assert "does not answer" in said


def test_real_proofs_by_the_printed_curl_line_and_of_a_spend(tmp_path):
    keys = Path(os.environ.get("GELAP_KEY_DIR") or cache_directory() / "keys")
    up = Up(tmp_path, "--key-dir", keys, GELAP_CACHE_DIR=str(cache_directory()))
    try:
        document = up.document
        line = ["-sSf", "-H", f"@{document['api_key_header_file']}", "--data", f"@{document['first_proof']}"]
        program = ["curl"] if shutil.which("curl") else [sys.executable, CURL_STAND_IN]
        answer = json.loads(
            subprocess.run(
                [*program, *line, f"{document['rest']}/v1/prove?wait=300"], capture_output=True, check=True
            ).stdout
        )
        assert (answer["state"], answer["circuit"]) == ("SUCCEEDED", "insert_64")
        inputs = honest_spend()
        public = public_values(inputs)
        with up.rest_client() as client:
            proved = client.prove("spend_2x2", public, inputs)
            assert client.verify("spend_2x2", public, proved.proof)
        assert not proved.fake
        key = read_verification_key(keys / "spend_2x2.vkey.json")
        assert verify(key, public, Proof.from_bytes(proved.proof))
        assert up.stop()[0] == 0
        assert not any(map(is_alive, up.pids))
    finally:
        up.end()
