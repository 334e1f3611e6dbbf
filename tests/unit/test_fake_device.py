"""The stand-in for a device cannot be taken for one."""

import pytest

from prover.errors import FormatError, InputError, InvalidProofError, UnsatisfiedError
from prover.formats.proof import Proof
from worker.errors import ConfigurationError
from worker.fake import FakeCircuit, Trouble, load_fake_circuits, wanted
from worker.jobs import is_fake
from worker.manifest import CircuitEntry


def circuit(name="spend_2x2", key=1):
    return FakeCircuit(CircuitEntry(name, None, bytes(32), None, bytes([key]) * 32, 2, True), milliseconds=1)


def prove(made, public, **more):
    (outcome,) = made.prove([made.solve({"public": public, **more})])
    return outcome


def test_its_tag_is_bound_to_the_statement():
    made = circuit()
    tag = prove(made, [1, 2])
    assert len(tag) == 256
    assert made.verify([1, 2], tag)
    assert not made.verify([1, 3], tag)
    assert not made.verify([1, 2], tag[:-1] + bytes([tag[-1] ^ 1]))
    assert not circuit(name="insert_64").verify([1, 2], tag)
    assert not circuit(key=2).verify([1, 2], tag)
    assert not made.verify([2**300], tag)


def test_no_verifier_of_proofs_takes_it_for_one():
    tag = prove(circuit(), [1, 2])
    assert is_fake(tag)
    with pytest.raises(FormatError):
        Proof.from_bytes(tag)
    assert not is_fake(bytes(256))
    assert not is_fake((2**254 - 1).to_bytes(32, "big"))


def test_both_switches_are_needed():
    assert not wanted({})
    assert not wanted({"GELAP_ALLOW_FAKE": "1", "GELAP_DEVICE": "cpu"})
    assert wanted({"GELAP_ALLOW_FAKE": "1", "GELAP_DEVICE": "fake"})
    for allow in ({}, {"GELAP_ALLOW_FAKE": "0"}, {"GELAP_ALLOW_FAKE": "yes"}):
        with pytest.raises(ConfigurationError, match="GELAP_ALLOW_FAKE=1"):
            wanted({"GELAP_DEVICE": "fake", **allow})


def test_it_fails_as_it_is_told_to():
    made = circuit()
    assert isinstance(prove(made, [1, 2], trouble=Trouble.WRONG_PROOF), InvalidProofError)
    assert isinstance(prove(made, [1, 2], trouble=Trouble.UNPLANNED), RuntimeError)
    with pytest.raises(MemoryError):
        prove(made, [1, 2], trouble=Trouble.NO_MEMORY)
    with pytest.raises(UnsatisfiedError):
        made.solve({"public": [1, 2], "trouble": Trouble.UNSATISFIED})


@pytest.mark.parametrize("inputs", [{}, {"public": 1}, {"public": [[1]]}, {"public": [1], "trouble": 99}])
def test_inputs_that_it_does_not_understand_are_refused(inputs):
    with pytest.raises(InputError):
        circuit().solve(inputs)


def test_a_time_that_is_no_number_is_refused(monkeypatch):
    monkeypatch.setenv("GELAP_FAKE_MILLISECONDS", "soon")
    with pytest.raises(ConfigurationError, match="soon"):
        load_fake_circuits({})
