"""The pairing: its value, its laws, and the checks that keep foreign points out."""

from math import gcd

import numba
import numpy as np
import pytest
from py_ecc import optimized_bn128 as reference

from protocol.field import Q, R
from prover.kernels.cpu import fq12, points
from prover.kernels.cpu.pairing import X, g1_on_curve, g2_in_subgroup, g2_on_curve, pairing, pairing_product_is_one
from prover.kernels.cpu.vector import fq_from_mont
from prover.limbs import from_limbs, to_limbs
from prover.msm.cpu import msm_g1, msm_g2

G1 = points.pack_g1([points.G1_GENERATOR])
G2 = points.pack_g2([points.G2_GENERATOR])
A, B = 0x1234567890ABCDEF1234567890ABCDEF, R - 987654321


def _g1(*scalars: int) -> np.ndarray:
    return np.array([msm_g1(G1, to_limbs([scalar % R])) for scalar in scalars])


def _g2(*scalars: int) -> np.ndarray:
    return np.array([msm_g2(G2, to_limbs([scalar % R])) for scalar in scalars])


def _as_reference(value: np.ndarray) -> list[int]:
    """Tower coordinates -> py-ecc's F_q[w] / (w^12 - 18 w^6 + 82), where i = w^6 - 9."""
    tower = from_limbs(fq_from_mont(value))
    coefficients = [0] * 12
    for k in range(6):
        place = 2 * (k // 2) + 6 * (k % 2)
        real, imaginary = tower[place], tower[place + 1]
        coefficients[k] = (real - 9 * imaginary) % Q
        coefficients[k + 6] = imaginary
    return coefficients


def test_the_pairing_of_two_points_is_the_reference_value():
    expected = reference.pairing(reference.multiply(reference.G2, 7), reference.multiply(reference.G1, A))
    assert _as_reference(pairing(_g1(A), _g2(7))) == [int(coefficient) for coefficient in expected.coeffs]


def test_the_pairing_is_bilinear():
    value = pairing(_g1(A * B), G2)
    assert np.array_equal(pairing(_g1(A), _g2(B)), value)
    assert np.array_equal(pairing(_g1(B), _g2(A)), value)
    assert np.array_equal(pairing(G1, _g2(A * B)), value)


def test_the_pairing_is_not_degenerate():
    assert not pairing_product_is_one(G1, G2)
    assert not np.array_equal(pairing(G1, G2), pairing(_g1(2), G2))


@pytest.mark.parametrize(
    ("g1_scalars", "g2_scalars"),
    [([A, -A], [B, B]), ([A, A], [B, -B]), ([A, B, -2 * A * B], [B, A, 1]), ([3, 5, 7, -1], [11, 13, 17, 217])],
)
def test_a_product_is_one_exactly_when_the_sum_of_the_products_is_zero(g1_scalars, g2_scalars):
    g1, g2 = _g1(*g1_scalars), _g2(*g2_scalars)
    assert pairing_product_is_one(g1, g2)
    # So many pairs that threads share them: the sum grows tenfold, and stays zero.
    assert pairing_product_is_one(np.tile(g1, (10, 1)), np.tile(g2, (10, 1)), threads=2)
    for place in range(len(g1_scalars)):
        wrong = g1.copy()
        wrong[place] = _g1(g1_scalars[place] + 1)[0]
        assert not pairing_product_is_one(wrong, g2)
        many_g1, many_g2 = np.concatenate([wrong, *[g1] * 9]), np.concatenate([g2] * 10)
        assert not pairing_product_is_one(many_g1, many_g2, threads=2)


def test_pairs_with_infinity_count_as_one():
    assert pairing_product_is_one(_g1(0), G2)
    assert pairing_product_is_one(G1, _g2(0))
    assert pairing_product_is_one(_g1(A, 0, -A, 5), _g2(B, 9, B, 0))
    assert not pairing_product_is_one(_g1(0, 1), _g2(1, 1))
    assert pairing_product_is_one(np.empty((0, 8), dtype=np.uint64), np.empty((0, 16), dtype=np.uint64))


def test_unequal_numbers_of_points_are_refused():
    with pytest.raises(ValueError, match="2 points of G1 but 1 of G2"):
        pairing_product_is_one(_g1(1, 2), G2)


def test_points_of_the_curve_are_recognised():
    assert g1_on_curve(_g1(1, A, 0, -1))
    assert g2_on_curve(_g2(1, A, 0, -1))
    assert g2_in_subgroup(_g2(1, A, 0, -1))


@pytest.mark.parametrize("place", [0, 1], ids=["x", "y"])
def test_points_off_the_curve_are_recognised_among_others(place):
    g1, g2 = list(points.G1_GENERATOR), [list(coordinate) for coordinate in points.G2_GENERATOR]
    g1[place] += 1
    assert not g1_on_curve(np.concatenate([G1, points.pack_g1([tuple(g1)])]))
    for part in (0, 1):
        moved = [list(coordinate) for coordinate in g2]
        moved[place][part] += 1
        assert not g2_on_curve(np.concatenate([G2, points.pack_g2([tuple(moved)])]))


def _square_root(a: tuple[int, int]) -> tuple[int, int] | None:
    """A root of a0 + a1 i in F_q2, by the complex method: q is 3 modulo 4."""
    norm_root = pow(a[0] ** 2 + a[1] ** 2, (Q + 1) // 4, Q)
    for sign in (1, -1):
        half = (a[0] + sign * norm_root) * pow(2, -1, Q) % Q
        real = pow(half, (Q + 1) // 4, Q)
        if real and real * real % Q == half:
            root = real, a[1] * pow(2 * real, -1, Q) % Q
            if fq12.complex_power(root, 2) == a:
                return root
    return None


def _points_of_the_twist() -> list[points.G2Point]:
    """Points of the twist with small x; the share of r among all orders is negligible."""
    b = points.G2_GENERATOR
    x_cubed, y_squared = fq12.complex_power(b[0], 3), fq12.complex_power(b[1], 2)
    constant = [(y_squared[k] - x_cubed[k]) % Q for k in (0, 1)]
    roots = {x: _square_root(((x**3 + constant[0]) % Q, constant[1])) for x in range(1, 20)}
    return [((x, 0), y) for x, y in roots.items() if y is not None]


def test_points_of_the_twist_outside_the_subgroup_are_recognised():
    strays = _points_of_the_twist()
    assert len(strays) > 3
    for stray in strays:
        packed = points.pack_g2([stray])
        assert g2_on_curve(packed)
        assert not g2_in_subgroup(packed)
        assert not g2_in_subgroup(np.concatenate([G2, packed]))


def test_points_whose_order_divides_the_cofactor_are_not_in_the_subgroup():
    """And neither are they with a point of the subgroup added to them. Multiples come from py-ecc."""
    (x, y), *_ = _points_of_the_twist()
    stray = (reference.FQ2(x), reference.FQ2(y), reference.FQ2.one())
    small = reference.multiply(stray, R)
    assert not reference.is_inf(small)
    for point in (small, reference.add(small, reference.G2)):
        x, y = (tuple(int(part) for part in coordinate.coeffs) for coordinate in reference.normalize(point))
        packed = points.pack_g2([(x, y)])
        assert g2_on_curve(packed)
        assert not g2_in_subgroup(packed)


def test_the_endomorphism_equation_singles_out_points_of_order_r():
    """psi satisfies c(X) = X^2 - t X + q, and the check is that f(psi) vanishes, f = (x + 1) + x X + x X^2 - 2 x X^3.

    A point where both vanish has an order that divides resultant(f, c), and every order divides r (2 q - r).
    """
    t = 6 * X * X + 1
    assert Q + 1 - t == R
    remainder = [X + 1, X, X, -2 * X]
    while len(remainder) > 2:
        highest = remainder.pop()
        remainder[-1] += highest * t
        remainder[-2] -= highest * Q
    a, b = remainder
    resultant = a * a + a * b * t + b * b * Q
    assert gcd(resultant, R * (2 * Q - R)) == R
    assert (2 * Q - R) % R


@numba.njit(error_model="numpy")
def _fq12_laws(a, b):
    """Whether a * (1 / a) is one, a^2 is a * a, and Frobenius powers are multiplicative and of order 12."""
    left, right = np.empty((6, 8), dtype=np.uint64), np.empty((6, 8), dtype=np.uint64)
    fq12.invert(left, a)
    fq12.multiply(left, left, a)
    inverse_holds = (left == fq12.ONE).all()
    fq12.square(left, a)
    fq12.multiply(right, a, a)
    square_holds = (left == right).all()
    fq12.multiply(left, a, b)
    fq12.frobenius(left, left, 1)
    fq12.frobenius(right, a, 1)
    fq12.frobenius(b, b, 1)
    fq12.multiply(right, right, b)
    multiplicative = (left == right).all()
    fq12.conjugate(left, a)
    for _ in range(2):
        fq12.frobenius(left, left, 3)
    return inverse_holds, square_holds, multiplicative, (left == a).all()


def test_the_extension_field_obeys_its_laws():
    source = np.random.default_rng(1)
    a, b = (source.integers(0, 2**60, (6, 8), dtype=np.uint64) for _ in range(2))
    assert _fq12_laws(a, b) == (True, True, True, True)
