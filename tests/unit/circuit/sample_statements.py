"""Honest statements, and the means to tamper with them the way an attacker would: everything else put right again."""

from typing import Any

from protocol import eddsa
from protocol.babyjubjub import Point
from protocol.keys import Account, owner_of
from protocol.merkle import MerkleTree
from protocol.note import Note
from protocol.poseidon import poseidon
from protocol.statements import InsertStatement, SpendPublic, SpendWitness, SpentNote

Inputs = dict[str, Any]

TOKEN = 0x5FBDB2315678AFECB367F032D93F642F64180AA3
OTHER_TOKEN = 0xDEAD
BOUND_HASH = 0x0B0B
NULLIFYING_KEY = 0x4E4B
ACCOUNT = Account.from_seed(bytes(range(64)))
OTHER_ACCOUNT = Account.from_seed(bytes(range(64)), index=1)
OWNER = owner_of(ACCOUNT.public, NULLIFYING_KEY)


def own_note(amount: int, blinding: int, token: int = TOKEN) -> Note:
    return Note(token, amount, OWNER, blinding)


# The second leaf's note has another amount, the third repeats the first note: two leaves with one commitment.
NOTES = [own_note(100, 1000), own_note(60, 1001), own_note(100, 1000)]
TREE = MerkleTree()
FIRST_BATCH = TREE.insert_batch([11, 22, 33])
SECOND_BATCH = TREE.insert_batch([note.commitment for note in NOTES])
FIRST_INDEX = SECOND_BATCH.start_index


def spent(number: int) -> SpentNote:
    """Note number `number` of NOTES, with its place in the tree."""
    leaf_index = FIRST_INDEX + number
    return SpentNote(NOTES[number], NULLIFYING_KEY, leaf_index, TREE.path(leaf_index))


def dummy(blinding: int = 1002) -> SpentNote:
    return SpentNote.dummy(own_note(0, blinding), NULLIFYING_KEY)


def honest_spend(first: SpentNote | None = None, second: SpentNote | None = None, public_amount: int = 30) -> Inputs:
    """Spend two notes, 100 and 60 unless given: 40 to somebody, `public_amount` leaves the pool, the rest is change."""
    inputs = (first or spent(0), second or spent(1))
    total = sum(item.note.amount for item in inputs)
    outputs = (own_note(total - public_amount - 40, 2000), Note(TOKEN, 40, 0xB0B, 2001))
    public = SpendPublic.from_notes(TREE.root, inputs, outputs, public_amount, BOUND_HASH)
    signature = eddsa.sign(ACCOUNT.spending_key, public.message(), bytes(32))
    return SpendWitness(public, inputs, outputs, ACCOUNT.public, signature).inputs()


def honest_spend_of(n_inputs: int, n_outputs: int, real: int | None = None, public_amount: int = 30) -> Inputs:
    """Spend `real` notes (all inputs unless given) of 100, 101, ..., the rest dummies, to so many outputs: 40, 41, ...
    to somebody, `public_amount` leaves the pool, and the first output is the change.
    """
    count = n_inputs if real is None else real
    notes = [own_note(100 + i, 4000 + i) for i in range(count)]
    tree = MerkleTree()
    tree.insert_batch([11])
    start = tree.insert_batch([note.commitment for note in notes]).start_index
    real_inputs = [SpentNote(note, NULLIFYING_KEY, start + i, tree.path(start + i)) for i, note in enumerate(notes)]
    inputs = (*real_inputs, *(dummy(5000 + i) for i in range(n_inputs - count)))
    payments = [Note(TOKEN, 40 + j, 0xB0B + j, 6000 + j) for j in range(1, n_outputs)]
    change = sum(note.amount for note in notes) - sum(note.amount for note in payments) - public_amount
    outputs = (own_note(change, 6000), *payments)
    public = SpendPublic.from_notes(tree.root, inputs, outputs, public_amount, BOUND_HASH)
    signature = eddsa.sign(ACCOUNT.spending_key, public.message(), bytes(32))
    return SpendWitness(public, inputs, outputs, ACCOUNT.public, signature).inputs()


def raw_commitment(token: int, amount: int, owner: int, blinding: int) -> int:
    """A note's commitment without the range checks of `protocol.note`."""
    return poseidon([poseidon([owner, blinding]), token, amount])


def rederived(inputs: Inputs) -> Inputs:
    """The same private inputs with the nullifiers and commitments that follow from them, whatever they are."""
    public_key = Point(inputs["ax"], inputs["ay"])
    nullifiers = []
    spent_notes = zip(
        inputs["inAmount"], inputs["inBlinding"], inputs["inNullifyingKey"], inputs["inLeafIndex"], strict=True
    )
    for amount, blinding, key, leaf_index in spent_notes:
        commitment = raw_commitment(inputs["token"], amount, owner_of(public_key, key), blinding)
        nullifiers.append(poseidon([commitment, key, leaf_index]))
    outputs = zip(inputs["outAmount"], inputs["outOwner"], inputs["outBlinding"], strict=True)
    commitments = [raw_commitment(inputs["token"], *output) for output in outputs]
    return {**inputs, "nullifier": nullifiers, "commitment": commitments}


def public_values(inputs: Inputs) -> list[int]:
    scalars = [inputs[name] for name in ("publicToken", "publicAmount", "boundHash")]
    return [inputs["root"], *inputs["nullifier"], *inputs["commitment"], *scalars]


def message_of(inputs: Inputs) -> int:
    return poseidon(public_values(inputs))


def signed(inputs: Inputs, account: Account = ACCOUNT) -> Inputs:
    """The same inputs with this account's signature over their public part."""
    return with_signature(inputs, eddsa.sign(account.spending_key, message_of(inputs), bytes(32)))


def with_signature(inputs: Inputs, signature: eddsa.Signature) -> Inputs:
    return {**inputs, "r8x": signature.r8.x, "r8y": signature.r8.y, "s": signature.s}


def honest_insertion() -> InsertStatement:
    return InsertStatement.from_batch(SECOND_BATCH)
