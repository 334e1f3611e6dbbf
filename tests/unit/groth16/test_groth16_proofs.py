"""Proofs: those of satisfied constraints verify, and nothing else does."""

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from py_ecc import optimized_bn128 as reference

from protocol.field import Q, R
from prover.errors import FormatError, InvalidProofError, KeyMismatchError
from prover.formats.proof import Proof
from prover.formats.verification_key import VerificationKey
from prover.groth16.hash_to_g2 import TWIST_B, sqrt
from prover.groth16.prove import ProvingKey, prove
from prover.groth16.setup import initial_key, setup
from prover.groth16.verification_key import verification_key
from prover.groth16.verify import Verifier, verify
from prover.kernels.cpu.pairing import pairing_product_is_one
from prover.kernels.cpu.points import pack_g1, pack_g2, unpack_g1, unpack_g2
from prover.limbs import from_limbs, to_limbs
from prover.msm.cpu import msm_g1
from prover.msm.fixed_base import scale_points_g1, scale_points_g2
from tests.unit.groth16 import samples

elements = st.one_of(st.integers(0, 3), st.integers(R - 3, R - 1), st.integers(0, R - 1))


def public_of(witness: np.ndarray) -> list[int]:
    return from_limbs(witness[1:4])


@pytest.fixture(scope="module")
def key() -> ProvingKey:
    return samples.proving_key()


@pytest.fixture(scope="module")
def vkey(key) -> VerificationKey:
    return key.verification_key


@pytest.fixture(scope="module")
def proof(key) -> Proof:
    return prove(key, samples.witness())


@pytest.fixture(scope="module")
def public() -> list[int]:
    return public_of(samples.witness())


@settings(max_examples=20, deadline=None)
@given(a=elements, b=elements, x=elements, d=st.integers(0, 1), unused=elements, idle=elements)
def test_every_satisfying_witness_has_a_proof(a, b, x, d, unused, idle):
    witness = samples.witness(a, b, x, d, unused, idle)
    made = prove(samples.proving_key(), witness, threads=1)
    assert verify(samples.proving_key().verification_key, public_of(witness), made)


def test_two_proofs_of_one_witness_share_no_point(key, vkey, public, proof):
    other = prove(key, samples.witness())
    assert verify(vkey, public, other)
    assert other.a != proof.a
    assert other.b != proof.b
    assert other.c != proof.c


def test_the_verification_equation_holds_in_the_reference_implementation(vkey, public, proof):
    """py-ecc evaluates e(A, B) = e(alpha, beta) e(sum, gamma) e(C, delta) on its own."""

    def g1(point):
        return reference.FQ(point[0]), reference.FQ(point[1]), reference.FQ.one()

    def g2(point):
        return reference.FQ2(point[0]), reference.FQ2(point[1]), reference.FQ2.one()

    statement = g1(vkey.ic[0])
    for value, point in zip(public, vkey.ic[1:], strict=True):
        statement = reference.add(statement, reference.multiply(g1(point), value))
    product = reference.pairing(g2(vkey.beta2), g1(vkey.alpha1))
    product *= reference.pairing(g2(vkey.gamma2), statement)
    product *= reference.pairing(g2(vkey.delta2), g1(proof.c))
    assert reference.pairing(g2(proof.b), g1(proof.a)) == product


def test_a_proof_does_not_hold_for_another_public_input(vkey, public, proof):
    for place in range(3):
        for change in (1, -1):
            altered = list(public)
            altered[place] = (altered[place] + change) % R
            assert not verify(vkey, altered, proof), f"input {place} is not bound"


def test_a_public_input_given_modulo_r_is_not_accepted_twice(vkey, public, proof):
    assert not verify(vkey, [public[0] + R, *public[1:]], proof)
    assert not verify(vkey, [public[0] - R, *public[1:]], proof)


def test_a_changed_point_makes_a_proof_invalid(vkey, public, proof):
    def negated(point):
        return point[0], Q - point[1]

    minus_b = (proof.b[0], tuple((Q - part) % Q for part in proof.b[1]))
    for altered in (
        replace(proof, a=negated(proof.a)),
        replace(proof, b=minus_b),
        replace(proof, c=negated(proof.c)),
        replace(proof, a=proof.c, c=proof.a),
        replace(proof, a=(0, 0)),
        replace(proof, b=((0, 0), (0, 0))),
        replace(proof, c=(0, 0)),
        Proof((0, 0), ((0, 0), (0, 0)), (0, 0)),
    ):
        assert not verify(vkey, public, altered)


def test_a_point_off_its_curve_is_not_valid(vkey, public, proof):
    assert not verify(vkey, public, replace(proof, a=(proof.a[0], (proof.a[1] + 1) % Q)))
    assert not verify(vkey, public, replace(proof, c=((proof.c[0] + 1) % Q, proof.c[1])))
    (x0, x1), y = proof.b
    assert not verify(vkey, public, replace(proof, b=(((x0 + 1) % Q, x1), y)))


def test_a_coordinate_beyond_the_field_is_not_valid(vkey, public, proof):
    assert not verify(vkey, public, replace(proof, a=(proof.a[0] + Q, proof.a[1])))
    assert not verify(vkey, public, replace(proof, c=(proof.c[0], proof.c[1] - Q)))


def twist_point_outside_the_subgroup():
    """The first x = n has a point of the twist with overwhelming probability outside G2; its order is checked here."""
    for n in range(1, 100):
        x = reference.FQ2([n, 0])
        y = sqrt(tuple(int(c) for c in (x * x * x + reference.FQ2(TWIST_B)).coeffs))
        if y is not None:
            point = (x, reference.FQ2(y), reference.FQ2.one())
            assert reference.is_on_curve(point, reference.b2)
            assert not reference.is_inf(reference.multiply(point, R))
            return (n, 0), y
    raise AssertionError("no point found")


def test_b_outside_the_subgroup_is_not_valid(vkey, public, proof):
    assert not verify(vkey, public, replace(proof, b=twist_point_outside_the_subgroup()))


def test_the_number_of_public_inputs_must_fit_the_key(vkey, public, proof):
    for wrong in ([], public[:-1], [*public, 0]):
        with pytest.raises(KeyMismatchError, match="takes 3 public inputs"):
            verify(vkey, wrong, proof)


def test_a_proof_of_another_key_is_not_valid(public, proof):
    other = setup(samples.circuit(), samples.powers_of_tau())
    assert not verify(verification_key(other), public, proof)


def test_proofs_are_malleable_so_their_bytes_are_no_identity(vkey, public, proof):
    """(2 A, B / 2, C) proves the same statement. Whoever remembers proofs to refuse repeats remembers nothing."""
    a = unpack_g1(scale_points_g1(pack_g1([proof.a]), 2))[0]
    b = unpack_g2(scale_points_g2(pack_g2([proof.b]), pow(2, -1, R)))[0]
    assert verify(vkey, public, Proof(a, b, proof.c))


def test_changing_any_constrained_wire_leaves_no_proof(key):
    honest = samples.witness()
    rng = random.Random(2024)
    for wire in (1, 2, 4, 5, 6, 7):
        witness = honest.copy()
        witness[wire] = to_limbs([rng.randrange(R)])[0]
        with pytest.raises(InvalidProofError, match="does not satisfy the circuit"):
            prove(key, witness)


@pytest.mark.parametrize(
    ("witness", "reason"),
    [
        (samples.witness()[:-1], "8 values and the proving key 9 wires"),
        (np.vstack([samples.witness(), samples.witness()[:1]]), "10 values and the proving key 9 wires"),
        (samples.witness().astype(np.int64), "uint64 array"),
        (samples.witness().reshape(-1), "uint64 array"),
        (np.vstack([to_limbs([2]), samples.witness()[1:]]), "begins with the constant 1"),
        (np.vstack([samples.witness()[:-1], to_limbs([R])]), "values below r"),
    ],
    ids=["short", "long", "dtype", "flat", "no-one", "not-canonical"],
)
def test_a_witness_of_another_form_is_refused(key, witness, reason):
    with pytest.raises(KeyMismatchError, match=reason):
        prove(key, witness)


def test_an_error_about_a_witness_shows_none_of_it(key):
    secret = 123456789123456789
    with pytest.raises(InvalidProofError) as error:
        prove(key, np.vstack([samples.witness(), to_limbs([secret])])[[0, 1, 2, 3, 4, 5, 9, 7, 8]])
    assert str(secret) not in str(error.value)


G2_INFINITY = ((0, 0), (0, 0))


@pytest.mark.parametrize("field", ["alpha1", "beta2", "gamma2", "delta2"])
def test_a_verification_key_with_a_zero_point_is_refused(vkey, field):
    infinity = (0, 0) if field == "alpha1" else G2_INFINITY
    with pytest.raises(FormatError, match="infinity"):
        Verifier(replace(vkey, **{field: infinity}))


def test_a_verification_key_with_a_zero_input_point_is_refused(vkey):
    for place in range(len(vkey.ic)):
        ic = list(vkey.ic)
        ic[place] = (0, 0)
        with pytest.raises(FormatError, match=rf"IC\[{place}\] is the point at infinity"):
            Verifier(replace(vkey, ic=tuple(ic)))


def test_a_verification_key_with_points_outside_the_groups_is_refused(vkey):
    with pytest.raises(FormatError, match="alpha is not on the curve"):
        Verifier(replace(vkey, alpha1=(1, 3)))
    with pytest.raises(FormatError, match=r"IC\[1\] is not on the curve"):
        Verifier(replace(vkey, ic=(vkey.ic[0], (1, 3), *vkey.ic[2:])))
    with pytest.raises(FormatError, match="coordinate outside the field"):
        Verifier(replace(vkey, alpha1=(1 + Q, 2)))
    for field in ("beta2", "gamma2", "delta2"):
        with pytest.raises(FormatError, match="not in the group G2"):
            Verifier(replace(vkey, **{field: twist_point_outside_the_subgroup()}))


def test_a_key_whose_gamma_equals_delta_is_refused(vkey):
    x, (y0, y1) = vkey.gamma2
    for delta in (vkey.gamma2, (x, (-y0 % Q, -y1 % Q))):
        with pytest.raises(FormatError, match="gamma and delta"):
            Verifier(replace(vkey, delta2=delta))


def test_without_phase_2_a_forged_proof_satisfies_the_equation():
    """Why gamma = delta is refused: (alpha, beta, -statement) satisfies the equation for any public inputs at all."""
    initial = initial_key(samples.circuit(), samples.powers_of_tau())
    key = VerificationKey.from_zkey(initial)
    statement = msm_g1(initial.ic, to_limbs([1, 11, 22, 33]))
    forged = Proof(key.alpha1, key.beta2, unpack_g1(scale_points_g1(statement[None], -1))[0])

    x, y = forged.a
    left = np.concatenate([pack_g1([(x, Q - y), forged.c, key.alpha1]), statement[None]])
    right = pack_g2([forged.b, key.delta2, key.beta2, key.gamma2])
    assert pairing_product_is_one(left, right)
    with pytest.raises(FormatError, match="forge"):
        verify(key, [11, 22, 33], forged)


def test_a_proving_key_without_phase_2_is_refused():
    with pytest.raises(FormatError, match="phase-2 contribution"):
        ProvingKey.from_zkey(initial_key(samples.circuit(), samples.powers_of_tau()))


@pytest.mark.parametrize("field", ["points_a", "points_b1", "points_b2", "points_c", "points_h"])
def test_a_proving_key_with_a_point_off_its_curve_is_refused(field):
    damaged = getattr(samples.zkey(), field).copy()
    damaged[-1, 0] ^= np.uint64(1)
    with pytest.raises(FormatError, match="not on its curve"):
        ProvingKey.from_zkey(replace(samples.zkey(), **{field: damaged}))


def test_a_proving_key_of_another_setup_makes_no_proof():
    """Wrong points that lie on the curve come out as an error, never as a wrong proof."""
    swapped = samples.zkey().points_c[::-1].copy()
    key = ProvingKey.from_zkey(replace(samples.zkey(), points_c=swapped))
    with pytest.raises(InvalidProofError):
        prove(key, samples.witness())
