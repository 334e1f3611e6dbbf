"""The `gelap` command: mounts each package's commands and loads a package only when its command is used."""

import importlib
from typing import Annotated, Any, NamedTuple

import typer
import typer.main
from typer.core import TyperCommand, TyperGroup


class Mount(NamedTuple):
    """A command's home: `module:attribute` is a Typer app (a group) or a function (one command)."""

    module: str
    attribute: str
    help: str
    panel: str


PROVING, CLUSTER, PRODUCT = "Proving", "Cluster", "Product"

MOUNTS = {
    "demo": Mount("gelap.demo.cli", "demo", "A private payment end to end on this machine, on real parts.", PRODUCT),
    "wallet": Mount("wallet.cli", "app", "Shielded tokens: receive, pay, withdraw.", PRODUCT),
    "up": Mount("gelap.up.cli", "up", "A whole proving cluster on this machine, until Ctrl-C.", PRODUCT),
    "info": Mount("gelap.info", "info", "What this machine proves with: CPU path, kernels, keys, GPU.", PRODUCT),
    "indexer": Mount("indexer.cli", "app", "Index a pool's events and serve them to wallets: run, status.", PRODUCT),
    "circuit": Mount("prover.circuit.cli", "app", "List, describe and export the circuits.", PROVING),
    "ptau": Mount("prover.groth16.cli", "ptau", "Make powers of tau (development only).", PROVING),
    "setup": Mount("prover.groth16.cli", "setup", "Make a proving key from a circuit and powers of tau.", PROVING),
    "prove": Mount("prover.groth16.cli", "prove", "Prove a witness with a proving key.", PROVING),
    "verify": Mount("prover.groth16.cli", "verify", "Verify a proof: exit 0 valid, 1 invalid, 2 malformed.", PROVING),
    "keys": Mount("gelap.keys_cli", "app", "Make, fetch and inspect a node's proving keys.", PROVING),
    "bench": Mount("bench.cli", "app", "Time the prover on this machine.", PROVING),
    "gateway": Mount("gateway.cli", "gateway", "Run the gateway: gRPC and REST.", CLUSTER),
    "seal": Mount("proto.seal_cli", "seal", "A request for curl or grpcurl, its inputs sealed.", CLUSTER),
    "sample": Mount("gelap.sample", "sample", "A statement to try a cluster with.", CLUSTER),
    "apikey": Mount("gateway.apikey_cli", "app", "Who may use the cluster: add, revoke, list API keys.", CLUSTER),
    "worker": Mount("worker.cli", "worker", "Run a proving worker.", CLUSTER),
    "status": Mount("worker.operator_cli", "status", "Show the cluster's workers, queues and problems.", CLUSTER),
    "jobs": Mount("worker.operator_cli", "jobs", "List, show and cancel the cluster's jobs.", CLUSTER),
    "breaker": Mount("worker.operator_cli", "breaker", "Circuits stopped because proofs did not verify.", CLUSTER),
    "sequencer": Mount("gelap.sequencer_cli", "sequencer", "Move queued commitments into a pool's tree.", PRODUCT),
    "relayer": Mount("gelap.relayer_cli", "relayer", "Settle other people's payments for a fee.", PRODUCT),
}


class LazyCommand(TyperCommand):
    """Knows a command's name and help text; imports the real command when it is about to run."""

    def __init__(self, name: str, mount: Mount) -> None:
        super().__init__(name, help=mount.help, rich_help_panel=mount.panel)
        self.mount = mount

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        return self.load().make_context(info_name, args, parent, **extra)

    def load(self) -> Any:
        target = getattr(importlib.import_module(self.mount.module), self.mount.attribute)
        if isinstance(target, typer.Typer):
            return typer.main.get_command(target)
        single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        single.command(name=self.name, cls=getattr(target, "command_class", TyperCommand))(target)
        return typer.main.get_command(single)


class MountedGroup(TyperGroup):
    """Offers the commands of the table above."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(MOUNTS)

    def get_help_option(self, ctx: Any) -> Any:
        """As Typer's, with a default that it need not convert: the conversion imports pydantic, some 50 ms."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.default = False
        return option

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        mount = MOUNTS.get(cmd_name)
        return LazyCommand(cmd_name, mount) if mount else None


def main() -> None:
    """Entry point of the `gelap` script."""
    app()


app = typer.Typer(cls=MountedGroup, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


def show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"gelap {version('gelap')}")
        raise typer.Exit


@app.callback()
def root(
    _version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Gelap: shielded ERC-20 payments, and the proving cluster behind them."""


if __name__ == "__main__":
    main()
