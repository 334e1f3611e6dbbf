"""Provers that return something else than the proof they were asked for, before the real verifier on anvil.

Valid proofs come from a key whose secrets are known (contracts/tools/make_fixtures.py): the verifier accepts them for
exactly the public inputs they were made for, which is what these tests are about. What a prover without such secrets
can prove at all is the subject of tests/unit/adversaries/test_prover_knowledge.py.
"""

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from eth_account.signers.local import LocalAccount
from py_ecc import bn128
from web3 import Web3

import contracts
from chain.deploy import SpendKey, deploy_pool, deploy_verifier
from chain.errors import RevertedError
from chain.pool import Pool
from chain.token import Token
from protocol.address import Address
from protocol.field import R
from protocol.memo import encrypt
from protocol.note import Note
from wallet.errors import ProvingError, WalletError
from wallet.wallet import Balance, Wallet

RECEIVER = "0x00000000000000000000000000000000000000Ad"
FIXTURE = Path(contracts.__file__).parent / "test" / "fixtures" / "trapdoors.json"


def words(text: str) -> list[int]:
    data = bytes.fromhex(text[2:])
    return [int.from_bytes(data[at : at + 32], "big") for at in range(0, len(data), 32)]


class Trapdoor:
    """Proofs for any public inputs, under a key whose secrets the fixture names."""

    def __init__(self, name: str) -> None:
        parts = json.loads(FIXTURE.read_text())[name]
        self.key = bytes.fromhex(parts["key"][2:])
        (self.alpha_beta,), (self.gamma,) = words(parts["alphaBeta"]), words(parts["gamma"])
        (self.inverse_delta,), (self.a,), (self.b,) = words(parts["inverseDelta"]), words(parts["a"]), words(parts["b"])
        self.ic = words(parts["ic"])
        self.point_b = bytes.fromhex(parts["pointB"][2:])

    def proof(self, public: list[int]) -> bytes:
        combined = self.ic[0] + sum(value * point for value, point in zip(public, self.ic[1:], strict=True))
        c = (self.a * self.b - self.alpha_beta - self.gamma * combined) * self.inverse_delta % R
        return g1(self.a) + self.point_b + g1(c)


def g1(scalar: int) -> bytes:
    x, y = bn128.multiply(bn128.G1, scalar)
    return int(x).to_bytes(32, "big") + int(y).to_bytes(32, "big")


@dataclass(frozen=True)
class Returned:
    proof: bytes
    cached: bool = False
    seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass
class Prover:
    """Answers with what `bend` makes of the public inputs; honest when there is none."""

    spend: Trapdoor
    insert: Trapdoor
    bend: Callable[[list[int]], bytes] | None = None
    returned: list[bytes] = field(default_factory=list)

    def prove(self, circuit: str, public_inputs: list[int], inputs: Mapping[str, Any]) -> Returned:
        if circuit.startswith("insert"):
            return Returned(self.insert.proof(public_inputs))
        bent = self.spend.proof if self.bend is None else self.bend
        self.returned.append(bent(public_inputs))
        return Returned(self.returned[-1])


@pytest.fixture(scope="module")
def trapdoors() -> tuple[Trapdoor, Trapdoor]:
    return Trapdoor("spend"), Trapdoor("insert")


@pytest.fixture
def pool(w3: Web3, evm_accounts: list[LocalAccount], trapdoors: tuple[Trapdoor, Trapdoor]) -> Pool:
    """A pool with the real verifier."""
    spend, insert = (trapdoor.key for trapdoor in trapdoors)
    verifier = deploy_verifier(w3, evm_accounts[0], [spend, insert])
    made = deploy_pool(w3, evm_accounts[0], verifier.address, insert, [SpendKey(2, 2, spend)])
    return Pool(w3, made.address, evm_accounts[0], deployed_at=made.receipt.block_number)


@pytest.fixture
def prover(trapdoors: tuple[Trapdoor, Trapdoor]) -> Prover:
    return Prover(*trapdoors)


@pytest.fixture
def rich(open_wallet: Callable[..., Wallet], token: Token, insert_all: Callable[..., None], prover: Prover) -> Wallet:
    """A wallet with notes of 100 and 60 that can be spent."""
    wallet = open_wallet(0)
    for amount in (100, 60):
        wallet.deposit(token.address, amount)
    insert_all(prover)
    wallet.sync()
    return wallet


def refused(wallet: Wallet, token: Token, error: type[Exception], match: str) -> None:
    """The payment ends in this error, nothing was sent, and the notes are there again."""
    chain, payer = wallet.pool.w3, wallet.pool.account.address  # type: ignore[union-attr]
    before = (chain.eth.get_transaction_count(payer), chain.eth.get_balance(payer))
    with pytest.raises(error, match=match):
        wallet.withdraw(RECEIVER, token.address, 20)
    assert (chain.eth.get_transaction_count(payer), chain.eth.get_balance(payer)) == before
    assert wallet.balance(token.address) == Balance(160)
    assert wallet.payments() == []


def test_no_false_proof_is_paid_for_or_costs_a_note(rich: Wallet, prover: Prover, token: Token) -> None:
    """Attack rows 9, 13 and 22: proofs for another root, receiver or amount, garbage, points that are none."""
    honest = prover.spend.proof
    infinity = bytes(64)
    lies: dict[str, Callable[[list[int]], bytes]] = {
        "another root": lambda public: honest([public[0] + 1, *public[1:]]),
        "another nullifier": lambda public: honest([public[0], public[1] + 1, *public[2:]]),
        "a note for somebody else": lambda public: honest([*public[:3], public[3] + 1, *public[4:]]),
        "a larger amount": lambda public: honest([*public[:6], public[6] + 1, *public[7:]]),
        "other terms": lambda public: honest([*public[:7], (public[7] + 1) % R]),
        "random bytes": lambda public: secrets.token_bytes(256),
        "zeros": lambda public: bytes(256),
        "A at infinity": lambda public: infinity + honest(public)[64:],
        "A off the curve": lambda public: g1(7)[:32] + g1(8)[32:] + honest(public)[64:],
        "A and C exchanged": lambda public: honest(public)[192:] + honest(public)[64:192] + honest(public)[:64],
    }
    for bend in lies.values():
        prover.bend = bend
        refused(rich, token, RevertedError, r"InvalidProof|refused the call")


def test_what_has_another_length_than_a_proof_is_refused_by_the_wallet(
    rich: Wallet, prover: Prover, token: Token
) -> None:
    """Attack row 22: not even asked of the contract."""
    for length in (0, 255, 257, 1 << 20):
        prover.bend = lambda public, length=length: bytes(length)  # type: ignore[misc]
        refused(rich, token, ProvingError, f"{length} bytes")


@pytest.mark.slow
def test_an_old_proof_settles_no_new_payment(
    rich: Wallet, prover: Prover, token: Token, insert_all: Callable[..., None]
) -> None:
    """Attack row 13: the proof of an earlier payment of the same account is returned again."""
    rich.withdraw(RECEIVER, token.address, 20)
    insert_all(prover)
    rich.sync()
    assert rich.balance(token.address) == Balance(140)
    replayed = prover.returned[-1]
    prover.bend = lambda public: replayed
    with pytest.raises(RevertedError, match="InvalidProof"):
        rich.withdraw(RECEIVER, token.address, 20)
    assert rich.balance(token.address) == Balance(140)


def test_a_prover_that_has_no_memos_can_settle_nothing(
    rich: Wallet, prover: Prover, token: Token, evm_accounts: list[LocalAccount]
) -> None:
    """Attack row 22: it fails on purpose, keeps the proof, and tries with memos of its own when the wallet gave up.

    With the true memos the same call goes through: they are all that it lacks.
    """
    hostile = Pool(rich.pool.w3, rich.pool.address, evm_accounts[2])
    spend = rich.prepare_withdraw(RECEIVER, token.address, 20)
    inputs = spend.inputs
    assert not any("memo" in name.lower() for name in inputs)
    # Of an output it knows token, amount, owner and blinding, not for which key its memo is, nor with which one made.
    outputs = zip(inputs["outAmount"], inputs["outOwner"], inputs["outBlinding"], strict=True)  # type: ignore[call-overload]
    notes = [Note(inputs["token"], *output) for output in outputs]  # type: ignore[arg-type]
    own = [encrypt(note, Address(note.owner, rich.keys.address(0).viewing_public)) for note in notes]
    kept = spend.call(prover.spend.proof(spend.public_inputs))
    for memos in (own, [bytes(224)] * 2, kept.memos[::-1]):
        with pytest.raises(RevertedError, match="InvalidProof"):
            hostile.withdraw(replace(kept, memos=memos))
    hostile.withdraw(kept)


@pytest.mark.slow
def test_whoever_was_handed_a_payment_can_settle_it_and_changes_nothing(
    rich: Wallet, prover: Prover, token: Token, evm_accounts: list[LocalAccount]
) -> None:
    """Attack row 24: with its memos a payment is a bearer's. The wallet is refused, and sees the payment settled."""
    bearer = Pool(rich.pool.w3, rich.pool.address, evm_accounts[2])
    held = token.balance_of(RECEIVER)
    spend = rich.prepare_withdraw(RECEIVER, token.address, 20)
    proof = rich.prove(spend)
    bearer.withdraw(spend.call(proof.proof))
    with pytest.raises(RevertedError, match="NullifierAlreadyUsed"):
        rich.submit(spend, proof)
    rich.sync()
    assert token.balance_of(RECEIVER) == held + 20
    assert [(entry.kind, entry.amount) for entry in rich.history()][-1] == ("withdrawn", 20)
    assert rich.balance(token.address).total == 140
    assert rich.payments() == []


@pytest.mark.slow
def test_a_prover_that_never_answers_frees_the_notes_when_it_is_given_up(
    rich: Wallet, prover: Prover, token: Token
) -> None:
    """Attack row 22: it can refuse. Ctrl-C while it thinks, and its own refusal, leave the notes as they were."""

    def interrupted(public: list[int]) -> bytes:
        raise KeyboardInterrupt

    def sulks(public: list[int]) -> bytes:
        raise ProvingError("the proving cluster did not deliver a proof")

    for bend, error in ((interrupted, KeyboardInterrupt), (sulks, WalletError)):
        prover.bend = bend
        with pytest.raises(error):
            rich.withdraw(RECEIVER, token.address, 20)
        assert rich.balance(token.address) == Balance(160)
    prover.bend = None
    assert rich.withdraw(RECEIVER, token.address, 20).receipt.gas_used > 0
