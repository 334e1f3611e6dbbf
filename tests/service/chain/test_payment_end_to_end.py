"""Deposit, insert, pay, insert, scan, withdraw: real keys, real proofs, the real verifier, on anvil."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from eth_account.signers.local import LocalAccount
from web3 import Web3

from chain.deploy import SpendKey, deploy_pool, deploy_verifier
from chain.errors import RelayerError, RevertedError
from chain.pool import Pool
from chain.proving import INSERT_CIRCUIT, SPEND_CIRCUIT
from chain.relayer.journal import Journal
from chain.relayer.prices import Prices
from chain.relayer.service import Relayer
from chain.state import PoolState
from chain.token import Token
from prover.formats.verification_key import read_verification_key
from prover.keys import Manifest, default_directory, ensure_keys
from wallet.proving import LocalProver
from wallet.wallet import Balance, Wallet

RECEIVER = "0x00000000000000000000000000000000000000AC"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def keys() -> Manifest:
    """Development keys, made once and kept in the cache directory."""
    return ensure_keys(default_directory(), [SPEND_CIRCUIT, INSERT_CIRCUIT])


@pytest.fixture(scope="module")
def prover(keys: Manifest) -> LocalProver:
    return LocalProver.from_keys(keys.directory, [SPEND_CIRCUIT, INSERT_CIRCUIT])


@pytest.fixture
def pool(w3: Web3, evm_accounts: list[LocalAccount], keys: Manifest) -> Pool:
    """A fresh pool with the real verifier."""
    spend, insert = (_vkey_bytes(keys, name) for name in (SPEND_CIRCUIT, INSERT_CIRCUIT))
    verifier = deploy_verifier(w3, evm_accounts[0], [spend, insert])
    made = deploy_pool(w3, evm_accounts[0], verifier.address, insert, [SpendKey(2, 2, spend)])
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
    pool.w3.eth.wait_for_transaction_receipt(sent.hashes[-1], poll_latency=0.05)  # type: ignore[arg-type]
    relayer.tend()
    assert relayer.find(sent.id).state == "settled"
    assert token.balance_of(RECEIVER) - paid == 20
    assert token.balance_of(relayer.address) - held == fee
    assert token.balance_of(thief) == 0
    journal.close()
