"""Real gateways and workers with fake devices, on a Redis that tests may harm.

The fake device takes the milliseconds that a request names and fails as it is told to; see worker/fake.py.
"""

import itertools
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import redis

from gelap.servers import private_redis
from tests.service.chaos.redis_server import RedisServer
from tests.service.cluster import conftest as cluster_tests
from worker.jobs import JobStore, connect

key_dir = cluster_tests.key_dir
NUMBERS = itertools.count(10**6)
FAKE = {"GELAP_DEVICE": "fake", "GELAP_ALLOW_FAKE": "1"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """These tests wait for leases to run out: two minutes together."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.slow)


def job(milliseconds=20, number=None, **more):
    """A fresh statement of `square` with its inputs, for the fake device."""
    public = [next(NUMBERS) if number is None else number]
    return public, {"public": public, "milliseconds": milliseconds, **more}


def until(condition, timeout=20.0):
    deadline = time.monotonic() + timeout
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


class FakeCluster(cluster_tests.Cluster):
    """`settings` are environment variables of all processes."""

    settings: dict

    def start(self, *command, name, **settings):
        log_file = self.folder / f"{name}-{len(self.processes)}.log"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GELAP_")}
        environment |= {"GELAP_REDIS_URL": self.redis_url, "GELAP_CACHE_DIR": str(self.folder)}
        with log_file.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, *map(str, command)],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment | self.settings | settings,
            )
        started = cluster_tests.Process(process, log_file)
        self.processes.append(started)
        return started

    def worker(self, *, wait=True, **settings):
        command = ("-m", "gelap.cli", "worker", "--key-dir", self.key_dir)
        worker = self.start(*command, name="worker", **FAKE | settings)
        if wait:
            worker.wait_for("worker ready")
        return worker

    def command(self, *arguments, **settings):
        """Run a `gelap` command to its end."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GELAP_")}
        environment |= {"GELAP_REDIS_URL": self.redis_url} | settings
        return subprocess.run(
            [sys.executable, "-m", "gelap.cli", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def status(self):
        return json.loads(self.command("status", "--json").stdout)

    def done(self, job_id):
        """How often a worker had its result of this job accepted."""
        return self.logs().count(f'"job done", "job": "{job_id}"')


def fake_cluster(redis_url, key_dir, folder, **settings):
    cluster = FakeCluster(redis_url, key_dir, folder)
    cluster.settings = {"GELAP_LIMIT_LEASE": "1.0", "GELAP_LIMIT_STRANDED": "1.0"} | settings
    return cluster


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
    return JobStore(connect(redis_url))


@pytest.fixture
def cluster(client, redis_url, key_dir, tmp_path):
    """No process yet; leases of a second, so that a lost worker is noticed at once."""
    cluster = fake_cluster(redis_url, key_dir, tmp_path)
    yield cluster
    cluster.kill_all()


@pytest.fixture
def own_redis(tmp_path):
    folder = tmp_path / "redis"
    folder.mkdir()
    server = RedisServer(folder)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def cluster_on_own_redis(own_redis, key_dir, tmp_path):
    cluster = fake_cluster(own_redis.url, key_dir, tmp_path)
    yield cluster
    cluster.kill_all()
