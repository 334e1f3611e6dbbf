"""Poseidon and Merkle paths inside circuits, against the reference in `protocol`."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import merkle as reference_tree
from protocol.field import R
from protocol.poseidon import poseidon as reference
from prover.circuit.builder import Builder
from prover.circuit.compile import Circuit, compile_circuit
from prover.circuit.gadgets.hashing import Hash
from prover.circuit.gadgets.merkle import root_from_path, subtree_root
from prover.circuit.gadgets.poseidon import poseidon
from prover.errors import UnsatisfiedError
from prover.witness import cpu
from tests.unit.circuit.forging import changeable_wires, compile_with_results, results_of, undetermined_wires

elements = st.one_of(st.integers(0, 3), st.integers(R - 3, R - 1), st.integers(0, R - 1))
quick = settings(deadline=None, max_examples=10)


def hash_circuit(count: int) -> Circuit:
    builder = Builder(f"H{count}")
    output = builder.public_input("output")
    poseidon(builder, builder.private_inputs("input", count), output)
    return compile_circuit(builder)


CIRCUITS = {count: hash_circuit(count) for count in (1, 2, 3, 5, 8)}


@quick
@given(count=st.sampled_from(list(CIRCUITS)), data=st.data())
def test_the_hash_is_the_reference_hash(count: int, data: st.DataObject) -> None:
    inputs = data.draw(st.lists(elements, min_size=count, max_size=count))
    output = reference(inputs)
    cpu.solve(CIRCUITS[count], {"input": inputs, "output": output})
    with pytest.raises(UnsatisfiedError):
        cpu.solve(CIRCUITS[count], {"input": inputs, "output": (output + 1) % R})


@pytest.mark.parametrize("count", CIRCUITS)
def test_no_wire_of_a_hash_is_free(count: int) -> None:
    """Attack 15, for all wires together and each alone."""
    inputs = [random.Random(count).randrange(R) for _ in range(count)]
    circuit = CIRCUITS[count]
    witness = cpu.solve(circuit, {"input": inputs, "output": reference(inputs)})[0]
    assert undetermined_wires(circuit, witness) == []
    assert changeable_wires(circuit, witness) == []


def test_a_two_input_hash_costs_less_than_circoms() -> None:
    """circom 2 with -O2 on circomlib's Poseidon(2): 243 constraints, 954 entries in A and B."""
    circuit = CIRCUITS[2]
    assert circuit.n_constraints == 240
    assert circuit.r1cs.a.nnz + circuit.r1cs.b.nnz == 492


def test_constant_inputs_and_combinations_are_hashed_too() -> None:
    builder = Builder("mixed")
    x, y = builder.private_inputs("input", 2)
    results = [poseidon(builder, [5, 7]), poseidon(builder, [2 * x - y + 3, 7])]
    circuit = compile_with_results(builder, results)
    witness = cpu.solve(circuit, {"input": [10, 20]})[0]
    assert results_of(witness, 2) == [reference([5, 7]), reference([3, 7])]


def sum_hash(builder: Builder, inputs, output=None):
    """A hash that is none, but easy to tell from Poseidon: the weighted sum of the inputs."""
    total = sum((i + 1) * value for i, value in enumerate(inputs))
    if output is not None:
        builder.constrain_equal(total, output)
    return total


def path_circuit(depth: int, hash_function: Hash) -> Circuit:
    builder = Builder("path")
    root = builder.public_input("root")
    leaf = builder.private_input("leaf")
    bits, siblings = builder.private_inputs("bit", depth), builder.private_inputs("sibling", depth)
    root_from_path(builder, hash_function, leaf, bits, siblings, root)
    return compile_circuit(builder)


@quick
@given(leaf=elements, index=st.integers(0, 2**32 - 1), seed=st.integers(0, 100))
def test_a_path_leads_to_the_reference_root(leaf: int, index: int, seed: int) -> None:
    path = [random.Random(seed + level).randrange(R) for level in range(32)]
    inputs = {"leaf": leaf, "bit": [index >> i & 1 for i in range(32)], "sibling": path}
    root = reference_tree.root_from_path(leaf, index, path)
    cpu.solve(PATH, {**inputs, "root": root})
    inputs["bit"][5] ^= 1
    with pytest.raises(UnsatisfiedError):
        cpu.solve(PATH, {**inputs, "root": root})


PATH = path_circuit(32, poseidon)


def test_the_hash_of_a_path_is_a_parameter() -> None:
    circuit = path_circuit(2, sum_hash)
    assert circuit.n_constraints == 3
    # Leaf 5 is a left child beside 7: 5 + 2*7 = 19, then a right child beside 1: 1 + 2*19 = 39.
    cpu.solve(circuit, {"leaf": 5, "bit": [0, 1], "sibling": [7, 1], "root": 39})


def test_a_subtree_is_the_reference_tree_over_its_leaves() -> None:
    builder = Builder("subtree")
    circuit = compile_with_results(builder, [subtree_root(builder, poseidon, builder.private_inputs("leaf", 4))])
    leaves = [3, 1, 4, 1]
    expected = reference([reference(leaves[:2]), reference(leaves[2:])])
    assert results_of(cpu.solve(circuit, {"leaf": leaves})[0], 1) == [expected]


@pytest.mark.parametrize("count", [0, 3, 6])
def test_a_subtree_has_a_power_of_two_of_leaves(count: int) -> None:
    builder = Builder("subtree")
    with pytest.raises(ValueError, match="power of two"):
        subtree_root(builder, poseidon, builder.private_inputs("leaf", count))
