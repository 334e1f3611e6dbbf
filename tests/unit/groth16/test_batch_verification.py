"""Batch verification: a batch is valid when each of its proofs is."""

from dataclasses import replace

import numpy as np
import pytest

from protocol.field import Q, R
from prover.errors import KeyMismatchError
from prover.formats.proof import Proof
from prover.groth16 import verify as verification
from prover.groth16.prove import prove
from prover.groth16.verify import verify, verify_batch
from prover.kernels.cpu.points import G1_GENERATOR, pack_g1, unpack_g1
from prover.limbs import from_limbs, to_limbs
from prover.msm.cpu import msm_g1
from prover.msm.fixed_base import scale_points_g1
from prover.msm.pointwise import multiply_each_g1
from tests.unit.groth16 import samples
from tests.unit.groth16.test_groth16_proofs import twist_point_outside_the_subgroup

SIZE = 20
BAD_PLACES = (0, 7, SIZE - 1)


@pytest.fixture(scope="module")
def vkey():
    return samples.proving_key().verification_key


@pytest.fixture(scope="module")
def statements() -> list[verification.Statement]:
    witnesses = [samples.witness(a=number, x=number + 9) for number in range(SIZE)]
    return [(from_limbs(witness[1:4]), prove(samples.proving_key(), witness)) for witness in witnesses]


def exchanged(statements, place: int, public: list[int], proof: Proof):
    return [*statements[:place], (public, proof), *statements[place + 1 :]]


def shifted(point, multiple: int):
    """point + multiple * generator."""
    both = pack_g1([point, G1_GENERATOR])
    return unpack_g1(msm_g1(both, to_limbs([1, multiple % R])))[0]


def test_valid_proofs_are_valid_together_whatever_their_number(vkey, statements):
    for count in (0, 1, 2, 3, SIZE):
        assert verify_batch(vkey, statements[:count])


def test_a_statement_may_stand_in_a_batch_twice(vkey, statements):
    assert verify_batch(vkey, [statements[0], statements[0], statements[1]])


@pytest.mark.parametrize("place", BAD_PLACES)
def test_one_wrong_input_among_many_makes_a_batch_invalid(vkey, statements, place):
    public, proof = statements[place]
    for changed in ((public[0] + 1) % R, (public[0] - 1) % R):
        assert not verify_batch(vkey, exchanged(statements, place, [changed, *public[1:]], proof))


@pytest.mark.parametrize("place", BAD_PLACES)
def test_one_wrong_proof_among_many_makes_a_batch_invalid(vkey, statements, place):
    public, proof = statements[place]
    minus_a = (proof.a[0], Q - proof.a[1])
    for wrong in (
        replace(proof, c=shifted(proof.c, 1)),
        replace(proof, a=minus_a),
        replace(proof, a=(0, 0)),
        Proof((0, 0), ((0, 0), (0, 0)), (0, 0)),
        statements[(place + 1) % SIZE][1],
    ):
        assert not verify_batch(vkey, exchanged(statements, place, public, wrong))


def test_two_exchanged_proofs_make_a_batch_invalid(vkey, statements):
    (first, first_proof), (second, second_proof) = statements[:2]
    assert not verify_batch(vkey, [(first, second_proof), (second, first_proof), *statements[2:]])


def test_errors_that_cancel_are_found_by_the_random_coefficients(vkey, statements, monkeypatch):
    """C + D in one proof and C - D in another: the plain sum of the two equations holds, though neither does."""
    (first, first_proof), (second, second_proof) = statements[:2]
    forged = [
        (first, replace(first_proof, c=shifted(first_proof.c, 5))),
        (second, replace(second_proof, c=shifted(second_proof.c, -5))),
    ]
    assert not any(verify(vkey, public, proof) for public, proof in forged)
    assert not verify_batch(vkey, forged)
    assert not verify_batch(vkey, [*forged, *statements[2:]])
    monkeypatch.setattr(verification.secrets, "randbits", lambda bits: 1)
    assert verify_batch(vkey, forged), "the attack that this test is about does not work"


def test_coefficients_are_fresh_and_of_128_bits(vkey, statements, monkeypatch):
    drawn = []
    genuine = verification.secrets.randbits

    def recorded(bits: int) -> int:
        drawn.append((bits, genuine(bits)))
        return drawn[-1][1]

    monkeypatch.setattr(verification.secrets, "randbits", recorded)
    for _ in range(2):
        verify_batch(vkey, statements[:3])
    assert [bits for bits, _ in drawn] == [128] * 6
    assert len({value for _, value in drawn}) == 6


@pytest.mark.parametrize("place", BAD_PLACES)
def test_points_outside_their_groups_are_found_in_a_batch(vkey, statements, place):
    public, proof = statements[place]
    for wrong in (
        replace(proof, b=twist_point_outside_the_subgroup()),
        replace(proof, a=(proof.a[0], (proof.a[1] + 1) % Q)),
        replace(proof, c=(proof.c[0] + Q, proof.c[1])),
    ):
        assert not verify_batch(vkey, exchanged(statements, place, public, wrong))


def test_inputs_beyond_the_field_are_found_in_a_batch(vkey, statements):
    public, proof = statements[3]
    assert not verify_batch(vkey, exchanged(statements, 3, [public[0] + R, *public[1:]], proof))


def test_the_number_of_inputs_must_fit_the_key(vkey, statements):
    public, proof = statements[3]
    for wrong in ([], public[:-1], [*public, 0]):
        with pytest.raises(KeyMismatchError, match="takes 3 public inputs"):
            verify_batch(vkey, exchanged(statements, 3, wrong, proof))


def test_each_point_is_multiplied_by_its_own_scalar():
    scalars = [0, 1, 2, 2**128 - 1, R - 1, R, R + 1, 2**256 - 1, *range(3, 20)]
    generator = pack_g1([G1_GENERATOR])
    points = np.concatenate([scale_points_g1(generator, log) for log in range(len(scalars))])
    expected = [scale_points_g1(generator, log * scalar)[0] for log, scalar in enumerate(scalars)]
    for threads in (1, 2):
        assert np.array_equal(multiply_each_g1(points, to_limbs(scalars), threads), expected)
    with pytest.raises(ValueError, match="25 points but 24 scalars"):
        multiply_each_g1(points, to_limbs(scalars[:-1]))
