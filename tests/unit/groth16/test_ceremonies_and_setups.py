"""Powers of tau, the keys made from them, and what a setup refuses."""

from dataclasses import replace

import numpy as np
import pytest

from protocol.field import R
from prover.errors import FormatError, SetupError
from prover.formats.ptau import read_ptau, write_ptau
from prover.formats.zkey import read_zkey, write_zkey
from prover.groth16.ceremony import MAX_POWER, new_powers_of_tau
from prover.groth16.phase2 import contribute
from prover.groth16.powers_check import check_powers_of_tau
from prover.groth16.prove import ProvingKey, prove
from prover.groth16.setup import domain_power, initial_key, setup
from prover.groth16.verify import verify
from prover.kernels.cpu.pairing import g1_on_curve, g2_in_subgroup, g2_on_curve, pairing_product_is_one
from prover.kernels.cpu.points import G1_GENERATOR, G2_GENERATOR, pack_g1, pack_g2
from prover.limbs import from_limbs, to_limbs
from prover.msm.fixed_base import scale_points_g1
from prover.r1cs import R1CS
from tests.unit.groth16 import samples

(G1,) = pack_g1([G1_GENERATOR])
(G2,) = pack_g2([G2_GENERATOR])


@pytest.fixture(scope="module")
def ptau():
    return samples.powers_of_tau()


def same_ratio(g1_start, g1_multiple, g2_start, g2_multiple) -> bool:
    """Is multiple / start one number in both groups?"""
    minus = scale_points_g1(g1_multiple[None], -1)
    return pairing_product_is_one(np.stack([g1_start, minus[0]]), np.stack([g2_multiple, g2_start]))


def test_every_power_is_tau_times_the_one_before(ptau):
    tau_g2 = ptau.tau_g2[1]
    for family in (ptau.tau_g1, ptau.alpha_tau_g1, ptau.beta_tau_g1):
        for place in range(len(family) - 1):
            assert same_ratio(family[place], family[place + 1], G2, tau_g2)
    for place in range(len(ptau.tau_g2) - 1):
        assert same_ratio(G1, ptau.tau_g1[1], ptau.tau_g2[place], ptau.tau_g2[place + 1])
    assert same_ratio(G1, ptau.beta_tau_g1[0], G2, ptau.beta_g2)


@pytest.mark.parametrize("power", range(1, samples.POWER + 1))
def test_the_lagrange_bases_of_every_size_pass_the_check_before_a_setup(ptau, power):
    check_powers_of_tau(ptau, power)


def test_no_two_ceremonies_are_alike(tmp_path):
    files = [tmp_path / "one.ptau", tmp_path / "two.ptau"]
    for file in files:
        new_powers_of_tau(1, file)
    one, two = map(read_ptau, files)
    assert not np.array_equal(one.tau_g1[1], two.tau_g1[1])
    assert not np.array_equal(one.alpha_tau_g1[0], two.alpha_tau_g1[0])
    assert one.contributions[0].contributor.name == "gelap, for development only"


@pytest.mark.parametrize("power", [0, -1, MAX_POWER + 1])
def test_a_power_out_of_range_is_refused_and_leaves_no_file(tmp_path, power):
    with pytest.raises(SetupError, match="1 to 20"):
        new_powers_of_tau(power, tmp_path / "x.ptau")
    assert list(tmp_path.iterdir()) == []


def with_constraints(count: int, n_public: int) -> R1CS:
    rows = samples.matrix([{0: 1}] * count)
    return R1CS(n_public + 1, 0, n_public, 0, rows, rows, rows, np.arange(n_public + 1, dtype=np.uint64), n_public + 1)


@pytest.mark.parametrize(
    ("constraints", "n_public", "power"),
    [(0, 0, 1), (1, 0, 1), (2, 0, 2), (1, 2, 2), (2, 2, 3), (3, 0, 2), (4, 3, 3), (4, 4, 4), (7, 0, 3), (8, 0, 4)],
)
def test_the_domain_holds_all_constraints_public_wires_and_the_constant(constraints, n_public, power):
    assert domain_power(with_constraints(constraints, n_public)) == power


@pytest.mark.parametrize(("constraints", "n_public"), [(1, 0), (3, 0), (14, 1), (15, 0)])
def test_trivial_and_full_domains_have_working_keys(ptau, constraints, n_public):
    """Also without a private wire or a public input, and with every row of the domain taken."""
    key = ProvingKey.from_zkey(setup(with_constraints(constraints, n_public), ptau))
    witness = to_limbs([1, *range(5, 5 + n_public)])
    proof = prove(key, witness)
    assert verify(key.verification_key, from_limbs(witness[1:]), proof)


def test_wires_in_no_constraint_have_no_point_but_stay_bound_when_public():
    zkey = samples.zkey()
    assert not zkey.points_a[8].any()
    assert not zkey.points_c[8 - 4].any()
    assert zkey.ic[3].any()


def test_a_setup_adds_one_contribution_that_makes_delta_differ_from_gamma():
    zkey = samples.zkey()
    (contribution,) = zkey.mpc.contributions
    assert contribution.contributor.name == "gelap setup"
    assert np.array_equal(contribution.delta_after, zkey.delta_g1)
    assert not np.array_equal(zkey.delta_g2, zkey.gamma_g2)
    assert same_ratio(G1, zkey.delta_g1, G2, zkey.delta_g2)
    assert same_ratio(contribution.g1_s, contribution.g1_sx, G2, zkey.delta_g2)


def test_two_setups_share_the_circuit_hash_and_nothing_secret(ptau):
    other, own = setup(samples.circuit(), ptau), samples.zkey()
    assert other.mpc.cs_hash == own.mpc.cs_hash
    assert not np.array_equal(other.delta_g1, own.delta_g1)
    assert not np.array_equal(other.points_h, own.points_h)


def test_the_circuit_hash_depends_on_the_constraints_and_on_the_powers(ptau, tmp_path):
    one = initial_key(samples.circuit(), ptau)
    changed = replace(samples.circuit(), b=samples.matrix([{5: 1}, {0: 2, 6: 1}, {0: R - 1, 7: 1}, {0: 6}]))
    assert initial_key(changed, ptau).mpc.cs_hash != one.mpc.cs_hash
    new_powers_of_tau(samples.POWER, tmp_path / "other.ptau")
    assert initial_key(samples.circuit(), read_ptau(tmp_path / "other.ptau")).mpc.cs_hash != one.mpc.cs_hash


def test_larger_powers_give_a_key_of_the_same_size(tmp_path):
    new_powers_of_tau(samples.POWER + 1, tmp_path / "larger.ptau")
    key = ProvingKey.from_zkey(setup(samples.circuit(), read_ptau(tmp_path / "larger.ptau")))
    witness = samples.witness()
    assert verify(key.verification_key, from_limbs(witness[1:4]), prove(key, witness))


def test_a_second_contribution_keeps_the_key_working():
    twice = contribute(samples.zkey(), "somebody else")
    assert [c.contributor.name for c in twice.mpc.contributions] == ["gelap setup", "somebody else"]
    key = ProvingKey.from_zkey(twice)
    witness = samples.witness()
    proof = prove(key, witness)
    assert verify(key.verification_key, from_limbs(witness[1:4]), proof)
    assert not verify(samples.proving_key().verification_key, from_limbs(witness[1:4]), proof)


def test_a_key_survives_its_file(tmp_path):
    write_zkey(tmp_path / "k.zkey", samples.zkey())
    key = ProvingKey.load(tmp_path / "k.zkey")
    witness = samples.witness()
    assert verify(samples.proving_key().verification_key, from_limbs(witness[1:4]), prove(key, witness))
    assert read_zkey(tmp_path / "k.zkey").mpc.cs_hash == samples.zkey().mpc.cs_hash


def test_points_of_a_key_lie_in_their_groups():
    zkey = samples.zkey()
    for points in (zkey.ic, zkey.points_a, zkey.points_b1, zkey.points_c, zkey.points_h):
        assert g1_on_curve(points)
    assert g2_on_curve(zkey.points_b2)
    assert g2_in_subgroup(zkey.points_b2)


def test_an_unused_public_wire_is_bound_by_a_row_of_its_own(ptau):
    """Its only entry is the added row's one in A, so its IC point is beta L_j(tau) of that row j."""
    row = samples.circuit().n_constraints + 3
    assert np.array_equal(samples.zkey().ic[3], ptau.lagrange("beta_tau_g1", samples.POWER - 1)[row])


def test_too_few_powers_are_refused_with_the_number_needed(ptau):
    with pytest.raises(SetupError, match="needs powers of tau of power 5, this file has 4"):
        setup(with_constraints(16, 0), ptau)


def test_powers_that_are_not_prepared_for_phase_2_are_refused(ptau):
    with pytest.raises(SetupError, match="not prepared for phase 2"):
        setup(samples.circuit(), replace(ptau, lagrange_bases=None))


def altered(ptau, **changes):
    return replace(ptau, **{name: change(getattr(ptau, name).copy()) for name, change in changes.items()})


def at(place, value):
    def change(points):
        points[place] = value
        return points

    return change


def test_powers_that_do_not_begin_with_the_generators_are_refused(ptau):
    for family, other in (("tau_g1", ptau.tau_g1[1]), ("tau_g2", ptau.tau_g2[1])):
        with pytest.raises(SetupError, match="generators do not stand first"):
            setup(samples.circuit(), altered(ptau, **{family: at(0, other)}))


@pytest.mark.parametrize("family", ["tau_g1", "tau_g2", "alpha_tau_g1", "beta_tau_g1"])
def test_powers_of_zero_are_refused(ptau, family):
    place = 0 if family.startswith(("alpha", "beta")) else 1
    with pytest.raises(SetupError, match="is zero"):
        setup(samples.circuit(), altered(ptau, **{family: at(place, 0)}))


def test_powers_off_the_curve_are_refused(ptau):
    with pytest.raises(SetupError, match="not in its group"):
        setup(samples.circuit(), altered(ptau, tau_g1=at((1, 0), np.uint64(5))))


def test_powers_that_differ_between_the_groups_are_refused(ptau):
    for change in (
        {"tau_g1": at(1, ptau.tau_g1[2])},
        {"tau_g2": at(1, ptau.tau_g2[2])},
        {"beta_g2": lambda point: ptau.tau_g2[1]},
        {"alpha_tau_g1": at(0, ptau.tau_g1[1])},
    ):
        with pytest.raises(SetupError, match="differ between the two groups"):
            setup(samples.circuit(), altered(ptau, **change))


@pytest.mark.parametrize("family", ["tau_g1", "tau_g2", "alpha_tau_g1", "beta_tau_g1"])
def test_misordered_lagrange_bases_are_refused(ptau, family):
    points = getattr(ptau.lagrange_bases, family).copy()
    first = (1 << (samples.POWER - 1)) - 1
    points[[first, first + 1]] = points[[first + 1, first]]
    with pytest.raises(SetupError, match=f"Lagrange basis of 2\\^3 in {family}"):
        setup(samples.circuit(), replace(ptau, lagrange_bases=replace(ptau.lagrange_bases, **{family: points})))


def test_a_damaged_file_of_powers_is_refused(ptau, tmp_path):
    path = tmp_path / "p.ptau"
    write_ptau(path, ptau)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(FormatError):
        read_ptau(path)
