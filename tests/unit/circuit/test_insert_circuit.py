"""The statement `insert`: honest batches satisfy it, and nothing else gets into the tree.

Attacks are numbered as in `attacks.md`.
"""

from dataclasses import replace
from typing import Any

import pytest
from Crypto.Hash import keccak

from protocol.field import R, to_bytes32
from protocol.merkle import BATCH, BATCH_LEVELS, DEPTH, ZEROS, MerkleTree
from protocol.poseidon import hash_pairs, poseidon
from protocol.statements import InsertPublic, InsertStatement, insert_challenge, insert_evaluation
from prover.errors import InputError, UnsatisfiedError
from prover.limbs import from_limbs
from prover.statements import registry
from prover.witness import cpu
from tests.unit.circuit.forging import broken_place, forged_witness
from tests.unit.circuit.sample_statements import SECOND_BATCH, honest_insertion

CIRCUIT = registry.build("insert_64")


def refused(inputs: dict[str, Any]) -> str:
    with pytest.raises(UnsatisfiedError) as caught:
        cpu.solve(CIRCUIT, inputs)
    return str(caught.value).rpartition("at: ")[2]


def subtree_root(leaves: list[int]) -> int:
    level = leaves
    while len(level) > 1:
        level = hash_pairs(list(zip(level[::2], level[1::2], strict=True)))
    return level[0]


def root_above(node: int, subtree_index: int, siblings: tuple[int, ...]) -> int:
    for level, sibling in enumerate(siblings):
        node = poseidon([sibling, node] if subtree_index >> level & 1 else [node, sibling])
    return node


def statement(old_root: int, start_index: int, leaves: list[int], siblings: tuple[int, ...]) -> InsertStatement:
    """A batch put together by hand, with the challenge and the evaluation that fit it."""
    new_root = root_above(subtree_root(leaves), start_index // BATCH, siblings)
    challenge = insert_challenge(old_root, new_root, start_index, leaves)
    public = InsertPublic(old_root, new_root, start_index, challenge, insert_evaluation(challenge, leaves))
    return InsertStatement(public, tuple(leaves), siblings)


def test_it_fits_a_domain_of_two_to_the_fifteen() -> None:
    assert CIRCUIT.domain_size == 1 << 15
    assert CIRCUIT.n_constraints <= 28_000
    assert CIRCUIT.r1cs.a.nnz + CIRCUIT.r1cs.b.nnz <= 58_000
    names = CIRCUIT.signal_names()[: CIRCUIT.n_public]
    assert names == ["oldRoot", "newRoot", "startIndex", "challenge", "evaluation"]


def test_honest_insertions_satisfy_the_circuit() -> None:
    tree = MerkleTree()
    batches = [tree.insert_batch(leaves) for leaves in ([5], list(range(1, 65)), [7, 8])]
    for batch in batches:
        inputs = InsertStatement.from_batch(batch).inputs()
        witness = cpu.solve(CIRCUIT, inputs)[0]
        assert from_limbs(witness[1:6]) == InsertStatement.from_batch(batch).public.inputs()


def test_the_last_subtree_of_the_tree_can_be_filled() -> None:
    last = (1 << DEPTH) - BATCH
    siblings = tuple(range(100, 100 + DEPTH - BATCH_LEVELS))
    old_root = root_above(ZEROS[BATCH_LEVELS], last // BATCH, siblings)
    cpu.solve(CIRCUIT, statement(old_root, last, [9] * BATCH, siblings).inputs())


def test_leaves_cannot_be_overwritten() -> None:
    """The subtree must be empty under the old root: a filled one has another root than the 64 empty leaves."""
    tree = MerkleTree()
    tree.insert_batch([1, 2, 3])
    siblings = tuple(tree.path(0)[BATCH_LEVELS:])
    assert refused(statement(tree.root, 0, [4] * BATCH, siblings).inputs()) == "old root"


def test_leaves_go_where_the_start_index_says() -> None:
    inputs = honest_insertion().inputs()
    assert inputs["startIndex"] == 64
    assert refused({**inputs, "startIndex": 128}) == "old root"


@pytest.mark.parametrize("start", [1, 32, 63, 65, 1 << 32, R - 64])
def test_an_unaligned_or_too_large_start_is_refused(start: int) -> None:
    """Attack 3: `startIndex = 64 * k` with k of 26 bits."""
    assert refused({**honest_insertion().inputs(), "startIndex": start}) == "start index"


def test_an_unaligned_start_cannot_be_hidden_in_a_bit_that_is_none() -> None:
    inputs = {**honest_insertion().inputs(), "startIndex": 65}
    first_bit = CIRCUIT.variable_scope.tolist().index(CIRCUIT.scopes.index("start index"))
    claimed = 65 * pow(64, -1, R) % R
    lies = {first_bit + i: 0 for i in range(26)} | {first_bit: claimed}
    assert broken_place(CIRCUIT, forged_witness(CIRCUIT, inputs, lies)) == "start index"


def test_nothing_else_moves() -> None:
    """Another sibling for the new root than for the old one would replace the leaves beside the batch."""
    honest = honest_insertion()
    other = list(honest.siblings)
    other[0] = subtree_root([666] * BATCH)
    new_root = root_above(subtree_root(list(honest.leaves)), 1, tuple(other))
    inputs = {**honest.inputs(), "newRoot": new_root}
    assert refused(inputs) == "new root"
    assert refused({**inputs, "sibling": other}) == "old root"


def test_a_new_root_that_does_not_hold_the_leaves_is_refused() -> None:
    inputs = honest_insertion().inputs()
    assert refused({**inputs, "newRoot": inputs["newRoot"] + 1}) == "new root"
    assert refused({**inputs, "oldRoot": inputs["oldRoot"] + 1}) == "old root"


def contract_view(batch: InsertStatement, queue: list[int]) -> InsertPublic:
    """The public inputs as the contract computes them: challenge and evaluation from its own queue."""
    public = batch.public
    challenge = insert_challenge(public.old_root, public.new_root, public.start_index, queue)
    return replace(public, challenge=challenge, evaluation=insert_evaluation(challenge, queue))


@pytest.mark.parametrize("position", [0, 2, 3, 63])
def test_a_leaf_that_is_not_in_the_queue_cannot_be_smuggled_in(position: int) -> None:
    """Attack 8: neither in place of a queued leaf nor into the padding, whose leaves are 0 in the contract's view."""
    queue = list(SECOND_BATCH.leaves)
    forged = list(queue)
    forged[position] = 666
    batch = statement(SECOND_BATCH.old_root, SECOND_BATCH.start_index, forged, SECOND_BATCH.siblings)
    cpu.solve(CIRCUIT, batch.inputs())
    claimed = InsertStatement(contract_view(batch, queue), tuple(forged), SECOND_BATCH.siblings)
    assert refused(claimed.inputs()) == "evaluation"


def test_leaves_cannot_change_places() -> None:
    queue = list(SECOND_BATCH.leaves)
    swapped = [queue[1], queue[0], *queue[2:]]
    batch = statement(SECOND_BATCH.old_root, SECOND_BATCH.start_index, swapped, SECOND_BATCH.siblings)
    claimed = InsertStatement(contract_view(batch, queue), tuple(swapped), SECOND_BATCH.siblings)
    assert refused(claimed.inputs()) == "evaluation"


def challenge_without_new_root(old_root: int, start_index: int, leaves: list[int]) -> int:
    """The broken derivation: everything but newRoot."""
    words = b"".join(to_bytes32(word) for word in (old_root, start_index, *leaves))
    return int.from_bytes(keccak.new(digest_bits=256, data=words).digest(), "big") % R


def leaves_with_the_same_evaluation(queue: list[int], forged_leaf: int, challenge: int) -> list[int]:
    """Put a forged leaf in the first place and make up for it in the second."""
    compensation = (queue[0] - forged_leaf) * pow(challenge, -1, R)
    return [forged_leaf, (queue[1] + compensation) % R, *queue[2:]]


def test_a_challenge_without_the_new_root_lets_forged_leaves_in_and_ours_does_not() -> None:
    """The challenge must be fixed after the circuit's leaves, that is, after newRoot.

    Broken variant: the attacker knows the challenge before choosing leaves, and solves one linear equation. Ours: the
    forged leaves change newRoot, hence the challenge, and the equation they solve is no longer the one that is asked.
    """
    queue = list(SECOND_BATCH.leaves)
    old_root, start, siblings = SECOND_BATCH.old_root, SECOND_BATCH.start_index, SECOND_BATCH.siblings
    money_from_nothing = 666

    known = challenge_without_new_root(old_root, start, queue)
    forged = leaves_with_the_same_evaluation(queue, money_from_nothing, known)
    batch = statement(old_root, start, forged, siblings)
    broken = replace(batch.public, challenge=known, evaluation=insert_evaluation(known, queue))
    witness = cpu.solve(CIRCUIT, InsertStatement(broken, tuple(forged), siblings).inputs())[0]
    cpu.check(CIRCUIT.r1cs, witness)

    ours = contract_view(batch, queue)
    assert ours.challenge != known
    assert refused(InsertStatement(ours, tuple(forged), siblings).inputs()) == "evaluation"
    # Aiming at the challenge of the honest root, or chasing the new one, does not help: it moves each time.
    for _ in range(3):
        forged = leaves_with_the_same_evaluation(queue, money_from_nothing, ours.challenge)
        batch = statement(old_root, start, forged, siblings)
        ours = contract_view(batch, queue)
        assert refused(InsertStatement(ours, tuple(forged), siblings).inputs()) == "evaluation"


@pytest.mark.parametrize("name", ["oldRoot", "newRoot", "startIndex", "challenge", "evaluation"])
def test_every_public_input_counts_and_its_alias_is_refused(name: str) -> None:
    """Attacks 2 and 9."""
    inputs = honest_insertion().inputs()
    value = inputs[name]
    assert isinstance(value, int)
    refused({**inputs, name: (value + 1) % R})
    with pytest.raises(InputError, match=name):
        cpu.solve(CIRCUIT, {**inputs, name: value + R})
