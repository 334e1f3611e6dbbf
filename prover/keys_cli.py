"""`gelap keys`: make and list a node's proving keys."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from prover.command import reported_errors
from prover.keys import default_directory, ensure_keys, read_manifest
from prover.progress import on_terminal
from prover.statements import registry

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Make and inspect a node's proving keys.")

Directory = Annotated[
    Path | None,
    typer.Option(
        "--dir", envvar="GELAP_KEY_DIR", help="Folder of the keys; default: keys/ in Gelap's cache directory."
    ),
]

# The same twice: `gelap keys make spend_2x3`, and with the option that other commands have.
Chosen = Annotated[list[str] | None, typer.Option("--circuit", help="A circuit; more than one may be given.")]


@app.command()
def make(
    circuits: Annotated[
        list[str] | None,
        typer.Argument(help=f"Circuits; default: {', '.join(registry.BASIC)}.", show_default=False),
    ] = None,
    chosen: Chosen = None,
    every: Annotated[bool, typer.Option("--all", help="All circuits that there are.")] = False,
    directory: Directory = None,
) -> None:
    """Make development keys where they are missing or their circuit changed.

    On two cores with AVX-512 IFMA the default takes 6 s, spend_2x3 (pays a relayer with a note) 3 s more, and spend_8x2
    (consolidates eight notes) 9 s and 190 MB, most of them powers of tau of its own size; without, three times as long.

    The setup runs on this machine alone, so whoever runs it could forge proofs: never use these keys for anything of
    value.
    """
    typer.echo("These keys are for DEVELOPMENT ONLY: their setup has no independent contributor.", err=True)
    with reported_errors(), on_terminal("keys") as progress:
        names = registry.names() if every else [*(circuits or ()), *(chosen or ())] or registry.BASIC
        manifest = ensure_keys(directory or default_directory(), names, progress)
    typer.echo(str(manifest.directory / "manifest.json"))


@app.command("list")
def list_keys(
    directory: Directory = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest's entries as JSON.")] = False,
) -> None:
    """List the keys in a folder."""
    with reported_errors():
        manifest = read_manifest(directory or default_directory())
    if as_json:
        typer.echo(json.dumps([vars(entry) for entry in manifest.circuits], indent=2))
        return
    table = Table("circuit", "public inputs", "size", "verification key", "setup")
    for entry in manifest.circuits:
        path = manifest.directory / entry.zkey
        size = f"{path.stat().st_size / 2**20:.1f} MiB" if path.is_file() else "missing"
        setup = "development only" if entry.development else "ceremony"
        table.add_row(entry.name, str(entry.public_inputs), size, entry.verification_key_digest[:16], setup)
    Console().print(table)
