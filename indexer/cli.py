"""`gelap indexer`."""

import asyncio
import json
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from gelap import options
from gelap.logs import LogLevel, configure_logs
from gelap.settings import Settings
from indexer.data_cli import DatabaseUrl, archive, restore, verify

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Index a pool's events and serve them to wallets.")
for operation in (verify, archive, restore):
    app.command()(operation)

# Options that describe one chain; with --config they are in the file.
_ONE_CHAIN = ("rpc_url", "pool", "chain_id", "from_block", "confirmations", "poll", "max_window")
ChainId = Annotated[
    int | None, typer.Option(envvar="GELAP_CHAIN_ID", help="The chain's id; default: what the endpoints say.")
]


@app.command()
def run(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(envvar="GELAP_INDEXER_CONFIG", help="A TOML file with one chain or several, and these options."),
    ] = None,
    rpc_url: options.RpcUrls = None,
    pool: options.OptionalPool = None,
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
    metrics_address: Annotated[str | None, options.metrics_address("GELAP_INDEXER_METRICS_ADDRESS")] = None,
    rate: Annotated[float | None, options.rate("GELAP_INDEXER_RATE", default="50")] = None,
    burst: Annotated[int | None, options.burst("GELAP_INDEXER_BURST", default="200")] = None,
    trusted_proxies: Annotated[str | None, options.trusted_proxies("GELAP_INDEXER_TRUSTED_PROXIES")] = None,
    follow: Annotated[bool, typer.Option("--follow/--no-follow", help="Follow the chains, or only serve.")] = True,
    api: Annotated[bool, typer.Option("--api/--no-api", help="Serve the API, or only follow the chains.")] = True,
    log_level: options.Level = LogLevel.INFO,
) -> None:
    """Follow pools and serve their events until SIGTERM or Ctrl-C; then finish the page in hand and exit 0.

    One pool comes from options or variables, several from a file (--config), which options given here go before.
    Exits 1 when the events and the contract of a chain disagreed on every endpoint, once no other chain is followed
    any more, and 2 when the configuration cannot be used.
    """
    from indexer.config import ChainConfig, IndexerConfig, parse_address, read_config
    from indexer.database import default_database
    from indexer.errors import IndexerError, SettingsError
    from indexer.service import run as run_service

    settings = Settings()
    configure_logs(log_level)
    try:
        found: dict[str, Any] = {}
        if config is not None:
            _refuse_chain_options(context)
            file = read_config(config)
            found, chains = file.options, file.chains
        elif pool is None:
            chains = ()
        else:
            chains = (
                ChainConfig(
                    name=None,
                    chain_id=chain_id,
                    pool=parse_address(pool, "GELAP_POOL"),
                    first_block=from_block,
                    rpc_urls=tuple(rpc_url or ()),
                    confirmations=confirmations,
                    max_window=max_window,
                    poll=poll,
                ),
            )
        given = {
            "database_url": database_url,
            "database_read_url": database_read_url,
            "address": address,
            "redis_url": settings.indexer_redis_url,
            "metrics_address": metrics_address or None,
            "rate": rate,
            "burst": burst,
            "trusted_proxies": trusted_proxies,
        }
        found |= {name: value for name, value in given.items() if value is not None}
        if "database_url" not in found:
            found["database_url"] = default_database()
        found.setdefault("address", settings.indexer_address)
        asyncio.run(run_service(IndexerConfig(chains=chains, chain_id=chain_id, follow=follow, serve=api, **found)))
    except IndexerError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2 if isinstance(error, SettingsError) else 1) from None


def _refuse_chain_options(context: typer.Context) -> None:
    """Raises SettingsError for an option about one chain beside a file; variables of other commands are no reason."""
    from indexer.errors import SettingsError

    for name in _ONE_CHAIN:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise SettingsError(
                f"--{name.replace('_', '-')} is in the file that --config names, for each chain: drop it"
            )


@app.command()
def status(
    database_url: DatabaseUrl = None,
    chain_id: Annotated[
        int | None, typer.Option(envvar="GELAP_CHAIN_ID", help="One chain only; default: all that are there.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object; an array of them when there are several chains.")
    ] = False,
) -> None:
    """Show how far each pool is indexed, from the database; exit 1 when there is nothing yet."""
    from indexer.api import answers
    from indexer.database import default_database, read_engine, require_current
    from indexer.errors import IndexerError, SettingsError, StoreError
    from indexer.reader import Reader, pools_of

    try:
        engine = read_engine(database_url or default_database(must_exist=True))
        require_current(engine)
        chains = [found for found, _ in pools_of(engine)] if chain_id is None else [chain_id]
        if not chains:
            raise StoreError("the database holds no pool yet: run `gelap indexer run` first")
        documents = [answers.status(Reader(engine, each).summary(), version("gelap")) for each in chains]
    except IndexerError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2 if isinstance(error, SettingsError) else 1) from None
    if as_json:
        typer.echo(json.dumps(documents[0] if len(documents) == 1 else documents, indent=2))
        return
    for number, document in enumerate(documents):
        if number:
            typer.echo("")
        _print_status(document)


def _print_status(document: dict[str, Any]) -> None:
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
