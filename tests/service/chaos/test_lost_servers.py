"""The gateway and Redis go away and come back, and Redis fills up; no job is lost and none is done twice."""

import threading

import pytest

from proto import errors
from proto.client import JobState
from tests.service.cluster_processes import PATIENCE, until
from tests.service.fake_cluster import job


def ended(client, job_id):
    return list(client.watch(job_id))[-1]


def in_background(action):
    results = []

    def run():
        try:
            results.append(action())
        except errors.ProverClientError as error:
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, results


def test_a_gateway_killed_and_started_again(cluster):
    cluster.gateway()
    worker = cluster.worker()
    worker.freeze()
    with cluster.client() as client:
        statement = job()
        job_id = client.submit("square", *statement).id
        waiting, results = in_background(lambda: client.prove("square", *statement))
        until(lambda: cluster.latest_gateway.log.count(f'"job taken in", "job": "{job_id}"') == 2)
        cluster.latest_gateway.process.kill()
        waiting.join(PATIENCE)
        assert isinstance(results[0], errors.UnreachableError)
        assert results[0].retry
    worker.thaw()
    cluster.gateway()
    with cluster.client() as client:
        assert client.prove("square", *statement).job_id == job_id or client.job(job_id).state is JobState.SUCCEEDED
        assert ended(client, job_id).attempts == 1
    assert cluster.done(job_id) == 1


def test_two_gateways_share_one_store_and_either_knows_every_job(cluster):
    cluster.gateway()
    with cluster.client() as one:
        cluster.worker()
        job_id = one.submit("square", *job(milliseconds=300)).id
        cluster.gateway()
        with cluster.client() as other:
            assert ended(other, job_id).state is JobState.SUCCEEDED
            assert one.job(job_id) == other.job(job_id)


def test_redis_restarted_with_its_data_goes_on_where_it_was(cluster_on_own_redis, own_redis):
    cluster = cluster_on_own_redis
    cluster.gateway()
    cluster.worker()
    with cluster.client() as client:
        proved = client.prove("square", *job(number=7)).job_id
        jobs = [client.submit("square", *job(milliseconds=800)).id for _ in range(5)]
        until(lambda: client.job(jobs[0]).state is not JobState.QUEUED)
        until(lambda: own_redis.client.info("persistence")["aof_pending_bio_fsync"] == 0)
        own_redis.stop()
        with pytest.raises(errors.UnreachableError) as caught:
            client.submit("square", *job())
        assert (caught.value.name, caught.value.retry) == ("store-unavailable", True)
        own_redis.start()
        for job_id in jobs:
            assert until(lambda job_id=job_id: _end_or_none(client, job_id)).state is JobState.SUCCEEDED
            assert cluster.done(job_id) == 1
        assert client.job(proved).state is JobState.SUCCEEDED
        assert client.prove("square", *job(number=7)).cached


def _end_or_none(client, job_id):
    try:
        found = client.job(job_id)
    except errors.UnreachableError:
        return None
    return found if found.state.ended else None


def test_a_full_redis_refuses_new_jobs_and_ends_those_in_hand(cluster_on_own_redis, own_redis):
    cluster = cluster_on_own_redis
    cluster.gateway()
    cluster.worker()
    admin = own_redis.client
    with cluster.client() as client:
        client.prove("square", *job())
        jobs = [client.submit("square", *job(milliseconds=800)).id for _ in range(3)]
        until(lambda: client.job(jobs[0]).state is not JobState.QUEUED)
        admin.config_set("maxmemory", 1)
        with pytest.raises(errors.BusyError, match="full") as caught:
            client.submit("square", *job())
        assert (caught.value.name, caught.value.retry) == ("store-full", True)
        assert caught.value.retry_after > 0
        assert ended(client, jobs[0]).state is JobState.SUCCEEDED, "what is in hand can end, which frees memory"
        admin.config_set("maxmemory", 0)
        for job_id in jobs:
            assert ended(client, job_id).state is JobState.SUCCEEDED
            assert cluster.done(job_id) == 1
        client.prove("square", *job())
    assert admin.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    assert admin.info("stats")["evicted_keys"] == 0
