"""The life of a job, against a real Redis: states, fencing, leases, single flight, cache, idempotency."""

import dataclasses
import threading

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from protocol.sealing import SealedInputs
from tests.service.cluster.job_requests import (
    ALICE,
    BOB,
    KEY,
    PROOF,
    claim,
    let_expire,
    lose_worker,
    statement_request,
    traces,
    wait_longer,
)
from worker.errors import (
    IdempotencyConflictError,
    InternalError,
    InvalidInputsError,
    JobCancelledError,
    JobExpiredError,
    ProvingFailedError,
    QueueFullError,
    StaleClusterKeyError,
    UnsatisfiedInputsError,
    WorkerLostError,
)
from worker.jobs import EVENTS, QUEUE, Event, JobStore, Kind, Outcome, State, connect
from worker.limits import Limits
from worker.queue import queue_of


def test_a_job_is_queued_claimed_and_ends_with_its_proof(store):
    request = statement_request()
    outcome, job = store.submit(request)
    assert (outcome, job.state, job.attempts) == (Outcome.NEW, State.QUEUED, 0)

    attempt = claim(store, job, "worker 1")
    assert attempt.sealed == request.sealed
    assert attempt.job.public_inputs == request.public_inputs
    assert (store.read(job.id).state, attempt.job.attempts) == (State.RUNNING, 1)

    assert store.succeed(attempt, {"witness": 0.25, "prove": 1.5}, proof=PROOF)
    ended = store.read(job.id)
    assert (ended.state, ended.proof, ended.cached, ended.error) == (State.SUCCEEDED, PROOF, False, None)
    assert (ended.seconds["witness"], ended.seconds["prove"]) == (0.25, 1.5)
    assert ended.seconds["total"] >= 0 <= ended.seconds["queue"]
    assert ended.ended_ms >= ended.created_ms


def test_only_one_worker_gets_a_job(store):
    _, job = store.submit(statement_request())
    winners = []
    threads = [
        threading.Thread(target=lambda n=n: winners.append(claim(store, worker=f"worker {n}"))) for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([attempt for attempt in winners if attempt]) == 1
    assert store.read(job.id).attempts == 1


END = {
    "succeed": lambda store, attempt: store.succeed(attempt, {}, proof=PROOF),
    "fail": lambda store, attempt: store.fail(attempt, ProvingFailedError(), retry=False),
    "fail and retry": lambda store, attempt: store.fail(attempt, ProvingFailedError(), retry=True),
    "renew": lambda store, attempt: store.renew([attempt]) == [],
}


@pytest.mark.parametrize("late", END, ids=str)
def test_a_worker_that_lost_its_lease_cannot_touch_anothers_attempt(store, client, late):
    _, job = store.submit(statement_request())
    lost = claim(store, job, "worker 1")
    lose_worker(client, job.id)
    assert store.reap() == {KEY: 1}
    current = claim(store, job, "worker 2")

    assert not END[late](store, lost)
    assert store.read(job.id).state is State.RUNNING
    assert store.succeed(current, {}, proof=PROOF)
    assert not END[late](store, lost)
    assert store.read(job.id).proof == PROOF


@pytest.mark.parametrize("late", END, ids=str)
def test_the_result_of_a_cancelled_attempt_is_refused(store, late):
    _, job = store.submit(statement_request())
    attempt = claim(store, job)
    store.cancel(job.id, ALICE)
    assert not END[late](store, attempt)
    assert store.read(job.id).state is State.CANCELLED


def test_a_lease_that_is_renewed_does_not_end(store, client):
    _, job = store.submit(statement_request())
    attempt = claim(store, job)
    client.zadd("gelap:leases", {job.id: 0})
    assert store.renew([attempt]) == []
    assert store.reap() == {}
    assert store.read(job.id).state is State.RUNNING


def test_a_lost_worker_spends_no_retry_but_a_job_cannot_take_every_worker_with_it(store, client):
    _, job = store.submit(statement_request())
    for _ in range(store.limits.losses):
        assert claim(store, job)
        lose_worker(client, job.id)
        assert store.reap() == {KEY: 1}
    assert client.hget(f"gelap:job:{job.id}", "retries") == b"0"
    claim(store, job)
    lose_worker(client, job.id)
    assert store.reap() == {}
    ended = store.read(job.id)
    assert (ended.state, type(ended.error)) == (State.FAILED, WorkerLostError)
    assert traces(client, job.id) == []


def test_a_failure_worth_a_second_try_gets_as_many_as_there_are(store):
    _, job = store.submit(statement_request())
    for _ in range(store.limits.retries):
        assert store.fail(claim(store, job), ProvingFailedError(), retry=True)
    assert not store.fail(claim(store, job), ProvingFailedError("it broke"), retry=True)
    ended = store.read(job.id)
    assert (ended.state, type(ended.error), str(ended.error)) == (State.FAILED, ProvingFailedError, "it broke")
    assert ended.attempts == store.limits.retries + 1


def test_a_job_nobody_starts_in_time_expires(store, client):
    _, job = store.submit(statement_request())
    let_expire(client, job.id)
    store.reap()
    ended = store.read(job.id)
    assert (ended.state, type(ended.error)) == (State.EXPIRED, JobExpiredError)
    assert traces(client, job.id) == []


def test_a_worker_does_not_start_a_job_that_has_expired(store, client):
    _, job = store.submit(statement_request())
    let_expire(client, job.id)
    assert claim(store, job) is None
    assert store.read(job.id).state is State.EXPIRED


def test_a_finished_job_and_its_proof_are_forgotten_in_time(store, client):
    _, job = store.submit(statement_request())
    store.succeed(claim(store, job), {}, proof=PROOF)
    keys = client.keys("gelap:*")
    lasting = {b"gelap:ended", b"gelap:keys", b"gelap:counters", b"gelap:device-ms"}  # none of them grows with the jobs
    assert set(keys) > lasting
    assert all(client.pttl(key) > 0 for key in set(keys) - lasting)


def test_a_job_without_a_message_is_sent_again(store, client):
    """A gateway may die between queueing a job and sending its id."""
    _, job = store.submit(statement_request())
    assert store.reap() == {}
    wait_longer(client, job, store.limits.stranded + 1)
    client.lpush(queue_of(KEY), "its message")
    assert store.reap() == {}
    client.delete(queue_of(KEY))
    assert store.reap() == {KEY: 1}
    assert store.reap() == {}, "once is enough"


def test_identical_statements_of_one_tenant_are_proved_once(store):
    _, first = store.submit(statement_request())
    assert [store.submit(statement_request())[0] for _ in range(3)] == [Outcome.JOINED] * 3
    attempt = claim(store, first)
    outcome, joined = store.submit(statement_request())
    assert (outcome, joined.id) == (Outcome.JOINED, first.id)
    store.succeed(attempt, {}, proof=PROOF)

    outcome, cached = store.submit(statement_request())
    assert outcome is Outcome.CACHED
    assert cached.id != first.id
    assert (cached.state, cached.proof, cached.cached) == (State.SUCCEEDED, PROOF, True)


def test_a_caller_who_joins_extends_how_long_the_job_may_wait(store, client):
    _, job = store.submit(statement_request(wait=10.0))
    before = client.zscore("gelap:expiring", job.id)
    store.submit(statement_request(wait=5.0))
    assert client.zscore("gelap:expiring", job.id) == before
    store.submit(statement_request(wait=100.0))
    assert client.zscore("gelap:expiring", job.id) >= before + 89_000
    assert float(client.hget(f"gelap:job:{job.id}", "expires_ms")) == client.zscore("gelap:expiring", job.id)


def test_a_failed_statement_is_neither_cached_nor_joined(store):
    _, job = store.submit(statement_request())
    store.fail(claim(store, job), UnsatisfiedInputsError(), retry=False)
    outcome, again = store.submit(statement_request())
    assert outcome is Outcome.NEW
    assert again.id != job.id


def test_another_tenant_is_never_served_from_the_cache_or_from_anothers_job(store):
    _, first = store.submit(statement_request(tenant=ALICE))
    outcome, other = store.submit(statement_request(tenant=BOB))
    assert outcome is Outcome.NEW
    assert other.id != first.id
    store.succeed(claim(store, first), {}, proof=PROOF)
    store.cancel(other.id, BOB)
    outcome, other = store.submit(statement_request(tenant=BOB))
    assert (outcome, other.proof) == (Outcome.NEW, None)


def test_an_idempotency_key_gives_its_job_again_whatever_became_of_it(store):
    request = statement_request(idempotency_key="order 17")
    _, job = store.submit(request)
    store.fail(claim(store, job), ProvingFailedError(), retry=False)
    resealed = dataclasses.replace(request, sealed=SealedInputs(bytes(32), b"sealed again, differently"))
    outcome, again = store.submit(resealed)
    assert (outcome, again.id, again.state) == (Outcome.REPEATED, job.id, State.FAILED)


def test_an_idempotency_key_is_refused_for_another_statement(store):
    store.submit(statement_request(1, idempotency_key="order 17"))
    with pytest.raises(IdempotencyConflictError):
        store.submit(statement_request(2, idempotency_key="order 17"))
    outcome, _ = store.submit(statement_request(2, tenant=BOB, idempotency_key="order 17"))
    assert outcome is Outcome.NEW, "another tenant's keys are another matter"


def test_a_full_queue_takes_no_more(client, redis_url):
    store = JobStore(connect(redis_url), Limits(queued_jobs=2))
    _, first = store.submit(statement_request(0))
    store.submit(statement_request(1))
    before = client.dbsize()
    with pytest.raises(QueueFullError):
        store.submit(statement_request(2))
    assert client.dbsize() == before
    assert store.submit(statement_request(1))[0] is Outcome.JOINED, "it adds nothing to the queue"
    claim(store, first)
    assert store.submit(statement_request(2))[0] is Outcome.NEW


def test_one_tenant_leaves_a_tenth_of_the_queue_to_the_others(client, redis_url):
    store = JobStore(connect(redis_url), Limits(queued_jobs=10))
    jobs = [store.submit(statement_request(number))[1] for number in range(9)]
    ways_out = {
        "claimed": lambda: claim(store, jobs[0]),
        "cancelled": lambda: store.cancel(jobs[1].id, ALICE),
        "expired": lambda: (let_expire(client, jobs[2].id), store.reap()),
    }
    for number, leave in enumerate(ways_out.values(), 9):
        with pytest.raises(QueueFullError, match="this API key's tenant"):
            store.submit(statement_request(number))
        leave()
        assert store.submit(statement_request(number))[0] is Outcome.NEW
    assert store.submit(statement_request(0, tenant=BOB))[0] is Outcome.NEW
    with pytest.raises(QueueFullError, match="queue is full"):
        store.submit(statement_request(1, tenant=BOB))
    assert client.scard(f"gelap:waiting:{ALICE}") == 9


def test_a_job_that_is_queued_again_counts_for_its_tenant_again(store, client):
    _, job = store.submit(statement_request())
    claim(store, job)
    assert client.scard(f"gelap:waiting:{ALICE}") == 0
    lose_worker(client, job.id)
    store.reap()
    assert client.smembers(f"gelap:waiting:{ALICE}") == {job.id.encode()}
    store.succeed(claim(store, job), {}, proof=PROOF)
    assert not client.exists(f"gelap:waiting:{ALICE}")


def test_only_the_tenant_can_cancel(store):
    _, job = store.submit(statement_request())
    assert store.cancel(job.id, BOB) is None
    assert store.cancel("no such job", ALICE) is None
    cancelled = store.cancel(job.id, ALICE)
    assert store.cancel(job.id, None).ended_ms == cancelled.ended_ms, "what has ended stays as it is"
    assert (cancelled.state, type(cancelled.error)) == (State.CANCELLED, JobCancelledError)
    assert claim(store, job) is None


def test_sealed_inputs_are_deleted_when_the_job_ends(store, client):
    ends = [
        lambda job: store.succeed(claim(store, job), {}, proof=PROOF),
        lambda job: store.fail(claim(store, job), ProvingFailedError(), retry=False),
        lambda job: store.cancel(job.id, ALICE),
    ]
    for number, end in enumerate(ends):
        _, job = store.submit(statement_request(number))
        assert client.get(f"gelap:sealed:{job.id}")
        end(job)
        assert traces(client, job.id) == []


def test_a_verification_is_a_job_of_its_own(store):
    request = statement_request(kind=Kind.VERIFY, sealed=None, proof=PROOF)
    _, first = store.submit(request)
    outcome, second = store.submit(request)
    assert outcome is Outcome.NEW
    assert first.id != second.id
    attempt = claim(store, first)
    assert (attempt.sealed, attempt.job.proof) == (None, PROOF)
    store.succeed(attempt, {"verify": 0.1}, valid=True)
    assert store.read(first.id).valid is True
    store.succeed(claim(store, second), {}, valid=False)
    assert store.read(second.id).valid is False
    assert store.submit(statement_request())[0] is Outcome.NEW, "a verified proof was not made for this caller"


def test_an_error_that_this_release_does_not_know_counts_as_internal(store, client):
    _, job = store.submit(statement_request())
    store.fail(claim(store, job), ProvingFailedError(), retry=False)
    client.hset(f"gelap:job:{job.id}", "error", "from-a-later-release")
    assert isinstance(store.read(job.id).error, InternalError)


class JobLife(RuleBasedStateMachine):
    """Whatever clients, workers and reapers do in whatever order, a job follows its state diagram.

    The model is a few Python sets; the system is a real Redis, where the flow of time is forced by moving deadlines.
    """

    jobs = Bundle("jobs")
    attempts = Bundle("attempts")
    store: JobStore

    @initialize()
    def empty(self):
        self.client = JobLife.store._client
        self.client.flushdb()
        self.known = set()
        self.owner = {}  # job -> token of the attempt that owns it
        self.ended = {}  # job -> its state for good

    @rule(target=jobs, number=st.integers(0, 3), tenant=st.sampled_from([ALICE, BOB]))
    def submit(self, number, tenant):
        outcome, job = self.store.submit(statement_request(number, tenant))
        self.known.add(job.id)
        if outcome is Outcome.CACHED:
            self.ended[job.id] = State.SUCCEEDED
        elif outcome is Outcome.JOINED:
            assert job.id not in self.ended
        return job.id

    @rule(target=attempts, worker=st.sampled_from(["one", "two"]))
    def claim(self, worker):
        jobs = {job: self.store.read(job) for job in self.known}
        queued = {job for job, known in jobs.items() if known.state is State.QUEUED}
        in_hand = {job for job in self.owner if jobs[job].worker == worker}
        suspects = {job for job, known in jobs.items() if known.losses >= 2}
        attempt = claim(self.store, worker=worker)
        if attempt is None:
            assert not queued or in_hand & suspects or (in_hand and queued & suspects)
        else:
            assert attempt.job.id in queued
            assert not in_hand & suspects
            assert not in_hand or attempt.job.id not in suspects
            self.owner[attempt.job.id] = attempt.token
        return attempt

    @rule(attempt=consumes(attempts))
    def hand_back(self, attempt):
        if attempt is not None:
            owns = self.owner.get(attempt.job.id) == attempt.token
            assert self.store.release(attempt) == owns
            if owns:
                del self.owner[attempt.job.id]

    @rule(attempt=consumes(attempts), proof=st.binary(min_size=256, max_size=256))
    def succeed(self, attempt, proof):
        self.end(attempt, State.SUCCEEDED, lambda: self.store.succeed(attempt, {}, proof=proof))

    @rule(attempt=consumes(attempts))
    def fail(self, attempt):
        def fail():
            self.store.fail(attempt, ProvingFailedError(), retry=False)
            return self.owner.get(attempt.job.id) == attempt.token

        self.end(attempt, State.FAILED, fail)

    def end(self, attempt, state, action):
        if attempt is None:
            return
        job = attempt.job.id
        owns = self.owner.get(job) == attempt.token
        assert action() == owns
        if owns:
            del self.owner[job]
            self.ended[job] = state

    @rule(job=jobs)
    def cancel(self, job):
        tenant = self.store.read(job).tenant
        self.store.cancel(job, tenant)
        self.owner.pop(job, None)
        self.ended.setdefault(job, State.CANCELLED)

    @rule(job=jobs)
    def lose_the_worker(self, job):
        if job in self.owner:
            lose_worker(self.client, job)
            del self.owner[job]
            again = self.store.reap()
            if again != {KEY: 1}:
                assert again == {}
                self.ended[job] = State.FAILED

    @rule(job=jobs)
    def expire(self, job):
        if self.client.zscore("gelap:expiring", job) is not None:
            let_expire(self.client, job)
            self.store.reap()
            self.ended[job] = State.EXPIRED

    @invariant()
    def states_agree(self):
        if not hasattr(self, "owner"):
            return
        suspects = self.client.smembers("gelap:suspects")
        for key in self.client.keys("gelap:job:*"):
            job = self.store.read(key.decode().rsplit(":", 1)[1])
            expected = State.RUNNING if job.id in self.owner else self.ended.get(job.id, State.QUEUED)
            assert job.state is expected
            assert bool(traces(self.client, job.id)) != job.state.ended
            assert (job.id.encode() in suspects) == (job.losses >= 2 and not job.state.ended)


def test_no_order_of_events_leaves_the_state_diagram(store):
    JobLife.store = store
    JobLife.TestCase.settings = settings(
        max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
    )
    JobLife.TestCase("runTest").runTest()


def test_news_of_an_end_is_the_job_as_it_is_in_the_store(store, client):
    """Whoever waits for it need not ask: whatever bytes a proof has, and spaces and newlines in a message."""
    with client.pubsub(ignore_subscribe_messages=True) as news:
        news.subscribe(EVENTS)
        news.get_message(timeout=30.0)
        store.submit(statement_request(1))
        store.succeed(claim(store), {"prove": 0.5}, proof=bytes(range(256)))
        store.submit(statement_request(2))
        store.fail(claim(store), InvalidInputsError("two words\nand a line"), retry=False)
        ended = []
        while len(ended) < 2:
            event = Event.parse(news.get_message(timeout=30.0)["data"])
            if event.state.ended:
                ended.append(event)
    assert [event.state for event in ended] == [State.SUCCEEDED, State.FAILED]
    for event in ended:
        told, kept = event.job(), store.read(event.id)
        assert (type(told.error), str(told.error)) == (type(kept.error), str(kept.error))
        assert dataclasses.replace(told, error=None) == dataclasses.replace(kept, error=None)


def test_a_request_for_another_cluster_key_than_the_present_one_is_refused_as_it_is_taken_in(store, client):
    client.set("gelap:cluster-key", b"k" * 32)
    with pytest.raises(StaleClusterKeyError):
        store.submit(statement_request(1), sealed_to=b"o" * 32)
    assert store.overview().queued == 0
    assert store.submit(statement_request(1), sealed_to=b"k" * 32)[0] is Outcome.NEW


def test_a_message_enters_the_brokers_list_with_a_new_job_only(store, client):
    first, again = (store.submit(statement_request(1), message=each)[0] for each in ("first", "again"))
    assert (first, again) == (Outcome.NEW, Outcome.JOINED)
    assert client.lrange(QUEUE + KEY.hex(), 0, -1) == [b"first"]


def test_a_job_handed_back_by_workers_that_lost_their_devices_has_to_end_at_last(store):
    """It spends no try, but may be what breaks them."""
    _, job = store.submit(statement_request(1))
    for losses in range(store.limits.losses):
        assert store.release(claim(store, job), lost=True)
        assert (store.read(job.id).losses, store.read(job.id).retries) == (losses + 1, 0)
    assert not store.release(claim(store, job), lost=True)
    ended = store.read(job.id)
    assert (ended.state, type(ended.error)) == (State.FAILED, WorkerLostError)
