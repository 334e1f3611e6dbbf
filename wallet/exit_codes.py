"""How `gelap wallet` ends: one exit code and one name for every kind of error, for scripts to act on."""

from dataclasses import dataclass

from chain.errors import (
    ChainError,
    MismatchError,
    NodesDisagreeError,
    NotMinedError,
    RelayerError,
    ReorgError,
    RevertedError,
    RpcError,
    SourceError,
)
from proto.errors import ProverClientError
from protocol.errors import ProtocolError
from prover.errors import ProverError
from wallet import errors


@dataclass(frozen=True)
class Ending:
    """`kinds` are the exceptions that end so; a subclass with a row of its own goes by that one."""

    code: int
    name: str
    meaning: str
    kinds: tuple[type[BaseException], ...] = ()


ENDINGS = (
    Ending(0, "ok", "done"),
    Ending(1, "failed", "anything else", (errors.WalletError, ChainError, ProverError, OSError)),
    Ending(2, "usage", "an option, address or amount that cannot be used", (errors.RequestError, ProtocolError)),
    Ending(
        3,
        "wallet-file",
        "no wallet there, or a file that cannot be used",
        (errors.WalletFileError, errors.KeystoreError),
    ),
    Ending(4, "passphrase", "a passphrase that is wrong, missing or too short", (errors.PassphraseError,)),
    Ending(5, "insufficient-funds", "the balance does not cover it", (errors.InsufficientFundsError,)),
    Ending(
        6,
        "not-spendable-yet",
        "the balance will cover it, after a tree update or when an unfinished payment ends",
        (errors.NotSpendableYetError,),
    ),
    Ending(
        7,
        "consolidate-first",
        "the balance covers it in too many notes: `gelap wallet consolidate`",
        (errors.ConsolidationError,),
    ),
    Ending(
        8,
        "endpoint",
        "the chain's node or the indexer does not answer, or its blocks keep changing",
        (RpcError, ReorgError, SourceError),
    ),
    Ending(9, "refused", "the contract refused; nothing was moved", (RevertedError,)),
    Ending(
        10,
        "not-mined",
        "sent and not seen in a block: it may still settle, so do not pay again; see `gelap wallet status`",
        (NotMinedError,),
    ),
    Ending(
        11,
        "mismatch",
        "the node's answers contradict each other: use another node",
        (MismatchError, NodesDisagreeError),
    ),
    Ending(12, "not-proved", "no proof was delivered; nothing was sent", (errors.ProvingError, ProverClientError)),
    Ending(13, "view-only", "the wallet has only a viewing key", (errors.ViewOnlyError,)),
    Ending(14, "not-confirmed", "nobody said yes", (errors.NotConfirmedError,)),
    Ending(15, "unproxied", "a connection would go around the chosen proxy", (errors.UnproxiedError,)),
    Ending(
        16,
        "relayer",
        "the relayer refuses, asks for too much or does not answer; nothing was signed",
        (RelayerError,),
    ),
    Ending(
        17,
        "payment-kept",
        "the relayer refused or fell silent after the proof: the payment is kept, so do not pay again; see "
        "`gelap wallet resume`",
        (errors.PaymentKeptError,),
    ),
    Ending(130, "interrupted", "Ctrl-C", (KeyboardInterrupt,)),
)

KNOWN = tuple(kind for ending in ENDINGS for kind in ending.kinds)


def ending_of(error: BaseException) -> Ending:
    """The row of the error's own class, or of the nearest class it derives from."""
    for kind in type(error).__mro__:
        for ending in ENDINGS:
            if kind in ending.kinds:
                return ending
    raise TypeError(f"{type(error).__name__} has no exit code") from error
