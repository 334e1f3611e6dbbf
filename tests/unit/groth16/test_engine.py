"""The engine: from named inputs to a proof of a circuit, and what it says when something does not fit."""

import pytest

from protocol.field import R
from prover.engine import Engine
from prover.errors import InputError, InvalidProofError, KeyMismatchError, UnsatisfiedError
from prover.formats.zkey import write_zkey
from prover.groth16.prove import ProvingKey
from prover.groth16.setup import setup
from prover.limbs import to_limbs
from tests.unit.groth16 import samples


@pytest.fixture(scope="module")
def circuit():
    return samples.product_circuit()


@pytest.fixture(scope="module")
def key(circuit) -> ProvingKey:
    return ProvingKey.from_zkey(setup(circuit.r1cs, samples.powers_of_tau()))


@pytest.fixture(scope="module")
def engine(circuit, key) -> Engine:
    return Engine(circuit, key)


def test_inputs_become_a_witness_and_the_witness_a_proof(engine):
    witness = engine.solve({"result": 35, "left": 5, "right": 7})
    assert engine.public_inputs(witness) == [35]
    proof = engine.prove(witness)
    assert engine.verify([35], proof)
    assert not engine.verify([36], proof)


def test_an_engine_tells_its_circuit_and_its_key(engine, key):
    assert (engine.circuit_name, engine.n_public) == ("product", 1)
    assert engine.verification_key is key.verification_key


@pytest.mark.parametrize(
    "inputs",
    [
        {},
        {"result": 35, "left": 5},
        {"result": 35, "left": 5, "right": 7, "more": 1},
        {"result": 35, "left": 5, "right": R},
    ],
    ids=["none", "missing", "unknown", "range"],
)
def test_bad_inputs_are_refused_before_anything_is_computed(engine, inputs):
    with pytest.raises(InputError):
        engine.solve(inputs)


def test_inputs_that_break_a_constraint_have_no_witness(engine):
    with pytest.raises(UnsatisfiedError):
        engine.solve({"result": 36, "left": 5, "right": 7})


def test_a_witness_changed_afterwards_is_unsatisfied_and_not_just_unproved(engine):
    witness = engine.solve({"result": 35, "left": 5, "right": 7})
    witness[1] = to_limbs([36])[0]
    with pytest.raises(UnsatisfiedError, match="breaks constraint"):
        engine.prove(witness)


def test_a_good_witness_and_a_damaged_key_are_an_invalid_proof(circuit, key):
    damaged = ProvingKey(**{**vars(key), "bases_a": key.bases_b1})
    witness = Engine(circuit, damaged).solve({"result": 35, "left": 5, "right": 7})
    with pytest.raises(InvalidProofError, match="key is damaged"):
        Engine(circuit, damaged).prove(witness)


def test_a_key_of_another_circuit_is_refused(circuit):
    with pytest.raises(KeyMismatchError, match="not one of circuit product: it has 9 wires and 3 public inputs"):
        Engine(circuit, samples.proving_key())


def test_loading_refuses_unknown_circuits_and_keys_of_others(tmp_path):
    with pytest.raises(InputError, match="spend_2x2"):
        Engine.load("nonsense", tmp_path / "none.zkey")
    write_zkey(tmp_path / "small.zkey", samples.zkey())
    with pytest.raises(KeyMismatchError, match="spend_2x2"):
        Engine.load("spend", tmp_path / "small.zkey")
