"""Attack 15, division by zero: `denominator * quotient = numerator` fixes nothing when both are 0.

Here the code of the scalar multiplications runs over sets of classes instead of points (see `scalar_mul`): for every
length of scalar it shows that no scalar and no point, also none that a cheating prover chooses, meets such a case. The
facts about the curve that this rests on are checked first.
"""

from dataclasses import dataclass
from itertools import product

import pytest

from protocol import babyjubjub as reference
from protocol.babyjubjub import BASE8, COFACTOR, IDENTITY, SUBGROUP_ORDER, A, D, Point
from protocol.field import R
from prover.circuit.builder import Builder
from prover.circuit.compile import compile_circuit
from prover.circuit.gadgets import eddsa, edwards, montgomery, scalar_mul
from prover.circuit.gadgets.bits import to_bits
from prover.circuit.gadgets.edwards import EdwardsPoint
from prover.circuit.gadgets.scalar_mul import class_point
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


def is_square(value: int) -> bool:
    return pow(value, (R - 1) // 2, R) == 1


def test_the_curve_has_the_properties_that_rule_out_zero_denominators() -> None:
    """Edwards addition: a is a square, d is none. Back from Montgomery form: no point has u = -1, where v^2 would be
    `-1 + A - 1`, and only one point is of order two, so v = 0 there alone."""
    assert is_square(A)
    assert not is_square(D)
    assert not is_square((montgomery.MONTGOMERY_A - 2) % R)
    assert not is_square((montgomery.MONTGOMERY_A**2 - 4) % R)


def test_every_point_has_exactly_one_class() -> None:
    """The group is cyclic of order 8 l: E has order 8, and l is odd, so `point = c E + (a point of order l)`."""
    assert [reference.multiply(class_point(1), i) == IDENTITY for i in (1, 2, 4, 8)] == [False, False, False, True]
    assert reference.multiply(BASE8, SUBGROUP_ORDER) == IDENTITY
    # Hasse: the order lies within 2 sqrt(r) + 1 of r + 1, and no other multiple of 8 l does.
    assert abs(COFACTOR * SUBGROUP_ORDER - (R + 1)) ** 2 <= 4 * R
    assert (4 * SUBGROUP_ORDER) ** 2 > 4 * 4 * R


@dataclass(frozen=True)
class Classes:
    """A point of which only this is known: its class is one of these. `order_l` says that it is no multiple of E."""

    values: frozenset[int]
    order_l: bool = False

    def __neg__(self) -> "Classes":
        return Classes(frozenset(-value % 8 for value in self.values), self.order_l)


def plus(left: Classes, right: Classes) -> Classes:
    """A sum in Montgomery form. What its caller guarantees: the operands are neither equal nor opposite."""
    for one, other in product(left.values, right.values):
        assert 0 not in ((one - other) % 8, (one + other) % 8), f"classes {one} and {other} can meet"
    return Classes(frozenset((one + other) % 8 for one, other in product(left.values, right.values)))


def class_of(point: Point) -> int:
    """l mod 8 is odd, so `l * point = (l c) E` tells c."""
    multiple = reference.multiply(point, SUBGROUP_ORDER)
    return next(c for c in range(8) if class_point(c * SUBGROUP_ORDER) == multiple)


def from_montgomery(u: int, v: int) -> Point:
    return Point(u * pow(v, -1, R) % R, (u - 1) * pow(u + 1, -1, R) % R)


@pytest.fixture
def over_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `scalar_mul` compute with `Classes`; its selections by bits take every choice at once."""

    def to_montgomery(builder: Builder, point: Classes) -> Classes:
        assert 0 not in point.values, "the identity has no image"
        assert 4 not in point.values or point.order_l, "the point of order two has no image"
        return point

    def to_edwards(builder: Builder, point: Classes) -> Classes:
        assert 4 not in point.values, "the point of order two does not come back"
        return point

    def double_and_add(builder: Builder, point: Classes, addend: Classes) -> Classes:
        inner = plus(point, addend)
        outer = plus(inner, point)
        # Not the sums of all pairs: both steps have the same `point` and `addend`.
        pairs = product(point.values, addend.values)
        exact = frozenset((2 * one + other) % 8 for one, other in pairs)
        assert exact <= outer.values
        return Classes(exact)

    def add_constant(builder: Builder, point: Classes, constant: Point) -> Classes:
        return Classes(frozenset((value + class_of(constant)) % 8 for value in point.values), point.order_l)

    def select(builder: Builder, table: list[tuple[int, int]], window: list[int]) -> Classes:
        return Classes(frozenset(class_of(from_montgomery(*entry)) for entry in table))

    def either_sign(builder: Builder, bit: int, point: Classes) -> Classes:
        return Classes(point.values | (-point).values, point.order_l)

    monkeypatch.setattr(montgomery, "add", lambda builder, left, right: plus(left, right))
    monkeypatch.setattr(montgomery, "double_and_add", double_and_add)
    monkeypatch.setattr(montgomery, "to_montgomery", to_montgomery)
    monkeypatch.setattr(montgomery, "to_edwards", to_edwards)
    monkeypatch.setattr(edwards, "add_constant", add_constant)
    monkeypatch.setattr(edwards, "add", lambda builder, left, right: left)
    monkeypatch.setattr(scalar_mul, "_select", select)
    monkeypatch.setattr(scalar_mul, "_signed", either_sign)
    monkeypatch.setattr(scalar_mul, "_remove_class", lambda builder, point, bit: point)
    monkeypatch.setattr(scalar_mul, "_negated_unless", lambda builder, bit, point: point)


@pytest.mark.usefixtures("over_classes")
def test_no_scalar_leads_a_variable_base_multiplication_into_an_exceptional_case() -> None:
    base = Classes(frozenset([0]), order_l=True)
    for count in range(4, 257):
        ends: Classes = scalar_mul.multiply_point(Builder("classes"), [0] * count, base)  # type: ignore[arg-type]
        assert ends.values == {2, 6}, "what is taken off at the end is 2 E or -2 E"


@pytest.mark.usefixtures("over_classes")
@pytest.mark.parametrize("count", [1, 2, 3, 4, 250, 251, 254])
def test_no_scalar_leads_a_fixed_base_multiplication_into_an_exceptional_case(count: int) -> None:
    ends: Classes = scalar_mul.multiply_base(Builder("classes"), [0] * count)  # type: ignore[arg-type]
    assert ends.values == {0}


@pytest.mark.usefixtures("over_classes")
def test_without_classes_or_for_the_identity_the_cases_would_be_met(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check above can fail. 8A must not be the identity; and class 0 throughout makes it the textbook ladder."""
    identity = Classes(frozenset([0]))
    with pytest.raises(AssertionError, match="order two has no image"):
        scalar_mul.multiply_point(Builder("classes"), [0] * 254, identity)  # type: ignore[arg-type]
    monkeypatch.setattr(montgomery, "to_montgomery", lambda builder, point: point)
    monkeypatch.setattr(scalar_mul, "class_point", lambda number: IDENTITY)
    with pytest.raises(AssertionError, match="classes 0 and 0 can meet"):
        scalar_mul.multiply_point(Builder("classes"), [0] * 254, identity)  # type: ignore[arg-type]


def test_an_addition_that_meets_equal_points_lets_the_prover_choose_the_sum() -> None:
    """What the classes prevent: 0/0 is any slope, and with it any sum, on the curve or not."""
    builder = Builder("equal points")
    point = EdwardsPoint(*builder.private_inputs("p", 2))
    image = montgomery.to_montgomery(builder, point)
    slope = builder.n_variables + 1
    circuit = compile_with_results(builder, list(montgomery.add(builder, image, image)))
    inputs = {"p": list(class_point(1))}
    sums = set()
    for lie in (0, 1, 12345):
        witness = forged_witness(circuit, inputs, {slope: lie})
        assert broken_place(circuit, witness) is None
        sums.add(tuple(results_of(witness, 2)))
    assert len(sums) == 3
    assert undetermined_wires(circuit, cpu.solve(circuit, inputs)[0]) != []


def test_the_denominators_of_a_doubling_and_an_addition_are_not_zero_at_points_of_small_order() -> None:
    """All 64 pairs; of the points, these make most coordinates and products 0."""
    builder = Builder("small order")
    points = [EdwardsPoint(*builder.private_inputs(name, 2)) for name in ("p", "q")]
    total = edwards.add(builder, *points)
    circuit = compile_with_results(builder, [*edwards.double(builder, points[0]), *total])
    for i, j in product(range(8), repeat=2):
        witness = cpu.solve(circuit, {"p": list(class_point(i)), "q": list(class_point(j))})[0]
        assert results_of(witness, 4) == [*class_point(2 * i), *class_point(i + j)]
        assert undetermined_wires(circuit, witness) == []


@pytest.mark.parametrize(
    ("challenge", "nonce"),
    [
        (0, 0),
        (0, 5),
        (1, 0),
        (SUBGROUP_ORDER, 0),
        (SUBGROUP_ORDER, 5),
        (7 * SUBGROUP_ORDER, 5),
        (1, -8),
    ],
    ids=["all zero", "h = 0", "R8 the identity", "h = l, R8 the identity", "h = l", "h = 7 l", "S = 0"],
)
def test_a_verification_with_extreme_scalars_leaves_no_wire_free(challenge: int, nonce: int) -> None:
    """h or S of 0, 8hA the identity, R8 the identity: true signatures, though no signer makes them.

    A stand-in hash gives the challenge: it is the message. The key is 1, so `S = nonce + 8h`.
    """
    builder = Builder("extreme")
    message = builder.public_input("message")
    public, r8 = (EdwardsPoint(*builder.private_inputs(name, 2)) for name in ("a", "r8"))
    s = builder.private_input("s")
    eddsa.assert_signature(builder, lambda builder, inputs, output=None: inputs[-1], public, message, r8, s)
    circuit = compile_circuit(builder)
    inputs = {
        "message": challenge,
        "a": list(BASE8),
        "r8": list(reference.multiply(BASE8, nonce % SUBGROUP_ORDER)),
        "s": (nonce + COFACTOR * challenge) % SUBGROUP_ORDER,
    }
    witness = cpu.solve(circuit, inputs)[0]
    assert undetermined_wires(circuit, witness) == []
    assert changeable_wires(circuit, witness) == []
    for wrong in ({"s": (inputs["s"] + 1) % SUBGROUP_ORDER}, {"r8": list(reference.negate(BASE8))}):
        assert broken_place(circuit, forged_witness(circuit, inputs | wrong, {})) == "S*B8 = R8 + 8h*A"


def test_bits_that_are_no_bits_cannot_make_a_scalar() -> None:
    """Scalar multiplications trust their bits; what proves them is `to_bits`, whatever the prover puts there."""
    builder = Builder("bits")
    bits = to_bits(builder, builder.private_input("x"), 8)
    circuit = compile_with_results(builder, list(scalar_mul.multiply_base(builder, bits)))
    first = variable(bits[0])
    for lie in ({first: 2, first + 1: R - 1}, {first: R - 1, first + 1: 1}, {first + 7: R - 1}):
        assert broken_place(circuit, forged_witness(circuit, {"x": 0}, lie)) is not None
    assert broken_place(circuit, forged_witness(circuit, {"x": 0}, {})) is None
