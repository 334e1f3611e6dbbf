"""Clients vanish, are slow, ask twice, and have other clocks."""

import json
import threading
import time

import grpc

from proto import prover_pb2, prover_pb2_grpc
from proto.client import JobState
from tests.service.cluster_processes import PATIENCE, until
from tests.service.fake_cluster import job


def ended(client, job_id):
    return list(client.watch(job_id))[-1]


def test_a_client_that_vanishes_finds_its_proof_when_it_comes_back(cluster):
    cluster.gateway()
    worker = cluster.worker()
    worker.freeze()
    statement = job()
    with cluster.client() as client:
        request = client.sealed_request("square", *statement)
        with grpc.insecure_channel(cluster.address) as channel:
            headers = (("authorization", "Bearer alice"),)
            # Kept, as grpc cancels a call that nobody refers to any more.
            waiting = prover_pb2_grpc.ProverStub(channel).Prove.future(request, timeout=PATIENCE, metadata=headers)
            until(lambda: '"job taken in"' in cluster.latest_gateway.log)
            assert not waiting.done()
        worker.thaw()
        taken = next(line for line in cluster.latest_gateway.lines() if line["event"] == "job taken in")
        result = client.prove("square", *statement)
        assert result.job_id == taken["job"] or result.cached
        assert cluster.done(taken["job"]) == 1


def test_clients_that_read_nothing_hold_up_nobody(cluster):
    cluster.gateway()
    cluster.worker()
    with cluster.client() as client, grpc.insecure_channel(cluster.address) as channel:
        long = client.submit("square", *job(milliseconds=600_000)).id
        stub = prover_pb2_grpc.ProverStub(channel)
        headers = (("authorization", "Bearer alice"),)
        question = prover_pb2.WatchJobRequest(id=long)
        silent = [stub.WatchJob(question, metadata=headers, timeout=300) for _ in range(100)]
        for _ in range(20):
            assert not client.job(long).state.ended, "they are asked beside those that watch"
        client.cancel(long)
        assert ended(client, long).state is JobState.CANCELLED
        assert list(silent[0])[-1].state == prover_pb2.CANCELLED


def test_the_same_request_many_times_at_once_is_one_job(cluster):
    cluster.gateway()
    cluster.worker()
    statement, results = job(), []
    with cluster.client() as client:
        threads = [
            threading.Thread(
                target=lambda: results.append(client.submit("square", *statement, idempotency_key="order 17"))
            )
            for _ in range(20)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        (job_id,) = {result.id for result in results}
        assert ended(client, job_id).attempts == 1
        assert client.submit("square", *statement, idempotency_key="order 17").id == job_id
        again = client.prove("square", *statement)
        assert again.cached
    assert cluster.done(job_id) == 1


def test_clocks_that_differ_by_a_day_change_nothing(cluster, tmp_path):
    """Celery's own bookkeeping goes by the workers' clocks: it may deliver a message again, and nothing more."""
    paths = {}
    for name, seconds in (("late", -86400), ("early", 86400)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "sitecustomize.py").write_text(
            f"import time\nreal = time.time\ntime.time = lambda: real() + {seconds}\n"
        )
        paths[name] = str(tmp_path / name)
    cluster.gateway()
    workers = [cluster.worker(PYTHONPATH=path) for path in (paths["late"], paths["early"])]
    with cluster.client() as client:
        jobs = []
        # One of them may be slow to begin.
        while not all(worker.log.count('"job done"') for worker in workers):
            assert len(jobs) < 600, "both have some"
            jobs += [client.submit("square", *job(milliseconds=100)).id for _ in range(12)]
            for job_id in jobs[-12:]:
                end = ended(client, job_id)
                assert (end.state, end.attempts) == (JobState.SUCCEEDED, 1)
                assert 0 <= end.seconds["queue"] < 300
                assert abs(end.created_ms / 1000 - time.time()) < 600
                assert cluster.done(job_id) == 1
    shown = json.loads(cluster.command("jobs", "show", jobs[0]).stdout)
    assert shown["ended"] > shown["created"]
