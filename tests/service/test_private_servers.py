"""The private servers of the demo and the tests start, are private, and leave nothing behind."""

import os
from pathlib import Path

import pytest
import redis

from gelap import servers


def test_a_private_redis_answers_and_stops_with_its_block():
    with servers.private_redis() as url:
        client = redis.Redis.from_url(url)
        assert client.ping()
        assert client.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"
        assert client.config_get("save")["save"] == ""
        folder = Path(client.config_get("dir")["dir"])
        assert folder.exists()
    with pytest.raises(redis.ConnectionError):
        client.ping()
    assert not folder.exists()


def test_a_private_redis_refuses_strangers():
    with servers.private_redis() as url:
        port = redis.Redis.from_url(url).connection_pool.connection_kwargs["port"]
        with pytest.raises(redis.AuthenticationError):
            redis.Redis(port=port, retry=None).ping()


def test_a_private_redis_stops_when_its_block_is_interrupted():
    server = servers.private_redis()
    client = redis.Redis.from_url(server.__enter__())
    assert client.ping()
    assert not server.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    with pytest.raises(redis.ConnectionError):
        client.ping()


def test_a_server_that_cannot_start_says_what_it_printed(tmp_path, monkeypatch):
    broken = tmp_path / "anvil"
    broken.write_text("#!/bin/sh\necho no such luck\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("GELAP_ANVIL", str(broken))
    with pytest.raises(servers.ServerError, match="no such luck"), servers.private_anvil():
        pass


def test_a_missing_program_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("GELAP_ANVIL", os.fspath(tmp_path / "absent"))
    with pytest.raises(servers.ServerError, match="GELAP_ANVIL"), servers.private_anvil():
        pass
