"""`gelap circuit`: the circuits, their sizes, and their files for other tools."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from prover.circuit.compile import Circuit
from prover.command import MALFORMED, fail, reported_errors
from prover.formats.r1cs import write_r1cs
from prover.formats.sym import write_sym
from prover.statements import registry

app = typer.Typer(no_args_is_help=True, help="List, describe and export the circuits.")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Name = Annotated[str, typer.Argument(help="A circuit, such as spend_2x2 or spend.")]


def describe(circuit: Circuit) -> dict[str, Any]:
    """A circuit's sizes and inputs, as `gelap circuit info --json` prints them."""
    r1cs = circuit.r1cs
    return {
        "name": circuit.name,
        "constraints": r1cs.n_constraints,
        "coefficients": {"a": r1cs.a.nnz, "b": r1cs.b.nnz, "c": r1cs.c.nnz},
        "wires": r1cs.n_wires,
        "public_inputs": r1cs.n_public_inputs,
        "private_inputs": r1cs.n_private_inputs,
        "domain": circuit.domain_size,
        "instructions": circuit.program.n_instructions,
        "inputs": [
            {"name": signal.name, "shape": list(signal.shape), "public": signal.public} for signal in circuit.signals
        ],
    }


@app.command("list")
def list_circuits(as_json: AsJson = False) -> None:
    """List the circuits with their sizes."""
    descriptions = [describe(registry.build(name)) for name in registry.names()]
    if as_json:
        typer.echo(json.dumps(descriptions, indent=2))
        return
    table = Table("circuit", "constraints", "wires", "public inputs", "domain")
    for entry in descriptions:
        sizes = (entry["constraints"], entry["wires"], entry["public_inputs"], entry["domain"])
        table.add_row(entry["name"], *(f"{size:,}" for size in sizes))
    Console().print(table)


@app.command()
def info(name: Name, as_json: AsJson = False) -> None:
    """Describe one circuit: constraints, coefficients per matrix, wires, inputs, domain."""
    with reported_errors():
        entry = describe(registry.build(name))
    if as_json:
        typer.echo(json.dumps(entry, indent=2))
        return
    coefficients = entry["coefficients"]
    sizes = Table(entry["name"], "", show_header=True)
    sizes.add_row("constraints", f"{entry['constraints']:,}")
    sizes.add_row("coefficients in A, B, C", ", ".join(f"{coefficients[side]:,}" for side in "abc"))
    sizes.add_row("wires", f"{entry['wires']:,}")
    sizes.add_row("inputs", f"{entry['public_inputs']} public, {entry['private_inputs']} private")
    sizes.add_row("domain", f"{entry['domain']:,}")
    sizes.add_row("witness program", f"{entry['instructions']:,} instructions")
    signals = Table("input", "shape", "kind")
    for signal in entry["inputs"]:
        shape = " x ".join(map(str, signal["shape"])) or "one number"
        signals.add_row(signal["name"], shape, "public" if signal["public"] else "private")
    console = Console()
    console.print(sizes)
    console.print(signals)


@app.command()
def export(
    name: Name,
    r1cs: Annotated[Path | None, typer.Option(help="The .r1cs file to write.", show_default=False)] = None,
    sym: Annotated[Path | None, typer.Option(help="The .sym file to write.", show_default=False)] = None,
) -> None:
    """Write a circuit's constraints (.r1cs) and signal names (.sym), as snarkjs and circom tools read them."""
    if r1cs is None and sym is None:
        fail("nothing to write; name a file with --r1cs, --sym or both", MALFORMED)
    with reported_errors():
        circuit = registry.build(name)
        if r1cs is not None:
            write_r1cs(r1cs, circuit.r1cs)
            typer.echo(str(r1cs))
        if sym is not None:
            write_sym(sym, circuit.symbols())
            typer.echo(str(sym))
