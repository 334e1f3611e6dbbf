"""The statement `spend`: honest spends satisfy it, and each way to steal, forge or double-spend is tried.

Attackers here put everything else right: they recompute nullifiers and commitments from what they claim, and sign the
result. Rows are those of `attacks.md`.
"""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.babyjubjub import BASE8, SUBGROUP_ORDER, Point, multiply
from protocol.eddsa import Signature
from protocol.field import R
from protocol.keys import owner_of
from protocol.merkle import DEPTH, MerkleTree
from protocol.poseidon import poseidon
from protocol.statements import bound_hash
from prover.circuit.gadgets.scalar_mul import class_point
from prover.errors import InputError, UnsatisfiedError
from prover.limbs import from_limbs
from prover.statements import registry
from prover.statements.spend import build_spend
from prover.witness import cpu
from tests.unit.circuit.forging import broken_place, broken_places, forged_witness
from tests.unit.circuit.sample_statements import (
    FIRST_BATCH,
    FIRST_INDEX,
    NULLIFYING_KEY,
    OTHER_ACCOUNT,
    OTHER_TOKEN,
    OWNER,
    SECOND_BATCH,
    TOKEN,
    TREE,
    Inputs,
    dummy,
    honest_spend,
    own_note,
    public_values,
    raw_commitment,
    rederived,
    signed,
    spent,
    with_signature,
)

CIRCUIT = registry.build("spend_2x2")
SIGNATURE = "signature: S*B8 = R8 + 8h*A"


def accepted(inputs: Inputs) -> None:
    witness = cpu.solve(CIRCUIT, inputs)[0]
    assert from_limbs(witness[1 : CIRCUIT.n_public + 1]) == public_values(inputs)


def refused(inputs: Inputs) -> str:
    """Where the statement is false, by the error's words."""
    with pytest.raises(UnsatisfiedError) as caught:
        cpu.solve(CIRCUIT, inputs)
    return str(caught.value).rpartition("at: ")[2]


def changed(inputs: Inputs, name: str, index: int | None, value: Any) -> Inputs:
    """The inputs with one of them, or one element of a list, replaced."""
    if index is None:
        return {**inputs, name: value}
    elements = list(inputs[name])
    elements[index] = value
    return {**inputs, name: elements}


def in_tree(leaf: int, *more: int) -> MerkleTree:
    tree = MerkleTree()
    tree.insert_batch([leaf, *more])
    return tree


def test_it_fits_a_domain_of_two_to_the_fifteen_with_few_coefficients() -> None:
    assert CIRCUIT.domain_size == 1 << 15
    assert CIRCUIT.n_constraints <= 23_000
    assert CIRCUIT.r1cs.a.nnz + CIRCUIT.r1cs.b.nnz <= 51_000
    names = CIRCUIT.signal_names()[: CIRCUIT.n_public]
    indexed = ["nullifier[0]", "nullifier[1]", "commitment[0]", "commitment[1]"]
    assert names == ["root", *indexed, "publicToken", "publicAmount", "boundHash"]


@pytest.mark.parametrize(
    "inputs",
    [
        honest_spend(),
        honest_spend(public_amount=0),
        honest_spend(second=dummy()),
        honest_spend(second=dummy(), public_amount=0),
        honest_spend(spent(2), spent(0)),
    ],
    ids=["withdrawal", "private transfer", "one note", "one note, private", "equal commitments"],
)
def test_honest_spends_satisfy_the_circuit(inputs: Inputs) -> None:
    accepted(inputs)


def test_a_spend_of_two_dummies_moves_nothing() -> None:
    inputs = honest_spend(second=dummy(), public_amount=0)
    nothing = rederived({**inputs, "inAmount": [0, 0], "outAmount": [0, 0], "inBlinding": [1, 2]})
    accepted(signed(nothing))
    for name in ("outAmount", "inAmount"):
        refused(signed(rederived(changed(nothing, name, 0, 1))))


def test_other_arities_are_the_same_statement() -> None:
    circuit = build_spend("spend_1x2", 1, 2)
    inputs = honest_spend(second=dummy())
    per_input = ("nullifier", "inAmount", "inBlinding", "inNullifyingKey", "inLeafIndex", "inPath")
    inputs = signed({**inputs, **{name: inputs[name][:1] for name in per_input}})
    cpu.solve(circuit, inputs)
    assert circuit.n_public == 7
    with pytest.raises(UnsatisfiedError, match="balance"):
        cpu.solve(circuit, signed({**inputs, "publicAmount": 31}))


# Double spends


def test_equal_commitments_have_two_nullifiers_and_can_both_be_spent() -> None:
    """Attack 5, faerie gold: the leaf index is part of the nullifier."""
    inputs = honest_spend(spent(0), spent(2))
    assert spent(0).note.commitment == spent(2).note.commitment
    assert inputs["nullifier"][0] != inputs["nullifier"][1]
    accepted(inputs)


def test_one_note_in_both_inputs_shows_one_nullifier_twice() -> None:
    """Attack 6: the contract marks nullifiers one by one, so it refuses the second; the circuit allows no other."""
    inputs = honest_spend(spent(0), spent(0))
    assert inputs["nullifier"][0] == inputs["nullifier"][1]
    accepted(inputs)
    assert refused(signed(changed(inputs, "nullifier", 1, inputs["nullifier"][1] + 1))) == "input 1: nullifier"


@pytest.mark.parametrize("name", ["root", "nullifier", "commitment", "publicToken", "publicAmount", "boundHash"])
def test_the_alias_of_a_public_input_is_refused(name: str) -> None:
    """Attack 2: x and x + r are one field element; only x is taken."""
    inputs = honest_spend()
    value = inputs[name]
    alias = changed(inputs, name, 0, value[0] + R) if isinstance(value, list) else {**inputs, name: value + R}
    with pytest.raises(InputError, match=name):
        cpu.solve(CIRCUIT, alias)


@pytest.mark.parametrize("alias", [1 << 32, 1 << 33, 1 << 253])
def test_a_leaf_index_beyond_32_bits_is_refused(alias: int) -> None:
    """Attack 3: the same leaf under an index with more bits would have a second nullifier."""
    inputs = honest_spend()
    inputs = changed(inputs, "inLeafIndex", 0, inputs["inLeafIndex"][0] + alias)
    assert refused(signed(rederived(inputs))) == "input 0: leaf index"


def test_a_leaf_index_cannot_be_hidden_in_a_bit_that_is_none() -> None:
    """Attacks 3 and 15: the prover puts the excess of the index into the highest bit, so that their sum is right."""
    inputs = honest_spend()
    index = inputs["inLeafIndex"][0]
    inputs = signed(rederived(changed(inputs, "inLeafIndex", 0, index + (1 << 32))))
    first_bit = CIRCUIT.variable_scope.tolist().index(CIRCUIT.scopes.index("input 0: leaf index"))
    witness = forged_witness(CIRCUIT, inputs, {first_bit + 31: (index >> 31) + 2})
    assert broken_place(CIRCUIT, witness) == "input 0: leaf index"


def test_the_index_in_the_nullifier_is_the_paths() -> None:
    """Attack 3: another index in the nullifier than the one that leads to the leaf."""
    inputs = honest_spend()
    inputs = changed(inputs, "inLeafIndex", 0, inputs["inLeafIndex"][0] + 1)
    assert refused(signed(rederived(inputs))) == "input 0: membership"


@pytest.mark.parametrize("number", [0, 1])
def test_a_nullifier_of_another_key_is_refused(number: int) -> None:
    """Neither a free nullifier nor one by another nullifying key: the owner field fixes the key."""
    inputs = honest_spend()
    other = changed(inputs, "nullifier", number, 12345)
    assert refused(signed(other)) == f"input {number}: nullifier"
    other_key = changed(inputs, "inNullifyingKey", number, NULLIFYING_KEY + 1)
    assert refused(signed(rederived(other_key))) == f"input {number}: membership"


# Value from nothing


def with_change(inputs: Inputs, amount: int) -> Inputs:
    return signed(rederived(changed(inputs, "outAmount", 0, amount)))


def test_outputs_and_public_amount_add_up_to_the_inputs() -> None:
    inputs = honest_spend()
    for change in (91, 89, 0, 1 << 127):
        assert refused(with_change(inputs, change)) == "balance"
    assert refused(signed({**inputs, "publicAmount": 31})) == "balance"


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("amount", [1 << 128, R - 1, R - (1 << 127)])
def test_an_output_amount_of_more_than_128_bits_is_refused(number: int, amount: int) -> None:
    """Attack 4: a huge output beside a small one, which add up to the inputs modulo r."""
    inputs = honest_spend()
    total = sum(inputs["outAmount"])
    outputs = [(total - amount) % R, (total - amount) % R]
    outputs[number] = amount
    inputs = signed(rederived({**inputs, "outAmount": outputs}))
    place = refused(inputs)
    assert place in ("output 0: amount", "output 1: amount")


@pytest.mark.parametrize("amount", [1 << 128, R - 1])
def test_a_public_amount_of_more_than_128_bits_is_refused(amount: int) -> None:
    """Attack 4: a huge amount leaves the pool, and an output takes the rest modulo r."""
    inputs = honest_spend()
    rest = (sum(inputs["inAmount"]) - amount - inputs["outAmount"][1]) % R
    inputs = signed(rederived({**changed(inputs, "outAmount", 0, rest), "publicAmount": amount}))
    assert refused(inputs) in ("output 0: amount", "public amount")
    # The same with an output that is in range, so that the public amount alone is wrong.
    amount = (1 << 128) + 5
    inputs = honest_spend()
    tree = in_tree(raw_commitment(TOKEN, (1 << 128) + 105, OWNER, 1000))
    huge = changed(changed(inputs, "inAmount", 0, (1 << 128) + 105), "inPath", 0, tree.path(0))
    huge = changed(huge, "inLeafIndex", 0, 0)
    huge = {**huge, "inAmount": [(1 << 128) + 105, 0], "outAmount": [60, 40], "publicAmount": amount, "root": tree.root}
    assert refused(signed(rederived(huge))) == "public amount"


def test_an_input_amount_beyond_128_bits_is_no_use_without_its_leaf() -> None:
    """Attack 4: inputs have no range check, since only amounts in range get into the tree."""
    inputs = honest_spend()
    for amount in (100 + (1 << 128), R - 60):
        claimed = changed(inputs, "inAmount", 0, amount)
        assert refused(signed(rederived(claimed))) == "input 0: membership"


@pytest.mark.parametrize(("amounts", "outputs"), [((100, R - 60), (0, 10)), ((R - 1, 101), (60, 10))])
def test_not_even_impossible_leaves_overflow_an_output(amounts: tuple[int, int], outputs: tuple[int, int]) -> None:
    """Attack 4: were a negative amount in the tree, outputs would still be 128-bit and the sum modulo r still right."""
    commitments = [raw_commitment(TOKEN, amount, OWNER, 1000 + i) for i, amount in enumerate(amounts)]
    tree = in_tree(*commitments)
    inputs = honest_spend()
    inputs |= {
        "inAmount": list(amounts),
        "inLeafIndex": [0, 1],
        "inPath": [tree.path(0), tree.path(1)],
        "root": tree.root,
        "outAmount": list(outputs),
    }
    assert (sum(amounts) - sum(outputs) - inputs["publicAmount"]) % R == 0
    accepted(signed(rederived(inputs)))
    more = changed(inputs, "outAmount", 0, outputs[0] + 1)
    assert refused(signed(rederived(more))) == "balance"


def test_notes_of_another_token_are_refused() -> None:
    """Mixed tokens: the statement has one token, so a leaf of another token opens to nothing."""
    cheap = own_note(1_000_000, 3000, token=OTHER_TOKEN)
    tree = in_tree(cheap.commitment, own_note(60, 1001).commitment)
    inputs = honest_spend() | {"root": tree.root, "inLeafIndex": [0, 1], "inPath": [tree.path(0), tree.path(1)]}
    inputs |= {"inAmount": [1_000_000, 60], "inBlinding": [3000, 1001], "outAmount": [1_000_000 - 10, 40]}
    for token, place in ((TOKEN, "input 0: membership"), (OTHER_TOKEN, "input 1: membership")):
        assert refused(signed(rederived(inputs | {"token": token, "publicToken": token}))) == place


def test_a_commitment_that_does_not_hold_the_output_is_refused() -> None:
    inputs = honest_spend()
    richer = raw_commitment(TOKEN, 1_000_000, OWNER, 2000)
    other_token = raw_commitment(OTHER_TOKEN, inputs["outAmount"][0], OWNER, 2000)
    for commitment in (richer, other_token, 0):
        assert refused(signed(changed(inputs, "commitment", 0, commitment))) == "output 0: commitment"


# Leaves that are not one's own, or none


def test_a_note_that_is_not_in_the_tree_is_refused() -> None:
    inputs = honest_spend()
    for name, value in (("inAmount", 1_000_000), ("inBlinding", 9)):
        inflated = changed(inputs, name, 0, value)
        assert refused(signed(rederived(inflated))) == "input 0: membership"
    wrong_path = changed(inputs, "inPath", 0, [0] * DEPTH)
    assert refused(wrong_path) == "input 0: membership"


def test_another_root_is_refused() -> None:
    assert refused(signed({**honest_spend(), "root": MerkleTree().root})) == "input 0: membership"


def test_an_empty_leaf_cannot_be_spent() -> None:
    """Attack 8: the leaf 0 is in the tree, but the circuit computes the leaf from a note, and none hashes to 0."""
    empty = FIRST_INDEX + 40
    assert TREE.leaf(empty) == 0
    inputs = honest_spend()
    inputs = changed(changed(inputs, "inLeafIndex", 0, empty), "inPath", 0, TREE.path(empty))
    for amount, blinding in ((100, 1000), (1, 0)):
        claimed = changed(changed(inputs, "inAmount", 0, amount), "inBlinding", 0, blinding)
        assert refused(signed(rederived(claimed))) == "input 0: membership"


def test_an_inner_node_is_no_leaf() -> None:
    """Attack 7: the depth is fixed, and leaves are computed as H3, which differs from the tree's H2."""
    inputs = honest_spend()
    path = inputs["inPath"][0]
    with pytest.raises(InputError, match=r"inPath\[0\] must be a list of 32"):
        cpu.solve(CIRCUIT, changed(inputs, "inPath", 0, path[1:]))
    left, right = TREE.leaf(FIRST_INDEX), TREE.leaf(FIRST_INDEX + 1)
    assert poseidon([left, right]) != raw_commitment(TOKEN, right, left, 0)
    upper = changed(changed(inputs, "inPath", 0, [*path[1:], 0]), "inLeafIndex", 0, inputs["inLeafIndex"][0] >> 1)
    assert refused(signed(rederived(upper))) == "input 0: membership"


def test_an_input_of_amount_zero_skips_membership_only() -> None:
    """A dummy's owner, nullifier and signature are checked: nobody can publish another's nullifier as a dummy's."""
    inputs = honest_spend(second=dummy())
    accepted(signed(changed(inputs, "inPath", 1, [7] * DEPTH)))
    victim = spent(1).nullifier
    assert refused(signed(changed(inputs, "nullifier", 1, victim))) == "input 1: nullifier"
    beyond = changed(inputs, "inLeafIndex", 1, 1 << 32)
    assert refused(signed(rederived(beyond))) == "input 1: leaf index"


@pytest.mark.parametrize("amount", [1, R - 1, 1 << 128])
def test_an_input_of_any_other_amount_needs_its_leaf(amount: int) -> None:
    inputs = changed(honest_spend(second=dummy()), "inAmount", 1, amount)
    assert refused(signed(rederived(inputs))) == "input 1: membership"


# Tokens in public


def test_a_private_transfer_must_not_show_its_token() -> None:
    inputs = honest_spend(public_amount=0)
    assert inputs["publicToken"] == 0
    assert refused(signed({**inputs, "publicToken": TOKEN})) == "public token"


@pytest.mark.parametrize("shown", [0, OTHER_TOKEN])
def test_a_withdrawal_shows_its_token_and_no_other(shown: int) -> None:
    assert refused(signed({**honest_spend(), "publicToken": shown})) == "public token"


def test_lying_about_the_inverse_does_not_hide_the_token() -> None:
    """Attack 15: `publicAmount != 0` rests on a hint; other hints are caught."""
    inputs = signed({**honest_spend(), "publicToken": 0})
    hint = CIRCUIT.variable_scope.tolist().index(CIRCUIT.scopes.index("public token"))
    for lie in (0, 1):
        assert broken_place(CIRCUIT, forged_witness(CIRCUIT, inputs, {hint: lie})) == "public token"


# Signatures


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("root", None),
        ("nullifier", 0),
        ("nullifier", 1),
        ("commitment", 0),
        ("commitment", 1),
        ("publicToken", None),
        ("publicAmount", None),
        ("boundHash", None),
    ],
)
def test_no_public_input_can_be_changed_without_a_new_signature(name: str, index: int | None) -> None:
    """Attacks 9 and 10: each public input is used, and signed.

    Whatever else a change breaks, it breaks the signature: so a change that is true otherwise (another root that holds
    the notes, other terms) fails too.
    """
    inputs = honest_spend()
    value = inputs[name] if index is None else inputs[name][index]
    other = changed(inputs, name, index, (value + 1) % R)
    assert SIGNATURE in broken_places(CIRCUIT, forged_witness(CIRCUIT, other, {}))


def test_another_true_root_needs_a_new_signature() -> None:
    tree = MerkleTree()
    for batch in (FIRST_BATCH, SECOND_BATCH):
        tree.insert_batch([leaf for leaf in batch.leaves if leaf])
    tree.insert_batch([5])
    inputs = honest_spend()
    paths = [tree.path(index) for index in inputs["inLeafIndex"]]
    later = {**inputs, "root": tree.root, "inPath": paths}
    assert refused(later) == SIGNATURE
    accepted(signed(later))


def test_a_proof_for_other_terms_needs_a_new_signature() -> None:
    """Attacks 9 and 10: receiver, relayer, fee, deadline, memos, chain and pool enter the signed boundHash."""
    terms: dict[str, Any] = {
        "chain_id": 1,
        "pool": 2,
        "receiver": 3,
        "relayer": 4,
        "fee": 5,
        "deadline": 6,
        "memos": [bytes(224), bytes(224)],
    }
    inputs = signed({**honest_spend(), "boundHash": bound_hash(**terms)})
    accepted(inputs)
    for name, value in terms.items():
        other = value + 1 if isinstance(value, int) else [value[0], b"\x01" + value[1][1:]]
        moved = {**inputs, "boundHash": bound_hash(**{**terms, name: other})}
        assert refused(moved) == SIGNATURE


def test_a_signature_of_another_statement_is_refused() -> None:
    inputs, other = honest_spend(), honest_spend(public_amount=29)
    replayed = {**inputs, "r8x": other["r8x"], "r8y": other["r8y"], "s": other["s"]}
    assert refused(replayed) == SIGNATURE


def test_a_stranger_cannot_sign_for_the_owner() -> None:
    """With the witness but without the spending key, a prover can neither sign nor put in a key of its own."""
    inputs = honest_spend()
    assert refused(signed(inputs, OTHER_ACCOUNT)) == SIGNATURE
    own_key = {**inputs, "ax": OTHER_ACCOUNT.public.x, "ay": OTHER_ACCOUNT.public.y}
    assert refused(signed(rederived(own_key), OTHER_ACCOUNT)) == "input 0: membership"


def test_a_signature_has_no_second_form() -> None:
    """EdDSA's malleability: S + l, and R8 with a part of small order."""
    inputs = honest_spend()
    assert refused({**inputs, "s": inputs["s"] + SUBGROUP_ORDER}) == "signature: S < l"
    moved = class_point(4)
    assert moved == Point(0, R - 1)
    negated = {**inputs, "r8x": -inputs["r8x"] % R, "r8y": -inputs["r8y"] % R}
    assert refused(negated) == SIGNATURE


@pytest.mark.parametrize("number", range(8))
def test_a_key_of_small_order_owns_nothing(number: int) -> None:
    """Its signatures can be made by anybody, so notes of such an owner must be unspendable."""
    public = class_point(number)
    owner = owner_of(public, NULLIFYING_KEY)
    leaf = raw_commitment(TOKEN, 160, owner, 1000)
    tree = in_tree(leaf)
    inputs = honest_spend(second=dummy()) | {"ax": public.x, "ay": public.y, "root": tree.root}
    inputs |= {"inAmount": [160, 0], "inLeafIndex": [0, 0], "inPath": [tree.path(0)] * 2, "outAmount": [90, 40]}
    forged = with_signature(rederived(inputs), Signature(multiply(BASE8, 99), 99))
    assert refused(forged) == "signature: 8A is not the identity"


def test_points_off_the_curve_are_refused() -> None:
    inputs = honest_spend()
    assert refused({**inputs, "r8y": inputs["r8y"] + 1}) == "signature: the points are on the curve"
    assert refused({**inputs, "r8x": 0, "r8y": 0}) == "signature: the points are on the curve"


@settings(deadline=None, max_examples=8)
@given(
    amounts=st.tuples(st.integers(0, 2**128 - 1), st.integers(0, 2**128 - 1)),
    shares=st.tuples(st.integers(0, 2**128 - 1), st.integers(0, 2**128 - 1)),
    blinding=st.integers(0, R - 1),
)
def test_exactly_the_balanced_spends_within_128_bits_are_accepted(
    amounts: tuple[int, int], shares: tuple[int, int], blinding: int
) -> None:
    commitments = [raw_commitment(TOKEN, amount, OWNER, blinding) for amount in amounts]
    tree = in_tree(*commitments)
    out, public = shares[0] % (sum(amounts) + 1), 0
    rest = sum(amounts) - out
    public = shares[1] % (rest + 1)
    outputs = [out, rest - public]
    inputs = honest_spend() | {
        "inAmount": list(amounts),
        "inBlinding": [blinding, blinding],
        "inLeafIndex": [0, 1],
        "inPath": [tree.path(0), tree.path(1)],
        "root": tree.root,
        "outAmount": outputs,
        "publicAmount": public,
        "publicToken": TOKEN if public else 0,
    }
    inputs = signed(rederived(inputs))
    if max(*outputs, public) < 1 << 128:
        accepted(inputs)
    else:
        assert refused(inputs) in ("output 0: amount", "output 1: amount", "public amount")
