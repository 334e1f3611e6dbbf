"""The options that commands of `gelap wallet` share, in groups, and the values they were given."""

import inspect
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

Group = tuple[inspect.Parameter, ...]

OPENLY, PRIVATELY = "openly", "privately"
AUTO_DELAY = "auto"


@dataclass(frozen=True)
class Options:
    """As given on the command line; what they mean is below."""

    folder: Path
    passphrase_file: str | None = None
    as_json: bool = False
    quiet: bool = False
    chain: str | None = None
    rpc_url: list[str] = field(default_factory=list)
    indexer: str | None = None
    pool: str | None = None
    deployed_at: int | None = None
    proxy: str | None = None
    ca_file: str | None = None
    confirmations: int | None = None
    prover: str = "local"
    prover_fingerprint: str | None = None
    prover_ca: str | None = None
    evm_key_file: Path | None = None
    evm_passphrase_file: str | None = None
    relayer: str | None = None
    fee: str | None = None
    max_fee: str | None = None
    pay_relayer: str = OPENLY
    payment_file: str | None = None
    decimals: int = 0
    delay: str = "0"
    yes: bool = False
    dry_run: bool = False


def _option(name: str, kind: Any, default: Any, **settings: Any) -> inspect.Parameter:
    flags = settings.pop("flags", ())
    if default is None:
        settings["show_default"] = False
    annotation = Annotated[kind, typer.Option(*flags, **settings)]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


OUTPUT: Group = (
    _option(
        "folder", Path, Path("~/.gelap/wallet"), flags=("--wallet",), envvar="GELAP_WALLET", help="The wallet's folder."
    ),
    _option(
        "passphrase_file",
        str | None,
        None,
        envvar="GELAP_PASSPHRASE_FILE",
        help="File with the wallet's passphrase; - for stdin. Default: ask.",
    ),
    _option("as_json", bool, False, flags=("--json",), help="Print one JSON document on stdout."),
    _option("quiet", bool, False, flags=("--quiet", "-q"), help="No words for people, only errors."),
)
CHAIN: Group = (
    _option(
        "chain",
        str | None,
        None,
        envvar="GELAP_CHAIN",
        help="local, ethereum, optimism, base, arbitrum or sepolia.",
    ),
    _option(
        "rpc_url",
        list[str] | None,
        None,
        envvar="GELAP_RPC_URL",
        help="The chain's node; several times, or separated by blanks: the next is asked when one does not answer.",
    ),
    _option(
        "indexer",
        str | None,
        None,
        envvar="GELAP_INDEXER",
        help="An indexer's URL: the pool's events come from there, checked through the node. Default: the node.",
    ),
    _option("pool", str | None, None, help="The pool's address; remembered."),
    _option("deployed_at", int | None, None, min=0, help="The pool's first block; remembered."),
    _option(
        "proxy",
        str | None,
        None,
        envvar="GELAP_PROXY",
        help="All connections go through it, such as socks5h://127.0.0.1:9050.",
    ),
    _option(
        "ca_file",
        str | None,
        None,
        envvar="GELAP_CA_FILE",
        help="Certificates (PEM) to trust for node, indexer and relayer, in place of the public ones.",
    ),
    _option(
        "confirmations",
        int | None,
        None,
        min=0,
        help="Leave out so many of the newest blocks. Default: 0 local, 12 Ethereum, else 20.",
    ),
)
PROVER: Group = (
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
    ),
    _option(
        "prover_ca",
        str | None,
        None,
        envvar="GELAP_PROVER_CA",
        help="Certificates (PEM) to trust for the remote prover, in place of the public ones.",
    ),
)
PAYER: Group = (
    _option(
        "evm_key_file",
        Path | None,
        None,
        envvar="GELAP_EVM_KEY_FILE",
        help="Key of the account that pays for gas: Ethereum's encrypted JSON, or hexadecimal.",
    ),
    _option("evm_passphrase_file", str | None, None, help="File with its passphrase; - for stdin."),
    _option("yes", bool, False, flags=("--yes", "-y"), help="Do not ask."),
    _option("dry_run", bool, False, flags=("--dry-run",), help="Show what would happen; sign and send nothing."),
)
AMOUNT: Group = (_option("decimals", int, 0, min=0, max=36, help="Amounts have so many digits after the point."),)
RELAYER: Group = (
    _option(
        "relayer",
        str | None,
        None,
        envvar="GELAP_RELAYER",
        help="A relayer's URL: it pays for gas and gets a fee. Or the EVM address that gets --fee.",
    ),
)
SPEND: Group = (
    *RELAYER,
    _option("max_fee", str | None, None, help="The most that a relayer's URL may ask; with --yes it must be given."),
    _option("fee", str | None, None, help="What the relayer's address gets."),
    _option(
        "pay_relayer",
        str,
        OPENLY,
        help=f"{OPENLY}: anybody sees the fee and its token. {PRIVATELY}: with a note, in a private payment.",
    ),
    _option(
        "delay",
        str,
        "0",
        help=f"Wait a random time of up to so many seconds first; {AUTO_DELAY}: up to an hour.",
    ),
)
PAYMENT: Group = (
    _option(
        "payment_file",
        str | None,
        None,
        help="JSON with to, token, amount and maybe text, in place of arguments that others could see; - for stdin.",
    ),
)
