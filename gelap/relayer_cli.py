"""`gelap relayer`."""

import contextlib
import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from gelap.logs import LogLevel, configure_logs


def relayer(
    pool: Annotated[str, typer.Option(envvar="GELAP_POOL", help="The pool's address.")],
    prices: Annotated[
        Path,
        typer.Option(
            envvar="GELAP_RELAYER_PRICES",
            help="A JSON file: token addresses, and what one ether costs in each one's smallest unit, as text.",
        ),
    ],
    key_file: Annotated[
        str,
        typer.Option(
            envvar="GELAP_EVM_KEY_FILE", help="The key of the account that pays for gas: a file, or - for stdin."
        ),
    ],
    journal: Annotated[
        Path, typer.Option(envvar="GELAP_RELAYER_JOURNAL", help="The file of what was sent; it outlives a restart.")
    ] = Path("relayer.db"),
    passphrase_file: Annotated[
        Path | None,
        typer.Option(envvar="GELAP_EVM_PASSPHRASE_FILE", help="The passphrase, if the key is a JSON keystore."),
    ] = None,
    rpc_url: Annotated[str | None, typer.Option(envvar="GELAP_RPC_URL", help="The chain's JSON-RPC endpoint.")] = None,
    address: Annotated[
        str, typer.Option(envvar="GELAP_RELAYER_ADDRESS", help="Where to serve, host:port, behind a TLS proxy.")
    ] = "127.0.0.1:8090",
    margin: Annotated[int, typer.Option(min=0, help="Per cent that a quote is above the cost of its gas.")] = 30,
    extra_wei: Annotated[
        int, typer.Option(min=0, help="Fixed cost of a payment in wei, such as what a rollup charges for its data.")
    ] = 0,
    quote_life: Annotated[int, typer.Option(min=10, help="Seconds that a quote holds, at least.")] = 120,
    stuck_after: Annotated[float, typer.Option(min=1, help="Seconds until a transaction is replaced.")] = 45.0,
    dearest_gwei: Annotated[int, typer.Option(min=1, help="The most to pay for a unit of gas.")] = 500,
    log_level: Annotated[
        LogLevel, typer.Option(envvar="GELAP_LOG_LEVEL", help="The least severe lines to log.")
    ] = LogLevel.INFO,
) -> None:
    """Settle other people's payments for a fee in the token they pay with, until SIGTERM or Ctrl-C.

    It cannot change a payment, only refuse or delay it. It logs its transactions, and never who asked. One account, one
    journal, one process. docs/relayer.md tells more.
    """
    configure_logs(log_level)
    import structlog
    import uvicorn

    from chain.accounts import read_account
    from chain.errors import ChainError
    from chain.pool import Pool
    from chain.relayer.app import relayer_app
    from chain.relayer.journal import Journal
    from chain.relayer.prices import Margin, Prices
    from chain.relayer.service import Policy, Relayer
    from chain.rpc import connect

    host, _, port = address.rpartition(":")
    try:
        if rpc_url is None:
            raise ChainError("which node? Set GELAP_RPC_URL or give --rpc-url")
        if not host or not port.isdigit() or not 0 <= int(port) < 1 << 16:
            raise ChainError(f"{address} is no address to serve on, such as 127.0.0.1:8090")
        account = read_account(key_file, passphrase_file)
        rates = Prices(prices, Margin(margin, extra_wei))
        seen = Pool(connect(rpc_url), pool, account)
        kept = Journal(journal)
        policy = Policy(quote_life=quote_life, stuck_after=stuck_after, dearest=dearest_gwei * 10**9)
        service = Relayer(seen, account, rates, kept, policy)
    except (ChainError, ValueError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None
    log = structlog.get_logger("gelap.relayer")
    stop = threading.Event()
    tending = threading.Thread(target=service.run, args=(stop,), name="tend")
    tending.start()
    log.info("relayer ready", account=account.address, pool=seen.address, chain_id=seen.chain_id, address=address)
    config = uvicorn.Config(
        relayer_app(service),
        host=host.strip("[]"),
        port=int(port),
        log_config=None,
        access_log=False,
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=10,
    )
    server = uvicorn.Server(config)
    # Its own way ends the process by the signal again; a relayer that was asked to stop exits with 0.
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: setattr(server, "should_exit", True))
    try:
        server.run()
    finally:
        stop.set()
        tending.join()
        kept.close()
    log.info("relayer stopped")
