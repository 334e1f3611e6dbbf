"""Everything that can go wrong when talking to a chain.

ChainError
├── RpcError          the endpoint cannot be reached or does not answer a request
│   └── UnavailableError   no endpoint answered at all: another one may, or the same one later
├── RevertedError     a contract refused the call; `name` and `arguments` say which rule was broken
├── NotMinedError     a transaction was sent and is not mined yet: it may still land
├── ReorgError        blocks that were already read are no longer part of the chain
├── SourceError       an indexer cannot be used: silent, damaged, another pool's; use another one, or the node itself
├── RelayerError      a relayer refuses or cannot be used; `code` says why, one of those in docs/relayer.md
├── NodesDisagreeError   two nodes of one chain say different things: one of them is false, or on another fork
└── MismatchError     events, the tree built from them and the contract disagree: nothing may be built on that state
    └── FalseEventsError   a node has other events than the indexer, or the other node, that they were read from
"""

from typing import Any


class ChainError(Exception):
    """Base of all errors of this package; the message says what to do next."""


class RpcError(ChainError):
    pass


class UnavailableError(RpcError):
    """`wait_seconds` is what the endpoint asked to wait for; `timed_out`: a smaller question may be answered in time;
    `delivered`: the request may have reached the node all the same, and may have been acted on.
    """

    def __init__(
        self, message: str, *, wait_seconds: float = 0.0, timed_out: bool = False, delivered: bool = True
    ) -> None:
        super().__init__(message)
        self.wait_seconds = wait_seconds
        self.timed_out = timed_out
        self.delivered = delivered


class RevertedError(ChainError):
    """A refused call.

    `name` is the Solidity error's name (None for a revert without one), `arguments` its arguments by name, and
    `transaction` the hash of the transaction that was mined and reverted, or None if nothing was ever sent.
    """

    def __init__(
        self,
        message: str,
        name: str | None = None,
        arguments: dict[str, Any] | None = None,
        transaction: str | None = None,
    ) -> None:
        super().__init__(message)
        self.name = name
        self.arguments = arguments or {}
        self.transaction = transaction


class NotMinedError(ChainError):
    """The transaction `transaction` was handed to the network and was not seen in a block in time."""

    def __init__(self, message: str, transaction: str) -> None:
        super().__init__(message)
        self.transaction = transaction


class ReorgError(ChainError):
    pass


class MismatchError(ChainError):
    pass


class FalseEventsError(MismatchError):
    pass


class NodesDisagreeError(ChainError):
    pass


class SourceError(ChainError):
    pass


class RelayerError(ChainError):
    """`code` is one word, such as `expired` or `underpaid`."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code
