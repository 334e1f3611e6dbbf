"""Devices that prove wrongly, fail, or are none: what the cluster makes of them."""

import pytest

from proto import errors
from proto.client import JobState
from tests.service.cluster_processes import until
from tests.service.fake_cluster import job, scrape
from worker.fake import Trouble
from worker.jobs import is_fake
from worker.registry import LiveWorker, Registry


def ended(client, job_id):
    return list(client.watch(job_id))[-1]


def test_what_a_fake_device_made_is_called_fake_and_verified_for_nobody(cluster):
    cluster.gateway()
    cluster.worker()
    statement = job()
    with cluster.client() as client:
        result = client.prove("square", *statement)
        assert result.fake
        assert is_fake(result.proof)
        assert client.job(result.job_id).fake
        assert client.prove("square", *statement).fake, "from the cache too"
        with pytest.raises(errors.RefusedError, match="no proof"):
            client.verify("square", statement[0], result.proof)
    assert cluster.status()["workers"][0]["device"] == "fake"


def test_fake_workers_need_both_switches_and_do_not_join_real_ones(cluster, redis_url, client):
    refused = cluster.worker(wait=False, GELAP_ALLOW_FAKE="0")
    assert refused.wait() == 2
    assert "GELAP_ALLOW_FAKE=1" in refused.log
    Registry(client).register(LiveWorker("real", ("square",), device="cpu"), bytes(32))
    client.zadd("gelap:workers:seen", {"real": 9e15})  # it lives on
    client.delete("gelap:cluster-key")
    stranger = cluster.worker(wait=False)
    assert stranger.wait() == 2
    assert "cannot take fake ones" in stranger.log


def test_what_is_cached_from_a_fake_device_is_not_an_answer_of_a_real_cluster(cluster, client):
    cluster.gateway()
    worker = cluster.worker()
    statement = job()
    with cluster.client() as caller:
        caller.prove("square", *statement)
        worker.freeze()  # it would say at its next heartbeat that it is fake
        client.delete("gelap:fake")
        assert not caller.submit("square", *statement).cached


def test_wrong_proofs_stop_the_circuit_until_its_operator_lets_it_go_on(cluster):
    cluster.gateway()
    cluster.worker()
    with cluster.client() as client:
        for _ in range(3):
            with pytest.raises(errors.ProverClientError) as caught:
                client.prove("square", *job(trouble=Trouble.WRONG_PROOF))
            assert caught.value.name == "proving-failed"
        with pytest.raises(errors.UnreachableError) as caught:
            client.submit("square", *job())
        assert (caught.value.name, caught.value.retry) == ("circuit-stopped", True)
        client.prove("other", *job())
        shown = cluster.command("status")
        assert shown.returncode == 1
        assert "square is stopped" in shown.stdout
        assert "square" in cluster.command("breaker", "list").stdout
        assert cluster.command("breaker", "reset", "cube").returncode == 2
        assert cluster.command("breaker", "reset", "square").stdout == "square takes jobs again\n"
        client.prove("square", *job())
    assert cluster.command("status").returncode == 0


def test_a_job_that_does_not_fit_the_devices_memory_fails_alone(cluster):
    cluster.gateway()
    cluster.worker(GELAP_BATCH_MAX="8")
    with cluster.client() as client:
        blocker = client.submit("square", *job(milliseconds=400)).id
        large = client.submit("square", *job(trouble=Trouble.NO_MEMORY)).id
        others = [client.submit("square", *job()).id for _ in range(5)]
        for job_id in (blocker, *others):
            end = ended(client, job_id)
            assert (end.state, end.attempts) == (JobState.SUCCEEDED, 1)
        end = ended(client, large)
        assert (end.state, end.failure.name, end.attempts) == (JobState.FAILED, "proving-failed", 3)


def test_jobs_that_wait_together_are_proved_together(cluster):
    cluster.gateway()
    worker = cluster.worker(GELAP_BATCH_MAX="8", GELAP_WORKER_METRICS_ADDRESS="127.0.0.1:0")
    with cluster.client() as client:
        client.submit("square", *job(milliseconds=4000))
        jobs = [client.submit("square", *job(milliseconds=200)).id for _ in range(8)]
        until(lambda: scrape(worker)["gelap_worker_jobs_in_hand"] == 9)
        for job_id in jobs:
            assert ended(client, job_id).state is JobState.SUCCEEDED
    # A worker tells the callers first.
    until(lambda: scrape(worker)['gelap_worker_attempts_total{circuit="square",outcome="done"}'] == 9)
    metrics = scrape(worker)
    assert metrics['gelap_worker_batch_jobs_count{circuit="square"}'] <= 4
    assert metrics['gelap_worker_batch_jobs_sum{circuit="square"}'] == 9
    assert metrics['gelap_worker_attempts_total{circuit="square",outcome="done"}'] == 9
    for phase in ("queue", "witness", "wait", "prove"):
        assert metrics[f'gelap_worker_phase_seconds_count{{circuit="square",phase="{phase}"}}'] == 9
    assert metrics['gelap_worker_device_phase_seconds_count{circuit="square",phase="quotient"}'] >= 2
    assert metrics["gelap_worker_jobs_in_hand"] == 0


def test_operators_see_and_cancel_jobs(cluster):
    cluster.gateway()
    cluster.worker()
    with cluster.client() as client:
        running = client.submit("square", *job(milliseconds=600_000)).id
        jobs = [client.submit("square", *job()).id for _ in range(3)]
        until(lambda: client.job(running).state is JobState.RUNNING)
        listed = cluster.command("jobs", "list").stdout
        assert all(job_id in listed for job_id in (running, *jobs))
        assert cluster.command("jobs", "cancel", jobs[2]).stdout == f"{jobs[2]} CANCELLED\n"
        assert cluster.command("jobs", "cancel", "nonsense").returncode == 2
        assert "no job" in cluster.command("jobs", "show", "nonsense").stderr
        assert client.job(jobs[2]).failure.name == "cancelled"
        assert cluster.command("status").returncode == 0
