"""A node that lies where a transaction is signed: the price of gas, the chain, the nonce, a token's permits."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from eth_account import Account as EvmAccount
from eth_account.signers.local import LocalAccount
from eth_account.typed_transactions import TypedTransaction
from eth_utils import keccak
from hexbytes import HexBytes

from chain.errors import ChainError, MismatchError, NotMinedError, RevertedError
from chain.pool import Pool
from chain.sender import LARGEST_TIP
from chain.token import Token
from tests.service.adversaries.conftest import FalseNode
from wallet.wallet import Balance, Wallet

GWEI = 10**9


def sent(node: FalseNode) -> list[dict[str, Any]]:
    """The transactions that were handed to the node, decoded."""
    raws = [params[0] for method, params in node.asked if method == "eth_sendRawTransaction"]
    return [_decoded(raw) for raw in raws]


def _decoded(raw: str) -> dict[str, Any]:
    return dict(TypedTransaction.from_bytes(HexBytes(raw)).as_dict())


def test_a_node_cannot_have_the_ether_given_to_a_proposer(
    rich: Wallet, node: FalseNode, through: Callable[..., Wallet], token: Token
) -> None:
    """A tip of 10 ether a transaction is asked for; at most 50 gwei for a unit of gas are offered."""
    node.lies["eth_maxPriorityFeePerGas"] = lambda params, true: hex(10**19 // 400_000)
    wallet = through(rich)
    payer = wallet.pool.account.address  # type: ignore[union-attr]
    before = wallet.pool.w3.eth.get_balance(payer)
    wallet.send(rich.new_address(), token.address, 10)
    (transaction,) = sent(node)
    assert transaction["maxPriorityFeePerGas"] == LARGEST_TIP == 50 * GWEI
    assert before - wallet.pool.w3.eth.get_balance(payer) < 10**18 // 20


@pytest.mark.slow
def test_a_node_cannot_raise_the_base_fee_that_is_paid(
    rich: Wallet, node: FalseNode, through: Callable[..., Wallet], token: Token
) -> None:
    """What a transaction may cost at most follows the node's word, what it costs follows the block it is in."""

    def dear(params: list[Any], true: Any) -> Any:
        return true | {"baseFeePerGas": hex(1000 * GWEI)} if true else true

    node.lies["eth_getBlockByNumber"] = dear
    wallet = through(rich)
    receipt = wallet.send(rich.new_address(), token.address, 10).receipt
    mined = rich.pool.w3.eth.get_transaction_receipt(receipt.tx_hash)  # type: ignore[arg-type]
    block = rich.pool.w3.eth.get_block(mined["blockNumber"])
    assert mined["effectiveGasPrice"] <= block["baseFeePerGas"] + LARGEST_TIP < 100 * GWEI


def test_nothing_is_signed_for_another_chain_than_the_one_that_was_opened(
    rich: Wallet, node: FalseNode, through: Callable[..., Wallet], token: Token, pool: Pool
) -> None:
    """A node that turns into one of another chain gets neither a spend nor an approval that would be good there."""
    wallet = through(rich)
    node.lies["eth_chainId"] = lambda params, true: "0x1"
    wallet.send(rich.new_address(), token.address, 10)
    wallet.deposit(token.address, 7)
    assert {transaction["chainId"] for transaction in sent(node)} == {pool.chain_id}
    assert len(sent(node)) == 3


@pytest.mark.slow
def test_a_false_estimate_costs_the_gas_of_one_call(
    rich: Wallet, node: FalseNode, through: Callable[..., Wallet], token: Token, evm_accounts: list[LocalAccount]
) -> None:
    """The node says that a call will succeed that must fail, and the account pays for the failure. The notes stay."""
    wallet = through(rich)
    spend = wallet.prepare_send(rich.new_address(), token.address, 10)
    call = spend.call(wallet.prove(spend).proof)
    expired = replace(call, deadline=1)
    node.lies["eth_estimateGas"] = lambda params, true: hex(500_000)
    payer = wallet.pool.account.address  # type: ignore[union-attr]
    before = rich.pool.w3.eth.get_balance(payer)
    with pytest.raises(RevertedError, match="Expired") as error:
        wallet.pool.transact(expired)
    mined = rich.pool.w3.eth.get_transaction_receipt(error.value.transaction)  # type: ignore[arg-type]
    paid = before - rich.pool.w3.eth.get_balance(payer)
    assert paid == mined["gasUsed"] * mined["effectiveGasPrice"] < 100_000 * 100 * GWEI
    assert Pool(rich.pool.w3, rich.pool.address, evm_accounts[1]).transact(call).gas_used > 0


@pytest.mark.slow
def test_a_wrong_nonce_costs_waiting_and_not_money(
    rich: Wallet, node: FalseNode, through: Callable[..., Wallet], token: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One too low is refused by every honest node; one too high waits, and the notes stay reserved meanwhile."""
    wallet = through(rich)
    monkeypatch.setattr(wallet.pool._sender, "_timeout", 0.3)
    node.lies["eth_getTransactionCount"] = lambda params, true: "0x0"
    with pytest.raises(ChainError, match="nonce too low"):
        wallet.send(rich.new_address(), token.address, 10)
    assert wallet.balance(token.address) == Balance(160)
    node.lies["eth_getTransactionCount"] = lambda params, true: hex(int(true, 16) + 1)
    with pytest.raises(NotMinedError) as waiting:
        wallet.send(rich.new_address(), token.address, 10)
    assert wallet.balance(token.address) == Balance(100, reserved=60)
    del node.lies["eth_getTransactionCount"]
    # The account's next transaction fills the gap, and the one that waited settles: one payment, once.
    wallet.pool.token(token.address).approve(wallet.pool.address, 0)
    rich.pool.w3.eth.wait_for_transaction_receipt(waiting.value.transaction, timeout=60)  # type: ignore[arg-type]
    wallet.sync()
    assert [entry.kind for entry in wallet.history()].count("sent") == 1
    assert wallet.balance(token.address) == Balance(100, pending=60)


def test_a_permit_is_signed_for_the_token_that_was_named(
    rich: Wallet, node: FalseNode, through: Callable[..., Wallet], token: Token
) -> None:
    """With another token's EIP-712 domain, the permit of a worthless one would be that of a dear one."""
    wallet = through(rich)
    separator = "0x3644e515"  # DOMAIN_SEPARATOR()

    def other(params: list[Any], true: Any) -> Any:
        return "0x" + keccak(text="the domain of another token").hex() if params[0]["data"] == separator else true

    node.lies["eth_call"] = other
    with pytest.raises(MismatchError, match="not for this token on this chain"):
        wallet.deposit(token.address, 7, permit=True)
    assert sent(node) == []
    del node.lies["eth_call"]
    assert wallet.deposit(token.address, 7, permit=True).gas_used > 0


@pytest.mark.slow
@pytest.mark.parametrize("allowed", [0, 2**256 - 1])
def test_lies_about_allowances_never_lead_to_a_larger_one(
    rich: Wallet, node: FalseNode, through: Callable[..., Wallet], token: Token, pool: Pool, allowed: int
) -> None:
    """The wallet approves exactly what it deposits, so that the pool can never pull more."""
    wallet = through(rich)

    def lie(params: list[Any], true: Any) -> Any:
        return f"0x{allowed:064x}" if params[0]["data"].startswith("0xdd62ed3e") else true

    node.lies["eth_call"] = lie
    if allowed:
        with pytest.raises(ChainError, match="InsufficientAllowance"):
            wallet.deposit(token.address, 7)
    else:
        wallet.deposit(token.address, 7)
    assert token.allowance(wallet.pool.account.address, pool.address) == 0  # type: ignore[union-attr]


@pytest.mark.slow
def test_a_recovered_signer_shows_that_the_transactions_are_the_accounts(
    rich: Wallet, node: FalseNode, through: Callable[..., Wallet], token: Token
) -> None:
    """The decoder above reads what was sent: the control of the tests in this file."""
    wallet = through(rich)
    wallet.send(rich.new_address(), token.address, 10)
    (raw,) = [params[0] for method, params in node.asked if method == "eth_sendRawTransaction"]
    assert EvmAccount.recover_transaction(raw) == wallet.pool.account.address  # type: ignore[union-attr]
