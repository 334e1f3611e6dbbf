"""`gelap info`: what this machine proves with. What an operator is asked for first when something is slow."""

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from gelap.settings import Settings
from prover.command import reported_errors


def info(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False) -> None:
    """Show the CPU and the arithmetic chosen for it, the kernel cache, the proving keys, and the GPU if any."""
    with reported_errors():
        facts = gather()
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    table = Table("fact", Column("value", overflow="fold"), show_header=False)
    for name, value in facts.items():
        table.add_row(name, escape(", ".join(value) if isinstance(value, list) else str(value)))
    Console().print(table)


def gather() -> dict[str, Any]:
    """The facts by name. Raises ProverError when GELAP_CPU_PATH asks for what the CPU does not have."""
    from bench.machine import describe
    from prover.devices.facts import facts
    from prover.errors import FormatError
    from prover.kernels.cache import kernel_folder
    from prover.kernels.paths import cpu_path
    from prover.keys import read_manifest

    machine = describe()
    path = cpu_path()
    keys = Settings().keys
    try:
        circuits = [f"{entry.name}{' (development)' * entry.development}" for entry in read_manifest(keys).circuits]
    except FormatError:
        circuits = ["none yet: `gelap keys make` makes development keys"]
    return {
        "gelap": machine["gelap"],
        "python": machine["python"],
        "numba": machine["numba"],
        "cpu": f"{machine['cpu']}, {machine['usable_cores']} usable cores",
        "cpu path": f"{path.name}: {path.reason}",
        **facts(),
        "kernel cache": str(kernel_folder()),
        "compiled kernels": f"{len(list(kernel_folder().glob('*.kernels')))} files",
        "key directory": str(keys),
        "circuits with keys": circuits,
    }
