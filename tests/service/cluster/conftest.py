"""Real gateway and worker processes on a real Redis."""

import pytest
import redis

from tests.service.cluster_processes import Cluster


@pytest.fixture(scope="module")
def running(redis_url, key_dir, tmp_path_factory):
    """One gateway and one worker for all tests of a file, which must prove different statements."""
    redis.Redis.from_url(redis_url).flushdb()
    cluster = Cluster(redis_url, key_dir, tmp_path_factory.mktemp("cluster"))
    try:
        cluster.gateway("--metrics-address", "127.0.0.1:0")
        cluster.worker()
        yield cluster
    finally:
        cluster.kill_all()


@pytest.fixture
def cluster(client, redis_url, key_dir, tmp_path):
    """No process yet; the test starts what it needs."""
    cluster = Cluster(redis_url, key_dir, tmp_path)
    yield cluster
    cluster.kill_all()
