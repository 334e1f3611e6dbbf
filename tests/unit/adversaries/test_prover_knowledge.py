"""What a hostile prover makes of the inputs it was given: what it recognises, and what it cannot find or change."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from chain.pool import NOBODY
from chain.proving import SPEND_CIRCUIT
from protocol.babyjubjub import COFACTOR, SUBGROUP_ORDER, Point
from protocol.derivation import derive_below, u32
from protocol.eddsa import Signature
from protocol.field import R, to_bytes32
from protocol.keys import Account, owner_of
from protocol.memo import SentRecord
from protocol.merkle import MerkleTree
from protocol.note import Note, random_blinding
from protocol.poseidon import poseidon
from protocol.statements import SpentNote, bound_hash
from prover.errors import UnsatisfiedError
from prover.statements import registry
from prover.witness import cpu
from wallet.spend import PreparedSpend, Terms, build_spend, payment, to_oneself

TOKEN = 0x5FBDB2315678AFECB367F032D93F642F64180AA3
POOL = "0x9fE46736679d2D9a65F0992F2272dE9f3c7fa6e0"
RECEIVER = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
THIEF = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"
TERMS = Terms(chain_id=31337, pool=POOL, deadline=1_900_000_000)


def numbers(value: Any) -> Iterable[int]:
    if isinstance(value, int):
        yield value
    else:
        for item in value:
            yield from numbers(item)


@dataclass
class HostileProver:
    """Keeps everything it is ever given, and reads the chain: commitments, leaf indices and nullifiers are public."""

    given: list[dict[str, Any]] = field(default_factory=list)

    def take(self, spend: PreparedSpend) -> None:
        self.given.append(dict(spend.inputs))

    @property
    def nullifying_keys(self) -> set[int]:
        return {key for inputs in self.given for key in inputs["inNullifyingKey"]}

    @property
    def known(self) -> set[int]:
        return {number for inputs in self.given for number in numbers(list(inputs.values()))}

    def public_key(self) -> Point:
        return Point(self.given[0]["ax"], self.given[0]["ay"])

    def recognised(self, leaves: Sequence[int], nullifiers: Iterable[int]) -> set[int]:
        """The leaves whose spends it finds on the chain, trying each key that it was given on each leaf."""
        seen = set(nullifiers)
        return {
            index
            for index, leaf in enumerate(leaves)
            if any(poseidon([leaf, key, index]) in seen for key in self.nullifying_keys)
        }


class Tree:
    """Notes of one account in a tree, ready to be spent."""

    def __init__(self, account: Account, owners: Sequence[int | None], amount: int = 100) -> None:
        """A note for each owner: an address's number, or None for a note to oneself."""
        self.notes = []
        for index in owners:
            if index is None:
                note = to_oneself(account, TOKEN, amount).note
                key = account.nullifying_key_for_note(note.blinding)
            else:
                note = Note(TOKEN, amount, account.address(index).owner, random_blinding())
                key = account.nullifying_key_for_address(index)
            self.notes.append((note, key))
        self.leaves = [note.commitment for note, _ in self.notes]
        tree = MerkleTree()
        tree.insert_batch(self.leaves)
        self.root = tree.root
        self.spent = [SpentNote(note, key, i, tree.path(i)) for i, (note, key) in enumerate(self.notes)]


def pay(alice: Account, bob: Account, tree: Tree, indices: Sequence[int], terms: Terms = TERMS) -> PreparedSpend:
    spent = [tree.spent[index] for index in indices]
    first = payment(bob.address(0), TOKEN, 40)
    return build_spend(alice, terms, tree.root, spent, first, SentRecord(bob.address(0), 40), 0)


def test_a_prover_recognises_what_it_proved_and_what_came_to_the_same_address(alice: Account, bob: Account) -> None:
    """Attack row 22. Leaves: deposits 0 and 1, payments to address 0 (2 and 3) and to address 1 (4).

    It proved the spend of 0 and 2. Everything is spent; the spend of 3 is recognised only because its payer was given
    the address of 2 again.
    """
    tree = Tree(alice, [None, None, 0, 0, 1])
    prover = HostileProver()
    prover.take(pay(alice, bob, tree, [0, 2]))
    assert prover.recognised(tree.leaves, [item.nullifier for item in tree.spent]) == {0, 2, 3}


def test_a_prover_links_all_payments_that_it_proves_for_an_account(alice: Account, bob: Account) -> None:
    """Attack row 22: the public key A is in each of them, and in nobody else's; what is on the chain has no trace."""
    tree = Tree(alice, [None, 0, 1])
    prover = HostileProver()
    first, second = pay(alice, bob, tree, [0]), pay(alice, bob, tree, [1, 2])
    prover.take(first)
    prover.take(second)
    assert {(inputs["ax"], inputs["ay"]) for inputs in prover.given} == {tuple(alice.public)}
    shared = {*numbers(list(first.inputs.values()))} & {*numbers(list(second.inputs.values()))}
    shown = set(first.public_inputs) | set(second.public_inputs)
    # Empty siblings, the sizes of the notes and the root that both were made under are common to all.
    ordinary = {0, 1, 2, 40, 100, 160, TOKEN, first.witness.public.root}
    assert {alice.public.x, alice.public.y} <= shared
    assert shared & shown <= ordinary


def test_a_prover_cannot_find_the_keys_of_other_notes(alice: Account, bob: Account) -> None:
    """Attack row 22: it knows A, and the owner and blinding of the change; it tries every number it has as the key.

    With the true nullifying root, the same search finds the key at once.
    """
    tree = Tree(alice, [None, 0])
    spend = pay(alice, bob, tree, [0, 1])
    prover = HostileProver()
    prover.take(spend)
    change = next(note for note in spend.witness.outputs if note.amount == 160)
    sought = {change.owner, *(alice.address(index).owner for index in range(3))} - {tree.notes[1][0].owner}

    def found(roots: Iterable[int]) -> set[int]:
        infos = [b"note" + to_bytes32(change.blinding), *(b"address" + u32(index) for index in range(3))]
        keys = [derive_below(to_bytes32(root), info, R) for root in roots for info in infos]
        return {owner_of(prover.public_key(), key) for key in keys} & sought

    guesses = sorted(prover.known)
    assert len(guesses) > 40
    assert {owner_of(prover.public_key(), guess) for guess in guesses} & sought == set()
    assert found(guesses) == set()
    assert found([alice.nullifying_root]) == sought


def test_a_payer_cannot_tell_when_what_it_paid_is_spent(alice: Account, bob: Account) -> None:
    """The payer knows the whole note, its place included, and lacks the one number that makes its nullifier."""
    tree = Tree(bob, [0])
    note = tree.notes[0][0]
    address = bob.address(0)
    known = [note.amount, note.owner, note.blinding, note.commitment, int.from_bytes(address.viewing_public, "big") % R]
    tried = {poseidon([note.commitment, guess, 0]) for guess in (*known, alice.nullifying_root)}
    assert tree.spent[0].nullifier not in tried
    assert poseidon([note.commitment, bob.nullifying_key_for_address(0), 0]) == tree.spent[0].nullifier


def solve(inputs: dict[str, Any]) -> None:
    """Every constraint of the circuit; UnsatisfiedError when one does not hold."""
    circuit = registry.build(SPEND_CIRCUIT)
    cpu.check(circuit.r1cs, cpu.solve(circuit, inputs)[0])


def rebound(spend: PreparedSpend, terms: Terms, memos: Sequence[bytes]) -> dict[str, Any]:
    """The inputs of the payment with other terms: what the contract would compute for them, all else as given."""
    pool, receiver, relayer = (int(address, 16) for address in (terms.pool, terms.receiver, terms.relayer))
    bound = bound_hash(terms.chain_id, pool, receiver, relayer, terms.fee, terms.deadline, memos)
    return dict(spend.inputs) | {"boundHash": bound}


CHANGES: dict[str, dict[str, Any]] = {
    "receiver": {"receiver": THIEF},
    "no receiver": {"receiver": NOBODY},
    "relayer": {"relayer": THIEF},
    "fee": {"fee": 5},
    "deadline": {"deadline": TERMS.deadline + 10**6},
    "chain": {"chain_id": 1},
    "pool": {"pool": THIEF},
}


@pytest.mark.parametrize("name", [*CHANGES, "memos"])
def test_a_prover_cannot_prove_the_payment_on_other_terms(alice: Account, bob: Account, name: str) -> None:
    """Attack rows 9, 10 and 22: what it got is good for exactly this receiver, fee, deadline, chain, pool and memos."""
    tree = Tree(alice, [None])
    spend = pay(alice, bob, tree, [0], replace(TERMS, receiver=RECEIVER))
    memos = spend.memos[::-1] if name == "memos" else spend.memos
    with pytest.raises(UnsatisfiedError):
        solve(rebound(spend, replace(spend.terms, **CHANGES.get(name, {})), memos))


def test_the_payment_as_it_was_given_can_be_proved(alice: Account, bob: Account) -> None:
    """The control of the test above: its way of computing terms is the wallet's."""
    spend = pay(alice, bob, Tree(alice, [None]), [0], replace(TERMS, receiver=RECEIVER))
    solve(rebound(spend, spend.terms, spend.memos))


def test_a_prover_cannot_pay_itself_with_the_notes_and_the_signature(alice: Account, bob: Account) -> None:
    """Attack row 22: all it knows of the notes, an output of its own, every public input made to fit, and no key."""
    spend = pay(alice, bob, Tree(alice, [None]), [0])
    thief = Account.from_seed(bytes(64))
    loot = Note(TOKEN, spend.witness.outputs[0].amount, thief.address(0).owner, random_blinding())
    inputs = dict(spend.inputs)
    inputs["outOwner"] = [loot.owner, inputs["outOwner"][1]]
    inputs["outBlinding"] = [loot.blinding, inputs["outBlinding"][1]]
    inputs["commitment"] = [loot.commitment, inputs["commitment"][1]]
    with pytest.raises(UnsatisfiedError):
        solve(inputs)
    public = replace(spend.witness.public, commitments=(loot.commitment, spend.witness.public.commitments[1]))
    own = thief.sign(public.message())
    with pytest.raises(UnsatisfiedError):
        solve(inputs | {"r8x": own.r8.x, "r8y": own.r8.y, "s": own.s})
    with pytest.raises(UnsatisfiedError):
        solve(inputs | {"ax": thief.public.x, "ay": thief.public.y, "r8x": own.r8.x, "r8y": own.r8.y, "s": own.s})


def key_from_two(first: Signature, second: Signature, public: Point, messages: Sequence[int]) -> int | None:
    """The spending key from two signatures that share a nonce: S1 - S2 = 8 (h1 - h2) s. None when they share none."""
    if first.r8 != second.r8:
        return None
    h1, h2 = (poseidon([*first.r8, *public, message]) for message in messages)
    return (first.s - second.s) * pow(COFACTOR * (h1 - h2), -1, SUBGROUP_ORDER) % SUBGROUP_ORDER


def test_signatures_that_a_prover_collects_share_no_nonce(alice: Account) -> None:
    """Two with one nonce would give the spending key away; not even a broken source of randomness makes such two."""
    broken = [alice.sign(message, entropy=bytes(32)) for message in (7, 8)]
    fresh = [alice.sign(7), alice.sign(7)]
    for first, second in (broken, fresh):
        assert key_from_two(first, second, alice.public, (7, 8)) is None
    # The search itself works: a signer who takes one nonce for two messages has told its key.
    nonce = 12345
    r8 = Account.sign(alice, 7).r8
    challenges = [poseidon([*r8, *alice.public, message]) for message in (7, 8)]
    careless = [Signature(r8, (nonce + COFACTOR * h * alice.spending_key) % SUBGROUP_ORDER) for h in challenges]
    assert key_from_two(careless[0], careless[1], alice.public, (7, 8)) == alice.spending_key
