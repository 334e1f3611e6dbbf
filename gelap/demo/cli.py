"""`gelap demo`."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from gelap.demo.report import Report
from gelap.settings import Settings

WIDTH = 120


def demo(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout, no tables.")] = False,
    key_dir: Annotated[
        Path | None, typer.Option(help="Where development keys are kept; default: GELAP_KEY_DIR or the cache.")
    ] = None,
    logs: Annotated[Path | None, typer.Option(help="Keep the gateway's and the worker's logs in this folder.")] = None,
    save: Annotated[
        Path | None, typer.Option(help="Write the payment's proof, public inputs and key here, as snarkjs reads them.")
    ] = None,
) -> None:
    """A private payment end to end on this machine, on real parts.

    Starts anvil, a private Redis, the gateway and a worker; deposits 100 tokens, pays 40 of them privately, withdraws
    15; and compares what the contract, the wallets and a tree rebuilt from events say. Exits 0 only if all agree.
    For development only: its keys are made on this machine.
    """
    from chain.errors import ChainError
    from gelap.demo.story import DemoError, Options, run
    from gelap.servers import ServerError
    from proto.errors import ProverClientError
    from protocol.errors import ProtocolError
    from prover.errors import ProverError
    from wallet.errors import WalletError

    known = (ChainError, DemoError, ProtocolError, ProverClientError, ProverError, ServerError, WalletError, OSError)
    stderr = Console(stderr=True, highlight=False)
    options = Options(key_dir or Settings().keys, logs, save)
    report = Report()
    try:
        run(options, report, lambda text: stderr.print(f"· {text}", style="dim", markup=False))
    except known as error:
        report.error = str(error)
    except KeyboardInterrupt:
        report.error = "interrupted"
    if as_json:
        typer.echo(json.dumps(report.document(), indent=2))
    else:
        # Where there is no terminal to ask, a width at which no row is broken.
        report.show(Console(width=None if sys.stdout.isatty() else WIDTH))
    if report.error:
        stderr.print(f"the demo failed: {report.error}", style="red", markup=False)
    if not report.ok:
        raise typer.Exit(130 if report.error == "interrupted" else 1)
