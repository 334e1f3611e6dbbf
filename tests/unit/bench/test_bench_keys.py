"""Keys made from a known tau: for the prover they are keys like any other."""

import numpy as np
import pytest

from bench.keys import known_tau_key
from protocol.field import Q
from prover.errors import InvalidProofError
from prover.formats.zkey import read_zkey, write_zkey
from prover.groth16.prove import ProvingKey, prove
from prover.kernels.cpu.pairing import pairing_product_is_one
from prover.kernels.cpu.points import G1_GENERATOR, pack_g1, unpack_g1
from prover.limbs import from_limbs
from tests.unit.groth16 import samples


@pytest.fixture(scope="module")
def zkey():
    return known_tau_key(samples.circuit())


def test_a_satisfying_witness_is_proved_and_another_is_not(zkey):
    key = ProvingKey.from_zkey(zkey)
    witness = samples.witness()
    assert key.verifier.verify(from_limbs(witness[1:4]), prove(key, witness))
    with pytest.raises(InvalidProofError):
        prove(key, samples.witness(d=2))


def test_b_is_the_same_in_both_groups(zkey):
    used = next(wire for wire, point in enumerate(zkey.points_b1) if point.any())
    ((x, y),) = unpack_g1(zkey.points_b1[used])
    g1 = pack_g1([(x, Q - y), G1_GENERATOR])
    assert pairing_product_is_one(g1, np.stack([zkey.gamma_g2, zkey.points_b2[used]]))


def test_the_key_is_written_and_read_as_any_other(zkey, tmp_path):
    write_zkey(tmp_path / "known.zkey", zkey)
    again = read_zkey(tmp_path / "known.zkey", mmap=False)
    assert np.array_equal(again.points_h, zkey.points_h)
    assert np.array_equal(again.a.value, zkey.a.value)


def test_two_keys_share_no_secret():
    first, second = known_tau_key(samples.circuit()), known_tau_key(samples.circuit())
    assert not np.array_equal(first.alpha_g1, second.alpha_g1)
    assert not np.array_equal(first.delta_g1, second.delta_g1)
