"""Deposit, insert, pay, insert, scan, withdraw: real keys, real proofs, the real verifier, on anvil."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from eth_account.signers.local import LocalAccount
from web3 import Web3

from chain.deploy import deploy_with_keys
from chain.errors import RelayerError, RevertedError
from chain.pool import Pool
from chain.proving import INSERT_CIRCUIT, SPEND_CIRCUIT, spend_circuit
from chain.relayer.client import RelayerClient
from chain.relayer.journal import Journal
from chain.relayer.note_fees import NoteFees
from chain.relayer.prices import Prices
from chain.relayer.service import Relayer
from chain.state import PoolState
from chain.token import Token
from protocol.keys import Account
from prover.formats.verification_key import read_verification_key
from prover.keys import Manifest, default_directory, ensure_keys
from tests.service.chain.relaying import make_relayer, served, tended
from wallet.proving import LocalProver
from wallet.wallet import Balance, Wallet

RECEIVER = "0x00000000000000000000000000000000000000AC"
CIRCUITS = [SPEND_CIRCUIT, spend_circuit(2, 3), INSERT_CIRCUIT]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def keys() -> Manifest:
    """Development keys, made once and kept in the cache directory."""
    return ensure_keys(default_directory(), CIRCUITS)


@pytest.fixture(scope="module")
def prover(keys: Manifest) -> LocalProver:
    return LocalProver.from_keys(keys.directory, CIRCUITS)


@pytest.fixture
def pool(w3: Web3, evm_accounts: list[LocalAccount], keys: Manifest) -> Pool:
    """A fresh pool with the real verifier."""
    made = deploy_with_keys(w3, evm_accounts[0], {name: _vkey_bytes(keys, name) for name in CIRCUITS}).pool
    return Pool(w3, made.address, evm_accounts[0], made.receipt.block_number)


def _vkey_bytes(keys: Manifest, name: str) -> bytes:
    entry = keys.find(name)
    assert entry is not None
    return read_verification_key(keys.directory / entry.verification_key).to_bytes()


def test_a_private_payment_settles_with_real_proofs(
    open_wallet: Callable[..., Wallet], insert_all: Callable[..., None], pool: Pool, token: Token, prover: LocalProver
) -> None:
    alice, bob = open_wallet(0), open_wallet(1)
    alice.deposit(token.address, 100)
    insert_all(prover)
    sent = alice.send(bob.new_address(), token.address, 40)
    insert_all(prover)
    bob.sync()
    assert bob.balance(token.address) == Balance(40)

    withdrawal = bob.prepare_withdraw(RECEIVER, token.address, 15)
    proof = bob.prove(withdrawal)
    redirected = replace(withdrawal, terms=replace(withdrawal.terms, receiver="0x" + "00" * 19 + "AD"))
    with pytest.raises(RevertedError, match="InvalidProof"):
        bob.submit(redirected, proof)
    with pytest.raises(RevertedError, match="InvalidProof"):
        bob.submit(replace(withdrawal, memos=withdrawal.memos[::-1]), proof)
    bob.submit(withdrawal, proof)
    with pytest.raises(RevertedError, match="NullifierAlreadyUsed"):
        bob.submit(withdrawal, proof)

    alice.sync()
    bob.sync()
    assert token.balance_of(RECEIVER) == 15
    assert token.balance_of(pool.address) == 85
    assert alice.balance(token.address) == Balance(60)
    assert bob.balance(token.address) == Balance(pending=25)
    assert pool.merkle_root() == alice.root == bob.root == PoolState(pool).sync().root
    assert all(pool.nullifier_used(nullifier) for nullifier in sent.spend.witness.public.nullifiers)


def test_a_relayer_cannot_be_given_a_real_proof_with_other_terms(
    open_wallet: Callable[..., Wallet],
    insert_all: Callable[..., None],
    evm_accounts: list[LocalAccount],
    pool: Pool,
    token: Token,
    prover: LocalProver,
    tmp_path: Path,
) -> None:
    """attacks.md 9 and 24: the proof binds receiver, relayer, fee and deadline, and the tokens go where it says."""
    alice = open_wallet(0, prover=prover)
    alice.deposit(token.address, 1000)
    insert_all(prover)
    prices = tmp_path / "prices.json"
    prices.write_text(json.dumps({token.address: "30000"}))
    account, journal = evm_accounts[2], Journal(tmp_path / "relayer.db")
    relayer = Relayer(Pool(pool.w3, pool.address, account), account, Prices(prices), journal)
    quote = relayer.quote(token.address, "withdraw")
    fee = quote.quote.fee
    spend = alice.prepare_withdraw(RECEIVER, token.address, 20, fee=fee, relayer=relayer.address)
    call = spend.call(alice.prove(spend).proof)
    thief = "0x00000000000000000000000000000000000000aD"
    tampered = (
        {"receiver": thief},
        {"fee": fee + 1},
        {"deadline": call.deadline + 1},
        {"public_amount": call.public_amount + 1},
        {"memos": call.memos[::-1]},
    )
    for change in tampered:
        with pytest.raises(RelayerError, match="InvalidProof"):
            relayer.submit(quote, replace(call, **change))
    held, paid = token.balance_of(relayer.address), token.balance_of(RECEIVER)
    sent = relayer.submit(quote, call)
    assert tended(relayer, sent.id).state == "settled"
    assert token.balance_of(RECEIVER) - paid == 20
    assert token.balance_of(relayer.address) - held == fee
    assert token.balance_of(thief) == 0
    journal.close()


def test_a_relayer_is_paid_with_a_note_by_a_real_proof_and_can_spend_it(
    open_wallet: Callable[..., Wallet],
    insert_all: Callable[..., None],
    pool: Pool,
    token: Token,
    prover: LocalProver,
    tmp_path: Path,
) -> None:
    alice, bob = open_wallet(0, prover=prover), open_wallet(1, prover=prover)
    operator = Account.from_seed(bytes(range(64)), 2)
    alice.deposit(token.address, 1000)
    insert_all(prover)
    relayer = make_relayer(pool, token, tmp_path, note_fees=NoteFees.of(operator.viewing()))
    quote = relayer.quote(token.address, "transact-note")
    spend = alice.prepare_send(bob.new_address(), token.address, 400, quote=quote)
    call = spend.call(alice.prove(spend).proof)
    assert (len(call.commitments), call.fee, call.public_amount, call.public_token) == (3, 0, 0, 0)
    # The proof binds every memo, also those that the relayer cannot open.
    opened = [relayer.note_fees.paid(replace(call, memos=[m], commitments=[c]), int(token.address, 16)) is not None
              for m, c in zip(call.memos, call.commitments, strict=True)]  # fmt: skip
    assert sum(opened) == 1
    memos = [memo if own else bytes(len(memo)) for memo, own in zip(call.memos, opened, strict=True)]
    with pytest.raises(RelayerError, match="InvalidProof"):
        relayer.submit(quote, replace(call, memos=memos))
    with served(relayer) as url, RelayerClient(url) as client:
        sent = client.submit(quote, call)
    assert tended(relayer, sent.id).state == "settled"
    assert token.balance_of(relayer.address) == 0
    insert_all(prover)
    bob.sync()
    fees = open_wallet(2, prover=prover)  # the operator's account on another machine
    fees.sync()
    assert bob.balance(token.address) == Balance(400)
    assert fees.balance(token.address) == Balance(quote.quote.fee)
    fees.withdraw(RECEIVER, token.address, quote.quote.fee)
