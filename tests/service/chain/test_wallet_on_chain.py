"""Wallets on anvil with the real pool; proofs are not checked here (see test_payment_end_to_end for those)."""

from collections.abc import Callable
from pathlib import Path

import pytest
from web3 import Web3

from chain.errors import MismatchError, NotMinedError, RevertedError
from chain.pool import Pool
from chain.token import Token
from protocol.address import Address
from protocol.errors import AddressError, ProtocolError
from protocol.keys import Account, new_mnemonic
from protocol.merkle import root_from_path
from wallet.errors import (
    ConsolidationError,
    InsufficientFundsError,
    NotSpendableYetError,
    ProvingError,
    RequestError,
    ViewOnlyError,
    WalletFileError,
)
from wallet.store import HistoryEntry
from wallet.wallet import Balance, Wallet

RECEIVER = "0x00000000000000000000000000000000000000AA"
OpenWallet = Callable[..., Wallet]
InsertAll = Callable[..., None]


def summary(history: list[HistoryEntry]) -> list[tuple[str, int]]:
    return [(entry.kind, entry.amount) for entry in history]


@pytest.fixture
def alice(open_wallet: OpenWallet, token: Token, insert_all: InsertAll) -> Wallet:
    """A wallet with a spendable note of 100."""
    wallet = open_wallet(0)
    wallet.deposit(token.address, 100)
    insert_all()
    wallet.sync()
    return wallet


def test_a_payment_from_deposit_to_withdrawal(
    alice: Wallet, open_wallet: OpenWallet, pool: Pool, token: Token, insert_all: InsertAll
) -> None:
    bob = open_wallet(1)
    sent = alice.send(bob.new_address("alice"), token.address, 40, text="für dich")
    assert pool.w3.eth.get_transaction_receipt(sent.receipt.tx_hash)["gasUsed"] == sent.receipt.gas_used  # type: ignore[arg-type]
    bob.sync()
    assert bob.balance(token.address) == Balance(pending=40)
    insert_all()
    bob.sync()
    alice.sync()
    assert (alice.balance(token.address), bob.balance(token.address)) == (Balance(60), Balance(40))
    bob.withdraw(RECEIVER, token.address, 15)
    insert_all()
    bob.sync()
    alice.sync()
    assert (bob.balance(token.address), token.balance_of(RECEIVER)) == (Balance(25), 15)
    assert token.balance_of(pool.address) == 85
    assert alice.root == bob.root == pool.merkle_root()
    assert summary(alice.history()) == [("deposited", 100), ("sent", 40)]
    assert summary(bob.history()) == [("received", 40), ("withdrawn", 15)]
    assert bob.history()[0].text == "für dich"
    assert bob.history()[1].counterparty == RECEIVER


def test_the_prover_is_asked_for_the_statement_that_is_sent(alice: Wallet, prover, token: Token, pool: Pool) -> None:
    spend = alice.prepare_send(alice.new_address(), token.address, 40)
    alice.submit(spend, alice.prove(spend))
    circuit, public, inputs = prover.asked[-1]
    call = spend.call(b"")
    assert circuit == "spend_2x2"
    assert public[:5] == [call.root, *call.nullifiers, *call.commitments]
    assert [inputs["root"], *inputs["nullifier"], *inputs["commitment"]] == public[:5]
    real = inputs["inAmount"].index(100)
    leaf = alice._follower.tree.commitment(0)
    assert root_from_path(leaf, inputs["inLeafIndex"][real], inputs["inPath"][real]) == pool.merkle_root()
    assert all(pool.nullifier_used(nullifier) for nullifier in call.nullifiers)


def test_a_deposit_by_permit_needs_no_approval(open_wallet: OpenWallet, token: Token, pool: Pool) -> None:
    wallet = open_wallet(0)
    wallet.deposit(token.address, 30, permit=True)
    wallet.sync()
    assert wallet.balance(token.address) == Balance(pending=30)
    assert wallet.balances() == {token.address: Balance(pending=30)}


def test_a_deposit_approves_exactly_its_amount(open_wallet: OpenWallet, token: Token, pool: Pool) -> None:
    wallet = open_wallet(0)
    wallet.deposit(token.address, 30)
    assert token.allowance(pool.account.address, pool.address) == 0  # type: ignore[union-attr]


def test_syncing_again_changes_nothing(alice: Wallet, token: Token) -> None:
    before = (alice.history(), alice.balance(token.address), alice.root)
    alice.sync()
    alice.sync()
    assert (alice.history(), alice.balance(token.address), alice.root) == before


def test_a_wallet_goes_on_where_it_was_closed(alice: Wallet, open_wallet: OpenWallet, token: Token) -> None:
    alice.close()
    again = open_wallet(0)
    assert again.balance(token.address) == Balance(100)
    assert again.send(again.new_address(), token.address, 1).receipt.gas_used > 0


def test_the_mnemonic_alone_restores_notes_and_history(
    alice: Wallet, open_wallet: OpenWallet, token: Token, insert_all: InsertAll
) -> None:
    alice.send(open_wallet(1).new_address(), token.address, 40)
    insert_all()
    alice.sync()
    restored = open_wallet(0, "restored.db")
    restored.sync()
    assert restored.history() == alice.history()
    assert restored.balance(token.address) == alice.balance(token.address) == Balance(60)


def test_funds_can_be_spent_only_after_the_tree_update(
    open_wallet: OpenWallet, token: Token, insert_all: InsertAll
) -> None:
    wallet = open_wallet(0)
    wallet.deposit(token.address, 100)
    with pytest.raises(NotSpendableYetError, match="next tree update"):
        wallet.send(wallet.new_address(), token.address, 40)
    insert_all()
    wallet.send(wallet.new_address(), token.address, 40)


def test_consolidating_makes_a_larger_payment_possible(
    open_wallet: OpenWallet, token: Token, insert_all: InsertAll
) -> None:
    wallet = open_wallet(0)
    for _ in range(3):
        wallet.deposit(token.address, 10)
    insert_all()
    with pytest.raises(ConsolidationError, match="two largest hold 20"):
        wallet.withdraw(RECEIVER, token.address, 25)
    wallet.consolidate(token.address)
    insert_all()
    wallet.withdraw(RECEIVER, token.address, 25)
    wallet.sync()
    assert summary(wallet.history())[3:] == [("merged", 20), ("withdrawn", 25)]


def test_a_relayer_is_paid_from_the_notes(alice: Wallet, token: Token, pool: Pool) -> None:
    relayer = "0x00000000000000000000000000000000000000bB"
    alice.send(alice.new_address(), token.address, 40, fee=3, relayer=relayer)
    alice.sync()
    assert token.balance_of(relayer) == 3
    assert {(entry.kind, entry.amount, entry.fee) for entry in alice.history()[1:]} == {
        ("sent", 40, 3),
        ("received", 40, 0),
    }
    assert alice.balance(token.address).total == 97


def test_notes_of_an_unfinished_payment_are_not_spent_twice(alice: Wallet, token: Token) -> None:
    spend = alice.prepare_send(alice.new_address(), token.address, 40)
    assert alice.balance(token.address) == Balance(reserved=100)
    with pytest.raises(NotSpendableYetError, match="unfinished payment"):
        alice.prepare_send(alice.new_address(), token.address, 40)
    alice.abandon(spend)
    assert alice.balance(token.address) == Balance(100)


def test_reserved_notes_come_back_when_the_payments_deadline_has_passed(
    alice: Wallet, token: Token, pass_time: Callable[[int], None]
) -> None:
    spend = alice.prepare_send(alice.new_address(), token.address, 40)
    pass_time(20 * 60 + 1)
    alice.sync()
    assert alice.balance(token.address) == Balance(100)
    with pytest.raises(RevertedError, match="Expired"):
        alice.submit(spend, alice.prove(spend))


class Failing:
    """A prover that does not deliver."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def prove(self, circuit: str, public_inputs: list[int], inputs: object) -> None:
        raise self._error


def test_a_failing_prover_leaves_the_notes_spendable_and_a_retry_takes_the_same(
    alice: Wallet, open_wallet: OpenWallet, token: Token
) -> None:
    address = alice.new_address()
    alice.close()
    broken = open_wallet(0, prover=Failing(ProvingError("the cluster is gone")))
    with pytest.raises(ProvingError, match="gone"):
        broken.send(address, token.address, 40)
    assert broken.balance(token.address) == Balance(100)
    first = broken.prepare_send(address, token.address, 40)
    broken.abandon(first)
    second = broken.prepare_send(address, token.address, 40)
    assert first.reserved == second.reserved


def test_a_payment_whose_fate_is_unknown_keeps_its_notes_reserved(
    alice: Wallet, token: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(self: Pool, spend: object) -> None:
        raise NotMinedError("not mined", "0xaa")

    with monkeypatch.context() as patch:
        patch.setattr(Pool, "transact", lost)
        with pytest.raises(NotMinedError):
            alice.send(alice.new_address(), token.address, 40)
    assert alice.balance(token.address) == Balance(reserved=100)


def test_a_prover_that_returns_no_proof_is_caught_before_anything_is_sent(
    alice: Wallet, open_wallet: OpenWallet, token: Token
) -> None:
    class Short:
        def prove(self, circuit: str, public_inputs: list[int], inputs: object) -> "Short":
            return self

        proof = b"\x01" * 255

    alice.close()
    wallet = open_wallet(0, prover=Short())
    with pytest.raises(ProvingError, match="255 bytes"):
        wallet.send(wallet.new_address(), token.address, 40)


def test_a_view_only_wallet_sees_everything_and_spends_nothing(
    alice: Wallet, pool: Pool, token: Token, tmp_path: Path
) -> None:
    alice.send(alice.new_address(), token.address, 40)
    alice.sync()
    assert isinstance(alice.keys, Account)
    with Wallet(tmp_path / "view.db", alice.keys.viewing(), pool=pool) as view:
        view.sync()
        assert view.history() == alice.history()
        assert view.balance(token.address) == alice.balance(token.address)
        with pytest.raises(ViewOnlyError, match="only look"):
            view.send(view.new_address(), token.address, 1)


def test_a_wallet_without_a_prover_says_so(pool: Pool, token: Token, insert_all: InsertAll, tmp_path: Path) -> None:
    with Wallet.open(tmp_path / "wallet.db", new_mnemonic(), pool=pool) as wallet:
        wallet.deposit(token.address, 10)
        insert_all()
        with pytest.raises(ProvingError, match="no prover"):
            wallet.send(wallet.new_address(), token.address, 1)
        assert wallet.balance(token.address) == Balance(10)


def test_a_reorganised_chain_is_read_again_without_losing_what_only_the_wallet_knows(
    open_wallet: OpenWallet, pool: Pool, token: Token, w3: Web3, insert_all: InsertAll, pass_time: Callable[[int], None]
) -> None:
    """Attack row 20."""
    wallet = open_wallet(0)
    wallet.deposit(token.address, 5)
    address = wallet.new_address("shop")
    snapshot = w3.provider.make_request("evm_snapshot", [])["result"]  # type: ignore[arg-type]
    wallet.deposit(token.address, 70)
    insert_all()
    wallet.sync()
    assert wallet.balance(token.address) == Balance(75)
    w3.provider.make_request("evm_revert", [snapshot])  # type: ignore[arg-type]
    pass_time(1)
    wallet.deposit(token.address, 8)
    wallet.sync()
    assert wallet.balance(token.address) == Balance(pending=13)
    assert summary(wallet.history()) == [("deposited", 5), ("deposited", 8)]
    assert wallet.addresses() == [(address, "shop")]


def test_what_was_known_stays_when_reading_again_fails(
    alice: Wallet, token: Token, pool: Pool, w3: Web3, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack row 20: nothing is deleted before the new reading is complete and agrees with the contract."""
    history, root = alice.history(), alice.root
    with monkeypatch.context() as patch:
        patch.setattr(Pool, "block_hash", lambda self, number: "0xother")
        patch.setattr(Pool, "next_leaf_index", lambda self, block="latest": 64_000)
        with pytest.raises(MismatchError):
            alice.sync()
    assert (alice.history(), alice.root) == (history, root)
    assert alice.balance(token.address) == Balance(100)
    alice.sync()
    assert alice.balance(token.address) == Balance(100)


def test_a_file_belongs_to_one_account_and_one_pool(
    alice: Wallet, pool: Pool, open_wallet: OpenWallet, tmp_path: Path
) -> None:
    alice.close()
    with pytest.raises(WalletFileError, match="another account"):
        open_wallet(1, "wallet-0.db")


@pytest.mark.parametrize("amount", [0, -1, 1 << 128])
def test_amounts_that_no_note_can_hold_are_refused(alice: Wallet, token: Token, amount: int) -> None:
    for attempt in (
        lambda: alice.deposit(token.address, amount),
        lambda: alice.send(alice.new_address(), token.address, amount),
        lambda: alice.withdraw(RECEIVER, token.address, amount),
    ):
        with pytest.raises(RequestError, match="above 0 and below"):
            attempt()


def test_requests_that_make_no_sense_are_refused_before_anything_is_built(alice: Wallet, token: Token, prover) -> None:
    asked = len(prover.asked)
    own = alice.new_address()
    with pytest.raises(AddressError):
        alice.send("gelap1nonsense", token.address, 1)
    with pytest.raises(RequestError, match="nobody can spend"):
        alice.send(Address(0, bytes(12) + bytes.fromhex(RECEIVER[2:])).encode(), token.address, 1)
    with pytest.raises(RequestError, match="receiver must be"):
        alice.withdraw("bob", token.address, 1)
    with pytest.raises(RequestError, match="neither the zero address nor the pool"):
        alice.withdraw(alice.pool.address, token.address, 1)
    with pytest.raises(RequestError, match="fee above 0 and a relayer"):
        alice.send(own, token.address, 1, fee=1)
    with pytest.raises(RequestError, match="the token must be"):
        alice.send(own, "0x" + "00" * 20, 1)
    with pytest.raises(RequestError, match="at most 90 fit"):
        alice.send(own, token.address, 1, text="é" * 46)
    with pytest.raises(InsufficientFundsError, match="balance is 100"):
        alice.send(own, token.address, 101)
    with pytest.raises(InsufficientFundsError, match="EVM account holds"):
        alice.deposit(token.address, 10**6)
    with pytest.raises(ProtocolError, match="mnemonic"):
        Wallet.open("never-made.db", "abandon " * 12, pool=alice.pool)
    assert not Path("never-made.db").exists()
    assert len(prover.asked) == asked
    assert alice.balance(token.address) == Balance(100)


def test_a_proved_payment_survives_a_crash_and_is_sent_again(
    alice: Wallet, open_wallet: OpenWallet, token: Token, insert_all: InsertAll, monkeypatch: pytest.MonkeyPatch
) -> None:
    class CrashError(BaseException):
        pass

    def crash(self: Pool, spend: object) -> None:
        raise CrashError

    spend = alice.prepare_send(alice.new_address(), token.address, 40)
    (signed,) = alice.payments()
    assert (signed.kind, signed.amount, signed.stage) == ("send", 40, "prepared")
    assert alice.resume() == [], "what is not proved cannot be sent"
    with monkeypatch.context() as patch:
        patch.setattr(Pool, "transact", crash)
        with pytest.raises(CrashError):
            alice.submit(spend, alice.prove(spend))
    alice.close()

    again = open_wallet(0)
    again.sync()
    (waiting,) = again.payments()
    assert waiting.stage == "proved"
    (resumed,) = again.resume()
    assert resumed.receipt is not None
    (twice,) = again.resume()
    assert (twice.receipt, twice.problem.split(";")[0]) == (None, "settled already")
    again.sync()
    assert again.payments() == []
    assert summary(again.history())[1:] in ([("sent", 40), ("received", 40)], [("received", 40), ("sent", 40)])
    insert_all()
    again.sync()
    assert again.balance(token.address) == Balance(100)


def test_blocks_without_confirmations_are_not_read_and_payments_in_them_stay_listed(
    alice: Wallet, pool: Pool, token: Token, prover, tmp_path: Path, pass_time: Callable[[int], None]
) -> None:
    with Wallet(tmp_path / "careful.db", alice.keys, pool=pool, prover=prover, confirmations=2) as careful:
        pass_time(1)
        pass_time(1)
        careful.sync()
        assert careful.balance(token.address) == Balance(100)
        careful.send(careful.new_address(), token.address, 40)
        careful.sync()
        assert (len(careful.payments()), careful.balance(token.address)) == (1, Balance(reserved=100))
        pass_time(1)
        pass_time(1)
        assert careful.sync() == pool.block_number() - 2
        assert (careful.payments(), careful.balance(token.address)) == ([], Balance(pending=100))


def test_a_wallet_with_confirmations_on_a_pool_without_any_reads_nothing_yet(
    pool: Pool, token: Token, tmp_path: Path, alice: Wallet
) -> None:
    with Wallet(tmp_path / "careful.db", alice.keys, pool=pool, confirmations=10_000) as careful:
        careful.sync()
        assert (careful.synced_to(), careful.balances()) == (None, {})


def test_looking_at_a_payment_writes_nothing_down(alice: Wallet, token: Token) -> None:
    alice.prepare_send(alice.new_address(), token.address, 40, reserve=False)
    assert (alice.payments(), alice.balance(token.address)) == ([], Balance(100))
