"""A witness is nowhere but in the memory of the client and of the worker that proves it."""

import codecs
import socket
from urllib.parse import urlsplit

import pytest

from proto import errors
from protocol.field import R

# No number that comes up by chance, and none of its spellings is part of the public input.
CANARY = 0x5EC2E75EC2E75EC2E75EC2E75EC2E75EC2E75EC2E7
PUBLIC = CANARY**2 % R


def spellings(number):
    size = (number.bit_length() + 7) // 8
    plain = number.to_bytes(size, "big")
    return [str(number).encode(), plain.hex().encode(), plain, plain[::-1]]


class Wiretap:
    """Everything that is said to Redis."""

    def __init__(self, url):
        address = urlsplit(url)
        self.socket = socket.create_connection((address.hostname, address.port), timeout=20)
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
    values = []
    for key in client.keys("*"):
        kind = client.type(key).decode()
        read = {
            "string": lambda key: [client.get(key)],
            "hash": lambda key: [part for pair in client.hgetall(key).items() for part in pair],
            "zset": lambda key: client.zrange(key, 0, -1),
            "list": lambda key: client.lrange(key, 0, -1),
            "set": lambda key: list(client.smembers(key)),
            "none": lambda key: [],  # gone since it was listed
        }[kind]
        values += [key, *read(key)]
    return b"\n".join(values)


@pytest.fixture
def tapped(cluster, client):
    cluster.gateway()
    cluster.worker()
    return Wiretap(cluster.redis_url)


ENDS = {
    "proved": ({}, None),
    "unsatisfied": ({"square": 1}, errors.RefusedError),
    "failed with an error nobody planned for": ({"trouble": 1}, errors.ProvingFailedError),
    "failed with a wrong proof": ({"trouble": 3}, errors.ProvingFailedError),
    "malformed": ({"shape": [CANARY, [CANARY]], "root": [CANARY]}, errors.ProvingFailedError),
}


@pytest.mark.parametrize("end", ENDS)
def test_no_trace_of_a_witness_in_redis_or_in_any_log(cluster, client, tapped, end):
    changes, failure = ENDS[end]
    inputs = {"square": PUBLIC, "root": CANARY, "pause": 200} | changes
    kept = []
    with cluster.client("the-API-key-of-alice") as caller:
        job = caller.submit("square", [PUBLIC], inputs)
        for _ in caller.watch(job.id):
            kept.append(everything_kept(client))
        if failure:
            with pytest.raises(failure) as caught:
                caller.prove("square", [PUBLIC], inputs)
            assert not any(spelling in str(caught.value).encode() for spelling in spellings(CANARY))
    said = tapped.finish(client)
    assert kept
    places = {"said to Redis": said, "kept in Redis": b"\n".join(kept), "logged": cluster.logs().encode()}
    for place, content in places.items():
        for spelling in spellings(CANARY):
            assert spelling not in content, place
        assert b"the-API-key-of-alice" not in content, place
    # The search would have found them: what is public is there.
    assert job.id.encode() in said
    assert job.id.encode() in cluster.logs().encode()
    assert PUBLIC.to_bytes(32, "big") in said
    assert PUBLIC.to_bytes(32, "big") in b"\n".join(kept)


def test_the_password_of_redis_is_in_no_log(cluster):
    cluster.gateway()
    cluster.worker()
    password = cluster.redis_url.split(":")[2].split("@")[0]
    with cluster.client() as caller:
        caller.prove("square", [4], {"square": 4, "root": 2})
    for process in cluster.processes:
        process.stop()
    assert len(password) > 20
    assert password not in cluster.logs()
