"""A wallet that pays through relayers on anvil: what it checks, what it believes, and what a failing relayer leaves."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from eth_account.signers.local import LocalAccount
from web3 import Web3

from chain import rpc
from chain.errors import NotMinedError, RelayerError
from chain.pool import NOBODY, Pool, Spend
from chain.relayer.client import RelayerClient
from chain.relayer.note_fees import NoteFees
from chain.relayer.quote import SignedQuote
from chain.relayer.service import Relayer
from chain.relayer.wire import SubmissionModel
from chain.token import Token
from protocol.keys import Account
from tests.service.chain.relayed_wallets import OPERATOR, Direct, ProverOfAll, insert_everything, pool_of_all, token_of
from tests.service.chain.relaying import RECEIVER, ask, make_relayer, no_mining, served
from wallet import relaying
from wallet.errors import ConsolidationError, InsufficientFundsError, NotSpendableYetError, RequestError
from wallet.notes import Balance
from wallet.wallet import Wallet

MOST = 100  # more than any fee here


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relaying, "POLL_SECONDS", 0.05)


@dataclass(frozen=True)
class Prepared:
    """A pool, a token, and the file of a wallet with a note of 400 that can be spent: made once for all tests."""

    pool: Pool
    token: Token
    file: Path


@pytest.fixture(scope="module")
def prepared(w3: Web3, evm_accounts: list[LocalAccount], tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    pool, token = pool_of_all(w3, evm_accounts[0]), token_of(w3, evm_accounts)
    file = tmp_path_factory.mktemp("prepared") / "alice.db"
    with Wallet(file, Account.from_seed(bytes(range(64)), 0), pool=pool) as wallet:
        wallet.deposit(token.address, 400)
        insert_everything(pool)
        wallet.sync()
    return Prepared(pool, token, file)


@pytest.fixture
def pool(prepared: Prepared, evm_accounts: list[LocalAccount]) -> Iterator[Pool]:
    """A pool that accepts every proof, of every number of notes; what a test does to the chain is taken back."""
    made = prepared.pool
    snapshot = ask(made.w3, "evm_snapshot")
    yield Pool(made.w3, made.address, evm_accounts[0], made.deployed_at)
    ask(made.w3, "evm_revert", snapshot)


@pytest.fixture
def token(prepared: Prepared) -> Token:
    return prepared.token


@pytest.fixture
def prover() -> ProverOfAll:
    return ProverOfAll()


@pytest.fixture
def relayer(pool: Pool, token: Token, tmp_path: Path) -> Iterator[Relayer]:
    made = make_relayer(pool, token, tmp_path, note_fees=NoteFees.of(OPERATOR.viewing()))
    yield made
    made._journal.close()


@pytest.fixture
def via(relayer: Relayer) -> Direct:
    return Direct(relayer)


@pytest.fixture
def alice(open_wallet: Callable[..., Wallet], prepared: Prepared, tmp_path: Path) -> Wallet:
    """A wallet with a note of 400 that can be spent, and no EVM account."""
    shutil.copy(prepared.file, tmp_path / "wallet-0.db")
    wallet = open_wallet(0)
    wallet.sync()
    with_account(wallet, None)
    return wallet


def test_a_payment_through_a_relayer_needs_no_account_and_is_read_from_the_chain(
    alice: Wallet, relayer: Relayer, open_wallet: Callable[..., Wallet], token: Token, w3: Web3
) -> None:
    bob = open_wallet(1)
    with served(relayer) as url, RelayerClient(url) as client:
        settled = alice.send(bob.new_address(), token.address, 150, via=client)
    mined = w3.eth.get_transaction_receipt(settled.receipt.tx_hash)  # type: ignore[arg-type]
    assert mined["from"] == relayer.address
    assert (settled.receipt.block_number, settled.receipt.gas_used) == (mined["blockNumber"], mined["gasUsed"])
    fee = settled.spend.terms.fee
    assert token.balance_of(relayer.address) == fee > 0
    alice.sync()
    bob.sync()
    assert alice.payments() == []
    assert (bob.balance(token.address).total, alice.balance(token.address).total) == (150, 250 - fee)
    entry = alice.history()[-1]
    assert (entry.kind, entry.amount, entry.fee) == ("sent", 150, fee)


def test_a_withdrawal_through_a_relayer_pays_receiver_and_relayer(
    alice: Wallet, via: Direct, token: Token, relayer: Relayer
) -> None:
    received = token.balance_of(RECEIVER)
    settled = alice.withdraw(RECEIVER, token.address, 100, via=via, max_fee=MOST)  # type: ignore[arg-type]
    assert token.balance_of(RECEIVER) - received == 100
    assert token.balance_of(relayer.address) == settled.spend.fee


def test_a_fee_by_a_note_shows_nothing_and_reaches_the_relayer(
    alice: Wallet, via: Direct, token: Token, pool: Pool, tmp_path: Path, open_wallet: Callable[..., Wallet]
) -> None:
    bob = open_wallet(1)
    settled = alice.send(bob.new_address(), token.address, 150, via=via, private_fee=True)  # type: ignore[arg-type]
    ((quote, call),) = via.handed
    assert (quote.quote.kind, settled.spend.circuit) == ("transact-note", "spend_2x3")
    assert (call.fee, call.relayer, call.public_amount, call.public_token, len(call.memos)) == (0, NOBODY, 0, 0, 3)
    with Wallet(tmp_path / "operator.db", OPERATOR.viewing(), pool=pool) as operator:
        operator.sync()
        assert operator.balance(token.address).total == quote.quote.fee == settled.spend.fee
    alice.sync()
    entry = alice.history()[-1]
    assert (entry.kind, entry.amount, entry.fee) == ("sent", 150, quote.quote.fee)
    assert alice.balance(token.address).total == 250 - quote.quote.fee


def test_eight_notes_are_merged_at_once_and_two_where_that_is_wanted(
    open_wallet: Callable[..., Wallet], token: Token, insert_all: Callable[[], None], via: Direct
) -> None:
    wallet = open_wallet(2)
    for _ in range(10):
        wallet.deposit(token.address, 60)
    insert_all()
    with pytest.raises(ConsolidationError, match=r"consolidate\(\) once first, each time up to 8") as caught:
        wallet.send(wallet.new_address(), token.address, 500)
    assert caught.value.rounds == 1
    pair = wallet.prepare_consolidate(token.address, most=2, reserve=False)
    assert (pair.circuit, len(pair.reserved)) == ("spend_2x2", 2)
    merged = wallet.consolidate(token.address, via=via)  # type: ignore[arg-type]
    assert (merged.spend.circuit, len(merged.spend.reserved)) == ("spend_8x2", 8)
    wallet.sync()
    insert_all()
    wallet.sync()
    assert wallet.balance(token.address) == Balance(600 - merged.spend.fee)
    payment = wallet.send(wallet.new_address(), token.address, 500)
    assert payment.spend.circuit == "spend_2x2"
    history = [(entry.kind, entry.amount, entry.fee) for entry in wallet.history()]
    assert ("merged", 480 - merged.spend.fee, merged.spend.fee) in history


def test_a_fee_beyond_the_cap_is_refused_before_anything_is_signed(
    alice: Wallet, via: Direct, token: Token, prover: ProverOfAll
) -> None:
    own = alice.new_address()
    with pytest.raises(RequestError, match="at most 1 was to be paid"):
        alice.send(own, token.address, 150, via=via, max_fee=1)  # type: ignore[arg-type]
    with pytest.raises(RequestError, match="allow more with max_fee"):
        alice.send(own, token.address, 1, via=via)  # type: ignore[arg-type]
    quote = via.quote(alice.pool, token.address, "transact")
    with pytest.raises(RequestError, match="give the quote or these"):
        alice.prepare_send(own, token.address, 150, quote=quote, fee=1, relayer=RECEIVER)
    with pytest.raises(RequestError, match="is for a relayer"):
        alice.send(own, token.address, 150, private_fee=True)
    assert (prover.asked, via.handed, alice.payments()) == ([], [], [])
    assert alice.balance(token.address) == Balance(400)


FALSE_QUOTES: dict[str, tuple[dict[str, Any], str]] = {
    "another pool": ({"pool": RECEIVER}, "lying"),
    "another chain": ({"chain_id": 1}, "lying"),
    "another token": ({"token": RECEIVER}, "lying"),
    "another kind": ({"kind": "withdraw"}, "lying"),
    "a note without an address": ({"kind": "transact-note"}, "lying"),
    "an address without a note": ({"payee": OPERATOR.address(0).encode()}, "lying"),
    "over": ({"expiry": 1}, "expired"),
    "another relayer": ({"relayer": RECEIVER}, "bad-quote"),
    "a changed fee": ({"fee": 1}, "bad-quote"),
}


@pytest.mark.parametrize("name", FALSE_QUOTES)
def test_a_false_quote_is_refused_before_anything_is_signed(
    alice: Wallet, via: Direct, token: Token, prover: ProverOfAll, name: str
) -> None:
    change, code = FALSE_QUOTES[name]
    honest = via.quote(alice.pool, token.address, "transact")
    false = replace(honest.quote, **change)
    signed = SignedQuote(false, honest.signature) if code == "bad-quote" else false.signed(via.relayer._account)
    via.quote = lambda *_: signed  # type: ignore[method-assign]
    with pytest.raises(RelayerError) as caught:
        alice.send(alice.new_address(), token.address, 150, via=via)  # type: ignore[arg-type]
    assert caught.value.code == code
    assert (prover.asked, via.handed, alice.payments()) == ([], [], [])
    assert alice.balance(token.address) == Balance(400)


def test_a_quote_that_expires_while_the_proof_is_made_is_replaced_if_the_fee_still_does(
    alice: Wallet, via: Direct, token: Token, prover: ProverOfAll, pass_time: Callable[[int], None]
) -> None:
    prover.meanwhile = lambda: pass_time(400)  # type: ignore[assignment]
    settled = alice.send(alice.new_address(), token.address, 150, via=via)  # type: ignore[arg-type]
    (first, _), (second, _) = via.handed
    assert second.quote.expiry > first.quote.expiry
    assert settled.receipt.gas_used > 0


def test_a_relayer_that_asks_for_more_after_the_proof_gets_nothing_more(
    alice: Wallet, via: Direct, token: Token, prover: ProverOfAll, pass_time: Callable[[int], None], tmp_path: Path
) -> None:
    def meanwhile() -> None:
        pass_time(400)
        honest = via.quote
        via.quote = lambda *given: replace(honest(*given).quote, fee=99).signed(via.relayer._account)  # type: ignore[method-assign]

    prover.meanwhile = meanwhile  # type: ignore[assignment]
    with pytest.raises(RelayerError, match="asks for 99 instead of") as caught:
        alice.send(alice.new_address(), token.address, 150, via=via)  # type: ignore[arg-type]
    assert caught.value.code == "expired"
    (kept,) = alice.payments()
    assert kept.stage == "proved"


def unreachable(*_: object) -> SubmissionModel:
    raise RelayerError("the relayer does not answer (ConnectionError)", "unreachable")


def with_account(wallet: Wallet, account: LocalAccount | None) -> None:
    wallet.pool.account = wallet.pool._sender._account = account


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


def test_the_node_is_not_asked_about_a_payment_that_a_relayer_sends(
    alice: Wallet, via: Direct, token: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    recorded = True
    answer = rpc._answer

    def recording(endpoint: Any, body: Any, method: str) -> Any:
        if recorded:
            asked.append(str(body).lower())
        return answer(endpoint, body, method)

    def unrecorded(original: Callable[..., Any]) -> Callable[..., Any]:
        """The relayer has the same node here: only what the wallet asks counts."""

        def call(*given: Any) -> Any:
            nonlocal recorded
            recorded = False
            try:
                return original(*given)
            finally:
                recorded = True

        return call

    for name in ("quote", "submit", "status"):
        monkeypatch.setattr(via, name, unrecorded(getattr(via, name)))
    monkeypatch.setattr(rpc, "_answer", recording)
    settled = alice.send(alice.new_address(), token.address, 150, via=via)  # type: ignore[arg-type]
    public = settled.spend.witness.public
    secrets = [settled.receipt.tx_hash[2:], *(f"{word:064x}" for word in (*public.nullifiers, *public.commitments))]
    assert any("eth_getlogs" in line for line in asked)
    assert [line for line in asked for secret in secrets if secret in line] == []
    assert not any("sendraw" in line or "gettransaction" in line for line in asked)


def test_a_pool_or_prover_without_the_circuit_is_told_before_the_relayer_is_asked(
    alice: Wallet, via: Direct, token: Token, prover: ProverOfAll, monkeypatch: pytest.MonkeyPatch
) -> None:
    via.quote = unreachable  # type: ignore[method-assign,assignment]
    monkeypatch.setattr(prover, "circuits", lambda: ["spend_2x2"])
    with pytest.raises(RequestError, match="the prover has no key for spend_2x3"):
        alice.send(alice.new_address(), token.address, 150, via=via, private_fee=True)  # type: ignore[arg-type]
    monkeypatch.setattr(alice.pool, "arities", lambda: {(2, 2)})
    with pytest.raises(RequestError, match="this pool has no key for spend_2x3"):
        alice.send(alice.new_address(), token.address, 150, via=via, private_fee=True)  # type: ignore[arg-type]
