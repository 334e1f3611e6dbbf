"""What an operator relies on: several gateways, reloads, metrics, probes, logs, and a stop that loses nothing."""

import json
import os
import shutil
import signal
import socket
import threading

import grpc
import pytest
import requests
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client.parser import text_string_to_metric_families

from gateway.apikeys import KeyRegister
from proto import errors
from proto.client import JobState, ProverClient
from tests.service.cluster_processes import PATIENCE, until
from worker.jobs import connect

SERVICE = "gelap.v1.Prover"
METRICS = ("--metrics-address", "127.0.0.1:0")


def square(root, **more):
    return [root**2], {"square": root**2, "root": root, **more}


def read(cluster, path, what="metrics_port", gateway=None):
    return requests.get(f"http://{cluster.listening(what, gateway)}{path}", timeout=PATIENCE)


def samples(cluster):
    """The metrics of the last gateway: (name, labels) -> value."""
    text = read(cluster, "/metrics").text
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(cluster, name, **labels):
    return samples(cluster).get((name, tuple(sorted(labels.items()))))


def health(channel, service):
    request = health_pb2.HealthCheckRequest(service=service)
    return health_pb2_grpc.HealthStub(channel).Check(request, timeout=PATIENCE).status


def test_two_gateways_are_one_cluster(cluster, client, redis_url):
    """A job submitted at one is watched, joined, cancelled and cached at the other; limits are shared."""
    keys = KeyRegister(connect(redis_url))
    one, two = (cluster.gateway(open_door=False) for _ in range(2))
    cluster.worker()
    gate, other_gate = cluster.gate(), cluster.gate()
    acme = keys.add("acme")
    with (
        ProverClient(cluster.listening(gateway=one), acme.key) as here,
        ProverClient(cluster.listening(gateway=two), acme.key) as there,
    ):
        job = here.submit("square", *square(7, gate=gate.number))
        assert there.submit("square", *square(7, gate=gate.number)).id == job.id
        gate.open()
        assert [seen.state for seen in there.watch(job.id)][-1] is JobState.SUCCEEDED
        assert there.prove("square", *square(7)).cached
        slow = there.submit("square", *square(8, gate=other_gate.number))
        assert here.cancel(slow.id).state is JobState.CANCELLED
        assert there.job(slow.id).state is JobState.CANCELLED
    limited = keys.add("limited", rate=0.01, burst=2)
    with (
        ProverClient(cluster.listening(gateway=one), limited.key) as here,
        ProverClient(cluster.listening(gateway=two), limited.key) as there,
    ):
        here.circuits()
        there.circuits()
        for either in (here, there):
            with pytest.raises(errors.BusyError):
                either.circuits()


def test_a_callers_job_survives_its_gateway_at_another_one(cluster):
    first, second = cluster.gateway(), cluster.gateway()
    cluster.worker()
    key, gate = "retry me", cluster.gate()
    with ProverClient(cluster.listening(gateway=first), "alice") as client:
        job = client.submit("square", *square(9, gate=gate.number), idempotency_key=key)
        until(lambda: client.job(job.id).state is JobState.RUNNING)
        first.process.kill()
        with pytest.raises(errors.UnreachableError):
            client.job(job.id)
    gate.open()
    with ProverClient(cluster.listening(gateway=second), "alice") as client:
        again = client.prove("square", *square(9), idempotency_key=key)
        assert again.job_id == job.id
        assert len(again.proof) == 256


def test_a_new_manifest_is_taken_up_without_a_restart_and_a_broken_one_is_not(cluster, key_dir, tmp_path):
    folder = tmp_path / "keys"
    shutil.copytree(key_dir, folder)
    cluster.key_dir = folder
    gateway = cluster.gateway()
    manifest = folder / "manifest.json"
    document = json.loads(manifest.read_text())
    with cluster.client() as client:
        assert {circuit.name for circuit in client.circuits()} == {"square", "other"}
        manifest.write_text("{")
        gateway.wait_for("the new manifest cannot be used")
        assert {circuit.name for circuit in client.circuits()} == {"square", "other"}
        document["circuits"][0]["name"] = "cube"
        (folder / "new.json").write_text(json.dumps(document))
        os.replace(folder / "new.json", manifest)
        gateway.wait_for("manifest read again")
        assert {circuit.name for circuit in client.circuits()} == {"cube", "other"}


def test_metrics_tell_of_calls_refusals_jobs_and_the_queue(cluster):
    cluster.gateway(*METRICS)
    worker = cluster.worker()
    with cluster.client() as client, cluster.rest_client() as rest:
        client.prove("square", *square(7))
        rest.prove("square", *square(7))
        with pytest.raises(errors.RefusedError):
            rest.prove("cube", *square(7))
        with pytest.raises(errors.RefusedError):
            client.job("0" * 32)
        with pytest.raises(errors.RefusedError):
            client.prove("square", [10], {"square": 10, "root": 3})
        assert value(cluster, "gelap_gateway_calls_total", interface="grpc", method="Prove", code="OK") == 1
        assert value(cluster, "gelap_gateway_calls_total", interface="rest", method="Prove", code="OK") == 1
        assert value(cluster, "gelap_gateway_calls_total", interface="grpc", method="GetJob", code="NOT_FOUND") == 1
        refused = {"interface": "grpc", "method": "Prove", "code": "INVALID_ARGUMENT"}
        assert value(cluster, "gelap_gateway_calls_total", **refused) == 1
        assert value(cluster, "gelap_gateway_rejections_total", reason="unknown-job") == 1
        assert value(cluster, "gelap_gateway_rejections_total", reason="unsatisfied") is None, "the job failed"
        assert value(cluster, "gelap_gateway_jobs_total", kind="prove", circuit="square", outcome="new") == 2
        assert value(cluster, "gelap_gateway_jobs_total", kind="prove", circuit="square", outcome="cached") == 1
        assert value(cluster, "gelap_gateway_call_seconds_count", interface="grpc", method="Prove") == 2
        until(lambda: value(cluster, "gelap_cluster_events_total", event="succeeded") == 2)
        assert value(cluster, "gelap_workers", circuit="square") == 1
        assert value(cluster, "gelap_cluster_consuming") == 1

        worker.freeze()
        client.submit("square", *square(11))
        until(lambda: value(cluster, "gelap_queue_jobs", circuit="square", priority="normal") == 1)
        until(lambda: value(cluster, "gelap_queue_oldest_seconds", circuit="square") > 0.5)
        worker.thaw()
        until(lambda: value(cluster, "gelap_queue_jobs", circuit="square", priority="normal") == 0)
        assert value(cluster, "gelap_queue_oldest_seconds", circuit="square") == 0
        assert value(cluster, "gelap_gateway_calls_in_hand", interface="grpc", method="Prove") == 0


def test_metrics_and_probes_hold_nothing_of_a_caller(cluster):
    cluster.gateway(*METRICS)
    cluster.worker()
    with cluster.client("the-key-of-alice") as client:
        job_id = client.prove("square", *square(1234567)).job_id
    text = "".join(read(cluster, path).text for path in ("/metrics", "/healthz", "/readyz"))
    for secret in ("the-key-of-alice", job_id, "1234567", str(1234567**2)):
        assert secret not in text
    assert "square" in text


def test_metrics_are_for_operators_and_not_beside_the_interface(cluster):
    cluster.gateway(*METRICS)
    assert read(cluster, "/metrics", "http_port").status_code == 404
    for what in ("http_port", "metrics_port"):
        assert read(cluster, "/healthz", what).json() == {"alive": True}
        assert read(cluster, "/readyz", what).json()["ready"] is True


def test_health_goes_by_what_is_consumed_and_not_by_who_beats(cluster):
    """A worker whose heart beats but that takes no job: unhealthy after the stall time, healthy when it works again."""
    cluster.gateway(*METRICS, "--stall", "1.5")
    with grpc.insecure_channel(cluster.address) as channel, cluster.client() as client:
        assert health(channel, SERVICE) == health_pb2.HealthCheckResponse.NOT_SERVING, "no worker yet"
        assert health(channel, "") == health_pb2.HealthCheckResponse.SERVING
        assert read(cluster, "/readyz").json() | {"ready": True} == {
            "ready": True, "store_up": True, "draining": False, "workers_consume": False,
        }  # fmt: skip
        cluster.worker()
        until(lambda: health(channel, SERVICE) == health_pb2.HealthCheckResponse.SERVING)
        # More than it takes at once, and none ends.
        gate = cluster.gate()
        jobs = [client.submit("square", *square(root, gate=gate.number)) for root in range(20, 24)]
        until(lambda: health(channel, SERVICE) == health_pb2.HealthCheckResponse.NOT_SERVING)
        assert value(cluster, "gelap_cluster_consuming") == 0
        assert value(cluster, "gelap_workers", circuit="square") == 1
        assert read(cluster, "/readyz").status_code == 200, "calls are still taken"
        for job in jobs:
            client.cancel(job.id)
        until(lambda: health(channel, SERVICE) == health_pb2.HealthCheckResponse.SERVING)


def test_a_stopping_gateway_is_not_ready_first_and_still_takes_calls_then(cluster):
    gateway = cluster.gateway(*METRICS, "--drain-notice", "300")
    cluster.worker()
    with cluster.client() as client, grpc.insecure_channel(cluster.address) as channel:
        client.circuits()
        gateway.process.send_signal(signal.SIGTERM)
        until(lambda: read(cluster, "/readyz").status_code == 503)
        assert read(cluster, "/readyz").json()["draining"] is True
        assert value(cluster, "gelap_gateway_draining") == 1
        assert health(channel, "") == health_pb2.HealthCheckResponse.NOT_SERVING
        assert client.prove("square", *square(7)).proof, "balancers have not noticed yet"


def test_streams_end_with_their_jobs_while_a_gateway_stops(cluster):
    gateway = cluster.gateway("--drain-notice", "0.2")
    cluster.worker()
    gate = cluster.gate()
    with cluster.client() as client, cluster.rest_client() as rest:
        job = client.submit("square", *square(7, gate=gate.number))
        over_grpc, over_rest = client.watch(job.id), rest.watch(job.id)
        next(over_grpc), next(over_rest)
        gateway.process.send_signal(signal.SIGTERM)
        gateway.wait_for('"stopping')
        gate.open()
        assert [seen.state for seen in over_grpc][-1] is JobState.SUCCEEDED
        assert [seen.state for seen in over_rest][-1] is JobState.SUCCEEDED
    assert gateway.wait() == 0
    assert "Traceback" not in gateway.log


def test_calls_that_outlast_a_drain_are_told_to_ask_another_gateway(cluster, store):
    """With the id of their job, which goes on."""
    gateway = cluster.gateway("--drain", "0.5")
    cluster.worker()
    gate, seen, caught = cluster.gate(), [], {}

    def call(name, action):
        try:
            action()
        except errors.ProverClientError as error:
            caught[name] = error

    with cluster.client() as client, cluster.rest_client() as rest:
        job = client.submit("square", *square(7, gate=gate.number))
        actions = {
            "prove over gRPC": lambda: client.prove("square", *square(7, gate=gate.number)),
            "prove over REST": lambda: rest.prove("square", *square(7, gate=gate.number)),
            "watch over gRPC": lambda: list(map(seen.append, client.watch(job.id))),
            "watch over REST": lambda: list(map(seen.append, rest.watch(job.id))),
        }
        threads = [threading.Thread(target=call, args=item) for item in actions.items()]
        for thread in threads:
            thread.start()
        until(lambda: gateway.log.count('"joined"') == 2 and len(seen) >= 2)
        assert gateway.stop() == 0, "and the job goes on"
        for thread in threads:
            thread.join(PATIENCE)
    assert set(caught) == set(actions)
    for error in caught.values():
        assert (error.name, error.retry, error.job_id) == ("gateway-stopping", True, job.id)
    assert "Traceback" not in gateway.log
    gate.open()
    until(lambda: store.read(job.id).state.value == "SUCCEEDED")


def test_a_caller_who_does_not_read_cannot_hold_up_a_stop(cluster, key_dir, tmp_path):
    """An answer larger than what the kernel buffers, to a caller who takes none of it."""
    folder = tmp_path / "keys"
    shutil.copytree(key_dir, folder)
    (folder / "square.zkey").write_bytes(bytes(50_000_000))
    cluster.key_dir = folder
    gateway = cluster.gateway("--drain", "0.5")
    host, port = cluster.listening("http_port").split(":")
    with socket.socket() as lazy:
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lazy.connect((host, int(port)))
        lazy.sendall(f"GET /v1/keys/{'0' * 64} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer alice\r\n\r\n".encode())
        assert lazy.recv(15) == b"HTTP/1.1 200 OK"
        assert gateway.stop() == 0


def test_two_gateways_on_one_port_say_so(cluster):
    cluster.gateway()
    taken = cluster.listening("http_port")
    second = cluster.gateway("--http-address", taken)
    assert second.wait() == 2
    assert f"cannot listen on {taken}" in second.log
    assert "Traceback" not in second.log


def test_every_line_about_a_job_has_its_id_and_tenant_and_no_input(cluster):
    gateway = cluster.gateway()
    cluster.worker()
    with cluster.client() as client:
        job_id = client.prove("square", *square(987654321)).job_id
    (line,) = [line for line in gateway.lines() if line["event"] == "job taken in"]
    assert (line["job"], line["circuit"], line["kind"], line["outcome"]) == (job_id, "square", "prove", "new")
    assert len(line["tenant"]) == 32
    assert "987654321" not in cluster.logs()
    assert str(987654321**2) not in cluster.logs()
