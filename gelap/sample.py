"""`gelap sample`: a statement to try a cluster with."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from protocol.statements import InsertStatement

CIRCUIT = "insert_64"


def sample_statement() -> "InsertStatement":
    """One random leaf inserted into an empty tree."""
    from protocol.merkle import MerkleTree
    from protocol.note import random_blinding
    from protocol.statements import InsertStatement

    return InsertStatement.from_batch(MerkleTree().plan_batch([random_blinding()]))


def sample(
    folder: Annotated[Path, typer.Argument(help="Where inputs.json and public.json are written.")] = Path(),
) -> None:
    """Write an example of a statement of the circuit insert_64: one random leaf inserted into an empty tree."""
    from protocol.statements import encode_inputs

    statement = sample_statement()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "inputs.json").write_bytes(encode_inputs(statement.inputs()))
        (folder / "public.json").write_text(json.dumps([str(word) for word in statement.public.inputs()]))
    except OSError as error:
        typer.echo(f"error: {folder} cannot be written: {error.strerror}", err=True)
        raise typer.Exit(2) from None
    typer.echo(CIRCUIT)
