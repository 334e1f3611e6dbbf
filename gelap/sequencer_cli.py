"""`gelap sequencer`."""

import asyncio
import contextlib
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gelap import options
from gelap.logs import LogLevel, configure_logs
from gelap.settings import Settings

if TYPE_CHECKING:
    from chain.sequencing import Sequencer


def sequencer(
    pool: options.Pool,
    key_file: options.KeyFile,
    passphrase_file: options.PassphraseFile = None,
    rpc_url: options.RpcUrls = None,
    deployed_at: Annotated[
        int,
        typer.Option(envvar="GELAP_DEPLOYED_AT", min=0, help="The block in which the pool was deployed, or before."),
    ] = 0,
    prover: Annotated[
        str,
        typer.Option(envvar="GELAP_PROVER", help="local, grpc://host:port, grpcs://host:port or https://host."),
    ] = "local",
    fingerprint: Annotated[
        str | None,
        typer.Option(envvar="GELAP_KEY_FINGERPRINT", help="The fingerprint of the cluster's key, to pin it."),
    ] = None,
    prover_ca: Annotated[
        str | None,
        typer.Option(
            envvar="GELAP_PROVER_CA",
            help="Certificates (PEM) to trust for a remote prover, in place of the public ones.",
        ),
    ] = None,
    key_dir: Annotated[
        Path | None, typer.Option(envvar="GELAP_KEY_DIR", help="The proving keys, for --prover local.")
    ] = None,
    patience: Annotated[
        float, typer.Option(min=0, help="Insert a short batch when its oldest commitment waited so many seconds.")
    ] = 120.0,
    poll: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks at the chain.")] = 5.0,
    jitter: Annotated[
        float, typer.Option(min=0, help="Wait up to so many random seconds before a batch: others may be at it.")
    ] = 2.0,
    stuck_after: options.StuckAfter = 60.0,
    dearest_gwei: options.DearestGwei = 500,
    metrics_address: Annotated[str | None, options.metrics_address("GELAP_SEQUENCER_METRICS_ADDRESS")] = None,
    log_level: options.Level = LogLevel.INFO,
) -> None:
    """Move queued commitments into a pool's tree, batch by batch, until SIGTERM or Ctrl-C.

    Anyone may: the account needs nothing but gas. A full batch of 64 is inserted at once, a short one after --patience.
    """
    configure_logs(log_level)
    from chain.accounts import read_account
    from chain.errors import ChainError
    from chain.pool import Pool
    from chain.replacing import Urgency
    from chain.rpc import connect
    from chain.sequencing import Pace, Sequencer
    from chain.state import PoolState
    from protocol.poseidon import hash_pairs
    from wallet.errors import ProvingError, WalletError
    from wallet.network import ChosenProver

    settings = Settings()
    try:
        account = read_account(key_file, passphrase_file)
        source = ChosenProver(
            prover,
            key_directory=key_dir or settings.keys,
            api_key=settings.api_key,
            fingerprint=fingerprint,
            proxy=None,
            ca_file=prover_ca,
        )
        seen = Pool(connect(rpc_url or ()), pool, account, deployed_at)
        urgency = Urgency(stuck_after, dearest_gwei * 10**9)
        state = PoolState(seen, hash_pairs)
        service = Sequencer(seen, source, Pace(patience, poll, jitter), state, (ProvingError,), urgency)
        ready = {"account": account.address, "pool": seen.address, "chain_id": seen.chain_id, "prover": prover}
        asyncio.run(_serve(service, metrics_address or None, ready))
    except (ChainError, WalletError, ValueError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None


async def _serve(service: "Sequencer", metrics_address: str | None, ready: dict[str, object]) -> None:
    """Run until told to stop; a batch that waits for its block then is left to the next process."""
    import structlog

    from chain.errors import ChainError
    from chain.sequencer_metrics import REGISTRY
    from gelap.listener import HttpListener, stop_signal
    from gelap.metrics_page import metrics_app

    log = structlog.get_logger("gelap.sequencer")
    told, stop = stop_signal(), threading.Event()
    async with contextlib.AsyncExitStack() as running:
        if metrics_address:
            listener = HttpListener(metrics_app(REGISTRY), metrics_address, ChainError)
            ready = {**ready, "metrics_port": (await running.enter_async_context(listener)).port}
        log.info("sequencer ready", **ready)
        working = asyncio.create_task(asyncio.to_thread(service.run, stop))
        until_told = asyncio.create_task(told.wait())
        await asyncio.wait([working, until_told], return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        until_told.cancel()
        await working
    log.info("sequencer stopped")
