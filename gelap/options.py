"""Options that commands of several servers share: one name, one variable and one wording for each.

A server's own addresses and limits have variables of their own, so that several servers can have one environment: those
options are made by functions.
"""

from pathlib import Path
from typing import Annotated, Any

import typer

from gelap.logs import LogLevel

RpcUrls = Annotated[
    list[str] | None,
    typer.Option(
        envvar="GELAP_RPC_URL",
        help="JSON-RPC endpoint; repeat, or separate by blanks, for others to turn to when one fails.",
    ),
]

_POOL = typer.Option(envvar="GELAP_POOL", help="The pool's address.")
Pool = Annotated[str, _POOL]
OptionalPool = Annotated[str | None, _POOL]

KeyFile = Annotated[
    str,
    typer.Option(envvar="GELAP_EVM_KEY_FILE", help="The key of the account that pays for gas: a file, or - for stdin."),
]
PassphraseFile = Annotated[
    Path | None, typer.Option(envvar="GELAP_EVM_PASSPHRASE_FILE", help="The passphrase, if the key is a JSON keystore.")
]
StuckAfter = Annotated[float, typer.Option(min=1, help="Seconds until a transaction is replaced.")]
DearestGwei = Annotated[int, typer.Option(min=1, help="The most to pay for a unit of gas.")]

RedisUrl = Annotated[
    str | None, typer.Option(envvar="GELAP_REDIS_URL", help="Redis of the cluster.", show_default=False)
]
Level = Annotated[LogLevel, typer.Option(envvar="GELAP_LOG_LEVEL", help="The least severe lines to log.")]


def metrics_address(variable: str, what: str = "/metrics") -> Any:
    """Where operators find `what`; None and '' are nowhere."""
    return typer.Option(
        envvar=variable,
        help=f"Where to serve {what}, host:port, in plain HTTP for operators only.",
        show_default="nowhere",
    )


def rate(variable: str, default: str | None = None) -> Any:
    """How often one address may ask; `default` is shown where the option's own is None."""
    return typer.Option(
        envvar=variable, min=0, help="Requests a second of one address; 0: any number.", show_default=default or True
    )


def burst(variable: str, default: str | None = None) -> Any:
    """How many requests it may make at once; `default` as for `rate`."""
    return typer.Option(envvar=variable, min=1, help="Its requests at once.", show_default=default or True)


def trusted_proxies(variable: str) -> Any:
    """Whose word on a caller's address counts; nobody's by default."""
    return typer.Option(
        envvar=variable,
        help="Addresses or networks of proxies whose X-Forwarded-For says which address asks.",
        show_default="none",
    )
