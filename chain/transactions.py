"""One account's transactions to one contract: signed with a chosen nonce, replaced when they are stuck, or cancelled.

Nodes take a replacement with the same nonce only when both gas prices rise by a tenth; an eighth is sure to do.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eth_account.signers.local import LocalAccount
from hexbytes import HexBytes
from web3 import Web3
from web3.exceptions import BlockNotFound, ContractLogicError, TransactionNotFound

from chain.errors import ChainError, RpcError, UnavailableError
from chain.rpc import rpc_errors
from chain.sender import LARGEST_TIP

CANCEL_GAS = 21_000
"""What a transaction takes that only uses its nonce up."""


@dataclass(frozen=True)
class GasPrice:
    """EIP-1559, in wei: at most `max_fee` for each unit of gas, `tip` of it for the block's proposer."""

    max_fee: int
    tip: int

    def raised(self) -> "GasPrice":
        """By an eighth, and by 1 wei at least."""
        return GasPrice(self.max_fee + self.max_fee // 8 + 1, self.tip + self.tip // 8 + 1)

    def at_most(self, max_fee: int) -> "GasPrice":
        """Not above `max_fee` wei: where the market asks for more, the transaction waits until it asks for less."""
        return GasPrice(min(self.max_fee, max_fee), min(self.tip, max_fee))

    def at_least(self, other: "GasPrice") -> "GasPrice":
        return GasPrice(max(self.max_fee, other.max_fee), max(self.tip, other.tip))


@dataclass(frozen=True)
class Mined:
    """A transaction in a block. Hashes are 0x hex; `cancelled` says that it only used its nonce up; `gas_price` is what
    a unit of gas cost, in wei.
    """

    transaction: str
    succeeded: bool
    cancelled: bool
    block_number: int
    block_hash: str
    gas_used: int
    gas_price: int


class Transactions:
    """Every method raises RpcError when the node does not answer."""

    def __init__(self, w3: Web3, account: LocalAccount, to: str, chain_id: int) -> None:
        self._w3 = w3
        self._account = account
        self._to = to
        self._chain_id = chain_id

    def price(self) -> GasPrice:
        """The market's: twice the base fee leaves room for six full blocks."""
        base, tip = self._market()
        return GasPrice(2 * base + tip, tip)

    def expected_price(self) -> int:
        """What a unit of gas costs about now, in wei."""
        return sum(self._market())

    def balance(self) -> int:
        """The account's, in wei."""
        with rpc_errors():
            return self._w3.eth.get_balance(self._account.address)

    def nonce(self, block: str = "pending") -> int:
        with rpc_errors():
            return self._w3.eth.get_transaction_count(self._account.address, block)  # type: ignore[arg-type]

    def head(self) -> tuple[int, str]:
        """Number and hash of the newest block."""
        with rpc_errors():
            block = self._w3.eth.get_block("latest")
        return block["number"], HexBytes(block["hash"]).to_0x_hex()

    def sign(self, nonce: int, price: GasPrice, gas: int, data: str | None) -> tuple[str, bytes]:
        """The hash (0x hex) of a call of the contract with `data`, and the signed transaction; with `data` None of one
        to the account itself that only uses the nonce up.
        """
        fields: dict[str, Any] = {
            "chainId": self._chain_id,
            "nonce": nonce,
            "maxFeePerGas": price.max_fee,
            "maxPriorityFeePerGas": price.tip,
            "value": 0,
        }
        if data is None:
            fields |= {"to": self._account.address, "gas": CANCEL_GAS, "data": b""}
        else:
            fields |= {"to": self._to, "gas": gas, "data": HexBytes(data)}
        signed = self._account.sign_transaction(fields)
        return signed.hash.to_0x_hex(), bytes(signed.raw_transaction)

    def send(self, shown: str, raw: bytes) -> bool:
        """Hand over the transaction with the hash `shown`. False when the node refused it or was not reached; True also
        when its answer was lost, or when it has it already.
        """
        try:
            with rpc_errors():
                self._w3.eth.send_raw_transaction(raw)
        except (RpcError, ContractLogicError) as error:
            # A node that took it and did not answer, or another endpoint's peer, refuses it the second time.
            return isinstance(error, UnavailableError) or self._known(shown)
        return True

    def mined(self, hashes: Sequence[str]) -> Mined | None:
        """The one of these transactions, all of one nonce and the newest last, that is in a block."""
        for shown in reversed(hashes):
            try:
                with rpc_errors():
                    receipt = self._w3.eth.get_transaction_receipt(HexBytes(shown))
            except ChainError as error:
                if isinstance(error.__cause__, TransactionNotFound):
                    continue
                raise
            return Mined(
                transaction=shown,
                succeeded=receipt["status"] == 1,
                cancelled=receipt["to"] == self._account.address,
                block_number=receipt["blockNumber"],
                block_hash=HexBytes(receipt["blockHash"]).to_0x_hex(),
                gas_used=receipt["gasUsed"],
                gas_price=receipt.get("effectiveGasPrice", 0),
            )
        return None

    def _market(self) -> tuple[int, int]:
        with rpc_errors():
            base = self._w3.eth.get_block("latest")["baseFeePerGas"]
            tip = self._w3.eth.max_priority_fee
        return base, min(tip, LARGEST_TIP)

    def _known(self, shown: str) -> bool:
        try:
            with rpc_errors():
                self._w3.eth.get_transaction(HexBytes(shown))
        except ChainError as error:
            # Not asked successfully means not known to be free: better to look for it later than to forget it.
            return not isinstance(error.__cause__, TransactionNotFound | BlockNotFound)
        return True
