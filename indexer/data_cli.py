"""`gelap indexer verify`, `archive` and `restore`: what an operator does with the rows that are there."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

DatabaseUrl = Annotated[
    str | None,
    typer.Option(envvar="GELAP_DATABASE_URL", help="PostgreSQL or SQLite; default: an SQLite file in the cache."),
]
ChainId = Annotated[int | None, typer.Option(envvar="GELAP_CHAIN_ID", help="The chain, where there are several.")]
RangeBlocks = Annotated[
    int | None, typer.Option(min=1_000, help="Blocks a range; default: what the chain's preset says.")
]


def verify(
    database_url: DatabaseUrl = None,
    chain_id: ChainId = None,
    rpc_url: Annotated[
        list[str] | None,
        typer.Option(envvar="GELAP_RPC_URL", help="JSON-RPC endpoint, whose contract the result is compared with."),
    ] = None,
) -> None:
    """Rebuild every root from the stored leaves and count every row; compare with the contract; exit 1 on a difference.

    Reads only, and may run beside an indexer.
    """
    from indexer.verify import compare_with_contract
    from indexer.verify import verify as verify_rows

    with _reported():
        engine, chain = _opened(database_url, chain_id)
        with _progress("checked up to block") as show:
            summary, history = verify_rows(engine, chain, lambda block: show(block.number))
        counters = summary.counters
        typer.echo(
            f"{counters.queued} commitments, {counters.batches} batches, {counters.nullifiers} nullifiers and "
            f"{counters.withdrawals} withdrawals fit together; root 0x{history.root.hex()}"
        )
        if summary.tip is None:
            return
        if not rpc_url:
            typer.echo("not compared with the contract: name an endpoint with --rpc-url", err=True)
            return
        compare_with_contract(rpc_url, summary, history)
        typer.echo(f"and are what the contract says at block {summary.tip.number}")


def archive(
    folder: Annotated[Path, typer.Argument(help="Where the files are, or will be.")],
    database_url: DatabaseUrl = None,
    chain_id: ChainId = None,
    range_blocks: RangeBlocks = None,
) -> None:
    """Write the blocks that are too old to be replaced to files, one a range of blocks; those there already stay."""
    from indexer.archive import archive as write_files

    with _reported():
        engine, chain = _opened(database_url, chain_id)
        written = write_files(engine, chain, folder, range_blocks)
        for file in written:
            typer.echo(file.path)
        typer.echo(f"{len(written)} new files; the rest is there, or too new", err=True)


def restore(
    folder: Annotated[Path, typer.Argument(help="The files that `gelap indexer archive` wrote.")],
    database_url: DatabaseUrl = None,
    chain_id: ChainId = None,
    range_blocks: RangeBlocks = None,
) -> None:
    """Fill a database from an archive, rebuilding every root; `gelap indexer run` goes on from there.

    Goes on where it was ended.
    """
    from indexer.archive import files_in
    from indexer.archive import restore as read_files
    from indexer.database import migrate, write_engine
    from indexer.errors import ArchiveError

    with _reported():
        files = [file for file in files_in(folder) if chain_id in (None, file.chain_id)]
        if not files:
            raise ArchiveError(f"{folder} holds no archive of a pool: name the folder of `gelap indexer archive`")
        if len({(file.chain_id, file.pool) for file in files}) > 1:
            found = ", ".join(sorted({f"0x{file.pool.hex()} of chain {file.chain_id}" for file in files}))
            raise ArchiveError(f"{folder} holds several pools ({found}): choose with --chain-id, or part them")
        engine = write_engine(_database(database_url, must_exist=False))
        migrate(engine)
        with _progress("restored up to block") as show:
            tip = read_files(engine, files, range_blocks, lambda block: show(block.number))
        typer.echo(f"restored up to block {tip.number}; `gelap indexer run` goes on from there")


def _opened(database_url: str | None, chain_id: int | None) -> tuple[Any, int]:
    from indexer.database import read_engine, require_current
    from indexer.errors import SettingsError
    from indexer.reader import pools_of

    engine = read_engine(_database(database_url, must_exist=True))
    require_current(engine)
    if chain_id is None:
        chains = [found for found, _ in pools_of(engine)]
        if len(chains) != 1:
            listed = ", ".join(map(str, chains)) or "none"
            raise SettingsError(f"the database holds the pools of these chains: {listed}; choose one with --chain-id")
        (chain_id,) = chains
    return engine, chain_id


def _database(url: str | None, must_exist: bool) -> str:
    from indexer.database import default_database

    return url or default_database(must_exist)


@contextmanager
def _reported() -> Iterator[None]:
    """Errors in one line: exit 2 for a mistake in the options, 1 for anything else."""
    from indexer.errors import IndexerError, SettingsError

    try:
        yield
    except IndexerError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2 if isinstance(error, SettingsError) else 1) from None


@contextmanager
def _progress(words: str) -> Iterator[Callable[[int], None]]:
    """Shows a number that grows, on a terminal only."""
    import sys

    terminal = sys.stderr.isatty()

    def show(number: int) -> None:
        if terminal:
            typer.echo(f"\r{words} {number}", err=True, nl=False)

    yield show
    if terminal:
        typer.echo("", err=True)
