"""A real Redis, emptied before each test that asks for it, and the manifest of two tiny circuits."""

import hashlib
import json

import pytest
import redis

from gelap.servers import private_redis
from tests.service.redis_server import RedisServer
from worker.jobs import JobStore, connect
from worker.limits import Limits


@pytest.fixture(scope="session")
def redis_url():
    with private_redis() as url:
        yield url


@pytest.fixture
def client(redis_url):
    connection = redis.Redis.from_url(redis_url)
    connection.flushdb()
    yield connection
    connection.close()


@pytest.fixture
def store(client, redis_url):
    """One in which time passes only as a test says (`cluster/job_requests.py`), however long it takes."""
    return JobStore(connect(redis_url), Limits(lease=3600.0, stranded=3600.0, oldest=7200.0))


@pytest.fixture(scope="session")
def key_dir(tmp_path_factory):
    """A manifest of two tiny circuits; see cluster/square_worker.py."""
    folder = tmp_path_factory.mktemp("keys")
    names = ("square", "other")
    entries = [
        {
            "name": name,
            "zkey": f"{name}.zkey",
            "zkey_sha256": "0" * 64,
            "verification_key": f"{name}.vkey.json",
            "verification_key_digest": hashlib.sha256(name.encode()).hexdigest(),
            "r1cs_sha256": "0" * 64,
            "public_inputs": 1,
            "development": True,
        }
        for name in names
    ]
    for name in names:
        (folder / f"{name}.vkey.json").write_text(json.dumps({"circuit": name}))
    (folder / "manifest.json").write_text(json.dumps({"version": 1, "circuits": entries}))
    return folder


@pytest.fixture
def own_redis(tmp_path):
    """One that the test may stop, pause or kill."""
    folder = tmp_path / "redis"
    folder.mkdir()
    server = RedisServer(folder)
    server.start()
    yield server
    server.stop()
