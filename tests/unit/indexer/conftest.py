"""A chain that answers in this process, and an indexer's store on SQLite."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.index.chain import POOL, RefusalError, SyntheticChain
from chain.errors import RpcError
from indexer.database import migrate, sqlite_url, write_engine
from indexer.follower import Follower, Pace
from indexer.rpc import Endpoint, Endpoints
from indexer.store import Store
from prover.kernels.cpu.poseidon import hash_pairs


class InProcess(Endpoint):
    """An endpoint whose answers come from a made-up chain, through JSON, without a network."""

    def __init__(self, chain: SyntheticChain, name: str = "node") -> None:
        super().__init__(f"http://{name}.invalid")
        self.chain = chain
        self.dead = False
        self.asked: list[str] = []

    def _post(self, body: bytes, method: str) -> Any:
        if self.dead:
            raise RpcError(f"{self.name} does not answer {method}")
        self.asked.append(method)
        question = json.loads(body)
        try:
            return json.loads(json.dumps({"id": 1, "result": self.chain.answer(method, question["params"])}))
        except RefusalError as error:
            return {"id": 1, "error": {"code": -32005, "message": str(error)}}


@pytest.fixture
def chain() -> SyntheticChain:
    return SyntheticChain(hash_pairs)


@pytest.fixture
def database(tmp_path: Path) -> str:
    url = sqlite_url(tmp_path / "indexer.sqlite")
    migrate(write_engine(url))
    return url


@pytest.fixture
def follow(database: str) -> Callable[..., Follower]:
    """Make a follower of the pool, as a new process would: only what is in the database is known to it."""

    def make(*endpoints: Endpoint, confirmations: int = 0, first_block: int = 0) -> Follower:
        store = Store(write_engine(database), 31337, POOL, first_block)
        return Follower(store, Endpoints(endpoints, 31337), POOL, Pace(confirmations, 0.05))

    return make
