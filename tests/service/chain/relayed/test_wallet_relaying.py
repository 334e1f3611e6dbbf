"""A wallet that pays through a relayer on anvil: what it checks, what it believes, and what its node learns."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from web3 import Web3

from chain import rpc
from chain.errors import RelayerError
from chain.pool import NOBODY, Pool
from chain.relayer.client import RelayerClient
from chain.relayer.quote import SignedQuote
from chain.relayer.service import Relayer
from chain.token import Token
from tests.service.chain.relayed_wallets import OPERATOR, Direct, ProverOfAll, unreachable
from tests.service.chain.relaying import RECEIVER, served
from wallet.errors import ConsolidationError, RequestError
from wallet.notes import Balance
from wallet.wallet import Wallet

MOST = 100  # more than any fee here


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
