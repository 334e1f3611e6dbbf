"""Workers die, freeze, hang and stop; no job is lost and none is done twice."""

import time

from gateway.server import _REAP_SECONDS
from proto.client import JobState
from tests.service.cluster_processes import until
from tests.service.fake_cluster import AT_ONCE, ENDLESS, LOST_SOON, job, scrape
from worker.fake import Trouble
from worker.limits import Limits
from worker.watchdog import EXIT_STATUS


def is_running(client, job_id):
    return client.job(job_id).state is JobState.RUNNING


def ended(client, job_id):
    return list(client.watch(job_id))[-1]


def test_a_worker_killed_in_the_middle_of_a_proof(cluster):
    cluster.gateway()
    doomed = cluster.worker(**LOST_SOON, **ENDLESS)
    with cluster.client() as client:
        jobs = [client.submit("square", *job(milliseconds=None)).id for _ in range(4)]
        until(lambda: is_running(client, jobs[0]) and is_running(client, jobs[1]))
        doomed.process.kill()
        cluster.worker(**AT_ONCE)
        for number, job_id in enumerate(jobs):
            end = ended(client, job_id)
            assert end.state is JobState.SUCCEEDED
            assert end.attempts == (2 if number < 2 else 1), "it had two in hand"
            assert cluster.done(job_id) == 1
    counters = cluster.status()["counters"]
    assert (counters["lost_attempts"], counters.get("retries", 0), counters["SUCCEEDED"]) == (2, 0, 4)


def test_a_worker_frozen_past_its_lease_that_wakes_up(cluster):
    cluster.gateway()
    frozen = cluster.worker(**LOST_SOON, GELAP_FAKE_MILLISECONDS="8000")
    with cluster.client() as client:
        job_id = client.submit("square", *job(milliseconds=None)).id
        until(lambda: is_running(client, job_id))
        frozen.freeze()
        rescuer = cluster.worker(**AT_ONCE)
        end = ended(client, job_id)
        assert (end.state, end.attempts) == (JobState.SUCCEEDED, 2)
        frozen.thaw()
        frozen.wait_for("no longer this attempt's", "another worker has it")
        assert client.job(job_id) == end
        assert cluster.done(job_id) == 1
        # It is a good worker again.
        assert rescuer.stop() == 0
        assert client.prove("square", *job()).fake


def test_a_poison_job_ends_as_failed_and_takes_nobody_elses_job_with_it(cluster):
    # What else a worker has in hand is lost with it, twice at most: from then on each of them is tried alone.
    cluster.settings |= LOST_SOON | {"GELAP_WORKER_CONCURRENCY": "3"}
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
    cluster.settings |= LOST_SOON | {"GELAP_LIMIT_ATTEMPT": "1.0", "GELAP_LIMIT_LOSSES": "0"}
    cluster.gateway()
    hanging = cluster.worker()
    with cluster.client() as client:
        job_id = client.submit("square", *job(trouble=Trouble.HANG)).id
        assert hanging.wait() == EXIT_STATUS
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
        assert first.wait() == EXIT_STATUS
        assert "the device is lost" in first.log
        assert "Traceback" not in first.log
        second = cluster.worker()
        end = ended(client, breaking)
        assert (end.state, end.failure.name, end.attempts) == (JobState.FAILED, "worker-lost", 2)
        assert second.wait() == EXIT_STATUS
        cluster.worker()
        assert [ended(client, job_id).state for job_id in others] == [JobState.SUCCEEDED] * 3
    counters = cluster.status()["counters"]
    assert (counters["lost_attempts"], counters.get("retries", 0)) == (2, 0)


def test_a_stopped_worker_finishes_what_is_on_the_device_and_hands_the_rest_back(cluster):
    cluster.gateway()
    stopping = cluster.worker(
        GELAP_WORKER_CONCURRENCY="3", GELAP_WORKER_METRICS_ADDRESS="127.0.0.1:0", GELAP_FAKE_MILLISECONDS="4000"
    )
    with cluster.client() as client:
        jobs = [client.submit("square", *job(milliseconds=None)).id for _ in range(4)]
        until(lambda: is_in_hand(stopping, 3))
        assert stopping.stop() == 0
        assert stopping.log.count('"job done"') == 1
        assert stopping.log.count('"job handed back') == 2
        states = [client.job(each).state for each in jobs]
        assert states.count(JobState.QUEUED) == 3
        cluster.worker(**AT_ONCE)
        for each in jobs:
            end = ended(client, each)
            assert end.state is JobState.SUCCEEDED
            assert cluster.done(each) == 1
    counters = cluster.status()["counters"]
    assert (counters["handed_back"], counters.get("lost_attempts", 0)) == (2, 0)


def is_in_hand(worker, jobs):
    """Whether a worker has so many jobs, and one of them on its device."""
    metrics = scrape(worker)
    return metrics["gelap_worker_jobs_in_hand"] == jobs and metrics["gelap_worker_device_busy_seconds"] > 0


def test_a_stopped_worker_hands_back_even_a_running_proof_when_it_takes_too_long(cluster):
    cluster.gateway()
    stopping = cluster.worker(GELAP_WORKER_DRAIN="0.1")
    with cluster.client() as client:
        job_id = client.submit("square", *job(milliseconds=16_000)).id
        until(lambda: is_running(client, job_id))
        started = time.monotonic()
        assert stopping.stop() == 0
        assert time.monotonic() - started < 14.0, "it ended at the next phase of the proof, of 4 s"
        assert client.job(job_id).state is JobState.QUEUED


def test_cancelling_reaches_a_running_proof_at_its_next_phase(cluster):
    cluster.gateway()
    worker = cluster.worker()
    with cluster.client() as client:
        long = client.submit("square", *job(milliseconds=16_000)).id
        until(lambda: is_running(client, long))
        client.cancel(long)
        started = time.monotonic()
        client.prove("square", *job())
        assert time.monotonic() - started < 14.0, "a phase takes 4 s, the whole proof 16"
        assert client.job(long).state is JobState.CANCELLED
    worker.wait_for('"job dropped')
    assert cluster.times_done(long) == 0


def test_a_dead_worker_is_noticed_when_its_lease_is_over_with_the_limits_that_ship(cluster):
    """Within 12 seconds; the machine of the test may be busy with other things for some more."""
    assert Limits().lease + _REAP_SECONDS <= 12.0
    cluster.settings = {}
    cluster.gateway()
    doomed = cluster.worker(**ENDLESS)
    with cluster.client() as client:
        job_id = client.submit("square", *job(milliseconds=None)).id
        until(lambda: is_running(client, job_id))
        cluster.worker(**AT_ONCE)
        doomed.process.kill()
        died = time.monotonic()
        until(lambda: client.job(job_id).attempts == 2)
        assert time.monotonic() - died <= 40.0
        assert ended(client, job_id).state is JobState.SUCCEEDED
