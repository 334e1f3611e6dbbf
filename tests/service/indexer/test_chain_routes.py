"""One API for several chains: each by its name or its id, and no answer for a question that names none."""

from collections.abc import Iterator

import pytest
import requests

from bench.index.chain import POOL, SyntheticChain, Transaction
from indexer.database import write_engine
from indexer.follower import Follower, Pace
from indexer.rpc import Endpoints
from indexer.store import Store
from tests.service.indexer.conftest import served_chains
from tests.unit.indexer.conftest import InProcess

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)

CHAINS = {"base": 8453, "optimism": 10}


@pytest.fixture
def api(database: str) -> Iterator[str]:
    """Base with 3 commitments, Optimism with 5."""
    for (name, chain_id), commitments in zip(CHAINS.items(), (3, 5), strict=True):
        chain = SyntheticChain(chain_id=chain_id, salt=name)
        chain.add([Transaction(0, commitments), Transaction(inserts=64)])
        store = Store(write_engine(database), chain_id, POOL, 0)
        Follower(store, Endpoints([InProcess(chain)], chain_id), POOL, Pace(0)).round()
    with served_chains(database, CHAINS) as url:
        yield url


def test_the_chains_are_listed(api: str) -> None:
    listed = requests.get(f"{api}/v1/chains", timeout=60).json()["chains"]
    assert {each["name"]: (each["chain_id"], each["tip"]["number"]) for each in listed} == {
        name: (chain_id, 1) for name, chain_id in CHAINS.items()
    }


@pytest.mark.parametrize(("chain", "commitments"), [("base", 3), ("8453", 3), ("optimism", 5), ("10", 5)])
def test_a_chain_is_found_by_name_and_by_id(api: str, chain: str, commitments: int) -> None:
    assert requests.get(f"{api}/v1/chains/{chain}/status", timeout=60).json()["commitments"] == commitments
    leaves = requests.get(f"{api}/v1/chains/{chain}/leaves", timeout=60).json()["leaves"]
    assert len(leaves) == commitments


def test_a_question_that_names_no_chain_is_answered_with_the_list(api: str) -> None:
    for path in ("status", "leaves", "events", "paths/0", "tips"):
        response = requests.get(f"{api}/v1/{path}", timeout=60)
        assert (response.status_code, response.json()["chains"]) == (400, list(CHAINS))
    response = requests.get(f"{api}/v1/chains/ethereum/status", timeout=60)
    assert (response.status_code, response.json()["chains"]) == (404, list(CHAINS))


def test_the_description_has_only_paths_that_name_a_chain(api: str) -> None:
    paths = requests.get(f"{api}/openapi.json", timeout=60).json()["paths"]
    assert "/v1/chains" in paths
    assert all(path.startswith(("/v1/chains", "/v1/graphql")) for path in paths)


def test_pages_of_two_chains_have_different_tags(api: str) -> None:
    tags = {requests.get(f"{api}/v1/chains/{name}/leaves", timeout=60).headers["ETag"] for name in CHAINS}
    assert len(tags) == 2
