"""`--trusted-proxies` of a real process: whom it counts requests for, and what it says of nonsense."""

from pathlib import Path

import pytest
import requests

from bench.index.chain import POOL, SyntheticChain, Transaction
from indexer.database import write_engine
from indexer.follower import Follower, Pace
from indexer.rpc import Endpoints
from indexer.store import Store
from tests.service.indexer.processes import end, ready, start_indexer
from tests.unit.indexer.conftest import InProcess

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture
def environment(database: str) -> dict[str, str]:
    chain = SyntheticChain()
    chain.add([Transaction(0, 1)])
    store = Store(write_engine(database), 31337, POOL, 0)
    Follower(store, Endpoints([InProcess(chain)], 31337), POOL, Pace(0)).round()
    # So few that none comes back during the test.
    return {"GELAP_DATABASE_URL": database, "GELAP_INDEXER_RATE": "0.00001", "GELAP_INDEXER_BURST": "1"}


def test_clients_behind_a_trusted_proxy_have_limits_of_their_own(environment: dict[str, str], tmp_path: Path) -> None:
    trusted = environment | {"GELAP_INDEXER_TRUSTED_PROXIES": "10.0.0.0/8 127.0.0.1"}
    child = start_indexer(tmp_path, ("--no-follow",), trusted)
    try:
        url = f"http://127.0.0.1:{ready(child)['port']}/v1/status"
        clients = ("203.0.113.1", "203.0.113.2", "198.51.100.9, 203.0.113.2")
        found = [requests.get(url, headers={"X-Forwarded-For": each}, timeout=60).status_code for each in clients]
        assert found == [200, 200, 429]
        end(child)
    finally:
        child.stop()


def test_what_is_no_proxy_is_one_clear_error(environment: dict[str, str], tmp_path: Path) -> None:
    child = start_indexer(tmp_path, ("--no-follow", "--trusted-proxies", "proxy.example"), environment)
    try:
        assert child.process.wait(120) == 2
    finally:
        child.stop()
    assert "error: 'proxy.example' is no proxy to trust: name addresses and networks" in child.log_text()
    assert "Traceback" not in child.log_text()
