"""`gelap sequencer`."""

import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from gelap.logs import LogLevel, configure_logs
from gelap.settings import Settings


def sequencer(
    pool: Annotated[str, typer.Option(envvar="GELAP_POOL", help="The pool's address.")],
    key_file: Annotated[
        str,
        typer.Option(
            envvar="GELAP_EVM_KEY_FILE", help="The key of the account that pays for gas: a file, or - for stdin."
        ),
    ],
    passphrase_file: Annotated[
        Path | None,
        typer.Option(envvar="GELAP_EVM_PASSPHRASE_FILE", help="The passphrase, if the key is a JSON keystore."),
    ] = None,
    rpc_url: Annotated[str | None, typer.Option(envvar="GELAP_RPC_URL", help="The chain's JSON-RPC endpoint.")] = None,
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
    log_level: Annotated[
        LogLevel, typer.Option(envvar="GELAP_LOG_LEVEL", help="The least severe lines to log.")
    ] = LogLevel.INFO,
) -> None:
    """Move queued commitments into a pool's tree, batch by batch, until SIGTERM or Ctrl-C.

    Anyone may: the account needs nothing but gas. A full batch of 64 is inserted at once, a short one after --patience.
    """
    configure_logs(log_level)
    import structlog

    from chain.accounts import read_account
    from chain.errors import ChainError
    from chain.pool import Pool
    from chain.rpc import connect
    from chain.sequencing import Pace, Sequencer
    from chain.state import PoolState
    from protocol.poseidon import hash_pairs
    from wallet.errors import ProvingError, WalletError
    from wallet.network import ChosenProver

    log = structlog.get_logger("gelap.sequencer")
    settings = Settings()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        if rpc_url is None:
            raise ChainError("which node? Set GELAP_RPC_URL or give --rpc-url")
        account = read_account(key_file, passphrase_file)
        source = ChosenProver(
            prover,
            key_directory=key_dir or settings.keys,
            api_key=settings.api_key,
            fingerprint=fingerprint,
            proxy=None,
        )
        seen = Pool(connect(rpc_url), pool, account, deployed_at)
        log.info("sequencer ready", account=account.address, pool=seen.address, chain_id=seen.chain_id, prover=prover)
        service = Sequencer(seen, source, Pace(patience, poll, jitter), PoolState(seen, hash_pairs), (ProvingError,))
        service.run(stop)
        log.info("sequencer stopped")
    except (ChainError, WalletError, ValueError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None
