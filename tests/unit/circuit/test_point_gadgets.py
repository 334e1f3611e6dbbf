"""BabyJubJub inside circuits: the group's laws, every class of points, and multiplication without exceptional cases."""

import itertools
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import babyjubjub as reference
from protocol.babyjubjub import BASE8, IDENTITY, SUBGROUP_ORDER, Point
from protocol.field import R
from prover.circuit.builder import Builder
from prover.circuit.compile import Circuit
from prover.circuit.gadgets import edwards, montgomery, scalar_mul
from prover.circuit.gadgets.edwards import EdwardsPoint
from prover.circuit.gadgets.scalar_mul import class_point
from prover.errors import UnsatisfiedError
from prover.witness import cpu
from tests.unit.circuit.forging import changeable_wires, compile_with_results, results_of, undetermined_wires

quick = settings(deadline=None, max_examples=20)
scalars = st.one_of(st.integers(0, 20), st.integers(SUBGROUP_ORDER - 20, SUBGROUP_ORDER + 20), st.integers(0, R - 1))


@st.composite
def curve_points(draw: st.DrawFn) -> Point:
    """Points of every class: a multiple of B8 plus a point whose order divides 8."""
    return reference.add(reference.multiply(BASE8, draw(scalars)), class_point(draw(st.integers(0, 7))))


def points_circuit(operation, count: int) -> Circuit:
    builder = Builder("points")
    points = [EdwardsPoint(*builder.private_inputs(f"p{i}", 2)) for i in range(count)]
    return compile_with_results(builder, list(operation(builder, *points)))


ADD = points_circuit(edwards.add, 2)
DOUBLE = points_circuit(edwards.double, 1)


def test_the_order_eight_point_has_order_eight_and_its_double_lies_on_the_x_axis() -> None:
    multiples = [class_point(i) for i in range(8)]
    assert len(set(multiples)) == 8
    assert all(reference.is_on_curve(point) for point in multiples)
    assert multiples[0] == IDENTITY
    assert multiples[4] == Point(0, R - 1)
    assert multiples[2].y == multiples[6].y == 0


@quick
@given(curve_points(), curve_points())
def test_addition_and_doubling_are_the_references(p: Point, q: Point) -> None:
    """Complete: equal, opposite and small-order points included."""
    for left, right in ((p, q), (p, p), (p, reference.negate(p)), (p, IDENTITY)):
        witness = cpu.solve(ADD, {"p0": list(left), "p1": list(right)})[0]
        assert Point(*results_of(witness, 2)) == reference.add(left, right)
        assert undetermined_wires(ADD, witness) == []
    witness = cpu.solve(DOUBLE, {"p0": list(p)})[0]
    assert Point(*results_of(witness, 2)) == reference.add(p, p)


@pytest.mark.parametrize("number", range(8))
def test_adding_a_constant_is_adding_the_point(number: int) -> None:
    constant = class_point(number)
    circuit = points_circuit(lambda builder, p: edwards.add_constant(builder, p, constant), 1)
    free_of_products = constant.x == 0 or constant.y == 0
    assert circuit.n_constraints == 2 if free_of_products else 5
    for p in (BASE8, IDENTITY, constant, reference.negate(constant)):
        witness = cpu.solve(circuit, {"p0": list(p)})[0]
        assert Point(*results_of(witness, 2)) == reference.add(p, constant)


@quick
@given(curve_points(), st.integers(1, R - 1))
def test_only_points_of_the_curve_are_on_the_curve(p: Point, shift: int) -> None:
    builder = Builder("curve")
    edwards.assert_on_curve(builder, EdwardsPoint(*builder.private_inputs("p", 2)))
    circuit = compile_with_results(builder, [])
    cpu.solve(circuit, {"p": list(p)})
    moved = Point(p.x, (p.y + shift) % R)
    if reference.is_on_curve(moved):
        cpu.solve(circuit, {"p": list(moved)})
    else:
        with pytest.raises(UnsatisfiedError):
            cpu.solve(circuit, {"p": list(moved)})


def to_montgomery_and_back(builder: Builder, point: EdwardsPoint) -> EdwardsPoint:
    return montgomery.to_edwards(builder, montgomery.to_montgomery(builder, point))


def montgomery_double_and_add(builder: Builder, p: EdwardsPoint, q: EdwardsPoint) -> EdwardsPoint:
    images = [montgomery.to_montgomery(builder, point) for point in (p, q)]
    return montgomery.to_edwards(builder, montgomery.double_and_add(builder, *images))


def montgomery_add(builder: Builder, p: EdwardsPoint, q: EdwardsPoint) -> EdwardsPoint:
    images = [montgomery.to_montgomery(builder, point) for point in (p, q)]
    return montgomery.to_edwards(builder, montgomery.add(builder, *images))


MONTGOMERY_ADD = points_circuit(montgomery_add, 2)
MONTGOMERY_DOUBLE_AND_ADD = points_circuit(montgomery_double_and_add, 2)
ROUND_TRIP = points_circuit(to_montgomery_and_back, 1)


@quick
@given(scalars, scalars, st.sampled_from([1, 2, 3, 5, 6, 7]))
def test_montgomery_form_maps_back_and_its_sums_are_the_groups(a: int, b: int, number: int) -> None:
    p = reference.add(reference.multiply(BASE8, a), class_point(number))
    assert Point(*results_of(cpu.solve(ROUND_TRIP, {"p0": list(p)})[0], 2)) == p
    # Class 2 or 3 against 1: never equal, never opposite, whatever the scalars.
    left = reference.add(reference.multiply(BASE8, a), class_point(2 + number % 2))
    right = reference.add(reference.multiply(BASE8, b), class_point(1))
    inputs = {"p0": list(left), "p1": list(right)}
    total = reference.add(left, right)
    assert Point(*results_of(cpu.solve(MONTGOMERY_ADD, inputs)[0], 2)) == total
    if number % 2 == 0:
        witness = cpu.solve(MONTGOMERY_DOUBLE_AND_ADD, inputs)[0]
        assert Point(*results_of(witness, 2)) == reference.add(total, left)
        assert undetermined_wires(MONTGOMERY_DOUBLE_AND_ADD, witness) == []


@cache
def base_circuit(count: int) -> Circuit:
    builder = Builder("base")
    return compile_with_results(builder, list(scalar_mul.multiply_base(builder, builder.private_inputs("bit", count))))


@cache
def point_circuit(count: int) -> Circuit:
    builder = Builder("point")
    bits = builder.private_inputs("bit", count)
    point = EdwardsPoint(*builder.private_inputs("p", 2))
    return compile_with_results(builder, list(scalar_mul.multiply_point(builder, bits, point)))


def bits_of(scalar: int, count: int) -> list[int]:
    return [scalar >> i & 1 for i in range(count)]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6])
def test_every_short_scalar_multiplies_the_base_point(count: int) -> None:
    circuit = base_circuit(count)
    for scalar in range(1 << count):
        witness = cpu.solve(circuit, {"bit": bits_of(scalar, count)})[0]
        assert Point(*results_of(witness, 2)) == reference.multiply(BASE8, scalar)
        assert undetermined_wires(circuit, witness) == []


@quick
@given(scalars.filter(lambda scalar: scalar < 1 << 251))
def test_every_scalar_multiplies_the_base_point(scalar: int) -> None:
    """Zero, l - 1, l and l + 1 included: the sums never meet an exceptional case, so no wire is free."""
    circuit = base_circuit(251)
    witness = cpu.solve(circuit, {"bit": bits_of(scalar, 251)})[0]
    assert Point(*results_of(witness, 2)) == reference.multiply(BASE8, scalar)
    assert changeable_wires(circuit, witness) == []


@pytest.mark.parametrize("count", [4, 5, 6, 7])
def test_every_short_scalar_multiplies_any_point(count: int) -> None:
    circuit = point_circuit(count)
    for scalar, base in itertools.product(range(1 << count), (1, SUBGROUP_ORDER - 1)):
        point = reference.multiply(BASE8, base)
        witness = cpu.solve(circuit, {"bit": bits_of(scalar, count), "p": list(point)})[0]
        assert Point(*results_of(witness, 2)) == reference.multiply(point, scalar)
        assert undetermined_wires(circuit, witness) == []


exceptional_elsewhere = st.sampled_from(
    [
        0,
        1,
        SUBGROUP_ORDER,
        8 * SUBGROUP_ORDER - R,
        R - 1,
        *(multiple * SUBGROUP_ORDER + shift for multiple in (1, 2, 5, 7) for shift in (-1, 1)),
        # Prefixes of these scalars are +-1/2 modulo l: doubling and adding meets P + P there.
        (SUBGROUP_ORDER + 1) // 2 << 3,
        (SUBGROUP_ORDER - 1) // 2 << 3,
        (1 << 254) - 1,
    ]
)


@quick
@given(st.one_of(scalars, exceptional_elsewhere), st.integers(1, SUBGROUP_ORDER - 1))
def test_every_scalar_multiplies_any_point(scalar: int, base: int) -> None:
    """Scalars at which the textbook ladder would divide by zero included."""
    circuit = point_circuit(254)
    point = reference.multiply(BASE8, base)
    witness = cpu.solve(circuit, {"bit": bits_of(scalar, 254), "p": list(point)})[0]
    assert Point(*results_of(witness, 2)) == reference.multiply(point, scalar)
    assert changeable_wires(circuit, witness) == []


def test_multiplications_cost_two_and_six_constraints_a_bit() -> None:
    assert base_circuit(251).n_constraints <= 2 * 251 + 4
    assert point_circuit(254).n_constraints <= 6 * 254 + 20


def test_a_scalar_for_any_point_has_four_bits_or_more() -> None:
    with pytest.raises(ValueError, match="four bits"):
        point_circuit(3)
