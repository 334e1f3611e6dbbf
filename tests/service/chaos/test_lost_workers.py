"""Workers die, freeze, hang and stop; no job is lost and none is done twice."""

import signal
import time

import pytest

from proto.client import JobState
from tests.service.cluster_processes import until
from tests.service.fake_cluster import job
from worker.fake import Trouble
from worker.watchdog import EXIT_STATUS


def is_running(client, job_id):
    return client.job(job_id).state is JobState.RUNNING


def ended(client, job_id):
    return list(client.watch(job_id))[-1]


def test_a_worker_killed_in_the_middle_of_a_proof(cluster):
    cluster.settings |= {"GELAP_LIMIT_LEASE": "2.0"}
    cluster.gateway()
    doomed = cluster.worker()
    with cluster.client() as client:
        jobs = [client.submit("square", *job(milliseconds=each)).id for each in (2000, 2000, 50, 50)]
        until(lambda: is_running(client, jobs[0]) and is_running(client, jobs[1]))
        doomed.process.kill()
        cluster.worker()
        for number, job_id in enumerate(jobs):
            end = ended(client, job_id)
            assert end.state is JobState.SUCCEEDED
            assert end.attempts == (2 if number < 2 else 1), "it had two in hand"
            assert cluster.done(job_id) == 1
    counters = cluster.status()["counters"]
    assert (counters["lost_attempts"], counters.get("retries", 0), counters["SUCCEEDED"]) == (2, 0, 4)


def test_a_worker_frozen_past_its_lease_that_wakes_up(cluster):
    cluster.gateway()
    frozen = cluster.worker()
    with cluster.client() as client:
        job_id = client.submit("square", *job(milliseconds=600)).id
        until(lambda: is_running(client, job_id))
        frozen.process.send_signal(signal.SIGSTOP)
        cluster.worker()
        end = ended(client, job_id)
        assert (end.state, end.attempts) == (JobState.SUCCEEDED, 2)
        frozen.process.send_signal(signal.SIGCONT)
        frozen.wait_for("no longer this attempt's", "another worker has it")
        assert client.job(job_id) == end
        assert cluster.done(job_id) == 1
        # It is a good worker again.
        for each in [client.submit("square", *job(milliseconds=200)).id for _ in range(8)]:
            assert ended(client, each).state is JobState.SUCCEEDED
        assert frozen.log.count('"job done"') > 0


def test_a_poison_job_ends_as_failed_and_takes_nobody_elses_job_with_it(cluster):
    cluster.settings |= {"GELAP_LIMIT_LEASE": "0.6"}
    cluster.gateway()
    workers = [cluster.worker() for _ in range(2)]
    with cluster.client() as client:
        poison = client.submit("square", *job(milliseconds=80, trouble=Trouble.CRASH)).id
        others = [client.submit("square", *job()).id for _ in range(6)]
        while client.job(poison).state in (JobState.QUEUED, JobState.RUNNING):
            for number, worker in enumerate(workers):  # what a supervisor does
                if worker.process.poll() is not None:
                    workers[number] = cluster.worker(wait=False)
            time.sleep(0.05)
        end = client.job(poison)
        assert (end.state, end.failure.name, end.attempts) == (JobState.FAILED, "worker-lost", 4)
        assert [ended(client, job_id).state for job_id in others] == [JobState.SUCCEEDED] * 6
    assert cluster.status()["counters"]["poison_jobs"] == 1


def test_a_device_that_hangs_ends_its_worker_which_renews_its_leases_all_the_while(cluster):
    cluster.settings |= {"GELAP_LIMIT_ATTEMPT": "1.0", "GELAP_LIMIT_LOSSES": "0"}
    cluster.gateway()
    hanging = cluster.worker()
    with cluster.client() as client:
        job_id = client.submit("square", *job(trouble=Trouble.HANG)).id
        assert hanging.process.wait(15) == EXIT_STATUS
        assert "the device hangs" in hanging.log
        end = ended(client, job_id)
        assert (end.state, end.failure.name) == (JobState.FAILED, "worker-lost")


def test_a_worker_whose_device_is_lost_hands_its_jobs_back_and_ends(cluster):
    cluster.settings |= {"GELAP_LIMIT_LOSSES": "1", "GELAP_LIMIT_LEASE": "30.0"}
    cluster.gateway()
    first = cluster.worker(GELAP_WORKER_CONCURRENCY="3")
    with cluster.client() as client:
        breaking = client.submit("square", *job(milliseconds=2000, trouble=Trouble.LOST)).id
        others = [client.submit("square", *job()).id for _ in range(3)]
        assert first.process.wait(20) == EXIT_STATUS
        assert "the device is lost" in first.log
        assert "Traceback" not in first.log
        second = cluster.worker()
        end = ended(client, breaking)
        assert (end.state, end.failure.name, end.attempts) == (JobState.FAILED, "worker-lost", 2)
        assert second.process.wait(20) == EXIT_STATUS
        cluster.worker()
        assert [ended(client, job_id).state for job_id in others] == [JobState.SUCCEEDED] * 3
    counters = cluster.status()["counters"]
    assert (counters["lost_attempts"], counters.get("retries", 0)) == (2, 0)


def test_a_stopped_worker_finishes_what_is_on_the_device_and_hands_the_rest_back(cluster):
    cluster.gateway()
    stopping = cluster.worker(GELAP_WORKER_CONCURRENCY="3")
    with cluster.client() as client:
        jobs = [client.submit("square", *job(milliseconds=1000)).id for _ in range(4)]
        until(lambda: sum(is_running(client, each) for each in jobs) == 3)
        stopping.process.send_signal(signal.SIGTERM)
        assert stopping.process.wait(15) == 0
        assert stopping.log.count('"job done"') == 1
        assert stopping.log.count('"job handed back') == 2
        states = [client.job(each).state for each in jobs]
        assert states.count(JobState.QUEUED) == 3
        cluster.worker()
        for each in jobs:
            end = ended(client, each)
            assert end.state is JobState.SUCCEEDED
            assert cluster.done(each) == 1
    counters = cluster.status()["counters"]
    assert (counters["handed_back"], counters.get("lost_attempts", 0)) == (2, 0)


def test_a_stopped_worker_hands_back_even_a_running_proof_when_it_takes_too_long(cluster):
    cluster.gateway()
    stopping = cluster.worker(GELAP_WORKER_DRAIN="0.1")
    with cluster.client() as client:
        job_id = client.submit("square", *job(milliseconds=4000)).id
        until(lambda: is_running(client, job_id))
        started = time.monotonic()
        stopping.process.send_signal(signal.SIGTERM)
        assert stopping.process.wait(15) == 0
        assert time.monotonic() - started < 3.5, "it ended at the next phase of the proof"
        assert client.job(job_id).state is JobState.QUEUED


def test_cancelling_reaches_a_running_proof_at_its_next_phase(cluster):
    cluster.gateway()
    worker = cluster.worker()
    with cluster.client() as client:
        long = client.submit("square", *job(milliseconds=8000)).id
        until(lambda: is_running(client, long))
        client.cancel(long)
        started = time.monotonic()
        client.prove("square", *job())
        assert time.monotonic() - started < 4.0, "a phase takes 2 s, the whole proof 8"
        assert client.job(long).state is JobState.CANCELLED
    worker.wait_for('"job dropped')
    assert cluster.done(long) == 0


@pytest.mark.slow
def test_a_dead_worker_is_noticed_within_12_seconds_with_the_limits_that_ship(cluster):
    cluster.settings = {}
    cluster.gateway()
    doomed = cluster.worker()
    with cluster.client() as client:
        job_id = client.submit("square", *job(milliseconds=3000)).id
        until(lambda: is_running(client, job_id))
        cluster.worker()
        doomed.process.kill()
        died = time.monotonic()
        until(lambda: client.job(job_id).attempts == 2)
        assert time.monotonic() - died <= 12.0
        assert ended(client, job_id).state is JobState.SUCCEEDED
