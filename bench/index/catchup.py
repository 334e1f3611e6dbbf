"""Times catching up: one chain or several at once, a thread each as in `gelap indexer run`, into one database."""

import threading
import time
from collections.abc import Sequence

from bench.errors import BenchError
from bench.index.chain import POOL
from bench.index.server import RecordedChain
from indexer.database import migrate, write_engine
from indexer.follower import Follower, Pace
from indexer.reader import Reader
from indexer.rpc import Endpoint, Endpoints
from indexer.store import Store


def catch_up(database: str, chains: Sequence[RecordedChain], range_blocks: int | None = None) -> float:
    """Seconds from an empty database with its tables until every chain is written and checked with its contract.

    `range_blocks` is the width of a partition, None for the preset's, which is wider than the whole chain.
    Raises BenchError when what was indexed is not what is on a chain.
    """
    engine = write_engine(database)
    migrate(engine)
    followers = []
    for chain in chains:
        endpoints = Endpoints([Endpoint(chain.url)], chain.chain_id)
        store = Store(write_engine(database), chain.chain_id, POOL, 0, range_blocks)
        followers.append(Follower(store, endpoints, POOL, Pace(0)))
    threads = [threading.Thread(target=follower.round) for follower in followers]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - started
    for chain in chains:
        summary = Reader(engine, chain.chain_id).summary()
        found = (summary.tip.number if summary.tip else None, summary.root)
        if found != (chain.head, chain.root.to_bytes(32, "big")):
            raise BenchError(f"what was indexed of chain {chain.chain_id} is not what is on it")
    engine.dispose()
    return seconds
