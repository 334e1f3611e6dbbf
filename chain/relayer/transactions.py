"""One account's transactions to one contract: signed with a chosen nonce, replaced when they are stuck, or cancelled.

Nodes take a replacement with the same nonce only when both gas prices rise by a tenth; an eighth is sure to do.
"""

from dataclasses import dataclass, replace
from typing import Any

import requests
from eth_account.signers.local import LocalAccount
from hexbytes import HexBytes
from web3 import Web3
from web3.exceptions import TransactionNotFound

from chain.errors import ChainError, RpcError
from chain.relayer.journal import Submission
from chain.rpc import rpc_errors

_TRANSFER_GAS = 21_000


@dataclass(frozen=True)
class GasPrice:
    """EIP-1559, in wei: at most `max_fee` for each unit of gas, `tip` of it for the block's proposer."""

    max_fee: int
    tip: int

    def raised(self) -> "GasPrice":
        """By an eighth, and by 1 wei at least."""
        return GasPrice(self.max_fee + self.max_fee // 8 + 1, self.tip + self.tip // 8 + 1)


class Transactions:
    def __init__(self, w3: Web3, account: LocalAccount, to: str, chain_id: int) -> None:
        self._w3 = w3
        self._account = account
        self._to = to
        self._chain_id = chain_id

    def price(self) -> GasPrice:
        """The market's: twice the base fee leaves room for six full blocks."""
        with rpc_errors():
            base = self._w3.eth.get_block("latest")["baseFeePerGas"]
            tip = self._w3.eth.max_priority_fee
        return GasPrice(2 * base + tip, tip)

    def expected_price(self) -> int:
        """What a unit of gas costs about now, in wei."""
        with rpc_errors():
            return self._w3.eth.get_block("latest")["baseFeePerGas"] + self._w3.eth.max_priority_fee

    def nonce(self, block: str = "pending") -> int:
        with rpc_errors():
            return self._w3.eth.get_transaction_count(self._account.address, block)  # type: ignore[arg-type]

    def sign(self, item: Submission) -> tuple[Submission, bytes]:
        """The submission with the hash of the transaction it asks for, and that transaction."""
        fields: dict[str, Any] = {
            "chainId": self._chain_id,
            "nonce": item.nonce,
            "maxFeePerGas": item.max_fee,
            "maxPriorityFeePerGas": item.tip,
            "value": 0,
        }
        if item.cancelled:
            fields |= {"to": self._account.address, "gas": _TRANSFER_GAS, "data": b""}
        else:
            fields |= {"to": self._to, "gas": item.gas, "data": HexBytes(item.data)}
        signed = self._account.sign_transaction(fields)
        shown = signed.hash.to_0x_hex()
        hashes = item.hashes if shown in item.hashes else (*item.hashes, shown)
        return replace(item, hashes=hashes), bytes(signed.raw_transaction)

    def send(self, raw: bytes) -> bool:
        """Hand a transaction to the node. False when the node refused it; True also when no answer came."""
        try:
            with rpc_errors():
                self._w3.eth.send_raw_transaction(raw)
        except RpcError as error:
            return isinstance(error.__cause__, requests.RequestException)
        return True

    def mined(self, item: Submission) -> tuple[str, bool] | None:
        """The hash of the one of its transactions that is in a block, and whether it succeeded there."""
        for shown in reversed(item.hashes):
            try:
                with rpc_errors():
                    receipt = self._w3.eth.get_transaction_receipt(HexBytes(shown))
            except ChainError as error:
                if isinstance(error.__cause__, TransactionNotFound):
                    continue
                raise
            return shown, receipt["status"] == 1
        return None

    def recipient(self, shown: str) -> str | None:
        """Whom a transaction that is in a block goes to."""
        with rpc_errors():
            return self._w3.eth.get_transaction(HexBytes(shown))["to"]
