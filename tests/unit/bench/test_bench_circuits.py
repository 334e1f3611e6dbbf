"""The circuits that are measured: chains of the size asked for, and honest statements that never repeat."""

from dataclasses import fields, is_dataclass

import numpy as np
import pytest

from bench import circuits
from bench.chain import compile_chain, repeat_chain
from bench.errors import BenchError
from protocol.poseidon import poseidon
from prover.errors import UnsatisfiedError
from prover.limbs import from_limbs
from prover.witness.cpu import solve


@pytest.mark.parametrize("wanted", [240, 479, 480, 1000])
def test_a_chain_is_the_longest_within_the_size_asked_for(wanted):
    assert circuits.build_chain(wanted).n_constraints == wanted // circuits.LINK * circuits.LINK


def test_a_chain_proves_repeated_hashing():
    circuit = circuits.build_chain(720)
    inputs = circuits.statements(circuit)()
    state = inputs["start"]
    for item in inputs["item"]:
        state = poseidon([state, item])
    assert state == inputs["output"]
    assert from_limbs(solve(circuit, inputs)[0])[1] == state
    with pytest.raises(UnsatisfiedError):
        solve(circuit, {**inputs, "start": inputs["start"] ^ 1})


@pytest.mark.parametrize("name", ["spend", "spend_2x3", "spend_8x2", "insert_64", "chain:240"])
def test_statements_are_true_and_never_the_same(name):
    circuit = circuits.build(name)
    fresh = circuits.statements(circuit)
    first, second = (solve(circuit, fresh())[0] for _ in range(2))
    public = slice(1, circuit.n_public + 1)
    assert from_limbs(first[public]) != from_limbs(second[public])


@pytest.mark.parametrize(
    ("name", "constraints", "circuit_name"),
    [
        ("chain:250000", 250_000, "poseidon_chain_250k"),
        ("chain:250k", 250_000, "poseidon_chain_250k"),
        ("chain:1M", 1_000_000, "poseidon_chain_1m"),
        ("chain:1234", 1234, "poseidon_chain_1234"),
    ],
)
def test_chains_are_named_by_their_size(name, constraints, circuit_name):
    assert circuits.parse_chain(name) == constraints
    assert circuits.chain_name(constraints) == circuit_name


@pytest.mark.parametrize(
    "name", ["chain:", "chain:239", "chain:x", "chain:-240", "chain:1e6", "chain:٢٤٠", "chain:240kk"]
)
def test_an_unusable_chain_size_says_how_to_write_one(name):
    with pytest.raises(BenchError, match="chain:250000"):
        circuits.build(name)


def test_an_unknown_circuit_is_answered_with_the_known_ones():
    with pytest.raises(BenchError, match="spend_2x2, insert_64, spend_2x3, spend_8x2, chain:N"):
        circuits.build("join_split")


@pytest.mark.parametrize("length", [1, 3, 4, 9])
def test_a_repeated_chain_is_the_chain_the_builder_makes(length):
    repeated, built = repeat_chain("chain", length), compile_chain("chain", length)
    assert dump(repeated) == dump(built)


def dump(value: object) -> object:
    """Arrays with their types, dataclasses as dictionaries: what two equal circuits have in common."""
    if isinstance(value, np.ndarray):
        return str(value.dtype), value.shape, value.tobytes()
    if is_dataclass(value):
        return {field.name: dump(getattr(value, field.name)) for field in fields(value)}
    return value
