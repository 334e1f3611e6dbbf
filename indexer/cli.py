"""`gelap indexer`."""

import asyncio
import json
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from gelap.logs import LogLevel, configure_logs
from gelap.settings import Settings

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Index a pool's events and serve them to wallets.")

DatabaseUrl = Annotated[
    str | None,
    typer.Option(envvar="GELAP_DATABASE_URL", help="PostgreSQL or SQLite; default: an SQLite file in the cache."),
]
ChainId = Annotated[
    int | None, typer.Option(envvar="GELAP_CHAIN_ID", help="The chain's id; default: what the endpoints say.")
]


@app.command()
def run(
    rpc_url: Annotated[
        list[str] | None,
        typer.Option(
            envvar="GELAP_RPC_URL",
            help="JSON-RPC endpoint; repeat, or separate by blanks, for others to turn to when one fails.",
        ),
    ] = None,
    pool: Annotated[str | None, typer.Option(envvar="GELAP_POOL", help="The pool's address.")] = None,
    chain_id: ChainId = None,
    from_block: Annotated[
        int, typer.Option(envvar="GELAP_POOL_BLOCK", min=0, help="A block at or before the pool's deployment.")
    ] = 0,
    confirmations: Annotated[
        int, typer.Option(envvar="GELAP_CONFIRMATIONS", min=0, help="Newest blocks that are left unread.")
    ] = 3,
    poll: Annotated[
        float, typer.Option(envvar="GELAP_POLL_SECONDS", min=0.05, help="Seconds between two looks at the chain.")
    ] = 3.0,
    max_window: Annotated[
        int, typer.Option(envvar="GELAP_MAX_WINDOW", min=1, help="Blocks in one eth_getLogs at most.")
    ] = 10_000,
    database_url: DatabaseUrl = None,
    database_read_url: Annotated[
        str | None,
        typer.Option(envvar="GELAP_DATABASE_READ_URL", help="A replica that the API reads; default: the same."),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(envvar="GELAP_INDEXER_ADDRESS", help="Where to serve the API (default 127.0.0.1:8090)."),
    ] = None,
    metrics_address: Annotated[
        str | None,
        typer.Option(
            envvar="GELAP_INDEXER_METRICS_ADDRESS", help="Where to serve /metrics, for operators (default: nowhere)."
        ),
    ] = None,
    rate: Annotated[
        float, typer.Option(envvar="GELAP_INDEXER_RATE", min=0, help="Requests a second of one address; 0: any.")
    ] = 50.0,
    burst: Annotated[int, typer.Option(envvar="GELAP_INDEXER_BURST", min=1, help="Its requests at once.")] = 200,
    follow: Annotated[bool, typer.Option("--follow/--no-follow", help="Follow the chain, or only serve.")] = True,
    api: Annotated[bool, typer.Option("--api/--no-api", help="Serve the API, or only follow the chain.")] = True,
    log_level: Annotated[
        LogLevel, typer.Option(envvar="GELAP_LOG_LEVEL", help="The least severe lines to log.")
    ] = LogLevel.INFO,
) -> None:
    """Follow the pool and serve its events until SIGTERM or Ctrl-C; then finish the page in hand and exit 0.

    Exits 1 when events and contract disagree on every endpoint, and 2 when the configuration cannot be used.
    """
    from indexer.errors import HaltError, IndexerError, SettingsError
    from indexer.follower import Pace
    from indexer.service import IndexerConfig
    from indexer.service import run as run_service

    settings = Settings()
    configure_logs(log_level)
    try:
        config = IndexerConfig(
            database_url=database_url or _default_database(settings),
            database_read_url=database_read_url,
            rpc_urls=tuple(rpc_url or ()),
            pool=_address(pool) if pool else None,
            chain_id=chain_id,
            first_block=from_block,
            pace=Pace(confirmations, poll),
            max_window=max_window,
            address=address or settings.indexer_address,
            metrics_address=metrics_address or None,
            rate=rate,
            burst=burst,
            follow=follow,
            serve=api,
        )
        asyncio.run(run_service(config))
    except IndexerError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1 if isinstance(error, HaltError) else 2 if isinstance(error, SettingsError) else 1) from None


@app.command()
def status(
    database_url: DatabaseUrl = None,
    chain_id: ChainId = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show how far the pool is indexed, from the database; exit 1 when there is nothing yet."""
    from indexer.api import answers
    from indexer.database import read_engine, require_current
    from indexer.errors import IndexerError, SettingsError
    from indexer.reader import Reader, pools_of
    from indexer.service import only_chain

    try:
        url = database_url or _default_database(Settings(), must_exist=True)
        engine = read_engine(url)
        require_current(engine)
        summary = Reader(engine, only_chain(pools_of(engine)) if chain_id is None else chain_id).summary()
    except IndexerError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2 if isinstance(error, SettingsError) else 1) from None
    document = answers.status(summary, version("gelap"))
    if as_json:
        typer.echo(json.dumps(document, indent=2))
        return
    tip = document["tip"]
    rows = {
        "pool": f"{document['pool']} on chain {document['chain_id']}",
        "tip": f"block {tip['number']}, {tip['hash']}" if tip else "nothing was read yet",
        "root": document["root"],
        "commitments": f"{document['commitments']}, {document['pending']} of them waiting for the tree",
        "leaves used": f"{document['next_leaf_index']} in {document['batches']} batches"
        f" ({100 * document['tree_used_ratio']:.6f} % of the tree)",
        "nullifiers": document["nullifiers"],
        "withdrawals": document["withdrawals"],
    }
    for name, value in rows.items():
        typer.echo(f"{name:<12} {value}")


def _default_database(settings: Settings, must_exist: bool = False) -> str:
    from indexer.database import sqlite_url
    from indexer.errors import StoreError

    if settings.database_url:
        return settings.database_url
    path: Path = settings.cache_dir / "indexer.sqlite"
    if must_exist and not path.exists():
        raise StoreError(f"there is no database at {path}: run `gelap indexer run`, or set GELAP_DATABASE_URL")
    path.parent.mkdir(parents=True, exist_ok=True)
    return sqlite_url(path)


def _address(text: str) -> bytes:
    from indexer.errors import SettingsError

    try:
        address = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        address = b""
    if len(address) != 20:
        raise SettingsError("GELAP_POOL is an address: 0x and 40 hexadecimal digits")
    return address
