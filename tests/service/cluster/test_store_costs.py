"""What an operation costs in Redis commands does not depend on how many jobs are kept."""

from tests.service.cluster.job_requests import KEY, PROOF, claim, statement_request
from worker.jobs import State


def commands(client, action):
    client.config_resetstat()
    action()
    counted = {name: entry["calls"] for name, entry in client.info("commandstats").items()}
    # A client pings first when it has not asked for some time.
    for ours in ("cmdstat_config|resetstat", "cmdstat_config", "cmdstat_info", "cmdstat_ping"):
        counted.pop(ours, None)
    return counted


def life(client, store, number):
    """Count every operation in a job's life; the job is alone in the queue."""
    jobs, attempts = [], []
    counted = {
        "submit": commands(client, lambda: jobs.append(store.submit(statement_request(number))[1])),
        "status": commands(client, lambda: store.read(jobs[0].id)),
        "claim": commands(client, lambda: attempts.append(claim(store, jobs[0]))),
        "renew": commands(client, lambda: store.renew(attempts)),
        "complete": commands(client, lambda: store.succeed(attempts[0], {}, proof=PROOF)),
        "cached": commands(client, lambda: store.submit(statement_request(number))),
        "nothing to claim": commands(client, lambda: claim(store)),
        "reap": commands(client, store.reap),
        "overview": commands(client, store.overview),
    }
    assert store.read(jobs[0].id).state is State.SUCCEEDED
    return counted


def finish_many(client, store, number, template):
    """Have so many more finished jobs in the store, as the scripts leave them."""
    fields = client.hgetall(f"gelap:job:{template}")
    ended = float(fields[b"ended_ms"])
    with client.pipeline(transaction=False) as pipeline:
        for each in range(number):
            job_id = f"{each:032x}"
            pipeline.hset(f"gelap:job:{job_id}", mapping={**fields, b"id": job_id})
            pipeline.pexpire(f"gelap:job:{job_id}", 3_600_000)
            pipeline.zadd("gelap:ended", {job_id: ended})
            pipeline.set(f"gelap:proof:{'a' * 32}:{each:064x}", PROOF, px=3_600_000)
        pipeline.execute()


def test_every_operation_costs_the_same_at_10_and_at_10_000_finished_jobs(store, client):
    """Polling must not slow down with the jobs that are kept, so nothing scans and nothing loops over them."""
    life(client, store, 10**6)  # loads the scripts
    for number in range(10):
        store.submit(statement_request(2 * 10**6 + number))
        store.succeed(claim(store), {}, proof=PROOF)
    early = life(client, store, 3 * 10**6)
    template = store.list(1)[0].id
    finish_many(client, store, 10_000, template)
    late = life(client, store, 4 * 10**6)

    assert early == late
    assert early["status"] == {"cmdstat_hgetall": 1}
    for action, counted in early.items():
        assert counted.get("cmdstat_evalsha", 0) == (0 if action == "status" else 1)
        assert sum(counted.values()) <= 34, action
        assert not {"cmdstat_keys", "cmdstat_scan", "cmdstat_lrange"} & set(counted)


def test_only_so_many_finished_jobs_are_listed_however_many_there_are(store, client):
    store.submit(statement_request(0))
    store.succeed(claim(store), {}, proof=PROOF)
    finish_many(client, store, 3000, store.list(1)[0].id)
    store.submit(statement_request(10**6))
    store.succeed(claim(store), {}, proof=PROOF)
    assert client.zcard("gelap:ended") == 1000
    assert len(store.list(50)) == 50


def test_an_overview_of_queues_and_of_what_happened(store, client):
    for number in range(3):
        store.submit(statement_request(number))
    store.succeed(claim(store), {}, proof=PROOF, device_seconds=2.0)
    claim(store)
    overview = store.overview()
    (circuit,) = overview.circuits
    assert (overview.running, overview.queued, circuit.circuit, circuit.key) == (1, 1, "spend_2x2", KEY)
    assert circuit.queued_device_seconds == 2.0
    assert 0 <= overview.oldest_seconds < 300
    assert store.read(overview.head).state is State.QUEUED
    assert overview.counters == {"submitted": 3, "SUCCEEDED": 1}
