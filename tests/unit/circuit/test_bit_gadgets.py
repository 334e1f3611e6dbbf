"""Bits, ranges and choices: what they prove, and that a prover who lies about a hint is caught."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.babyjubjub import SUBGROUP_ORDER
from protocol.field import R
from prover.circuit.builder import Builder
from prover.circuit.compile import Circuit, compile_circuit
from prover.circuit.gadgets import bits as gadgets
from prover.errors import UnsatisfiedError
from prover.witness import cpu
from tests.unit.circuit.forging import (
    broken_place,
    changeable_wires,
    compile_with_results,
    forged_witness,
    results_of,
    undetermined_wires,
    variable,
)

elements = st.one_of(st.integers(0, 300), st.integers(R - 300, R - 1), st.integers(0, R - 1))
quick = settings(deadline=None, max_examples=30)


def bits_circuit(count: int) -> tuple[Circuit, list[int]]:
    builder = Builder("bits")
    bits = gadgets.to_bits(builder, builder.private_input("x"), count)
    return compile_circuit(builder), [variable(bit) for bit in bits]


def bounded_circuit(bound: int) -> tuple[Circuit, list[int]]:
    builder = Builder("bits below")
    bits = gadgets.to_bits_below(builder, builder.private_input("x"), bound)
    return compile_circuit(builder), [variable(bit) for bit in bits]


def as_bits(value: int, variables: list[int]) -> dict[int, int]:
    """The lie that these variables are the bits of another value."""
    return {number: value >> i & 1 for i, number in enumerate(variables)}


@quick
@given(count=st.sampled_from([1, 8, 32, 128, 253]), x=elements)
def test_a_value_has_bits_exactly_if_it_is_in_range(count: int, x: int) -> None:
    circuit, variables = bits_circuit(count)
    assert circuit.n_constraints == count + 1
    if x < 1 << count:
        witness = cpu.solve(circuit, {"x": x})[0]
        assert results_of(witness, count) == [x >> i & 1 for i in range(count)]
    else:
        assert broken_place(circuit, forged_witness(circuit, {"x": x}, {})) is not None
        # The bits need not be bits for the sum to come out: the excess goes into the highest one.
        excess = (x - x % (1 << count)) * pow(1 << (count - 1), -1, R)
        lie = {variables[-1]: (x >> (count - 1) & 1) + excess}
        assert broken_place(circuit, forged_witness(circuit, {"x": x}, lie)) is not None


@pytest.mark.parametrize("count", [0, 254, 300])
def test_more_bits_than_the_field_has_are_refused(count: int) -> None:
    builder = Builder("bits")
    with pytest.raises(ValueError, match="253"):
        gadgets.to_bits(builder, builder.private_input("x"), count)


@quick
@given(bound=st.one_of(st.integers(2, 200), st.sampled_from([SUBGROUP_ORDER, R])), data=st.data())
def test_bits_below_a_bound_exist_exactly_for_values_below_it(bound: int, data: st.DataObject) -> None:
    near = st.integers(max(0, bound - 3), min(R - 1, bound + 3))
    x = data.draw(st.one_of(near, st.integers(0, min(R, 2 * bound) - 1)))
    circuit, variables = bounded_circuit(bound)
    if x < bound:
        witness = cpu.solve(circuit, {"x": x})[0]
        values = dict(zip(circuit.r1cs.labels.tolist(), results_of(witness, circuit.r1cs.n_wires), strict=True))
        assert [values[number] for number in variables] == [x >> i & 1 for i in range(len(variables))]
        assert changeable_wires(circuit, witness) == []
    else:
        with pytest.raises(UnsatisfiedError):
            cpu.solve(circuit, {"x": x})


def test_every_small_bound_is_exact() -> None:
    """All bounds up to 20 against all patterns of as many bits: exactly the numbers below the bound pass."""
    for bound in range(2, 21):
        circuit, variables = bounded_circuit(bound)
        for claimed in range(1 << len(variables)):
            place = broken_place(circuit, forged_witness(circuit, {"x": claimed}, as_bits(claimed, variables)))
            assert (place is None) == (claimed < bound)


@pytest.mark.parametrize("x", [0, 1, 5, (1 << 254) - R - 1])
def test_a_small_value_cannot_be_given_the_bits_of_its_alias(x: int) -> None:
    """Attacks 2 and 15: x and x + r are one field element, and x + r fits into 254 bits for x below 2^254 - r."""
    circuit, variables = bounded_circuit(R)
    assert broken_place(circuit, forged_witness(circuit, {"x": x}, as_bits(x, variables))) is None
    assert x + R < 1 << len(variables)
    assert broken_place(circuit, forged_witness(circuit, {"x": x}, as_bits(x + R, variables))) is not None


@given(elements)
@quick
def test_is_nonzero_tells_zero_from_everything_else(x: int) -> None:
    builder = Builder("nonzero")
    circuit = compile_with_results(builder, [gadgets.is_nonzero(builder, builder.private_input("x"))])
    witness = cpu.solve(circuit, {"x": x})[0]
    assert results_of(witness, 1) == [int(x != 0)]
    assert undetermined_wires(circuit, witness) == []


@pytest.mark.parametrize("x", [0, 7])
@pytest.mark.parametrize("inverse", [0, 1, 7, pow(7, -1, R), R - 1])
def test_no_lie_about_the_inverse_changes_whether_a_value_is_zero(x: int, inverse: int) -> None:
    builder = Builder("nonzero")
    value = builder.private_input("x")
    gadgets.is_nonzero(builder, value)
    circuit = compile_circuit(builder)
    honest = pow(x, -1, R) if x else 0
    place = broken_place(circuit, forged_witness(circuit, {"x": x}, {variable(value) + 1: inverse}))
    assert (place is None) == (inverse == honest)


def test_assert_nonzero_refuses_zero_alone() -> None:
    builder = Builder("nonzero")
    value = builder.private_input("x")
    gadgets.assert_nonzero(builder, value)
    circuit = compile_circuit(builder)
    cpu.solve(circuit, {"x": R - 1})
    for inverse in (0, 1, 12345):
        assert broken_place(circuit, forged_witness(circuit, {"x": 0}, {variable(value) + 1: inverse})) is not None


@quick
@given(bit=st.integers(0, 1), left=elements, right=elements)
def test_swap_if_swaps_if_the_bit_is_set(bit: int, left: int, right: int) -> None:
    builder = Builder("swap")
    signals = [builder.private_input(name) for name in ("bit", "left", "right")]
    circuit = compile_with_results(builder, list(gadgets.swap_if(builder, *signals)))
    witness = cpu.solve(circuit, {"bit": bit, "left": left, "right": right})[0]
    assert results_of(witness, 2) == ([right, left] if bit else [left, right])
    assert undetermined_wires(circuit, witness) == []
