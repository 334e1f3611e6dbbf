"""The statement `spend` with three outputs, and with eight inputs: each note is checked wherever it stands.

What is tried on every part of the statement once, with two inputs and two outputs, is in `test_spend_circuit.py`; here
it is tried in every place.
"""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from protocol.field import R
from protocol.keys import owner_of
from protocol.merkle import DEPTH, MerkleTree
from prover.circuit.compile import Circuit
from prover.errors import InputError, UnsatisfiedError
from prover.limbs import from_limbs, to_limbs
from prover.r1cs import R1CS, SparseMatrix
from prover.statements import registry
from prover.witness import cpu
from prover.witness.inputs import flatten_inputs
from tests.unit.circuit.sample_statements import (
    ACCOUNT,
    NULLIFYING_KEY,
    OTHER_ACCOUNT,
    OTHER_TOKEN,
    Inputs,
    honest_spend_of,
    public_values,
    raw_commitment,
    rederived,
    signed,
)

SIGNATURE = "signature: S*B8 = R8 + 8h*A"
ARITIES = {"spend_2x3": (2, 3), "spend_8x2": (8, 2)}
INPUTS = [(name, i) for name, (n, _) in ARITIES.items() for i in range(n)]
FIRST_AND_LAST = [(name, i) for name, (n, _) in ARITIES.items() for i in (0, n - 1)]
OUTPUTS = [(name, j) for name, (_, n) in ARITIES.items() for j in range(n)]


@cache
def honest(name: str, **choices: Any) -> Inputs:
    return honest_spend_of(*ARITIES[name], **choices)


def accepted(circuit: Circuit, inputs: Inputs) -> None:
    witness = cpu.solve(circuit, inputs)[0]
    assert from_limbs(witness[1 : circuit.n_public + 1]) == public_values(inputs)


def refused(name: str, inputs: Inputs) -> str:
    """Where the statement is false, by the error's words."""
    with pytest.raises(UnsatisfiedError) as caught:
        cpu.solve(registry.build(name), inputs)
    return str(caught.value).rpartition("at: ")[2]


def changed(inputs: Inputs, name: str, index: int, value: Any) -> Inputs:
    elements = list(inputs[name])
    elements[index] = value
    return {**inputs, name: elements}


@pytest.mark.parametrize(
    ("name", "power", "constraints", "coefficients"),
    [("spend_2x3", 15, 23_600, 52_500), ("spend_8x2", 17, 77_000, 164_000)],
)
def test_they_fit_their_domains_with_few_coefficients(name, power, constraints, coefficients) -> None:
    circuit = registry.build(name)
    assert circuit.domain_size == 1 << power
    assert circuit.n_constraints <= constraints
    assert circuit.r1cs.a.nnz + circuit.r1cs.b.nnz <= coefficients


@pytest.mark.parametrize("name", ARITIES)
def test_the_public_inputs_stand_in_the_contracts_order(name) -> None:
    n_inputs, n_outputs = ARITIES[name]
    circuit = registry.build(name)
    nullifiers = [f"nullifier[{i}]" for i in range(n_inputs)]
    commitments = [f"commitment[{j}]" for j in range(n_outputs)]
    expected = ["root", *nullifiers, *commitments, "publicToken", "publicAmount", "boundHash"]
    assert circuit.signal_names()[: circuit.n_public] == expected


@pytest.mark.parametrize("name", ARITIES)
@pytest.mark.parametrize("public_amount", [0, 30])
def test_honest_spends_satisfy_the_circuit_with_any_number_of_dummies(name, public_amount) -> None:
    circuit = registry.build(name)
    n_inputs = ARITIES[name][0]
    # One note of 100 does not pay 41, 42 and 30.
    fewest = 2 if name == "spend_2x3" and public_amount else 1
    for real in {fewest, n_inputs // 2 + 1, n_inputs}:
        accepted(circuit, honest(name, real=real, public_amount=public_amount))


@pytest.mark.parametrize(("name", "place"), INPUTS)
def test_every_input_needs_its_leaf_its_owner_and_its_nullifier(name, place) -> None:
    inputs = honest(name)
    membership = f"input {place}: membership"
    richer = changed(inputs, "inAmount", place, inputs["inAmount"][place] + 1)
    assert refused(name, signed(rederived(richer))) == membership
    elsewhere = changed(inputs, "inPath", place, [0] * DEPTH)
    assert refused(name, elsewhere) == membership
    beyond = changed(inputs, "inLeafIndex", place, inputs["inLeafIndex"][place] + (1 << 32))
    assert refused(name, signed(rederived(beyond))) == f"input {place}: leaf index"
    unspent = changed(inputs, "nullifier", place, inputs["nullifier"][place] + 1)
    assert refused(name, signed(unspent)) == f"input {place}: nullifier"
    another_key = changed(inputs, "inNullifyingKey", place, NULLIFYING_KEY + 1)
    assert refused(name, signed(rederived(another_key))) == membership


@pytest.mark.parametrize(("name", "place"), FIRST_AND_LAST)
def test_a_dummy_anywhere_has_a_checked_nullifier_and_can_hold_no_value(name, place) -> None:
    inputs = honest(name, public_amount=0)
    less_change = inputs["outAmount"][0] - inputs["inAmount"][place]
    dummy = signed(rederived(changed(changed(inputs, "inAmount", place, 0), "outAmount", 0, less_change)))
    accepted(registry.build(name), dummy)
    victim = signed(changed(dummy, "nullifier", place, dummy["nullifier"][place - 1]))
    assert refused(name, victim) == f"input {place}: nullifier"
    for amount in (1, R - 1):
        valuable = changed(dummy, "inAmount", place, amount)
        assert refused(name, signed(rederived(valuable))) == f"input {place}: membership"


@pytest.mark.parametrize(("name", "place"), FIRST_AND_LAST)
def test_a_note_of_another_token_or_owner_cannot_be_spent_among_ones_own(name, place) -> None:
    inputs = honest(name)
    owner, stranger = (owner_of(account.public, NULLIFYING_KEY) for account in (ACCOUNT, OTHER_ACCOUNT))
    notes = list(zip(inputs["inAmount"], inputs["inBlinding"], strict=True))
    for token, its_owner in ((OTHER_TOKEN, owner), (inputs["token"], stranger)):
        leaves = [raw_commitment(inputs["token"], amount, owner, blinding) for amount, blinding in notes]
        leaves[place] = raw_commitment(token, notes[place][0], its_owner, notes[place][1])
        tree = MerkleTree()
        tree.insert_batch(leaves)
        moved = inputs | {
            "root": tree.root,
            "inLeafIndex": list(range(len(leaves))),
            "inPath": [tree.path(index) for index in range(len(leaves))],
        }
        assert refused(name, signed(rederived(moved))) == f"input {place}: membership"


@pytest.mark.parametrize("name", ARITIES)
def test_one_note_in_several_inputs_shows_its_nullifier_several_times(name) -> None:
    """The contract marks nullifiers one by one, so it refuses the second; the circuit allows no other."""
    inputs = honest(name)
    last = ARITIES[name][0] - 1
    for field in ("inAmount", "inBlinding", "inLeafIndex", "inPath"):
        inputs = changed(inputs, field, last, inputs[field][0])
    change = inputs["outAmount"][0] + sum(inputs["inAmount"]) - sum(honest(name)["inAmount"])
    twice = signed(rederived(changed(inputs, "outAmount", 0, change)))
    assert twice["nullifier"][0] == twice["nullifier"][last]
    accepted(registry.build(name), twice)
    hidden = changed(twice, "nullifier", last, twice["nullifier"][last] + 1)
    assert refused(name, signed(hidden)) == f"input {last}: nullifier"


@pytest.mark.parametrize(("name", "place"), OUTPUTS)
def test_every_output_counts_has_128_bits_and_is_in_its_commitment(name, place) -> None:
    inputs = honest(name)
    more = changed(inputs, "outAmount", place, inputs["outAmount"][place] + 1)
    assert refused(name, signed(rederived(more))) == "balance"
    other = (place + 1) % ARITIES[name][1]
    for amount in (R - 1, 1 << 128):
        # What one output has too much, another has too little, so that the sum is right modulo r.
        rest = (inputs["outAmount"][other] + inputs["outAmount"][place] - amount) % R
        wrapped = changed(changed(inputs, "outAmount", place, amount), "outAmount", other, rest)
        places = {f"output {place}: amount", f"output {other}: amount"}
        assert refused(name, signed(rederived(wrapped))) in places
    for commitment in (0, inputs["commitment"][other], inputs["commitment"][place] + 1):
        assert refused(name, signed(changed(inputs, "commitment", place, commitment))) == f"output {place}: commitment"


@pytest.mark.parametrize("name", ARITIES)
def test_no_public_input_can_be_changed_without_a_new_signature(name) -> None:
    circuit, inputs = registry.build(name), honest(name)
    numbers = [n for n, scope in enumerate(circuit.constraint_scope) if circuit.scopes[scope] == SIGNATURE]
    signature = cpu.ConstraintChecker(rows_of(circuit.r1cs, numbers))
    assert signature.first_violation(witness_of(circuit, inputs)) is None
    for signal in circuit.signals:
        if not signal.public:
            continue
        for place in range(signal.shape[0] if signal.shape else 1):
            if signal.shape:
                other = changed(inputs, signal.name, place, (inputs[signal.name][place] + 1) % R)
            else:
                other = inputs | {signal.name: (inputs[signal.name] + 1) % R}
            broken = signature.first_violation(witness_of(circuit, other))
            assert broken is not None, f"{signal.name}, place {place}"


def test_the_inputs_of_one_arity_are_none_of_another() -> None:
    """Two to three and three to two notes have equally many public inputs; names and shapes are checked."""
    for name, other in (("spend_2x3", "spend_2x2"), ("spend_2x2", "spend_2x3"), ("spend_8x2", "spend_2x2")):
        inputs = honest_spend_of(*(ARITIES | {"spend_2x2": (2, 2)})[name])
        with pytest.raises(InputError, match="must be a list of"):
            cpu.solve(registry.build(other), inputs)


def witness_of(circuit: Circuit, inputs: Inputs) -> np.ndarray:
    """All wires as the witness program computes them, whether the statement is true or not."""
    return cpu.execute(circuit, to_limbs(flatten_inputs(circuit, inputs))[None])[0]


def rows_of(r1cs: R1CS, numbers: list[int]) -> R1CS:
    """The constraint system with these constraints only."""

    def chosen(matrix: SparseMatrix) -> SparseMatrix:
        places = [range(matrix.row_ptr[n], matrix.row_ptr[n + 1]) for n in numbers]
        entries = np.concatenate([np.array(place, dtype=np.int64) for place in places])
        row_ptr = np.cumsum([0, *map(len, places)])
        return SparseMatrix(row_ptr, matrix.col[entries], matrix.value[entries])

    return replace(r1cs, a=chosen(r1cs.a), b=chosen(r1cs.b), c=chosen(r1cs.c))
