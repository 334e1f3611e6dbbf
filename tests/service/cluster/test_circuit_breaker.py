"""A circuit whose proofs do not verify is stopped before more time goes into it."""

import pytest

from tests.service.cluster.job_requests import ALICE, KEY, OTHER_KEY, PROOF, claim, statement_request
from worker.errors import CircuitStoppedError, ProvingFailedError
from worker.jobs import Outcome, State


def fail_with_a_wrong_proof(store, number, retry=False):
    _, job = store.submit(statement_request(number))
    store.fail(claim(store, job), ProvingFailedError(), retry=retry, wrong_proof=True)
    return job


def stop(store):
    for number in range(store.limits.wrong_jobs):
        fail_with_a_wrong_proof(store, 100 + number)


def test_several_jobs_with_wrong_proofs_stop_their_circuit_and_no_other(store):
    _, proved = store.submit(statement_request(1))
    store.succeed(claim(store, proved), {}, proof=PROOF)
    stop(store)
    with pytest.raises(CircuitStoppedError):
        store.submit(statement_request(2))
    assert store.submit(statement_request(1))[0] is Outcome.CACHED, "this one was verified"
    assert store.submit(statement_request(2, key=OTHER_KEY))[0] is Outcome.NEW


def test_one_job_that_is_tried_again_counts_once(store):
    _, job = store.submit(statement_request(1))
    for _ in range(store.limits.retries):
        assert store.fail(claim(store, job), ProvingFailedError(), retry=True, wrong_proof=True)
    store.fail(claim(store, job), ProvingFailedError(), retry=True, wrong_proof=True)
    assert store.overview().circuits[0].wrong_jobs == 1
    assert store.overview().counters["wrong_proofs"] == 1 + store.limits.retries
    store.submit(statement_request(2))


def test_wrong_proofs_far_apart_do_not_count_together(store, client):
    for number in range(store.limits.wrong_jobs + 2):
        fail_with_a_wrong_proof(store, number)
        client.hincrby(f"gelap:breaker:{KEY.hex()}", "first_ms", -round(store.limits.wrong_window * 1000) - 1)
    assert store.overview().circuits[0].stopped_seconds is None


def test_other_failures_stop_nothing(store):
    for number in range(10):
        _, job = store.submit(statement_request(number))
        store.fail(claim(store, job), ProvingFailedError(), retry=False)
    store.submit(statement_request(11))


def test_the_queue_of_a_stopped_circuit_waits_and_goes_on_after_a_reset(store, client):
    _, waiting = store.submit(statement_request(1, priority=2))
    stop(store)
    assert claim(store) is None
    assert store.reap() == {}
    (circuit,) = store.overview().circuits
    assert circuit.stopped_seconds is not None
    assert (circuit.queued, circuit.wrong_jobs) == (1, store.limits.wrong_jobs)

    assert store.reset_breaker(KEY)
    assert not store.reset_breaker(KEY)
    assert store.overview().circuits[0].stopped_seconds is None
    claim(store, waiting)
    store.submit(statement_request(2))


def test_the_job_that_stops_its_circuit_is_not_tried_again(store):
    for number in range(store.limits.wrong_jobs - 1):
        fail_with_a_wrong_proof(store, number)
    last = fail_with_a_wrong_proof(store, 50, retry=True)
    assert store.read(last.id).state is State.FAILED


def test_a_job_of_a_stopped_circuit_can_be_cancelled(store):
    _, waiting = store.submit(statement_request(1, priority=2))
    stop(store)
    assert store.cancel(waiting.id, ALICE).state is State.CANCELLED
