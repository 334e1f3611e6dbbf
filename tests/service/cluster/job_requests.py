"""What tests of the job store share: requests for jobs, and ways to let time pass."""

import dataclasses

from protocol.sealing import SealedInputs
from worker.jobs import Kind, Request

KEY, OTHER_KEY = bytes([7]) * 32, bytes([8]) * 32
ALICE, BOB = "a" * 32, "b" * 32
PROOF = bytes(range(256))


def statement_request(number: int = 0, tenant: str = ALICE, **changes: object) -> Request:
    request = Request(
        kind=Kind.PROVE,
        tenant=tenant,
        circuit="spend_2x2",
        key=KEY,
        statement=number.to_bytes(32, "big"),
        public_inputs=((7).to_bytes(32, "big"), number.to_bytes(32, "big")),
        wait=3600.0,
        sealed=SealedInputs(bytes(32), b"sealed inputs"),
    )
    return dataclasses.replace(request, **changes)


def lose_worker(client, job_id):
    """Let a lease end now."""
    assert client.zadd("gelap:leases", {job_id: 0}, xx=True, ch=True) == 1


def let_expire(client, job_id):
    client.zadd("gelap:expiring", {job_id: 0}, xx=True)
    client.hset(f"gelap:job:{job_id}", "expires_ms", 0)


def traces(client, job_id):
    """Where a job is still held, besides its own hash."""
    sets = [*client.keys("gelap:queued:*"), "gelap:expiring", "gelap:leases"]
    held = [key for key in sets if client.zscore(key, job_id) is not None]
    flights = [key for key in client.keys("gelap:flight:*") if client.get(key) == job_id.encode()]
    return held + flights + client.keys(f"gelap:sealed:{job_id}")


def claim(store, job=None, worker="worker", key=KEY):
    """Claim the job that is next, which has to be this one; None when there is none."""
    attempts = store.claim(key, worker)
    assert len(attempts) <= 1
    if attempts and job is not None:
        assert attempts[0].job.id == job.id
    return attempts[0] if attempts else None


def wait_longer(client, job, seconds):
    """Have a queued job wait since so many seconds more."""
    name = f"gelap:queued:{job.key.hex()}:{int(job.priority)}"
    assert client.zincrby(name, -seconds * 1e6, job.id) > 0
    client.hincrby(f"gelap:job:{job.id}", "created_us", -int(seconds * 1e6))
