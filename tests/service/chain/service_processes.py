"""An indexer and a relayer for a pool, as processes of their own and as their operators start them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chain.pool import Pool
from chain.token import Token
from indexer.database import sqlite_url
from tests.e2e.world.processes import Service, environment
from tests.service.chain.relaying import ONE_ETHER, funded_account


@contextmanager
def indexer_and_relayer(
    pool: Pool, token: Token, folder: Path, one_ether: str = ONE_ETHER
) -> Iterator[tuple[int, int]]:
    """Their ports, once both are ready. A unit of ether costs `one_ether` of the token, in its smallest unit."""
    node = str(pool.w3.provider.endpoint_uri)  # type: ignore[attr-defined]
    (folder / "prices.json").write_text(json.dumps({token.address: one_ether}))
    (folder / "relayer-key").write_text(funded_account(pool.w3).key.hex())
    common = {"GELAP_POOL": pool.address, "GELAP_RPC_URL": node}
    indexer = Service(
        "indexer",
        ("indexer", "run"),
        environment(
            GELAP_DATABASE_URL=sqlite_url(folder / "served.sqlite"),
            GELAP_POOL_BLOCK=str(pool.deployed_at),
            GELAP_CONFIRMATIONS="0",
            GELAP_POLL_SECONDS="0.1",
            GELAP_INDEXER_ADDRESS="127.0.0.1:0",
            **common,
        ),
        folder,
        "indexer ready",
    )
    relayer = Service(
        "relayer",
        ("relayer",),
        environment(
            GELAP_RELAYER_PRICES=str(folder / "prices.json"),
            GELAP_RELAYER_JOURNAL=str(folder / "relayer.db"),
            GELAP_RELAYER_ADDRESS="127.0.0.1:0",
            GELAP_EVM_KEY_FILE=str(folder / "relayer-key"),
            **common,
        ),
        folder,
        "relayer ready",
    )
    try:
        for service in (indexer, relayer):
            service.start(wait=False)
        for service in (indexer, relayer):
            service.wait()
        yield int(indexer.ready["port"]), int(relayer.ready["port"])
    finally:
        for service in (indexer, relayer):
            service.put_down()
