"""Reads the reason out of a refused contract call.

Solidity custom errors arrive as a 4-byte selector and ABI-encoded arguments; the contracts' ABIs say which error that
is. The table below turns the ones a user can cause into advice.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from eth_abi import decode
from eth_abi.exceptions import DecodingError
from eth_utils.abi import collapse_if_tuple, function_abi_to_4byte_selector
from web3.exceptions import ContractLogicError

from chain.errors import RevertedError

REVERT_STRING = bytes.fromhex("08c379a0")  # Error(string)

ADVICE = {
    "AmountOutOfRange": "an amount must be above 0 and below 2^128",
    "BalanceMismatch": "the token moved another amount than asked; tokens that charge fees or rebase are unsupported",
    "BatchSize": "the queue has changed: plan the tree update again",
    "BatchTooShort": "a batch below 64 must wait for the 60-second epochs and hold all that is due: plan it again",
    "Expired": "the payment came too late: build it again",
    "InsufficientAllowance": "approve the amount for the pool first",
    "InsufficientBalance": "the account holds less than that",
    "InvalidProof": "the proof was made for other inputs or with other keys than the pool's",
    "MemoLength": "a memo is 224 bytes",
    "NullifierAlreadyUsed": "a note of this payment is spent already: synchronise and build the payment again",
    "PoolIsPayee": "the pool cannot be the receiver or the relayer",
    "ReceiverMissing": "a withdrawal needs a receiver",
    "RelayerMissing": "a fee needs a relayer",
    "TokenWithoutCode": "there is no token at this address",
    "TransferFailed": "the token refused the transfer: check balance and allowance",
    "TreeFull": "the pool is full: notes can only be withdrawn",
    "UnknownArity": "the pool has no key for this number of notes",
    "UnknownKey": "the verifier was deployed without this verification key",
    "UnknownRoot": "the tree never had this root: synchronise and build the payment again",
}


class RevertDecoder:
    """Decodes the custom errors of the given contract ABIs."""

    def __init__(self, abis: Iterable[Iterable[Mapping[str, Any]]]) -> None:
        self._errors: dict[bytes, Mapping[str, Any]] = {}
        for abi in abis:
            for entry in abi:
                if entry.get("type") == "error":
                    self._errors[bytes(function_abi_to_4byte_selector(entry))] = entry  # type: ignore[arg-type]

    def decode(self, error: ContractLogicError, transaction: str | None = None) -> RevertedError:
        """The refusal as a RevertedError with a readable message; unknown reasons keep the node's own words."""
        data = revert_data(error)
        entry = self._errors.get(data[:4])
        if entry is None:
            reason = _revert_string(data) or str(error.message or "execution reverted")
            return RevertedError(f"the contract refused the call: {reason}", transaction=transaction)
        names = [item["name"] for item in entry["inputs"]]
        try:
            values = decode([collapse_if_tuple(item) for item in entry["inputs"]], data[4:])
        except DecodingError:
            values = ()
        arguments = dict(zip(names, values, strict=False))
        shown = ", ".join(f"{name}={_shown(value)}" for name, value in arguments.items())
        advice = ADVICE.get(entry["name"])
        message = f"the contract refused the call with {entry['name']}({shown})"
        if advice:
            message = f"{message}: {advice}"
        return RevertedError(message, entry["name"], arguments, transaction)


def revert_data(error: ContractLogicError) -> bytes:
    """The raw revert data of `error`; empty when the node gave none."""
    data = error.data
    if isinstance(data, Mapping):
        data = data.get("data")
    if not isinstance(data, str) or not data.startswith("0x"):
        return b""
    try:
        return bytes.fromhex(data[2:])
    except ValueError:
        return b""


def _revert_string(data: bytes) -> str | None:
    if data[:4] != REVERT_STRING:
        return None
    try:
        return str(decode(["string"], data[4:])[0])
    except (DecodingError, UnicodeDecodeError):
        return None


def _shown(value: object) -> str:
    return "0x" + value.hex() if isinstance(value, bytes) else str(value)
