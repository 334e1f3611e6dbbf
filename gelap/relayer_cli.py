"""`gelap relayer`."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from gelap import options
from gelap.logs import LogLevel, configure_logs


def relayer(
    pool: options.Pool,
    prices: Annotated[
        Path,
        typer.Option(
            envvar="GELAP_RELAYER_PRICES",
            help="A JSON file: token addresses, and what one ether costs in each one's smallest unit, as text.",
        ),
    ],
    key_file: options.KeyFile,
    journal: Annotated[
        Path, typer.Option(envvar="GELAP_RELAYER_JOURNAL", help="The file of what was sent; it outlives a restart.")
    ] = Path("relayer.db"),
    passphrase_file: options.PassphraseFile = None,
    viewing_key_file: Annotated[
        Path | None,
        typer.Option(
            envvar="GELAP_RELAYER_VIEWING_KEY_FILE",
            help="Take fees as notes to the first address of the account whose exported viewing key is in this file.",
        ),
    ] = None,
    rpc_url: options.RpcUrls = None,
    address: Annotated[
        str, typer.Option(envvar="GELAP_RELAYER_ADDRESS", help="Where to serve, host:port, behind a TLS proxy.")
    ] = "127.0.0.1:8091",
    metrics_address: Annotated[str | None, options.metrics_address("GELAP_RELAYER_METRICS_ADDRESS")] = None,
    rate: Annotated[float, options.rate("GELAP_RELAYER_RATE")] = 20.0,
    burst: Annotated[int, options.burst("GELAP_RELAYER_BURST")] = 100,
    trusted_proxies: Annotated[str | None, options.trusted_proxies("GELAP_RELAYER_TRUSTED_PROXIES")] = None,
    margin: Annotated[int, typer.Option(min=0, help="Per cent that a quote is above the cost of its gas.")] = 30,
    extra_wei: Annotated[
        int, typer.Option(min=0, help="Fixed cost of a payment in wei, such as what a rollup charges for its data.")
    ] = 0,
    quote_life: Annotated[int, typer.Option(min=10, help="Seconds that a quote holds, at least.")] = 120,
    stuck_after: options.StuckAfter = 45.0,
    dearest_gwei: options.DearestGwei = 500,
    confirmations: Annotated[
        int, typer.Option(min=1, help="Blocks that must hold a payment, its own included, until it is settled.")
    ] = 1,
    final_after: Annotated[
        int, typer.Option(min=1, help="Blocks until a payment is no longer watched for reorganisations.")
    ] = 64,
    most_pending: Annotated[int, typer.Option(min=1, help="Payments under way at once.")] = 64,
    most_pending_per_token: Annotated[int, typer.Option(min=1, help="Those of one token.")] = 32,
    least_balance: Annotated[
        float, typer.Option(min=0, help="Take nothing that could leave the account less ether than this.")
    ] = 0.0,
    drain: Annotated[
        float, typer.Option(min=0, help="Seconds that payments under way are followed for when told to stop.")
    ] = 10.0,
    log_level: options.Level = LogLevel.INFO,
) -> None:
    """Settle other people's payments for a fee in the token they pay with, until SIGTERM or Ctrl-C.

    It cannot change a payment, only refuse or delay it. It logs its transactions, and never who asked. One account, one
    journal, one process. docs/relayer.md tells more.
    """
    configure_logs(log_level)
    from chain.accounts import read_account
    from chain.errors import ChainError
    from chain.pool import Pool
    from chain.relayer.journal import Journal
    from chain.relayer.note_fees import NoteFees
    from chain.relayer.policy import Policy
    from chain.relayer.prices import Margin, Prices
    from chain.relayer.server import Serving, serve
    from chain.relayer.service import Relayer
    from chain.rpc import connect
    from wallet.errors import WalletError
    from wallet.viewing_key import decode

    kept: Journal | None = None
    try:
        account = read_account(key_file, passphrase_file)
        fees = None
        if viewing_key_file is not None:
            fees = NoteFees.of(decode(_text(viewing_key_file)))
        rates = Prices(prices, Margin(margin, extra_wei))
        seen = Pool(connect(rpc_url or ()), pool, account)
        kept = Journal(journal)
        policy = Policy(
            quote_life=quote_life,
            stuck_after=stuck_after,
            dearest=dearest_gwei * 10**9,
            confirmations=confirmations,
            final_after=max(final_after, confirmations),
            most_pending=most_pending,
            most_pending_per_token=most_pending_per_token,
            least_balance=int(least_balance * 10**18),
        )
        service = Relayer(seen, account, rates, kept, policy, note_fees=fees)
        service.require_usable()
        asyncio.run(
            serve(service, Serving(address, metrics_address or None, rate, burst, drain, trusted_proxies or ""))
        )
    except (ChainError, WalletError, ValueError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None
    finally:
        if kept is not None:
            kept.close()


def _text(path: Path) -> str:
    from chain.errors import ChainError

    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ChainError(f"{path} cannot be read ({type(error).__name__})") from None
