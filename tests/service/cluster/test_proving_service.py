"""What a caller of the gateway sees: a real gateway, a real worker, a real Redis, and a tiny circuit."""

import itertools
import threading
import uuid

import grpc
import pytest
import redis
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from proto import errors, prover_pb2, prover_pb2_grpc
from proto.client import JobState
from protocol.sealing import fingerprint, seal, tenant_of
from protocol.statements import encode_inputs, statement_hash
from tests.service.cluster_processes import PATIENCE, until
from worker.jobs import JobStore
from worker.manifest import read_manifest

ROOTS = itertools.count(1000)


@pytest.fixture
def alice(running):
    with running.client("alice") as client:
        yield client


@pytest.fixture
def bob(running):
    with running.client("bob") as client:
        yield client


@pytest.fixture
def channel(running):
    with grpc.insecure_channel(running.address) as channel:
        yield channel


def square(root=None, **more):
    """A fresh statement with its inputs."""
    root = next(ROOTS) if root is None else root
    return [root**2], {"square": root**2, "root": root, **more}


def test_a_statement_is_proved_and_its_proof_verifies(alice):
    public, inputs = square()
    result = alice.prove("square", public, inputs)
    assert len(result.proof) == 256
    assert not result.cached
    assert set(result.seconds) == {"queue", "witness", "wait", "prove", "total"}
    assert alice.verify("square", public, result.proof) is True
    assert alice.verify("square", [public[0] + 1], result.proof) is False


def test_the_same_statement_of_the_same_caller_is_answered_from_the_cache(alice):
    public, inputs = square()
    first = alice.prove("square", public, inputs)
    second = alice.prove("square", public, inputs)
    assert second.cached
    assert second.proof == first.proof
    assert second.job_id != first.job_id


def test_another_caller_with_the_same_statement_is_not_served_from_the_cache(alice, bob):
    """A public statement alone must not buy a proof from somebody else's witness."""
    public, inputs = square()
    alice.prove("square", public, inputs)
    with pytest.raises(errors.RefusedError):
        bob.prove("square", public, {"square": public[0], "root": inputs["root"] + 1})
    assert not bob.prove("square", public, inputs).cached


def test_another_caller_cannot_see_or_cancel_a_job(alice, bob):
    job = alice.submit("square", *square())
    for ask in (bob.job, bob.cancel, lambda job_id: list(bob.watch(job_id))):
        with pytest.raises(errors.RefusedError) as caught:
            ask(job.id)
        assert caught.value.name == "unknown-job"


@pytest.mark.parametrize("job_id", ["", "0" * 32, "../etc", "x" * 1000])
def test_a_job_that_does_not_exist_is_said_not_to(alice, job_id):
    with pytest.raises(errors.RefusedError, match="no such job") as caught:
        alice.job(job_id)
    assert caught.value.name == "unknown-job"


def test_a_submitted_job_can_be_watched_to_its_end(alice, running):
    gate = running.gate()
    job = alice.submit("square", *square(gate=gate.number, pause=300))
    assert job.state is JobState.QUEUED
    watch = alice.watch(job.id)
    while next(watch).state is not JobState.RUNNING:
        pass
    gate.open()
    assert [seen.state for seen in watch] == [JobState.SUCCEEDED]
    ended = alice.job(job.id)
    assert ended.state is JobState.SUCCEEDED
    assert len(ended.proof) == 256
    assert (ended.attempts, ended.failure) == (1, None)
    assert ended.seconds["prove"] >= 0.3
    assert [seen.state for seen in alice.watch(job.id)] == [JobState.SUCCEEDED]


def test_identical_requests_at_the_same_time_prove_once(alice, running):
    gate = running.gate()
    statement = square(gate=gate.number)
    results = []
    threads = [threading.Thread(target=lambda: results.append(alice.prove("square", *statement))) for _ in range(5)]
    before = taken_in(running)
    for thread in threads:
        thread.start()
    until(lambda: taken_in(running) == before + 5)
    gate.open()
    for thread in threads:
        thread.join()
    assert len({result.proof for result in results}) == 1
    assert len({result.job_id for result in results}) == 1
    assert running.done(results[0].job_id) == 1


def taken_in(running):
    return running.latest_gateway.log.count('"job taken in"')


def test_a_queued_job_can_be_cancelled(alice, running):
    gate = running.gate()
    busy = [alice.submit("square", *square(gate=gate.number)) for _ in range(2)]
    job = alice.submit("square", *square())
    assert alice.cancel(job.id).state is JobState.CANCELLED
    assert alice.cancel(job.id).state is JobState.CANCELLED
    assert alice.job(job.id).failure.name == "cancelled"
    gate.open()
    for other in busy:
        assert list(alice.watch(other.id))[-1].state is JobState.SUCCEEDED
    assert alice.cancel(busy[0].id).state is JobState.SUCCEEDED, "what has ended stays as it is"


def test_a_running_job_can_be_cancelled_and_its_result_is_dropped(alice, running):
    gate = running.gate()
    job = alice.submit("square", *square(gate=gate.number))
    watch = alice.watch(job.id)
    while next(watch).state is not JobState.RUNNING:
        pass
    gate.wait_for_device()
    assert alice.cancel(job.id).state is JobState.CANCELLED
    assert [seen.state for seen in watch] == [JobState.CANCELLED]
    gate.open()
    running.processes[1].wait_for(f'longer this attempt\'s", "job": "{job.id}"')
    assert alice.job(job.id).proof is None


def test_waiting_for_a_job_that_is_cancelled_ends(alice, running):
    gate = running.gate()
    statement = square(gate=gate.number)
    caught = []

    def wait():
        try:
            alice.prove("square", *statement)
        except errors.ProverClientError as error:
            caught.append(error)

    job = alice.submit("square", *statement)
    thread = threading.Thread(target=wait)
    thread.start()
    # Both requests are at the gateway, for the one job, before it is cancelled.
    until(lambda: running.logs().count(f'"job taken in", "job": "{job.id}"') == 2)
    list(itertools.takewhile(lambda seen: seen.state is JobState.QUEUED, alice.watch(job.id)))
    alice.cancel(job.id)
    thread.join(PATIENCE)
    gate.open()
    assert [(type(error), error.job_id) for error in caught] == [(errors.JobCancelledError, job.id)]


REFUSED = {
    "unsatisfied": lambda: ([16], {"square": 16, "root": 5}),
    "invalid-inputs": lambda: ([16], {"square": 16}),
    "statement-mismatch": lambda: ([25], {"square": 16, "root": 4}),
}


@pytest.mark.parametrize("name", REFUSED)
def test_inputs_that_prove_nothing_are_refused(alice, name):
    public, inputs = REFUSED[name]()
    with pytest.raises(errors.RefusedError) as caught:
        alice.prove("square", public, inputs)
    assert (caught.value.name, caught.value.retry) == (name, False)
    job = alice.job(caught.value.job_id)
    assert (job.state, job.failure.name, job.attempts) == (JobState.FAILED, name, 1)
    with pytest.raises(errors.RefusedError):
        alice.prove("square", public, inputs)


def test_public_inputs_that_the_witness_does_not_have_never_enter_the_cache(alice):
    public, inputs = square()
    claimed = [public[0] + 1]
    with pytest.raises(errors.RefusedError):
        alice.prove("square", claimed, inputs)
    assert not alice.prove("square", public, inputs).cached


def test_a_wrong_proof_is_tried_again_and_then_given_up(alice, running):
    # Several in a row stop their circuit.
    key = read_manifest(running.key_dir)["square"].verification_key_digest
    JobStore(redis.Redis.from_url(running.redis_url)).reset_breaker(key)
    with pytest.raises(errors.ProvingFailedError, match="try again") as caught:
        alice.prove("square", *square(trouble=3))
    assert (caught.value.name, caught.value.retry) == ("proving-failed", True)
    assert alice.job(caught.value.job_id).attempts == 3


def test_an_idempotency_key_gives_the_same_job(alice):
    key, statement = str(uuid.uuid4()), square()
    first = alice.submit("square", *statement, idempotency_key=key)
    assert alice.submit("square", *statement, idempotency_key=key).id == first.id
    assert alice.prove("square", *statement, idempotency_key=key).job_id == first.id
    with pytest.raises(errors.RefusedError, match="use a new key") as caught:
        alice.submit("square", *square(), idempotency_key=key)
    assert caught.value.name == "idempotency-conflict"


def test_a_full_queue_says_when_to_come_back(alice, running):
    client = redis.Redis.from_url(running.redis_url)
    waiting = {f"stand-in {number}": 9e15 for number in range(1000)}
    client.zadd("gelap:expiring", waiting)
    try:
        with pytest.raises(errors.BusyError) as caught:
            alice.submit("square", *square())
    finally:
        client.zrem("gelap:expiring", *waiting)
    assert (caught.value.name, caught.value.retry, caught.value.retry_after) == ("queue-full", True, 1.0)


def test_circuits_are_listed_with_their_workers(alice):
    listed = {circuit.name: circuit for circuit in alice.circuits()}
    assert set(listed) == {"square", "other"}
    assert (listed["square"].public_inputs, listed["square"].workers, listed["square"].development) == (1, 1, True)
    circuit, key = alice.circuit("square")
    assert circuit == listed["square"]
    assert key == '{"circuit": "square"}'
    with pytest.raises(errors.RefusedError, match="it has: other, square"):
        alice.circuit("cube")
    with pytest.raises(errors.RefusedError, match="it has: other, square"):
        alice.prove("cube", [1], {})


def test_the_cluster_key_is_checked_against_the_pinned_one(running, alice):
    key = alice.cluster_key()
    assert key.fingerprint == fingerprint(key.public_key)
    public, inputs = square()
    with running.client("alice", pinned_key_fingerprint=key.fingerprint.hex()) as pinned:
        pinned.prove("square", public, inputs)
    with (
        running.client("alice", pinned_key_fingerprint="ab" * 32) as pinned,
        pytest.raises(errors.PinnedKeyError, match=key.fingerprint.hex()),
    ):
        pinned.prove("square", public, inputs)


@pytest.mark.parametrize("headers", [(), (("authorization", "Basic x"),), (("authorization", "Bearer "),)])
def test_every_call_needs_an_api_key(channel, headers):
    stub = prover_pb2_grpc.ProverStub(channel)
    methods = prover_pb2.DESCRIPTOR.services_by_name["Prover"].methods
    assert len(methods) == 9
    for method in methods:
        request = getattr(prover_pb2, method.input_type.name)()
        answer = getattr(stub, method.name)
        read = next if method.server_streaming else lambda message: message
        with pytest.raises(grpc.RpcError) as caught:
            read(answer(request, metadata=headers, timeout=PATIENCE))
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
        assert dict(caught.value.trailing_metadata())["gelap-error"] == "unauthenticated"


def sealed_request(client, tenant):
    """A request as the client makes it, its inputs sealed for a tenant of the test's choice."""
    circuit, _ = client.circuit("square")
    public, inputs = square()
    key = client.cluster_key()
    statement = statement_hash("square", circuit.verification_key_digest, public)
    sealed = seal(key.public_key, encode_inputs(inputs), statement, tenant)
    return prover_pb2.ProveRequest(
        circuit="square",
        verification_key_digest=circuit.verification_key_digest,
        public_inputs=[public[0].to_bytes(32, "big")],
        sealed_inputs=prover_pb2.SealedInputs(
            key_fingerprint=key.fingerprint,
            encapsulated_key=sealed.encapsulated_key,
            ciphertext=sealed.ciphertext,
        ),
    )


def test_inputs_sealed_for_another_caller_do_not_open(alice, channel):
    stub = prover_pb2_grpc.ProverStub(channel)
    headers = (("authorization", "Bearer mallory"),)
    with pytest.raises(grpc.RpcError) as caught:
        stub.Prove(sealed_request(alice, tenant_of("alice")), metadata=headers, timeout=PATIENCE)
    assert dict(caught.value.trailing_metadata())["gelap-error"] == "seal-broken"
    assert stub.Prove(sealed_request(alice, tenant_of("mallory")), metadata=headers, timeout=PATIENCE).proof


def test_a_message_over_the_limit_is_refused(alice):
    public, inputs = square()
    with pytest.raises(errors.RefusedError, match="larger than the gateway takes"):
        alice.prove("square", public, {**inputs, "filler": [2**250] * 20_000})


def test_a_caller_who_waits_too_briefly_is_told_so(alice, running):
    gate = running.gate()
    with pytest.raises(errors.TimedOutError):
        alice.prove("square", *square(gate=gate.number), timeout=0.3)
    gate.open()


def test_health_tells_of_redis_and_of_live_workers(channel):
    stub = health_pb2_grpc.HealthStub(channel)
    for service in ("", "gelap.v1.Prover"):
        answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=PATIENCE)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_reflection_describes_the_service(channel):
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    question = reflection_pb2.ServerReflectionRequest(list_services="")
    (answer,) = stub.ServerReflectionInfo(iter([question]), timeout=PATIENCE)
    names = {service.name for service in answer.list_services_response.service}
    assert names >= {"gelap.v1.Prover", "grpc.health.v1.Health"}
    question = reflection_pb2.ServerReflectionRequest(file_containing_symbol="gelap.v1.Prover")
    (answer,) = stub.ServerReflectionInfo(iter([question]), timeout=PATIENCE)
    assert b"WatchJob" in answer.file_descriptor_response.file_descriptor_proto[0]
