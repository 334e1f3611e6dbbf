"""A relayer that is paid with a note: it opens the memo, recomputes the commitment and believes nothing else."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from eth_account.signers.local import LocalAccount
from hexbytes import HexBytes
from web3 import Web3

import contracts
from chain.errors import RelayerError
from chain.pool import NOBODY, Pool, Spend
from chain.relayer.client import RelayerClient
from chain.relayer.note_fees import NoteFees
from chain.relayer.quote import SignedQuote
from chain.relayer.service import Relayer
from chain.token import Token
from protocol.keys import Account
from protocol.memo import encrypt
from protocol.note import Note, random_blinding
from protocol.statements import SPEND_ARITIES
from tests.service.chain.relaying import (
    RECEIVER,
    accepting_pool,
    make_relayer,
    paid_on_chain,
    paid_with_note,
    private,
    random_word,
    served,
    stocked_token,
    tended,
)

OPERATOR = Account.from_seed(bytes(range(64)), 7)
PAYEE = OPERATOR.address(0)
# One more public input: a multiplication (6,000 gas, EIP-1108), an addition (150) and what moves their words.
INPUT_GAS = 6_500


@pytest.fixture(scope="module")
def pool(w3: Web3, evm_accounts: list[LocalAccount]) -> Pool:
    """A pool that accepts every proof, of every number of notes."""
    return accepting_pool(w3, evm_accounts[0], SPEND_ARITIES)


@pytest.fixture(scope="module")
def token(pool: Pool) -> Token:
    return stocked_token(pool)


@pytest.fixture
def relayer(pool: Pool, token: Token, tmp_path: Path) -> Relayer:
    return make_relayer(pool, token, tmp_path, note_fees=NoteFees.of(OPERATOR.viewing()))


@pytest.fixture
def client(relayer: Relayer) -> Iterator[RelayerClient]:
    with served(relayer) as url, RelayerClient(url) as made:
        yield made


@pytest.fixture
def quote(client: RelayerClient, pool: Pool, token: Token) -> SignedQuote:
    return client.quote(pool, token.address, "transact-note")


def refused(client: RelayerClient, quote: SignedQuote, spend: Spend, code: str, message: str) -> None:
    with pytest.raises(RelayerError, match=message) as error:
        client.submit(quote, spend)
    assert error.value.code == code


def test_a_transfer_that_pays_with_a_note_is_relayed_and_shows_no_fee(client, relayer, pool, token, quote, w3) -> None:
    assert client.terms().address == quote.quote.payee == PAYEE.encode()
    for place in range(3):  # outputs come in random order
        spend = paid_with_note(pool, PAYEE, int(token.address, 16), quote.quote.fee, place=place)
        sent = client.submit(quote, spend)
        assert tended(relayer, sent.id).state == "settled"
        mined = w3.eth.get_transaction_receipt(sent.transaction)
        assert mined["to"] == pool.address
        assert all(log["address"] == pool.address for log in mined["logs"])  # no token moved
        assert all(pool.nullifier_used(nullifier) for nullifier in spend.nullifiers)


def test_the_quote_covers_the_gas_of_a_spend_to_three_notes(client, relayer, pool, token, quote, w3) -> None:
    """What a third note adds to a transfer is measured here, without verifier; what real proofs take is recorded."""
    three = paid_with_note(pool, PAYEE, int(token.address, 16), quote.quote.fee)
    two = private(pool, [random_word(), random_word()], three.commitments[:2], three.memos[:2])
    first = replace(two, nullifiers=[random_word(), random_word()])  # the pool's counters are new to it
    _, *used = [gas_of(relayer, w3, spend) for spend in (first, two, three)]
    recorded = json.loads((Path(contracts.__file__).parent / "test" / "fixtures" / "gas.json").read_text())
    assert recorded["transact"] + used[1] - used[0] + INPUT_GAS == pytest.approx(recorded["transact2x3"], rel=0.01)


def gas_of(relayer: Relayer, w3: Web3, spend: Spend) -> int:
    return w3.eth.get_transaction_receipt(HexBytes(relayer.pool.transact(spend).tx_hash))["gasUsed"]


def test_only_a_note_of_the_right_token_amount_and_owner_pays(client, relayer, pool, token, quote) -> None:
    number, fee = int(token.address, 16), quote.quote.fee
    other = Account.from_seed(bytes(range(64)), 8).address(0)
    refused(client, quote, paid_with_note(pool, PAYEE, number, fee - 1), "underpaid", "the quote says")
    refused(client, quote, paid_with_note(pool, PAYEE, number + 1, fee), "underpaid", "no memo")
    refused(client, quote, paid_with_note(pool, other, number, fee), "underpaid", "no memo")
    # Another address of the same account: its viewing key opens the memo, but the note is not at the address quoted.
    refused(client, quote, paid_with_note(pool, OPERATOR.address(1), number, fee), "underpaid", "no memo")
    assert relayer.pending_count() == 0


def test_a_memo_that_promises_more_than_its_commitment_holds_pays_nothing(client, relayer, pool, token, quote) -> None:
    """The memo is encrypted with the commitment as associated data, so it must be made for the wrong one to open."""
    honest = paid_with_note(pool, PAYEE, int(token.address, 16), quote.quote.fee)
    other = random_word()

    class Lying(Note):
        commitment = other  # type: ignore[assignment]

    promise = Lying(int(token.address, 16), 10**9, PAYEE.owner, random_blinding())
    memos = [*honest.memos[:2], encrypt(promise, PAYEE)]
    assert relayer.note_fees is not None
    lie = private(pool, honest.nullifiers, [*honest.commitments[:2], other], memos)
    refused(client, quote, lie, "underpaid", "no memo")
    # A memo moved beside another commitment does not even open.
    moved = replace(honest, commitments=[honest.commitments[2], *honest.commitments[1:2], honest.commitments[0]])
    refused(client, quote, moved, "underpaid", "no memo")


def test_a_payment_that_pays_with_a_note_must_not_show_a_fee_too(client, pool, token, relayer, quote) -> None:
    spend = paid_with_note(pool, PAYEE, int(token.address, 16), quote.quote.fee)
    for shown in (
        {"fee": 1, "public_amount": 1, "public_token": int(token.address, 16), "relayer": relayer.address},
        {"relayer": relayer.address},
        {"receiver": RECEIVER},
    ):
        refused(client, quote, replace(spend, **shown), "bad-quote", "shows no fee")
    on_chain = client.quote(pool, token.address, "transact")
    assert on_chain.quote.payee == ""
    refused(client, on_chain, spend, "underpaid", "somebody else")


def test_one_note_pays_once(client, relayer, pool, token, quote) -> None:
    spend = paid_with_note(pool, PAYEE, int(token.address, 16), quote.quote.fee)
    first = client.submit(quote, spend)
    # The same notes spent in another way: answered with the payment that is under way.
    assert client.submit(quote, replace(spend, proof=b"\1" * 256)).id == first.id
    # Other notes with the same fee note: nothing is sent for it.
    again = replace(spend, nullifiers=[random_word(), random_word()])
    refused(client, quote, again, "underpaid", "has paid for another")
    tended(relayer, first.id)
    refused(client, quote, again, "underpaid", "has paid for another")


def test_a_quote_of_another_payee_is_refused(client, pool, token, relayer, quote) -> None:
    """The relayer changed its address: a wallet that kept the old quote must not pay the old one."""
    spend = paid_with_note(pool, PAYEE, int(token.address, 16), quote.quote.fee)
    forged = replace(quote.quote, payee=OPERATOR.address(1).encode())
    refused(client, SignedQuote(forged, quote.signature), spend, "bad-quote", "not signed")
    refused(client, forged.signed(relayer._account), spend, "bad-quote", "another address")


def test_without_a_viewing_key_or_without_the_pools_key_no_note_is_taken(
    pool, token, tmp_path, w3, evm_accounts
) -> None:
    old = accepting_pool(w3, evm_accounts[0])
    for where, fees in ((pool, None), (old, NoteFees.of(OPERATOR))):
        relayer = make_relayer(where, token, tmp_path, note_fees=fees)
        with served(relayer) as url, RelayerClient(url) as client:
            assert client.terms().address is None
            with pytest.raises(RelayerError, match="no fee paid with a note") as error:
                client.quote(where, token.address, "transact-note")
            assert error.value.code == "kind"
            assert client.quote(where, token.address, "transact").quote.payee == ""
            if where is old:
                with pytest.raises(RelayerError, match="no key for spends of 8"):
                    client.quote(where, token.address, "consolidate")


def test_a_merge_of_eight_notes_has_a_quote_of_its_own(client, relayer, pool, token) -> None:
    """It takes half as much gas again: the fee of a transfer would not pay for it."""
    small, large = (client.quote(pool, token.address, kind) for kind in ("transact", "consolidate"))
    assert large.quote.fee > small.quote.fee * 5 // 4

    def paying(quote: SignedQuote, inputs: int) -> Spend:
        spend = paid_on_chain(pool, quote)
        nullifiers = [random_word() for _ in range(inputs)]
        return replace(spend, nullifiers=nullifiers, receiver=NOBODY, public_amount=spend.fee)

    refused(client, small, paying(small, 8), "bad-quote", "the payment is a consolidate")
    withdrawal = client.quote(pool, token.address, "withdraw")
    refused(client, withdrawal, paying(withdrawal, 8), "bad-quote", "the payment is a consolidate")
    for inputs in (8, 2):
        sent = client.submit(large, paying(large, inputs))
        assert tended(relayer, sent.id).state == "settled"


def test_what_recognises_notes_shows_no_key() -> None:
    fees = NoteFees.of(OPERATOR)
    assert OPERATOR.viewing_key.hex() not in repr(fees)
    assert str(OPERATOR.viewing_key) not in repr(fees)
    assert NOBODY not in repr(fees)
    assert fees.paid(private_of_garbage(), 1) is None


def private_of_garbage() -> Spend:
    return Spend(b"", 0, [1], [1, 2, 3], 0, 0, NOBODY, NOBODY, 0, 0, [b"", b"\0" * 224])
