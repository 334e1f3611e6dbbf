"""Which job goes first, and that none is forgotten."""

import pytest

from tests.service.cluster.job_requests import (
    KEY,
    OTHER_KEY,
    claim,
    let_expire,
    lose_worker,
    statement_request,
    wait_longer,
)
from worker.errors import OverloadedError
from worker.jobs import Outcome, Priority, State
from worker.queue import queue_of


def submit(store, number, **changes):
    outcome, job = store.submit(statement_request(number, **changes))
    assert outcome is Outcome.NEW
    return job


def order(store, key=KEY):
    ids = []
    while attempt := claim(store, key=key):
        ids.append(attempt.job.id)
    return ids


def test_jobs_go_in_the_order_they_came(store):
    jobs = [submit(store, number).id for number in range(20)]
    assert order(store) == jobs


def test_bulk_jobs_give_way_but_not_for_ever(store, client):
    bulk = [submit(store, number, priority=Priority.BULK) for number in range(2)]
    normal = [submit(store, number) for number in range(2, 4)]
    wait_longer(client, bulk[0], store.limits.aging + 1)
    assert order(store) == [bulk[0].id, normal[0].id, normal[1].id, bulk[1].id]


def test_a_normal_request_for_a_bulk_jobs_statement_hurries_it(store):
    first, second = (submit(store, number, priority=Priority.BULK) for number in range(2))
    outcome, joined = store.submit(statement_request(1))
    assert (outcome, joined.id, joined.priority) == (Outcome.JOINED, second.id, Priority.NORMAL)
    store.submit(statement_request(1, priority=Priority.BULK))
    assert order(store) == [second.id, first.id]


def test_a_job_of_a_lost_worker_keeps_its_place(store, client):
    jobs = [submit(store, number) for number in range(3)]
    claim(store, jobs[0])
    lose_worker(client, jobs[0].id)
    store.reap()
    assert order(store) == [job.id for job in jobs]


def test_a_worker_gets_only_jobs_whose_key_it_has(store):
    """Two releases of a circuit's keys may be at work at once while workers are replaced."""
    old, new = submit(store, 1), submit(store, 2, key=OTHER_KEY)
    assert order(store, OTHER_KEY) == [new.id]
    assert order(store, KEY) == [old.id]


def test_several_jobs_are_claimed_at_once(store, client):
    jobs = [submit(store, number) for number in range(5)]
    let_expire(client, jobs[1].id)
    attempts = store.claim(KEY, "worker", 3)
    assert [attempt.job.id for attempt in attempts] == [jobs[0].id, jobs[2].id, jobs[3].id]
    assert store.read(jobs[1].id).state is State.EXPIRED
    assert [attempt.job.id for attempt in store.claim(KEY, "worker", 3)] == [jobs[4].id]


def test_a_job_that_two_workers_were_lost_with_is_alone_in_its_workers_hands(store, client):
    """Whichever of these two ends workers, the other is not lost with it until it is given up too."""
    poison, bystander, third = (submit(store, number) for number in range(3))
    for worker in ("first", "second"):
        assert len(store.claim(KEY, worker, 2)) == 2
        for job in (poison, bystander):
            lose_worker(client, job.id)
        store.reap()
    (attempt,) = store.claim(KEY, "last", 3)
    assert attempt.job.id == poison.id
    assert store.claim(KEY, "last", 3) == [], "while it has the suspect"
    (other,) = store.claim(KEY, "another", 3)
    assert other.job.id == bystander.id
    assert store.succeed(other, {}, proof=bytes(256))
    busy = claim(store, third, worker="another")
    lose_worker(client, poison.id)
    store.reap()
    assert store.claim(KEY, "another", 3) == [], "while it has another job"
    assert store.succeed(busy, {}, proof=bytes(256))
    assert claim(store, poison, worker="another")
    lose_worker(client, poison.id)
    store.reap()
    assert store.read(poison.id).state is State.FAILED
    assert not client.exists("gelap:suspects")


def test_a_lost_message_in_a_backlog_that_never_empties_is_made_up_for(store, client):
    """The broker's list is never empty, so waiting for that would never find the loss."""
    jobs = [submit(store, number) for number in range(5)]
    client.rpush(queue_of(KEY), *["a message"] * 4)
    assert store.reap() == {}, "the fifth may be on its way"
    for job in jobs:
        wait_longer(client, job, store.limits.stranded + 1)
    assert store.reap() == {KEY: 1}
    assert store.reap() == {}, "it is on its way now"
    assert store.overview().counters["swept"] == 1


def test_no_message_is_made_up_for_jobs_that_have_theirs(store, client):
    for number in range(5):
        wait_longer(client, submit(store, number), store.limits.stranded + 1)
    client.rpush(queue_of(KEY), *["a message"] * 5)
    assert store.reap() == {}


def test_a_circuit_whose_oldest_job_waits_too_long_takes_no_more(store, client):
    job = submit(store, 1)
    wait_longer(client, job, store.limits.oldest + 1)
    with pytest.raises(OverloadedError):
        submit(store, 2)
    submit(store, 3, key=OTHER_KEY)
    assert store.submit(statement_request(1))[0] is Outcome.JOINED, "it adds nothing"
    claim(store, job)
    submit(store, 2)


def test_a_job_handed_back_spends_neither_a_try_nor_a_worker(store):
    job = submit(store, 1)
    attempt = claim(store, job)
    assert store.release(attempt)
    assert not store.release(attempt)
    again = store.read(job.id)
    assert (again.state, again.attempts, again.retries, again.losses) == (State.QUEUED, 1, 0, 0)
    assert claim(store, job).sealed == attempt.sealed


def test_an_attempt_that_takes_too_long_counts_as_lost_though_its_lease_is_renewed(store, client):
    """A device that hangs does not stop the thread that renews."""
    job = submit(store, 1)
    attempt = claim(store, job)
    client.hset(f"gelap:job:{job.id}", "stops_ms", 1)
    assert store.renew([attempt]) == [job.id]
    lose_worker(client, job.id)
    assert store.reap() == {KEY: 1}
    assert store.read(job.id).losses == 1
