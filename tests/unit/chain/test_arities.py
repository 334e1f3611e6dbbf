"""The numbers of notes for which there are spends: the chain's names for them and the prover's circuits agree."""

import pytest

from chain.errors import ChainError
from chain.proving import INSERT_CIRCUIT, SPEND_CIRCUIT, SPEND_CIRCUITS, spend_circuit
from protocol.statements import SPEND_ARITIES
from prover.statements import registry


def test_every_arity_has_its_circuit_and_every_circuit_its_arity() -> None:
    assert {*SPEND_CIRCUITS, INSERT_CIRCUIT} == set(registry.names())
    assert registry.BASIC == (SPEND_CIRCUIT, INSERT_CIRCUIT)
    assert tuple(SPEND_CIRCUITS.values()) == SPEND_ARITIES


@pytest.mark.parametrize(("name", "arity"), SPEND_CIRCUITS.items())
def test_a_circuit_has_as_many_inputs_as_its_name_says(name: str, arity: tuple[int, int]) -> None:
    assert spend_circuit(*arity) == name
    shapes = {signal.name: signal.shape for signal in registry.build(name).signals}
    assert (shapes["nullifier"], shapes["commitment"]) == ((arity[0],), (arity[1],))
    assert registry.build(name).r1cs.n_public_inputs == sum(arity) + 4


@pytest.mark.parametrize("arity", [(2, 4), (3, 2), (0, 0), (8, 3)])
def test_an_arity_without_circuit_is_refused_with_those_there_are(arity: tuple[int, int]) -> None:
    with pytest.raises(ChainError, match="there are: 2 to 2, 2 to 3, 8 to 2"):
        spend_circuit(*arity)
