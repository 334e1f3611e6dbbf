"""Who may call, and how often: real Redis, real gateways, the real command."""

import itertools
import json
import os
import subprocess
import sys

import grpc
import pytest
import redis
from google.rpc import error_details_pb2, status_pb2

from gateway.apikeys import KeyRegister
from gateway.tenants import OpenDoor, Register, Scope, TenantLimits, digest_of
from proto import errors, prover_pb2, prover_pb2_grpc
from proto.client import JobState
from protocol.sealing import tenant_of
from worker.errors import (
    ConfigurationError,
    NotAllowedError,
    RateLimitedError,
    UnauthenticatedError,
)
from worker.jobs import connect


@pytest.fixture
def keys(client, redis_url):
    return KeyRegister(connect(redis_url))


@pytest.fixture
def door(client, redis_url):
    return Register(connect(redis_url), TenantLimits(rate=0))


def command(*arguments, redis_url, check=True, **options):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GELAP_")}
    return subprocess.run(
        [sys.executable, "-m", "gelap.cli", *map(str, arguments)],
        env=clean | {"GELAP_REDIS_URL": redis_url},
        capture_output=True,
        text=True,
        timeout=300,
        check=check,
        **options,
    )


def everything_in(client):
    return b"\n".join(
        list(client.keys("*"))
        + [part for key in client.keys("*") if client.type(key) == b"hash" for part in client.hgetall(key).values()]
    )


def test_a_registered_key_is_let_in_as_its_tenant(keys, door):
    new = keys.add("acme")
    caller = door.admit(new.key)
    assert (caller.tenant, caller.name, caller.scopes) == (new.tenant, "acme", frozenset(Scope))
    # The client seals for the tenant that the key names, without asking anybody.
    assert tenant_of(new.key) == new.tenant


def test_redis_has_a_keys_digest_and_not_the_key(keys, client):
    new = keys.add("acme")
    kept = everything_in(client)
    assert new.key.encode() not in kept
    assert new.key.rpartition("_")[2].encode() not in kept
    assert digest_of(new.key).encode() in kept


@pytest.mark.parametrize("change", [lambda key: key[:-1] + ("A" if key[-1] != "A" else "B"), str.upper, lambda _: "x"])
def test_a_key_that_nobody_made_is_refused(keys, door, change):
    with pytest.raises(UnauthenticatedError, match="mistyped or revoked"):
        door.admit(change(keys.add("acme").key))


def test_a_tenant_can_have_several_keys_and_each_ends_alone(keys, door):
    old, new = keys.add("acme", label="laptop"), keys.add("acme", label="server")
    assert old.tenant == new.tenant
    assert door.admit(old.key) == door.admit(new.key)
    assert keys.revoke(old.id) == "acme"
    with pytest.raises(UnauthenticatedError):
        door.admit(old.key)
    assert door.admit(new.key).tenant == new.tenant
    assert [record.label for record in keys.list()] == ["server"]
    with pytest.raises(ConfigurationError, match="no API key"):
        keys.revoke(old.id)


@pytest.mark.parametrize("name", ["", "Acme", "a b", "-x", "x" * 65, "ac\nme"])
def test_a_name_that_is_none_is_refused(keys, name):
    with pytest.raises(ConfigurationError, match="no tenant's name"):
        keys.add(name)


def test_a_key_is_good_for_its_tenants_scopes_only(keys, door):
    caller = door.admit(keys.add("reader", scopes=frozenset({Scope.VERIFY})).key)
    caller.require(Scope.VERIFY)
    with pytest.raises(NotAllowedError, match="not for `prove`, only for verify"):
        caller.require(Scope.PROVE)
    # What is not given again stays.
    assert door.admit(keys.add("reader").key).scopes == {Scope.VERIFY}


def test_calls_beyond_the_burst_have_to_wait_for_their_token(keys, door, client):
    """A token bucket: `burst` at once, then `rate` a second, whichever of the tenant's keys is used."""
    one, other = keys.add("acme", rate=0.001, burst=5), keys.add("acme")

    def admits(count):
        """So many calls are let in, with either key, and the next one is not; no token comes meanwhile."""
        for _, key in zip(range(count), itertools.cycle((one, other)), strict=False):
            door.admit(key.key)
        with pytest.raises(RateLimitedError) as caught:
            door.admit(one.key)
        return 900 < caught.value.retry_after <= 1000

    def pass_seconds(seconds):
        assert client.hincrby(f"gelap:bucket:{one.tenant}", "at", -seconds * 1000) > 0

    assert admits(5)
    pass_seconds(3_001)
    assert admits(3)
    pass_seconds(100_000)
    assert admits(5), "no more than the burst"


def test_one_tenants_calls_take_nothing_from_another(keys, door):
    greedy, modest = keys.add("greedy", rate=0.001, burst=1), keys.add("modest", rate=0.001, burst=1)
    door.admit(greedy.key)
    with pytest.raises(RateLimitedError):
        door.admit(greedy.key)
    door.admit(modest.key)


def test_a_call_takes_as_many_redis_commands_with_a_thousand_tenants_as_with_one(keys, door, client):
    def commands(key):
        before = client.info("commandstats")
        door.admit(key)
        after = client.info("commandstats")
        count = {name: after[name]["calls"] - before.get(name, {"calls": 0})["calls"] for name in after}
        return {name: calls for name, calls in count.items() if calls and "info" not in name}

    first = keys.add("acme", rate=1000)
    commands(first.key)  # the scripts are loaded now
    alone = commands(first.key)
    for number in range(1000):
        client.hset(f"gelap:apikey:{number}", "tenant", str(number))
        client.hset("gelap:apikeys", str(number), "{}")
        client.hset("gelap:tenants", str(number), str(number))
    assert commands(first.key) == alone
    assert sum(alone.values()) <= 8


def test_a_full_redis_keeps_nobody_from_their_jobs(keys, door, client):
    """Only new jobs are refused then: to ask for a job, or to cancel it, one has to be let in."""
    key = keys.add("acme", rate=1000).key
    used = client.info("memory")["used_memory"]
    client.config_set("maxmemory", used // 2)
    try:
        with pytest.raises(redis.exceptions.OutOfMemoryError):
            client.set("something", "new")
        for _ in range(3):
            assert door.admit(key).name == "acme"
    finally:
        client.config_set("maxmemory", 0)


def test_an_open_door_makes_nobody_anothers_tenant(keys, client, redis_url):
    door = OpenDoor(Register(connect(redis_url)))
    assert door.admit("anything").tenant == tenant_of("anything")
    acme = keys.add("acme")
    forged = f"gelap_{acme.tenant}_{'A' * 43}"
    assert tenant_of(forged) == acme.tenant
    with pytest.raises(UnauthenticatedError):
        door.admit(forged)
    assert door.admit(acme.key).tenant == acme.tenant


def test_the_command_prints_a_key_once_and_keeps_none(client, redis_url, door):
    made = command("apikey", "add", "acme", "--label", "ci", "--rate", "5", "--scope", "prove", redis_url=redis_url)
    key = made.stdout.strip()
    assert door.admit(key).scopes == {Scope.PROVE}
    assert key not in made.stderr
    listed = command("apikey", "list", "--json", redis_url=redis_url)
    (record,) = json.loads(listed.stdout)
    assert (record["name"], record["label"], record["rate"], record["burst"]) == ("acme", "ci", 5.0, 10)
    assert key not in listed.stdout
    assert "acme" in command("apikey", "list", redis_url=redis_url).stdout
    command("apikey", "revoke", record["id"], redis_url=redis_url)
    with pytest.raises(UnauthenticatedError):
        door.admit(key)


MISTAKES = {
    "an unknown id": (["revoke", "nothing"], "apikey list"),
    "a name that is none": (["add", "A B"], "no tenant's name"),
    "a scope that is none": (["add", "acme", "--scope", "all"], "prove, verify, keys"),
    "a burst without a rate": (["add", "acme", "--burst", "5"], "give --rate too"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_of_the_operator_is_one_line_and_status_2(mistake, client, redis_url):
    arguments, says = MISTAKES[mistake]
    result = command("apikey", *arguments, redis_url=redis_url, check=False)
    assert (result.returncode, result.stdout) == (2, "")
    assert says in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


@pytest.fixture
def closed(cluster, keys):
    """A cluster that takes registered keys only."""
    cluster.gateway("--metrics-address", "127.0.0.1:0", open_door=False)
    cluster.worker()
    return cluster


def test_only_registered_keys_get_anything_from_a_gateway(closed, keys):
    with closed.client("made-up") as stranger, pytest.raises(errors.UnauthenticatedError) as caught:
        stranger.circuits()
    assert (caught.value.name, caught.value.retry) == ("unauthenticated", False)
    acme, twin, rival = keys.add("acme"), keys.add("acme"), keys.add("rival")
    statement = [49], {"square": 49, "root": 7}
    with closed.client(acme.key) as client:
        job_id = client.prove("square", *statement).job_id
    with closed.rest_client(twin.key) as client:
        assert client.job(job_id).state is JobState.SUCCEEDED
        assert client.prove("square", *statement).cached
    with closed.client(rival.key) as client, pytest.raises(errors.RefusedError) as caught:
        client.job(job_id)
    assert caught.value.name == "unknown-job"
    keys.revoke(acme.id)
    with closed.client(acme.key) as client, pytest.raises(errors.UnauthenticatedError):
        client.job(job_id)
    for key in (acme.key, twin.key, rival.key):
        assert key not in closed.logs()
    taken = [line for line in closed.processes[0].lines() if line["event"] == "job taken in"]
    assert {(line["tenant"], line["tenant_name"]) for line in taken} == {(acme.tenant, "acme")}


def test_limits_reach_callers_with_the_time_to_wait(closed, keys):
    slow = keys.add("slow", rate=0.001, burst=1)
    with closed.client(slow.key) as client:
        client.circuits()
        with pytest.raises(errors.BusyError) as caught:
            client.circuits()
    assert (caught.value.name, caught.value.retry) == ("rate-limited", True)
    assert 0 < caught.value.retry_after <= 1000.0
    with closed.rest_client(slow.key) as client, pytest.raises(errors.BusyError) as caught:
        client.circuits()
    assert (caught.value.name, caught.value.retry) == ("rate-limited", True)
    assert 0 < caught.value.retry_after <= 1000.0

    frugal = keys.add("frugal", quota=1)
    with closed.client(frugal.key) as client:
        first = client.submit("square", [64], {"square": 64, "root": 8}, idempotency_key="one")
        assert client.prove("square", [64], {"square": 64, "root": 8}, idempotency_key="one").job_id == first.id
        assert client.prove("square", [64], {"square": 64, "root": 8}).cached, "only new jobs are counted"
        with pytest.raises(errors.BusyError) as caught:
            client.prove("square", [81], {"square": 81, "root": 9})
    assert (caught.value.name, caught.value.retry) == ("quota-exceeded", True)
    assert 0 < caught.value.retry_after <= 86400
    assert {record.name: record.jobs_today for record in keys.list()} == {"slow": 0, "frugal": 1}
    verifier = keys.add("verifier", scopes=frozenset({Scope.VERIFY}))
    with closed.client(verifier.key) as client, pytest.raises(errors.UnauthenticatedError) as caught:
        client.prove("square", [81], {"square": 81, "root": 9})
    assert caught.value.name == "not-allowed"


def test_refusals_carry_googles_error_details(closed, keys):
    slow = keys.add("slow", rate=0.001, burst=1)
    metadata = (("authorization", f"Bearer {slow.key}"),)
    with grpc.insecure_channel(closed.address) as channel:
        stub = prover_pb2_grpc.ProverStub(channel)
        stub.ListCircuits(prover_pb2.ListCircuitsRequest(), metadata=metadata)
        with pytest.raises(grpc.RpcError) as caught:
            stub.ListCircuits(prover_pb2.ListCircuitsRequest(), metadata=metadata)
    trailing = dict(caught.value.trailing_metadata())
    status = status_pb2.Status.FromString(trailing["grpc-status-details-bin"])
    assert (status.code, status.message) == (grpc.StatusCode.RESOURCE_EXHAUSTED.value[0], caught.value.details())
    info, delay = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    assert status.details[0].Unpack(info)
    assert status.details[1].Unpack(delay)
    assert (info.reason, info.domain) == ("RATE_LIMITED", "gelap")
    assert delay.retry_delay.ToMilliseconds() == int(trailing["grpc-retry-pushback-ms"])
