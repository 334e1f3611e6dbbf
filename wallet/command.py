"""Makes a function of a session into a command: adds the options of its group, and turns errors into exit codes."""

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from chain.pool import NOBODY
from wallet.exit_codes import ENDINGS, KNOWN, Ending, ending_of
from wallet.output import Output
from wallet.session import Options, Session


def _option(name: str, kind: Any, default: Any, **settings: Any) -> inspect.Parameter:
    flags = settings.pop("flags", ())
    annotation = Annotated[kind, typer.Option(*flags, **settings)]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


OUTPUT = (
    _option(
        "folder", Path, Path("~/.gelap/wallet"), flags=("--wallet",), envvar="GELAP_WALLET", help="The wallet's folder."
    ),
    _option(
        "passphrase_file",
        str | None,
        None,
        envvar="GELAP_PASSPHRASE_FILE",
        help="File with the wallet's passphrase; - for stdin. Default: ask.",
        show_default=False,
    ),
    _option("as_json", bool, False, flags=("--json",), help="Print one JSON document on stdout."),
    _option("quiet", bool, False, flags=("--quiet", "-q"), help="No words for people, only errors."),
)
CHAIN = (
    _option(
        "chain",
        str | None,
        None,
        envvar="GELAP_CHAIN",
        help="local, ethereum, optimism, base, arbitrum or sepolia.",
        show_default=False,
    ),
    _option("rpc_url", str | None, None, envvar="GELAP_RPC_URL", help="The chain's node.", show_default=False),
    _option("pool", str | None, None, help="The pool's address; remembered.", show_default=False),
    _option("deployed_at", int | None, None, min=0, help="The pool's first block; remembered.", show_default=False),
    _option(
        "proxy",
        str | None,
        None,
        envvar="GELAP_PROXY",
        help="All connections go through it, such as socks5h://127.0.0.1:9050.",
        show_default=False,
    ),
    _option(
        "confirmations",
        int | None,
        None,
        min=0,
        help="Leave out so many of the newest blocks. Default: 0 local, 12 Ethereum, else 20.",
        show_default=False,
    ),
)
PROVER = (
    _option(
        "prover",
        str,
        "local",
        envvar="GELAP_PROVER",
        help="local, grpc:// or grpcs://host:port, or http(s)://host; a remote one wants GELAP_API_KEY.",
    ),
    _option(
        "prover_fingerprint",
        str | None,
        None,
        envvar="GELAP_PROVER_FINGERPRINT",
        help="SHA-256 of the remote cluster's key.",
        show_default=False,
    ),
)
PAYER = (
    _option(
        "evm_key_file",
        Path | None,
        None,
        envvar="GELAP_EVM_KEY_FILE",
        help="Key of the account that pays for gas: Ethereum's encrypted JSON, or hexadecimal.",
        show_default=False,
    ),
    _option("evm_passphrase_file", str | None, None, help="File with its passphrase; - for stdin.", show_default=False),
    _option("yes", bool, False, flags=("--yes", "-y"), help="Do not ask."),
    _option("dry_run", bool, False, flags=("--dry-run",), help="Show what would happen; sign and send nothing."),
)
AMOUNT = (_option("decimals", int, 0, min=0, max=36, help="Amounts have so many digits after the point."),)
SPEND = (
    _option("relayer", str, NOBODY, help="EVM address that gets the fee.", show_default=False),
    _option("fee", str, "0", help="What the relayer gets."),
    _option("delay", int, 0, min=0, max=86_400, help="Wait a random time of up to so many seconds first."),
)

Body = Callable[..., dict[str, Any]]


def register(app: typer.Typer, name: str, *groups: tuple[inspect.Parameter, ...]) -> Callable[[Body], Body]:
    """Add the command `name`: its function takes a Session, then its own parameters, and returns the JSON result."""
    shared = [parameter for group in (OUTPUT, *groups) for parameter in group]

    def decorate(body: Body) -> Body:
        own = list(inspect.signature(body, eval_str=True).parameters.values())[1:]

        @functools.wraps(body)
        def run(**given: Any) -> None:
            values = {parameter.name: given.pop(parameter.name) for parameter in shared}
            values["folder"] = values["folder"].expanduser()
            _run(name, body, Options(**values), given)

        parameters = [*own, *shared]
        run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
        )
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        del run.__wrapped__  # else its signature would be taken
        app.command(name)(run)
        return body

    return decorate


def _run(name: str, body: Body, options: Options, arguments: dict[str, Any]) -> None:
    output = Output(name, options.as_json, options.quiet)
    try:
        result = body(Session(options, output), **arguments)
    except KNOWN as error:
        _fail(output, error, ending_of(error))
    except KeyboardInterrupt as error:
        _fail(output, error, ENDINGS[-1])
    else:
        output.finish(result)


def _fail(output: Output, error: BaseException, ending: Ending) -> None:
    output.fail(error, ending)
    raise typer.Exit(ending.code) from None
