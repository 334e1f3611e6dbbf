"""What a failing relayer leaves of a payment: it settles once or not at all, whoever sends it in the end."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from eth_account.signers.local import LocalAccount
from web3 import Web3

from chain.errors import NotMinedError, RelayerError
from chain.pool import Pool, Spend
from chain.relayer.quote import SignedQuote
from chain.relayer.service import Relayer
from chain.relayer.wire import SubmissionModel
from chain.token import Token
from tests.service.chain.anvil import ask, no_mining
from tests.service.chain.relayed_wallets import Direct, unreachable, with_account
from tests.service.chain.relaying import make_relayer
from wallet import relaying
from wallet.errors import InsufficientFundsError, NotSpendableYetError
from wallet.notes import Balance
from wallet.wallet import Wallet


def test_a_relayer_that_disappears_after_the_proof_leaves_a_payment_that_its_owner_can_send(
    alice: Wallet, via: Direct, token: Token, open_wallet: Callable[..., Wallet], evm_accounts: list[LocalAccount]
) -> None:
    bob = open_wallet(1)
    via.submit = unreachable  # type: ignore[method-assign]
    with pytest.raises(RelayerError, match="kept: resume sends it") as caught:
        alice.send(bob.new_address(), token.address, 150, via=via)  # type: ignore[arg-type]
    assert caught.value.code == "unreachable"
    alice.close()

    again = open_wallet(0)  # with its EVM account
    again.sync()
    (kept,) = again.payments()
    assert kept.handover is not None
    assert (kept.handover.name, kept.handover.relayer, kept.handover.kind) == (
        via.name,
        via.relayer.address,
        "transact",
    )
    assert again.balance(token.address) == Balance(reserved=400)
    (resumed,) = again.resume()
    assert resumed.receipt is not None
    again.sync()
    bob.sync()
    assert (again.payments(), bob.balance(token.address).total) == ([], 150)
    assert token.balance_of(via.relayer.address) == kept.fee, "the proof binds the relayer's fee, whoever sends it"


def test_a_payment_is_resumed_through_its_own_relayer_and_through_no_other(
    alice: Wallet, via: Direct, token: Token, pool: Pool, tmp_path: Path
) -> None:
    submit, via.submit = via.submit, unreachable  # type: ignore[method-assign]
    with pytest.raises(RelayerError):
        alice.send(alice.new_address(), token.address, 150, via=via)  # type: ignore[arg-type]
    other = Direct(make_relayer(pool, token, tmp_path))
    other.name = "other.example"
    (refused,) = alice.resume(via=other)  # type: ignore[arg-type]
    assert "goes to the relayer relayer.example" in refused.problem
    assert (refused.receipt, other.handed) == (None, [])
    via.submit = submit  # type: ignore[method-assign]
    (resumed,) = alice.resume(via=via)  # type: ignore[arg-type]
    assert resumed.receipt is not None
    alice.sync()
    assert alice.payments() == []


def test_a_relayer_that_disappears_after_it_sent_the_payment_is_not_missed(
    alice: Wallet, via: Direct, token: Token
) -> None:
    submit = via.submit

    def taken_but_unanswered(signed: SignedQuote, spend: Spend) -> SubmissionModel:
        via.submit = unreachable  # type: ignore[method-assign]
        submit(signed, spend)
        return unreachable()

    via.submit = taken_but_unanswered  # type: ignore[method-assign]
    assert alice.send(alice.new_address(), token.address, 150, via=via).receipt.gas_used > 0  # type: ignore[arg-type]
    alice.sync()
    via.submit = submit  # type: ignore[method-assign]
    via.status = unreachable  # type: ignore[method-assign]
    assert alice.balance(token.address).total > 0


def test_a_relayer_is_not_believed_that_it_settled_a_payment(
    alice: Wallet, via: Direct, token: Token, monkeypatch: pytest.MonkeyPatch, evm_accounts: list[LocalAccount]
) -> None:
    lie = SubmissionModel(id="0" * 64, state="settled", transaction="0x" + "ab" * 32)
    via.submit = via.status = lambda *_: lie  # type: ignore[method-assign,assignment]
    monkeypatch.setattr(relaying, "SETTLE_SECONDS", 0.2)
    with pytest.raises(NotMinedError, match="no block showed it") as caught:
        alice.send(alice.new_address(), token.address, 150, via=via)  # type: ignore[arg-type]
    assert caught.value.transaction == lie.transaction
    (kept,) = alice.payments()
    assert kept.stage == "proved"
    with_account(alice, evm_accounts[0])
    assert [resumed.receipt is not None for resumed in alice.resume()] == [True]


def test_a_relayer_that_fails_says_so_and_the_notes_come_back_after_the_deadline(
    alice: Wallet, via: Direct, token: Token, pass_time: Callable[[int], None]
) -> None:
    failed = SubmissionModel(id="0" * 64, state="failed", transaction="0x" + "ab" * 32, detail="out of gas")
    via.submit = via.status = lambda *_: failed  # type: ignore[method-assign,assignment]
    with pytest.raises(RelayerError, match="failed to send the payment") as caught:
        alice.send(alice.new_address(), token.address, 150, via=via)  # type: ignore[arg-type]
    assert caught.value.code == "failed"
    alice.sync()
    assert alice.balance(token.address) == Balance(reserved=400)
    pass_time(20 * 60 + 1)
    alice.sync()
    assert (alice.balance(token.address), alice.payments()) == (Balance(400), [])


class Mischief:
    """Ways in which a relayer can fail: what becomes of `via` before the payment comes, and whether it sends it."""

    @staticmethod
    def refuses(via: Direct) -> None:
        def refuse(*_: object) -> SubmissionModel:
            raise RelayerError("too many payments are under way", "busy")

        via.submit = refuse  # type: ignore[method-assign]

    @staticmethod
    def is_gone(via: Direct) -> None:
        via.submit = unreachable  # type: ignore[method-assign]

    @staticmethod
    def takes_it_and_is_gone(via: Direct) -> None:
        answer = SubmissionModel(id="0" * 64, state="pending", transaction="0x" + "ab" * 32)
        via.submit = lambda *_: answer  # type: ignore[method-assign,assignment]
        via.status = unreachable  # type: ignore[method-assign]

    @staticmethod
    def sends_it_and_says_that_it_refused(via: Direct) -> None:
        honest = via.submit

        def lie(signed: SignedQuote, spend: Spend) -> SubmissionModel:
            honest(signed, spend)
            raise RelayerError("too many payments are under way", "busy")

        via.submit = lie  # type: ignore[method-assign]

    @staticmethod
    def sends_it_and_says_that_it_failed(via: Direct) -> None:
        honest = via.submit

        def lie(signed: SignedQuote, spend: Spend) -> SubmissionModel:
            return honest(signed, spend).model_copy(update={"state": "failed", "detail": "no gas"})

        via.submit = lie  # type: ignore[method-assign]
        via.status = lambda name: via.submit(*via.handed[-1])  # type: ignore[method-assign]

    @staticmethod
    def sends_another_transaction(via: Direct) -> None:
        answer = SubmissionModel(id="0" * 64, state="settled", transaction="0x" + "cd" * 32)
        via.submit = via.status = lambda *_: answer  # type: ignore[method-assign,assignment]


MISCHIEF = [name for name in vars(Mischief) if not name.startswith("_")]


@pytest.mark.parametrize("name", MISCHIEF)
def test_whatever_a_relayer_does_a_payment_settles_once_or_not_at_all(
    name: str,
    alice: Wallet,
    via: Direct,
    token: Token,
    open_wallet: Callable[..., Wallet],
    evm_accounts: list[LocalAccount],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(relaying, "SETTLE_SECONDS", 0.3)
    getattr(Mischief, name)(via)
    bob = open_wallet(1)
    with suppress(RelayerError, NotMinedError):
        alice.send(bob.new_address(), token.address, 150, via=via)  # type: ignore[arg-type]
    alice.sync()
    with pytest.raises((NotSpendableYetError, InsufficientFundsError)):
        alice.send(bob.new_address(), token.address, 150)  # nothing of it can be spent a second time
    with_account(alice, evm_accounts[0])
    for _ in range(2):
        alice.resume()
        alice.sync()
    bob.sync()
    (entry,) = [entry for entry in alice.history() if entry.kind == "sent"]
    assert (bob.balance(token.address).total, alice.payments()) == (150, [])
    assert alice.balance(token.address).total == 400 - 150 - entry.fee
    assert token.balance_of(via.relayer.address) == entry.fee > 0


def test_a_payment_that_waits_for_a_block_is_neither_sent_nor_spent_a_second_time(
    alice: Wallet, via: Direct, token: Token, relayer: Relayer, w3: Web3, evm_accounts: list[LocalAccount]
) -> None:
    def taken(signed: SignedQuote, spend: Spend) -> SubmissionModel:
        relayer.submit(signed, spend)
        raise RelayerError("too many payments are under way", "busy")

    via.submit = taken  # type: ignore[method-assign]
    with no_mining(w3):
        with pytest.raises(RelayerError, match="kept: resume sends it"):
            alice.send(alice.new_address(), token.address, 150, via=via)  # type: ignore[arg-type]
        with_account(alice, evm_accounts[0])
        with pytest.raises((NotSpendableYetError, InsufficientFundsError)):
            alice.send(alice.new_address(), token.address, 150)
        (resumed,) = alice.resume()
        assert (resumed.receipt, "settled already" in resumed.problem) == (None, True)
        assert ask(w3, "txpool_status") == {"pending": "0x1", "queued": "0x0"}
    alice.sync()
    assert alice.payments() == []
    (sent,) = [entry for entry in alice.history() if entry.kind == "sent"]
    assert alice.balance(token.address).total == 400 - sent.fee


def test_a_wallet_that_is_stopped_while_it_waits_finds_its_payment_afterwards(
    alice: Wallet, via: Direct, token: Token, open_wallet: Callable[..., Wallet], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    # Not `time.sleep`: whoever waits for the block that is to hold the payment sleeps too.
    monkeypatch.setattr(relaying, "settlement_of", stop)
    with pytest.raises(KeyboardInterrupt):
        alice.send(alice.new_address(), token.address, 150, via=via)  # type: ignore[arg-type]
    alice.close()
    again = open_wallet(0)
    assert [payment.stage for payment in again.payments()] == ["proved"]
    again.sync()
    assert again.payments() == []
    assert ("sent", 150) in [(entry.kind, entry.amount) for entry in again.history()]
