"""Clusters with fake devices, on a Redis that tests may harm."""

from pathlib import Path

import pytest

from tests.service.fake_cluster import fake_cluster


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """These tests wait for leases to run out: two minutes together."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def cluster(client, redis_url, key_dir, tmp_path):
    """No process yet."""
    cluster = fake_cluster(redis_url, key_dir, tmp_path)
    yield cluster
    cluster.kill_all()


@pytest.fixture
def cluster_on_own_redis(own_redis, key_dir, tmp_path):
    cluster = fake_cluster(own_redis.url, key_dir, tmp_path)
    yield cluster
    cluster.kill_all()
