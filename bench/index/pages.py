"""Times the API's pages: the server in one process, as `gelap indexer run --no-follow` is, each client in another."""

import asyncio
import contextlib
import multiprocessing
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from bench.errors import BenchError
from bench.index.asking import PAGE, ask_for_pages

START_TIMEOUT = 60.0
_CHAIN_ID = 31337


class PageTimes(NamedTuple):
    """Seconds of every request, of all clients, and from the first request to the last answer."""

    seconds: list[float]
    wall: float


def time_pages(database: str, commitments: int, requests: int, clients: int, kept_mib: int = 0) -> PageTimes:
    """`requests` pages for each of so many clients, which ask at the same time. Raises BenchError.

    With `kept_mib` the API keeps finished pages in so much memory, as `gelap indexer run` does.
    """
    # The newest commitments may still wait for the tree.
    pages = max(1, (commitments - 64) // PAGE)
    with _child(_serve, database, kept_mib) as server, contextlib.ExitStack() as running:
        address = _answer(server)
        asking = [
            running.enter_context(_child(ask_for_pages, address, pages, requests, 3 * number))
            for number in range(clients)
        ]
        for client in asking:
            _answer(client)
        started = time.perf_counter()
        for client in asking:
            client.send("go")
        seconds = [each for client in asking for each in _answer(client, 600.0)]
        return PageTimes(seconds, time.perf_counter() - started)


def _answer(child: Connection, timeout: float = START_TIMEOUT) -> Any:
    try:
        found = child.recv() if child.poll(timeout) else "a process of the measurement did not answer"
    except EOFError:
        found = "a process of the measurement ended too early"
    if isinstance(found, str) and found != "ready":
        raise BenchError(found)
    return found


@contextlib.contextmanager
def _child(target: Any, *arguments: Any) -> Iterator[Connection]:
    """A process that gets `arguments` and one end of a pipe; it ends with the block."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=target, args=(*arguments, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours
    finally:
        ours.close()
        process.terminate()
        process.join()


def _serve(database: str, kept_mib: int, parent: Connection) -> None:
    from gelap.listener import HttpListener
    from gelap.rate_limit import RateLimit
    from indexer.api.app import api_app
    from indexer.api.kept import KeptPages
    from indexer.api.served import Api, spare_the_collector
    from indexer.database import read_engine
    from indexer.errors import SettingsError
    from indexer.reader import Reader

    async def serve() -> None:
        spare_the_collector()
        kept = KeptPages(kept_mib << 20) if kept_mib else None
        api = Api({"local": Reader(read_engine(database), _CHAIN_ID)}, RateLimit(0, 1), kept=kept)
        async with api, HttpListener(api_app(api), "127.0.0.1:0", SettingsError) as listener:
            parent.send(("127.0.0.1", listener.port))
            await asyncio.Event().wait()

    asyncio.run(serve())
