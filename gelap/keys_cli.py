"""`gelap keys`: those of `prover.keys_cli`, and fetching them from elsewhere, which the prover knows nothing of."""

from pathlib import Path
from typing import Annotated

import typer

from gelap.settings import Settings
from prover.keys_cli import Chosen, Directory, app

__all__ = ["app"]


@app.command()
def fetch(
    circuits: Annotated[list[str] | None, typer.Argument(help="Circuits; default: all that are there.")] = None,
    chosen: Chosen = None,
    url: Annotated[
        str | None,
        typer.Option(
            envvar="GELAP_KEYS_URL", help="A gateway's REST address, or the URL of a manifest.json with its files."
        ),
    ] = None,
    directory: Directory = None,
    manifest: Annotated[
        Path | None, typer.Option(help="Go by this manifest.json of yours, not by the server's.")
    ] = None,
    proxy: Annotated[str | None, typer.Option(help="Such as socks5h://127.0.0.1:9050.")] = None,
    ca_file: Annotated[str | None, typer.Option(help="PEM: trust this authority instead of the usual ones.")] = None,
) -> None:
    """Fetch proving keys, check their digests, and put them where workers and wallets look for them.

    An interrupted fetch goes on where it was. A gateway wants an API key: set GELAP_API_KEY.
    """
    from gelap.key_fetch import KeyFetchError, Source, fetch_keys
    from prover.progress import on_terminal

    settings = Settings()
    try:
        if url is None:
            raise KeyFetchError("where are the keys? Set GELAP_KEYS_URL or --url")
        source = Source(url, settings.api_key, proxy, ca_file)
        with on_terminal("keys") as progress:
            there = fetch_keys(
                source, directory or settings.keys, [*(circuits or ()), *(chosen or ())], manifest, progress
            )
    except (KeyFetchError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None
    typer.echo(f"{directory or settings.keys}: {', '.join(there)}")
