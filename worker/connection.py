"""The first contact of a gateway or worker with Redis."""

import redis

from worker.errors import ConfigurationError
from worker.jobs import connect


def connect_or_explain(redis_url: str) -> redis.Redis:
    """Return a client of a Redis that answers. Raises ConfigurationError, which does not show the URL's password."""
    try:
        client = connect(redis_url)
    except ValueError:
        raise ConfigurationError("GELAP_REDIS_URL is not a Redis URL, such as redis://127.0.0.1:6379/0") from None
    address = client.connection_pool.connection_kwargs
    where = address.get("path") or f"{address.get('host')}:{address.get('port')}"
    try:
        client.ping()
    except redis.AuthenticationError:
        raise ConfigurationError(f"Redis at {where} refuses the password in GELAP_REDIS_URL") from None
    except redis.RedisError:
        raise ConfigurationError(f"Redis at {where} does not answer: start it, or correct GELAP_REDIS_URL") from None
    return client
