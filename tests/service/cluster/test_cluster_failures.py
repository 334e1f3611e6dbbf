"""Whatever dies, no job is lost and none is done twice: real processes, really killed."""

import itertools
import os
import signal
import subprocess
import sys
import threading

import grpc
import pytest
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gelap.servers import private_redis
from proto import errors
from proto.client import JobState
from protocol.field import to_bytes32
from protocol.sealing import seal, tenant_of
from protocol.statements import encode_inputs, statement_hash
from tests.service.cluster_processes import PATIENCE, until
from worker import queue
from worker.jobs import Kind, Request, State
from worker.manifest import read_manifest
from worker.registry import Registry

STATEMENT = [49], {"square": 49, "root": 7}


def behind(gate):
    """The statement, proved when the gate is open."""
    public, inputs = STATEMENT
    return public, {**inputs, "gate": gate.number}


def in_background(action):
    """Start a call; returns a function that waits for its result."""
    results = []
    thread = threading.Thread(target=lambda: results.append(action()))
    thread.start()

    def result():
        thread.join(PATIENCE)
        assert results
        return results[0]

    return result


def is_running(client, job_id):
    return client.job(job_id).state is JobState.RUNNING


def test_a_job_whose_worker_is_killed_is_finished_by_another(cluster):
    cluster.gateway()
    doomed = cluster.worker(lease=2.0)
    gate = cluster.gate()
    with cluster.client() as client:
        job = client.submit("square", *behind(gate))
        proof = in_background(lambda: client.prove("square", *behind(gate)))
        until(lambda: is_running(client, job.id) and cluster.latest_gateway.log.count('"job taken in"') == 2)
        doomed.process.kill()
        gate.open()
        cluster.worker()
        assert proof().job_id == job.id
        ended = client.job(job.id)
    assert (ended.state, ended.attempts, ended.failure) == (JobState.SUCCEEDED, 2, None)
    assert cluster.done(job.id) == 1


def test_a_worker_that_hangs_loses_its_job_and_cannot_end_it_later(cluster):
    """A process stopped for longer than its lease, as by a laptop's lid or an overloaded machine."""
    cluster.gateway()
    hanging = cluster.worker(lease=2.0)
    gate = cluster.gate()
    with cluster.client() as client:
        job = client.submit("square", *behind(gate))
        until(lambda: is_running(client, job.id))
        hanging.freeze()
        gate.open()
        rescuer = cluster.worker()
        ended = list(client.watch(job.id))[-1]
        assert (ended.state, ended.attempts) == (JobState.SUCCEEDED, 2)
        rescuer.wait_for('"job done"')
        hanging.thaw()
        hanging.wait_for("no longer this attempt's", "another worker has it")
        assert client.job(job.id) == ended
    assert rescuer.log.count('"job done"') == 1
    assert hanging.log.count('"job done"') == 0


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_a_worker_told_to_stop_finishes_what_is_in_hand_and_exits_0(cluster, stop):
    cluster.gateway()
    worker = cluster.worker()
    gate = cluster.gate()
    with cluster.client() as client:
        proof = in_background(lambda: client.prove("square", *behind(gate)))
        gate.wait_for_device()
        worker.process.send_signal(stop)
        worker.wait_for('"stopping')
        gate.open()
        assert proof().proof
        assert worker.wait() == 0
        assert [circuit.workers for circuit in client.circuits()] == [0, 0], "it signed off"
    assert "Traceback" not in worker.log


def test_a_worker_told_twice_to_stop_does_not_wait_for_its_jobs(cluster):
    cluster.gateway()
    worker = cluster.worker()
    with cluster.client() as client:
        job = client.submit("square", *behind(cluster.gate()))
        until(lambda: is_running(client, job.id))
    worker.process.send_signal(signal.SIGINT)
    worker.wait_for('"stopping')
    worker.process.send_signal(signal.SIGINT)
    assert worker.wait() == 130


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_a_gateway_told_to_stop_lets_the_calls_in_hand_end_and_exits_0(cluster, stop):
    gateway = cluster.gateway()
    cluster.worker()
    gate = cluster.gate()
    with cluster.client() as client:
        proof = in_background(lambda: client.prove("square", *behind(gate)))
        gate.wait_for_device()
        gateway.process.send_signal(stop)
        gateway.wait_for('"stopping')
        gate.open()
        assert proof().proof
        assert gateway.wait() == 0
    assert "Traceback" not in gateway.log


def test_jobs_outlive_their_gateway(cluster):
    gateway = cluster.gateway()
    cluster.worker()
    gate = cluster.gate()
    with cluster.client() as client:
        job = client.submit("square", *behind(gate))
        gate.wait_for_device()
    gateway.process.kill()
    gateway.process.wait()
    gate.open()
    cluster.gateway()
    with cluster.client() as client:
        assert list(client.watch(job.id))[-1].state is JobState.SUCCEEDED


def test_a_job_whose_message_was_never_sent_reaches_a_worker_all_the_same(cluster, store, client, key_dir):
    cluster.gateway()
    cluster.worker()
    # A gateway that dies here has queued the job and not told Celery.
    _, job = store.submit(sealed_request(store, client, key_dir))
    client.zincrby(f"gelap:queued:{job.key.hex()}:1", -6e6, job.id)  # as if six seconds had passed
    with cluster.client("alice") as caller:
        assert list(caller.watch(job.id))[-1].state is JobState.SUCCEEDED


def sealed_request(store, client, key_dir):
    """A request as a gateway makes it of alice's."""
    entry, (public, inputs), tenant = read_manifest(key_dir)["square"], STATEMENT, tenant_of("alice")
    statement = statement_hash("square", entry.verification_key_digest, public)
    sealed = seal(Registry(client).cluster_key(), encode_inputs(inputs), statement, tenant)
    words = tuple(map(to_bytes32, public))
    return Request(
        Kind.PROVE, tenant, "square", entry.verification_key_digest, statement, words, wait=60.0, sealed=sealed
    )


def test_a_job_nobody_starts_expires_with_its_callers_patience(cluster, store):
    cluster.gateway()
    cluster.worker().stop()
    with cluster.client() as client:

        def taken_in():
            with pytest.raises(errors.TimedOutError):
                client.prove("square", *STATEMENT, timeout=1.0)
            return [line["job"] for line in cluster.processes[0].lines() if line["event"] == "job taken in"]

        job_id = until(taken_in)[0]
        until(lambda: store.read(job_id).state is State.EXPIRED)
        assert client.job(job_id).failure.name == "expired"


def test_without_any_worker_there_is_no_key_to_seal_to(cluster):
    cluster.gateway()
    with cluster.client() as client, pytest.raises(errors.UnreachableError, match="no worker") as caught:
        client.prove("square", *STATEMENT)
    assert (caught.value.name, caught.value.retry) == ("no-cluster-key", True)


def test_a_worker_with_another_cluster_key_is_not_let_in(cluster, tmp_path):
    cluster.worker()
    stranger = cluster.worker(key_file=tmp_path / "other-key.pem", wait=False)
    assert stranger.wait() == 1
    assert "another cluster key" in stranger.log
    assert "Traceback" not in stranger.log


def test_workers_started_together_agree_on_one_new_key(cluster):
    workers = [cluster.worker(wait=False) for _ in range(3)]
    for worker in workers:
        worker.wait_for("worker ready")
    ready = [line for worker in workers for line in worker.lines() if line["event"] == "worker ready"]
    assert len({line["cluster_key"] for line in ready}) == 1
    assert sum('"made a new cluster key' in worker.log for worker in workers) == 1
    assert oct(cluster.key_file.stat().st_mode & 0o777) == "0o600"


def test_a_client_learns_a_new_cluster_key_by_itself(cluster, tmp_path):
    cluster.gateway()
    worker = cluster.worker()
    with cluster.client() as client:
        old = client.cluster_key()
        client.prove("square", *STATEMENT)
        worker.stop()
        cluster.worker(key_file=tmp_path / "new-key.pem")
        assert not client.prove("square", [64], {"square": 64, "root": 8}).cached
        assert client.cluster_key() != old


def test_when_redis_is_gone_callers_are_told_to_come_back(key_dir, tmp_path, cluster):
    with private_redis() as url:
        cluster.redis_url = url
        gateway = cluster.gateway()
        worker = cluster.worker()
        client = cluster.client()
        client.prove("square", *STATEMENT)
    with pytest.raises(errors.UnreachableError, match="try again") as caught:
        client.prove("square", *STATEMENT)
    assert (caught.value.name, caught.value.retry, caught.value.retry_after) == ("store-unavailable", True, 1.0)
    with grpc.insecure_channel(cluster.address) as channel:
        health = health_pb2_grpc.HealthStub(channel)

        def statuses():
            requests = [health_pb2.HealthCheckRequest(service=name) for name in ("", "gelap.v1.Prover")]
            return {health.Check(request, timeout=PATIENCE).status for request in requests}

        until(lambda: statuses() == {health_pb2.HealthCheckResponse.NOT_SERVING})
    assert worker.process.poll() is None
    assert gateway.stop() == 0
    assert worker.stop() == 0
    assert "Traceback" not in cluster.logs()
    client.close()


def test_a_redis_that_comes_back_empty_is_joined_again(cluster, client):
    """Redis restarted without its data: workers publish themselves and their key again."""
    cluster.gateway()
    cluster.worker()
    with cluster.client() as caller:
        caller.prove("square", *STATEMENT)
        client.flushdb()
        until(lambda: any(circuit.workers for circuit in caller.circuits()))
        assert not caller.prove("square", *STATEMENT).cached


def command(*arguments, **environment):
    """Run a `gelap` command that is expected to end by itself."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GELAP_")}
    return subprocess.run(
        [sys.executable, "-m", "gelap.cli", *map(str, arguments)],
        env=clean | environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


SETUPS = {
    "no Redis URL": ({}, "GELAP_REDIS_URL"),
    "not a Redis URL": ({"GELAP_REDIS_URL": "http://127.0.0.1"}, "not a Redis URL"),
    "no Redis there": ({"GELAP_REDIS_URL": "redis://:hush@127.0.0.1:1/0"}, "127.0.0.1:1 does not answer"),
}


@pytest.mark.parametrize(("name", "setup"), list(itertools.product(("gateway", "worker"), SETUPS)))
def test_a_command_without_its_redis_says_so_and_exits_2(name, setup):
    environment, expected = SETUPS[setup]
    result = command(name, **environment)
    assert result.returncode == 2
    assert expected in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert "hush" not in result.stderr


@pytest.mark.parametrize("name", ["gateway", "worker"])
def test_a_command_without_keys_says_how_to_make_them(name, redis_url, tmp_path):
    result = command(name, "--key-dir", tmp_path, GELAP_REDIS_URL=redis_url, GELAP_CACHE_DIR=str(tmp_path))
    assert result.returncode == 2
    assert "gelap keys make" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_second_gateway_on_the_same_port_says_so(cluster):
    cluster.gateway()
    result = command(
        "gateway", "--address", cluster.address, "--key-dir", cluster.key_dir, GELAP_REDIS_URL=cluster.redis_url
    )
    assert result.returncode == 2
    assert f"cannot listen on {cluster.address}" in result.stderr


def test_a_gateway_loads_neither_the_workers_key_nor_the_prover():
    program = (
        "import sys, gateway.server; "
        "print([name for name in sys.modules if name.startswith(('worker.cluster_key', 'worker.engines', "
        "'prover.kernels', 'prover.engine', 'numba', 'numpy'))])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_workers_that_cannot_be_told_are_only_a_warning(capsys):
    """The job is in the store by then, where the reaper finds it."""
    structlog.reset_defaults()
    queue.tell(queue.make_app("redis://127.0.0.1:1/0"), bytes(32), 1)
    assert "workers not told of jobs yet" in capsys.readouterr().out
