"""A witness is nowhere but in the memory of the client and of the worker that proves it."""

import codecs
import resource
import socket
import subprocess
import sys
from urllib.parse import urlsplit

import pytest
import redis
import requests

from proto import errors
from protocol.field import R
from tests.service.cluster_processes import PATIENCE
from worker.jobs import JobStore
from worker.manifest import read_manifest

# No number that comes up by chance.
CANARY = 0x5EC2E75EC2E75EC2E75EC2E75EC2E75EC2E75EC200


def spellings(number):
    size = (number.bit_length() + 7) // 8
    plain = number.to_bytes(size, "big")
    return [str(number).encode(), plain.hex().encode(), plain, plain[::-1]]


class Wiretap:
    """Everything that is said to Redis."""

    def __init__(self, url):
        address = urlsplit(url)
        self.socket = socket.create_connection((address.hostname, address.port), timeout=PATIENCE)
        self.socket.sendall(f"AUTH {address.password}\r\nMONITOR\r\n".encode())
        self.heard = b""
        self.read_until(b"+OK\r\n+OK\r\n")

    def read_until(self, end):
        while end not in self.heard:
            received = self.socket.recv(1 << 16)
            assert received
            self.heard += received

    def finish(self, client):
        client.echo("end of recording")
        self.read_until(b"end of recording")
        self.socket.close()
        text, _ = codecs.escape_decode(self.heard)  # Redis spells bytes that do not print as \\x00
        return text


def everything_kept(client):
    """All keys and values; one may go between listing and reading."""
    values = []
    for key in client.keys("*"):
        kind = client.type(key).decode()
        read = {
            "string": lambda key: [client.get(key)],
            "hash": lambda key: [part for pair in client.hgetall(key).items() for part in pair],
            "zset": lambda key: client.zrange(key, 0, -1),
            "list": lambda key: client.lrange(key, 0, -1),
            "set": lambda key: list(client.smembers(key)),
            "none": lambda key: [],
        }[kind]
        values += [key, *read(key)]
    return b"\n".join(value for value in values if value is not None)


ENDS = {
    "proved": (lambda canary: {}, None),
    "unsatisfied": (lambda canary: {"square": 1}, errors.RefusedError),
    "failed with an error nobody planned for": (lambda canary: {"trouble": 1}, errors.ProvingFailedError),
    "failed with a wrong proof": (lambda canary: {"trouble": 3}, errors.ProvingFailedError),
    "malformed": (lambda canary: {"root": [canary, [canary]]}, errors.ProvingFailedError),
}


@pytest.mark.parametrize("interface", ["gRPC", "REST"])
@pytest.mark.parametrize("end", ENDS)
def test_no_trace_of_a_witness_in_redis_or_in_any_log(running, end, interface):
    canary = CANARY + 2 * list(ENDS).index(end) + (interface == "REST")
    public = canary**2 % R
    changes, failure = ENDS[end]
    inputs = {"square": public, "root": canary, "pause": 200} | changes(canary)
    redis_client = redis.Redis.from_url(running.redis_url)
    open_client = {"gRPC": running.client, "REST": running.rest_client}[interface]
    # Wrong proofs stop a circuit.
    JobStore(redis_client).reset_breaker(read_manifest(running.key_dir)["square"].verification_key_digest)
    tap = Wiretap(running.redis_url)
    kept = []
    with open_client("the-API-key-of-alice") as caller:
        job = caller.submit("square", [public], inputs)
        for _ in caller.watch(job.id):
            kept.append(everything_kept(redis_client))
        if failure:
            with pytest.raises(failure) as caught:
                caller.prove("square", [public], inputs)
            assert not any(spelling in str(caught.value).encode() for spelling in spellings(canary))
    said, logged = tap.finish(redis_client), running.logs().encode()
    counted = requests.get(f"http://{running.listening('metrics_port')}/metrics", timeout=PATIENCE).content
    assert b"gelap_gateway_calls_total" in counted
    for place, content in {"said": said, "kept": b"\n".join(kept), "logged": logged, "counted": counted}.items():
        for spelling in spellings(canary):
            assert spelling not in content, place
        assert b"the-API-key-of-alice" not in content, place
    # The search would have found them: what is public is there.
    assert job.id.encode() in said
    assert job.id.encode() in logged
    assert public.to_bytes(32, "big") in said
    assert public.to_bytes(32, "big") in b"\n".join(kept)


def test_a_worker_that_crashes_leaves_no_copy_of_its_memory(running):
    """The worker's own limit, and the kernel's word on what dumps to other programs go by."""
    worker = next(started for started in running.processes if "worker ready" in started.log)
    assert resource.prlimit(worker.process.pid, resource.RLIMIT_CORE) == (0, 0)
    script = "import ctypes, worker.memory as memory; memory.forbid_core_dumps(); print(ctypes.CDLL(None).prctl(3))"
    assert subprocess.check_output([sys.executable, "-c", script]) == b"0\n"


def test_the_password_of_redis_is_in_no_log(running):
    password = urlsplit(running.redis_url).password
    assert len(password) > 20
    assert "worker ready" in running.logs()
    assert password not in running.logs()
