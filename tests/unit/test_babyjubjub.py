"""BabyJubJub: the laws of the group, then the known answers of circomlibjs."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.babyjubjub import (
    BASE8,
    COFACTOR,
    IDENTITY,
    SUBGROUP_ORDER,
    Point,
    add,
    is_in_subgroup,
    is_on_curve,
    multiply,
    negate,
)
from protocol.errors import EncodingError
from protocol.field import R

scalars = st.integers(0, SUBGROUP_ORDER - 1)
points = st.builds(lambda scalar: multiply(BASE8, scalar), scalars)
few = settings(max_examples=10, deadline=None)

# EIP-2494: the generator of the whole group, and the point of order 2.
GENERATOR = Point(
    995203441582195749578291179787384436505546430278305826713579947235728471134,
    5472060717959818805561601436314318772137091100104008585924551046643952123905,
)
ORDER_TWO = Point(0, R - 1)


@given(points, points, points)
@few
def test_addition_is_commutative_and_associative_and_stays_on_the_curve(p, q, s):
    assert add(p, q) == add(q, p)
    assert add(add(p, q), s) == add(p, add(q, s))
    assert is_on_curve(add(p, q))


@given(points)
@few
def test_the_identity_and_inverses_behave(p):
    assert add(p, IDENTITY) == p
    assert add(p, negate(p)) == IDENTITY
    assert multiply(p, 0) == IDENTITY
    assert multiply(p, 1) == p


@given(scalars, scalars)
@few
def test_multiplication_turns_sums_of_scalars_into_sums_of_points(a, b):
    assert multiply(BASE8, a + b) == add(multiply(BASE8, a), multiply(BASE8, b))
    assert multiply(multiply(BASE8, a), b) == multiply(BASE8, a * b % SUBGROUP_ORDER)


def test_the_base_point_generates_the_prime_subgroup_and_is_eight_generators():
    assert multiply(GENERATOR, COFACTOR) == BASE8
    assert is_in_subgroup(BASE8)
    assert not is_in_subgroup(GENERATOR)
    assert multiply(GENERATOR, COFACTOR * SUBGROUP_ORDER) == IDENTITY


def test_the_addition_law_holds_for_points_of_small_order():
    assert is_on_curve(ORDER_TWO)
    assert not is_in_subgroup(ORDER_TWO)
    assert add(ORDER_TWO, ORDER_TWO) == IDENTITY
    assert is_on_curve(add(BASE8, ORDER_TWO))


P1 = Point(
    17777552123799933955779906779655732241715742912184938656739573121738514868268,
    2626589144620713026669568689430873010625803728049924121243784502389097019475,
)
P2 = Point(
    16540640123574156134436876038791482806971768689494387082833631921987005038935,
    20819045374670962167435360035096875258406992893633759881276124905556507972311,
)


def test_known_answers_of_circomlibjs():
    """iden3/circomlibjs, test/babyjub.js, commit 0872b77."""
    assert add(P1, P1) == (
        6890855772600357754907169075114257697580319025794532037257385534741338397365,
        4338620300185947561074059802482547481416142213883829469920100239455078257889,
    )
    assert add(P1, P2) == (
        7916061937171219682591368294088513039687205273691143098332585753343424131937,
        14035240266687799601661095864649209771790948434046947201833777492504781204499,
    )
    assert multiply(P1, 3) == (
        19372461775513343691590086534037741906533799473648040012278229434133483800898,
        9458658722007214007257525444427903161243386465067105737478306991484593958249,
    )
    assert multiply(P1, 14035240266687799601661095864649209771790948434046947201833777492504781204499) == (
        17070357974431721403481313912716834497662307308519659060910483826664480189605,
        4014745322800118607127020275658861516666525056516280575712425373174125159339,
    )


@pytest.mark.parametrize(
    "point", [Point(1, 1), Point(0, 0), Point(BASE8.x + R, BASE8.y), Point(BASE8.x, BASE8.y + R), Point(-BASE8.x, 1)]
)
def test_points_off_the_curve_or_with_aliased_coordinates_are_told_apart(point):
    assert not is_on_curve(point)
    assert not is_in_subgroup(point)


def test_a_negative_scalar_is_refused():
    with pytest.raises(EncodingError):
        multiply(BASE8, -1)
