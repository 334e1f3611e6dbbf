"""Public inputs, bound hash, insertion challenge and statement hash: what they cover, and what breaks without it."""

import hashlib
from dataclasses import fields, replace

import pytest
from eth_abi import encode as abi_encode
from eth_utils import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.eddsa import verify
from protocol.errors import EncodingError
from protocol.field import R
from protocol.keys import Account
from protocol.merkle import BATCH, MerkleTree
from protocol.note import MEMO_BYTES, Note
from protocol.poseidon import poseidon
from protocol.statements import (
    InsertStatement,
    SpendPublic,
    SpendWitness,
    SpentNote,
    bound_hash,
    insert_challenge,
    insert_evaluation,
    statement_hash,
)

ACCOUNT = Account.from_seed(bytes(range(64)))
TOKEN = 0x70CE
MEMOS = [b"\1" * MEMO_BYTES, b"\2" * MEMO_BYTES]
BOUND = {"chain_id": 1, "pool": 2, "receiver": 3, "relayer": 4, "fee": 5, "deadline": 6, "memos": MEMOS}


def own_note(amount, blinding, token=TOKEN):
    return Note(token, amount, ACCOUNT.owner(ACCOUNT.nullifying_key_for_note(blinding)), blinding)


@pytest.fixture(scope="module")
def spend():
    note, unused = own_note(100, 1), own_note(0, 2)
    tree = MerkleTree()
    tree.insert_batch([note.commitment])
    spent = (
        SpentNote(note, ACCOUNT.nullifying_key_for_note(1), 0, tree.path(0)),
        SpentNote.dummy(unused, ACCOUNT.nullifying_key_for_note(2)),
    )
    outputs = (own_note(30, 3), own_note(60, 4))
    public = SpendPublic.from_notes(tree.root, spent, outputs, public_amount=10, bound_hash=bound_hash(**BOUND))
    return SpendWitness(public, spent, outputs, ACCOUNT.public, ACCOUNT.sign(public.message()))


def test_public_inputs_of_a_spend_come_in_the_contracts_order(spend):
    public = spend.public
    assert public.inputs() == [
        public.root,
        *(item.note.nullifier(item.nullifying_key, item.leaf_index) for item in spend.spent),
        *(note.commitment for note in spend.outputs),
        TOKEN,
        10,
        bound_hash(**BOUND),
    ]
    assert public.message() == poseidon(public.inputs())
    assert verify(ACCOUNT.public, public.message(), spend.signature)


def test_a_private_transfer_does_not_show_its_token(spend):
    public = SpendPublic.from_notes(1, spend.spent, spend.outputs, public_amount=0, bound_hash=5)
    assert (public.public_token, public.public_amount) == (0, 0)


def test_the_witness_names_every_signal_of_the_circuit(spend):
    inputs = spend.inputs()
    public_names = ["root", "nullifier", "commitment", "publicToken", "publicAmount", "boundHash"]
    flattened = []
    for name in public_names:
        flattened += inputs[name] if isinstance(inputs[name], list) else [inputs[name]]
    assert flattened == spend.public.inputs()
    assert list(inputs)[: len(public_names)] == public_names
    for name in ("inAmount", "inBlinding", "inNullifyingKey", "inLeafIndex", "inPath"):
        assert len(inputs[name]) == 2
    assert [len(path) for path in inputs["inPath"]] == [32, 32]
    assert inputs["inAmount"] == [100, 0]
    assert (inputs["ax"], inputs["ay"]) == ACCOUNT.public
    assert ((inputs["r8x"], inputs["r8y"]), inputs["s"]) == spend.signature
    assert inputs["outAmount"] == [30, 60]
    assert inputs["outOwner"] == [note.owner for note in spend.outputs]
    assert inputs["outBlinding"] == [3, 4]


def test_a_prover_gets_no_key_that_spends_or_sees_other_notes(spend):
    """Attack 22: neither the spending key, nor the nullifying root, nor the viewing key is in a witness."""
    text = str(spend.inputs())
    for secret in (ACCOUNT.spending_key, ACCOUNT.nullifying_root, int.from_bytes(ACCOUNT.viewing_key, "big")):
        assert str(secret) not in text


def test_the_witness_keeps_its_secrets_out_of_repr(spend):
    text = repr(spend)
    for item in spend.spent:
        assert str(item.nullifying_key) not in text
    assert str(spend.signature.s) not in text
    assert str(ACCOUNT.public.x) not in text


def test_an_aliased_public_input_cannot_be_signed(spend):
    """Attack 2: x and x + r in any public input."""
    public = spend.public
    for change in (
        {"root": public.root + R},
        {"nullifiers": (public.nullifiers[0] + R, public.nullifiers[1])},
        {"commitments": (public.commitments[0], public.commitments[1] + R)},
        {"bound_hash": public.bound_hash + R},
    ):
        with pytest.raises(EncodingError):
            replace(public, **change).message()


def test_notes_of_two_tokens_make_no_spend(spend):
    with pytest.raises(EncodingError, match="same token"):
        SpendPublic.from_notes(1, spend.spent, [own_note(1, 9, TOKEN + 1)], 0, 5)


def test_a_dummy_input_must_be_worth_nothing():
    with pytest.raises(EncodingError, match="amount 0"):
        SpentNote.dummy(own_note(1, 5), 1)


def test_the_bound_hash_is_that_of_abi_encoding():
    """Computed a second time with eth_abi and eth_utils, as a contract would."""
    encoded = abi_encode(
        ["uint256", "address", "address", "address", "uint256", "uint256", "bytes32"],
        [1, f"0x{2:040x}", f"0x{3:040x}", f"0x{4:040x}", 5, 6, keccak(b"".join(MEMOS))],
    )
    assert bound_hash(**BOUND) == int.from_bytes(keccak(encoded), "big") % R


@pytest.mark.parametrize(
    "change",
    [
        {"chain_id": 10},
        {"pool": 10},
        {"receiver": 10},
        {"relayer": 10},
        {"fee": 10},
        {"deadline": 10},
        {"memos": MEMOS[::-1]},
        {"memos": MEMOS[:1]},
        {"memos": [MEMOS[0], b"\2" * (MEMO_BYTES - 1) + b"\3"]},
    ],
)
def test_the_bound_hash_covers_every_part_of_a_transaction(change):
    """Attacks 9 and 10: a changed receiver, relayer, fee, deadline, memo, chain or pool under a valid proof."""
    assert bound_hash(**(BOUND | change)) != bound_hash(**BOUND)


@pytest.mark.parametrize(
    "change",
    [
        {"pool": 1 << 160},
        {"receiver": -1},
        {"relayer": 1 << 160},
        {"fee": 1 << 256},
        {"deadline": -1},
        {"memos": [b""]},
        {"memos": [bytes(MEMO_BYTES + 1), bytes(MEMO_BYTES - 1)]},
    ],
)
def test_a_part_that_no_contract_call_could_carry_is_refused(change):
    """Attack 18 too: memos of another length, even when their concatenation has the right one."""
    with pytest.raises(EncodingError):
        bound_hash(**(BOUND | change))


def test_an_insertion_statement_follows_the_specification():
    tree = MerkleTree()
    batch = tree.insert_batch([11, 22, 33])
    statement = InsertStatement.from_batch(batch)
    words = [batch.old_root, batch.new_root, batch.start_index, *batch.leaves]
    challenge = int.from_bytes(keccak(b"".join(word.to_bytes(32, "big") for word in words)), "big") % R
    evaluation = (11 + 22 * challenge + 33 * challenge**2) % R
    assert len(words) == 67
    assert statement.public.inputs() == [batch.old_root, batch.new_root, 0, challenge, evaluation]
    inputs = statement.inputs()
    assert list(inputs) == ["oldRoot", "newRoot", "startIndex", "challenge", "evaluation", "leaf", "sibling"]
    assert (len(inputs["leaf"]), len(inputs["sibling"])) == (64, 26)


@given(st.lists(st.integers(0, R - 1), max_size=BATCH), st.integers(0, R - 1))
@settings(max_examples=30, deadline=None)
def test_the_evaluation_is_the_sum_of_leaves_times_powers(leaves, challenge):
    expected = sum(leaf * pow(challenge, power, R) for power, leaf in enumerate(leaves)) % R
    assert insert_evaluation(challenge, leaves) == expected


def test_a_challenge_without_the_new_root_lets_other_leaves_in():
    """Attack 8's cousin, and why `newRoot` is hashed: a prover who knows the challenge before choosing leaves can
    insert notes nobody paid for. It works on a challenge without the new root and fails on the protocol's.
    """
    tree = MerkleTree()
    queued = [1000 + i for i in range(BATCH)]
    forged_note = own_note(2**100, 77).commitment

    def broken_challenge(old_root, start_index, leaves):
        words = [old_root, start_index, *leaves]
        return int.from_bytes(keccak(b"".join(word.to_bytes(32, "big") for word in words)), "big") % R

    def forge(challenge):
        """Put the forged note first and let the second leaf make up the evaluation."""
        excess = (queued[0] - forged_note) * pow(challenge, -1, R)
        return [forged_note, (queued[1] + excess) % R, *queued[2:]]

    broken = broken_challenge(tree.root, 0, queued)
    forged = tree.plan_batch(forge(broken))
    assert forged.leaves[0] == forged_note
    # The contract recomputes both numbers from its own queue, and finds what the prover claims.
    assert broken_challenge(forged.old_root, 0, queued) == broken
    assert insert_evaluation(broken, forged.leaves) == insert_evaluation(broken, queued)

    guess = insert_challenge(tree.root, tree.plan_batch(queued).new_root, 0, queued)
    forged = tree.plan_batch(forge(guess))
    contracts = insert_challenge(forged.old_root, forged.new_root, 0, queued)
    assert contracts != guess
    assert insert_evaluation(contracts, forged.leaves) != insert_evaluation(contracts, queued)


@pytest.mark.parametrize("count", [63, 65])
def test_a_challenge_over_another_number_of_leaves_is_refused(count):
    with pytest.raises(EncodingError, match="64 leaves"):
        insert_challenge(1, 2, 0, [1] * count)


def test_a_statement_hash_is_sha256_of_its_documented_encoding():
    digest = bytes(range(32))
    encoded = b"gelap/v1/statement" + bytes([9]) + b"spend_2x2" + digest + (2).to_bytes(4, "big")
    encoded += (7).to_bytes(32, "big") + (8).to_bytes(32, "big")
    assert statement_hash("spend_2x2", digest, [7, 8]) == hashlib.sha256(encoded).digest()


def test_a_statement_hash_tells_statements_apart_and_knows_no_proof():
    """Attack 13: a proof can be re-randomised, so it is no part of what names a statement."""
    digest = bytes(32)
    hashes = {
        statement_hash("spend", digest, [1, 2]),
        statement_hash("spend2", digest, [1, 2]),
        statement_hash("spend", b"\1" * 32, [1, 2]),
        statement_hash("spend", digest, [2, 1]),
        statement_hash("spend", digest, [1, 2, 0]),
        statement_hash("spend", digest, []),
    }
    assert len(hashes) == 6


@pytest.mark.parametrize(
    "arguments",
    [("", bytes(32), []), ("é", bytes(32), []), ("a" * 256, bytes(32), []), ("a", b"", []), ("a", bytes(32), [R])],
)
def test_a_statement_that_cannot_be_encoded_is_refused(arguments):
    with pytest.raises(EncodingError):
        statement_hash(*arguments)


def test_every_public_field_is_an_input(spend):
    """A field that were left out of `inputs()` would be neither proved nor signed."""
    count = sum(
        len(value) if isinstance(value := getattr(spend.public, item.name), tuple) else 1
        for item in fields(SpendPublic)
    )
    assert len(spend.public.inputs()) == count
