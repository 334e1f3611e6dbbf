"""Multiples of one point by the device's code, against the CPU path and py-ecc."""

import numpy as np
import pytest
from py_ecc import bn128

from bench.inputs import field_elements
from protocol.field import R
from prover.kernels.cpu.points import G1_GENERATOR, G2_GENERATOR, pack_g1, pack_g2, unpack_g1, unpack_g2
from prover.kernels.cuda.shim_device import ShimDevice
from prover.limbs import to_limbs
from prover.msm import fixed_base_cuda
from prover.msm.fixed_base import fixed_base_g1, fixed_base_g2
from prover.msm.fixed_base_cuda import FixedBase

EDGES = to_limbs([0, 1, 2, 255, 256, 2**64 - 1, 2**64, R - 1, R - 2])


@pytest.fixture(scope="module")
def device() -> ShimDevice:
    return ShimDevice()


@pytest.fixture(scope="module")
def g1(device) -> FixedBase:
    return FixedBase(device, pack_g1([G1_GENERATOR])[0])


@pytest.fixture(scope="module")
def g2(device) -> FixedBase:
    return FixedBase(device, pack_g2([G2_GENERATOR])[0])


def test_multiples_agree_with_the_cpu(g1, g2):
    scalars = np.concatenate([EDGES, field_elements(150)])
    assert np.array_equal(g1.multiply(scalars), fixed_base_g1(pack_g1([G1_GENERATOR])[0], scalars))
    assert np.array_equal(g2.multiply(scalars[:20]), fixed_base_g2(pack_g2([G2_GENERATOR])[0], scalars[:20]))


def test_multiples_agree_with_py_ecc(g1, g2):
    for (x, y), factor in zip(unpack_g1(g1.multiply(to_limbs([R - 1, 5]))), (R - 1, 5), strict=True):
        assert bn128.multiply(bn128.G1, factor) == (bn128.FQ(x), bn128.FQ(y))
    ((x, y),) = unpack_g2(g2.multiply(to_limbs([R - 5])))
    assert bn128.multiply(bn128.G2, R - 5) == (bn128.FQ2(x), bn128.FQ2(y))


def test_any_number_of_scalars_in_any_pieces(g1, monkeypatch):
    scalars = field_elements(301)
    whole = g1.multiply(scalars)
    monkeypatch.setattr(fixed_base_cuda, "_CHUNK", 128)
    assert np.array_equal(g1.multiply(scalars), whole)
    assert g1.multiply(scalars[:0]).shape == (0, 8)


def test_the_base_at_infinity_has_no_other_multiples(device):
    assert not FixedBase(device, np.zeros(8, dtype=np.uint64)).multiply(field_elements(3)).any()
