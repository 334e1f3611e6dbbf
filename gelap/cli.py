"""The `gelap` command: mounts each package's commands and loads a package only when its command is used."""

import importlib
import sys
from typing import NamedTuple

import typer
import typer.main
from typer.core import TyperGroup


class Mount(NamedTuple):
    """A command's home: `module:attribute` is a Typer app (a group) or a function (one command)."""

    module: str
    attribute: str
    help: str
    panel: str


PROVING, CLUSTER, PRODUCT = "Proving", "Cluster", "Product"

MOUNTS = {
    "demo": Mount("gelap.demo", "demo", "A private payment end to end on this machine, on real parts.", PRODUCT),
    "circuit": Mount("prover.circuit.cli", "app", "List, describe and export the circuits.", PROVING),
    "ptau": Mount("prover.groth16.cli", "ptau", "Make powers of tau (development only).", PROVING),
    "setup": Mount("prover.groth16.cli", "setup", "Make a proving key from a circuit and powers of tau.", PROVING),
    "prove": Mount("prover.groth16.cli", "prove", "Prove a witness with a proving key.", PROVING),
    "verify": Mount("prover.groth16.cli", "verify", "Verify a proof: exit 0 valid, 1 invalid, 2 malformed.", PROVING),
    "keys": Mount("prover.keys_cli", "app", "Make and inspect a node's proving keys.", PROVING),
    "gateway": Mount("gateway.cli", "gateway", "Run the gRPC gateway.", CLUSTER),
    "worker": Mount("worker.cli", "worker", "Run a proving worker.", CLUSTER),
}


class LazyGroup(TyperGroup):
    """Lists every mounted command from the table above and imports one only to run it or show its own help."""

    def list_commands(self, ctx):  # noqa: ANN001, ANN201
        return list(MOUNTS)

    def get_command(self, ctx, cmd_name):  # noqa: ANN001, ANN201
        mount = MOUNTS.get(cmd_name)
        if mount is None:
            return None
        # `gelap --help` needs only names and help texts: a bare command stands in for the real one.
        if getattr(ctx, "listing_only", False):
            return None
        target = getattr(importlib.import_module(mount.module), mount.attribute)
        if isinstance(target, typer.Typer):
            return typer.main.get_command(target)
        single = typer.Typer(add_completion=False)
        single.command(name=cmd_name, help=target.__doc__)(target)
        return typer.main.get_command(single)


def main() -> None:
    """Entry point of the `gelap` script."""
    app()


app = typer.Typer(cls=LazyGroup, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def root() -> None:
    """Gelap: shielded ERC-20 payments, and the proving cluster behind them."""


if __name__ == "__main__":
    sys.exit(main())
