"""A real Redis for these tests, emptied before each of them."""

import pytest
import redis

from gelap.servers import private_redis
from worker.jobs import JobStore, connect


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
