"""The shim runs threads and blocks in other orders, which shows what lacks a barrier: none of the project's kernels."""

from pathlib import Path

import numpy as np
import pytest

from protocol.field import R
from prover.errors import DeviceUnavailable
from prover.kernels.cpu.points import G1_GENERATOR, pack_g1
from prover.kernels.cuda.shim_device import ORDER_VARIABLE, ShimDevice
from prover.limbs import to_limbs
from prover.msm.cpu import msm_g1
from prover.msm.cuda import G1, Scalars, msm, prepare
from prover.msm.fixed_base import fixed_base_g1
from prover.ntt.cpu import extend_to_odd_coset
from prover.ntt.cuda import Transforms

KERNELS = Path(__file__).parent / "runtime_kernels.cu"
ORDERS = ["forward", "reverse", "random:0", "random:1", "random:987654321"]


def run(order: str, name: str, grid: int, block: int, *more) -> list[int]:
    device = ShimDevice(sources={"runtime": KERNELS}, order=order)
    out = device.zeros(grid * block, np.uint32)
    device.launch(device.kernel("runtime", name), grid, block, [out, *more])
    return out.tolist()


@pytest.mark.parametrize("distance", [1, 31, 32, 64, 127])
def test_a_read_of_what_another_thread_writes_shows_in_some_order(distance):
    assert any(0 in run(order, "missing_barrier", 1, 128, np.uint32(distance)) for order in ORDERS[:2])
    assert all(0 in run(order, "missing_barrier", 1, 128, np.uint32(distance)) for order in ORDERS[2:])


def test_a_write_over_what_another_lane_reads_shows_in_some_order():
    expected = [(lane + 1) % 32 for lane in range(32)]
    assert any(run(order, "missing_warp_barrier", 1, 32) != expected for order in ORDERS)


def test_blocks_that_count_on_each_other_show_in_other_orders():
    expected = list(range(16))
    assert run("forward", "blocks_in_turn", 16, 1) == expected
    for order in ORDERS[1:]:
        assert run(order, "blocks_in_turn", 16, 1) != expected


@pytest.mark.parametrize("order", ORDERS)
def test_shared_memory_is_poisoned_when_a_block_starts(order):
    assert run(order, "untouched_static", 3, 32) == [0xA5A5A5A5] * 96


def test_a_random_order_is_the_same_each_time_and_another_for_another_seed():
    results = [tuple(run(order, "missing_barrier", 1, 128, np.uint32(1))) for order in ORDERS[2:] * 2]
    assert results[:3] == results[3:]
    assert len(set(results)) == 3


def test_an_unknown_order_is_one_clear_error(monkeypatch):
    monkeypatch.setenv(ORDER_VARIABLE, "backwards")
    with pytest.raises(DeviceUnavailable, match="forward, reverse or random:NUMBER, not 'backwards'"):
        ShimDevice()


@pytest.fixture(scope="module")
def points() -> np.ndarray:
    generator = np.random.default_rng(5)
    factors = generator.integers(0, 1 << 62, (300, 4), np.uint64)
    factors[:, 3] >>= np.uint64(2)
    points = fixed_base_g1(pack_g1([G1_GENERATOR])[0], factors)
    points[10:20], points[30] = points[9], 0
    return points


@pytest.mark.parametrize("order", ORDERS)
def test_sums_are_the_same_in_every_order(order, points):
    generator = np.random.default_rng(6)
    scalars = generator.integers(0, 1 << 60, (len(points), 3, 4), np.uint64)
    # Zeros, equal scalars and opposite ones: large buckets that are cut into pieces, and buckets that cancel out.
    scalars[:100, 0], scalars[:150, 1] = 0, to_limbs([7])[0]
    scalars[150:200, 1] = to_limbs([R - 7])[0]
    device = ShimDevice(order=order)
    for overrides in ({}, {"window_bits": 6, "tables": 2, "rows": 128}):
        bases = prepare(device, points, G1, 1 << 26, 1 << 26, 3, **overrides)
        found = device.download(msm(bases, Scalars(device.upload(scalars.view(np.uint32)))))
        for proof in range(3):
            assert np.array_equal(found[proof], msm_g1(points, np.ascontiguousarray(scalars[:, proof])))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("log_n", [5, 13])
def test_transforms_are_the_same_in_every_order(order, log_n):
    values = np.random.default_rng(log_n).integers(0, 1 << 60, (3, 1 << log_n, 4), np.uint64)
    device = ShimDevice(order=order)
    array = device.upload(values.view(np.uint32))
    Transforms(device, log_n).extend_to_odd_coset(array)
    for before, after in zip(values, device.download(array).view(np.uint64), strict=True):
        assert np.array_equal(extend_to_odd_coset(np.ascontiguousarray(before)), after)
