"""Signs transactions with a local key, sends them and waits for their receipts."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from eth_account.datastructures import SignedTransaction
from eth_account.signers.local import LocalAccount
from eth_typing import BlockNumber, ChecksumAddress
from hexbytes import HexBytes
from web3 import Web3
from web3.exceptions import ContractLogicError, TimeExhausted
from web3.types import BlockIdentifier, TxParams, TxReceipt

from chain.errors import ChainError, NotMinedError, RevertedError, RpcError, UnavailableError
from chain.reverts import RevertDecoder
from chain.rpc import on_one_endpoint, rpc_errors

GAS_MARGIN_PERCENT = 20
LARGEST_TIP = 50 * 10**9
"""The most that is offered to a block's proposer, in wei for a unit of gas: the node names that price, and a false one
could have the account's ether given away. The rest of the price is the block's own base fee, which no node can raise.
"""

Block = BlockIdentifier | int


@dataclass(frozen=True)
class Receipt:
    """A mined, successful transaction. `timestamp` is its block's, in seconds since 1970."""

    tx_hash: str
    block_number: int
    gas_used: int
    timestamp: int
    contract_address: ChecksumAddress | None = None


class Sender:
    """Sends transactions of one account; `account` None makes a client that can only read."""

    def __init__(
        self,
        w3: Web3,
        account: LocalAccount | None,
        reverts: RevertDecoder,
        timeout: float = 120.0,
        chain_id: int | None = None,
    ) -> None:
        """Transactions are signed for the chain `chain_id`, or, when None, for the one the node is on at the first."""
        self._w3 = w3
        self._chain_id = chain_id
        self._account = account
        self._reverts = reverts
        self._timeout = timeout

    @property
    def account(self) -> LocalAccount:
        """The account that signs and pays for gas; ChainError when this client can only read."""
        if self._account is None:
            raise ChainError("this client can only read the chain: give it an account that pays for gas")
        return self._account

    def call(self, to: ChecksumAddress, data: str, block: Block = "latest") -> HexBytes:
        """A read-only call; RevertedError when the contract refuses it."""
        try:
            with rpc_errors():
                return self._w3.eth.call({"to": to, "data": HexBytes(data)}, block)
        except ContractLogicError as error:
            raise self._reverts.decode(error) from error

    def estimate(self, to: ChecksumAddress, data: str, block: Block = "pending") -> int:
        """The gas that a call takes after `block`; RevertedError when it would be refused there.

        "pending" is after everything that waits, this account's own transactions included.
        """
        try:
            with rpc_errors():
                return self._w3.eth.estimate_gas(
                    {"from": self.account.address, "to": to, "data": HexBytes(data)}, block
                )
        except ContractLogicError as error:
            raise self._reverts.decode(error) from error

    def send(self, to: ChecksumAddress | None, data: str) -> Receipt:
        """Send one transaction (`to` None deploys the code in `data`) and wait until it is mined.

        A call that would fail is refused before anything is sent (RevertedError with no `transaction`). Raises
        NotMinedError when the transaction was sent and no block holds it within the time limit, or the node took it
        and its answer was lost.
        """
        signer = self.account
        call: TxParams = {"from": signer.address, "data": HexBytes(data)}
        if to is not None:
            call["to"] = to
        try:
            # Gas, nonce and price as one endpoint sees them; nothing is signed twice once it was handed over.
            signed = on_one_endpoint(self._w3, partial(self._prepare, call))
            tx_hash = signed.hash
            self._hand_over(signed)
        except ContractLogicError as error:
            raise self._reverts.decode(error) from error
        receipt = self._wait(tx_hash)
        if receipt["status"] != 1:
            raise self._reason(call, receipt)
        return Receipt(
            tx_hash=tx_hash.to_0x_hex(),
            block_number=receipt["blockNumber"],
            gas_used=receipt["gasUsed"],
            timestamp=self._time_of(receipt),
            contract_address=receipt.get("contractAddress"),
        )

    def _prepare(self, call: TxParams) -> SignedTransaction:
        with rpc_errors():
            # "pending" is the block the transaction will run in: the pool's rules depend on that block's time.
            estimate = self._w3.eth.estimate_gas(call, "pending")
            limited: TxParams = {**call, "gas": estimate + estimate * GAS_MARGIN_PERCENT // 100}
            return self.account.sign_transaction(self._complete(limited, self.account.address))

    def _complete(self, call: TxParams, payer: ChecksumAddress) -> dict[str, Any]:
        """Add chain, nonce and fees (EIP-1559: twice the base fee leaves room for six full blocks)."""
        base_fee = self._w3.eth.get_block("latest")["baseFeePerGas"]
        tip = min(self._w3.eth.max_priority_fee, LARGEST_TIP)
        if self._chain_id is None:
            self._chain_id = self._w3.eth.chain_id
        filled: dict[str, Any] = {key: value for key, value in call.items() if key != "from"}
        return filled | {
            "chainId": self._chain_id,
            "nonce": self._w3.eth.get_transaction_count(payer, "pending"),
            "maxPriorityFeePerGas": tip,
            "maxFeePerGas": 2 * base_fee + tip,
        }

    def _hand_over(self, signed: SignedTransaction) -> None:
        try:
            with rpc_errors():
                self._w3.eth.send_raw_transaction(signed.raw_transaction)
        except RpcError as error:
            if not isinstance(error, UnavailableError) or not error.delivered:
                raise  # the node answered, and refused, or nobody got it
            shown = signed.hash.to_0x_hex()
            raise NotMinedError(
                f"the chain's endpoint did not answer when transaction {shown} was sent: it may have been taken all "
                "the same, look it up before trying again",
                shown,
            ) from error

    def _wait(self, tx_hash: HexBytes) -> TxReceipt:
        shown = tx_hash.to_0x_hex()
        try:
            with rpc_errors():
                return self._w3.eth.wait_for_transaction_receipt(tx_hash, timeout=self._timeout, poll_latency=0.05)
        except ChainError as error:
            if isinstance(error.__cause__, TimeExhausted):
                reason = f"is not mined after {self._timeout:.0f} s"
            else:
                reason = "was sent, but its receipt could not be read"
            raise NotMinedError(
                f"transaction {shown} {reason}: it may still land, look it up before trying again", shown
            ) from error

    def _time_of(self, receipt: TxReceipt) -> int:
        try:
            with rpc_errors():
                return self._w3.eth.get_block(receipt["blockNumber"])["timestamp"]
        except ChainError as error:
            shown = receipt["transactionHash"].to_0x_hex()
            raise NotMinedError(
                f"transaction {shown} was mined, but its block could not be read: look it up before trying again", shown
            ) from error

    def _reason(self, call: TxParams, receipt: TxReceipt) -> RevertedError:
        """Why a mined transaction failed: run it again on the state before its block and decode the refusal."""
        shown = receipt["transactionHash"].to_0x_hex()
        try:
            with rpc_errors():
                self._w3.eth.call(call, BlockNumber(receipt["blockNumber"] - 1))
        except ContractLogicError as error:
            return self._reverts.decode(error, shown)
        except ChainError:
            pass
        return RevertedError(
            f"transaction {shown} was mined and refused; running it again does not: another transaction came first",
            transaction=shown,
        )
