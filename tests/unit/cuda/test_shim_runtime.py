"""CUDA's threads on a CPU: barriers, warps, shared memory, atomics, intrinsics, and kernels that are wrong."""

import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from prover.errors import DeviceError
from prover.kernels.cuda import shim_build
from prover.kernels.cuda.shim_device import ShimDevice

KERNELS = Path(__file__).parent / "runtime_kernels.cu"
MASK32, MASK64 = (1 << 32) - 1, (1 << 64) - 1


@pytest.fixture(scope="module")
def device() -> ShimDevice:
    return ShimDevice(sources={"runtime": KERNELS})


def _launch(device: ShimDevice, name: str, grid, block, arguments, shared_bytes: int = 0) -> None:
    device.launch(device.kernel("runtime", name), grid, block, arguments, shared_bytes)


def test_every_thread_of_a_grid_of_three_dimensions_runs_once(device):
    grid, block = (3, 2, 2), (4, 3, 2)
    out = device.empty((12 * 24, 7), np.uint32)
    _launch(device, "indices", grid, block, [out])
    expected = [
        [x, y, z, i, j, k, 4 * 10000 + 3]
        for z in range(2)
        for y in range(2)
        for x in range(3)
        for k in range(2)
        for j in range(3)
        for i in range(4)
    ]
    assert out.tolist() == expected


def test_arguments_of_all_kinds_arrive_also_beyond_the_registers(device):
    out = device.empty(9, np.uint64)
    values = device.upload(np.array([5, 6, 7], np.uint32))
    numbers = [np.int32(-3), np.uint32(MASK32), np.int64(-(2**40)), np.uint64(MASK64), values]
    numbers += [np.uint32(1), np.uint32(2), np.uint64(2**63), np.uint32(4)]
    _launch(device, "arguments", 1, 1, [out, *numbers])
    assert out.tolist() == [-3 & MASK64, MASK32, -(2**40) & MASK64, MASK64, 6, 1, 2, 2**63, 4]


@pytest.mark.parametrize("block", [1, 2, 32, 64, 512, 1024])
def test_barriers_order_shared_memory(device, block):
    values = np.random.default_rng(block).integers(0, 1 << 32, (3, block), np.uint32)
    out = device.empty(3, np.uint32)
    _launch(device, "block_sums", 3, block, [out, device.upload(values)])
    assert out.tolist() == [int(row.sum(dtype=np.uint64)) & MASK32 for row in values]


def test_dynamic_shared_memory_is_the_blocks_own_and_not_cleared(device):
    values = np.arange(4 * 96, dtype=np.uint64)
    array = device.upload(values)
    _launch(device, "reverse", 4, 96, [array], shared_bytes=96 * 8)
    assert array.reshape(4, 96).tolist() == values.reshape(4, 96)[:, ::-1].tolist()
    out = device.empty(64, np.uint32)
    _launch(device, "untouched", 2, 32, [out], shared_bytes=128)
    assert (out == 0xA5A5A5A5).all()


def test_warp_functions_exchange_values_as_cuda_defines_them(device):
    values = np.random.default_rng(3).integers(0, 900, 128, np.uint32)
    values[40] = 3
    out = device.empty((128, 16), np.uint32)
    _launch(device, "warp_functions", 2, 64, [out, device.upload(values)])
    for base in range(0, 128, 32):
        v = [int(value) for value in values[base : base + 32]]
        for lane, row in enumerate(out[base : base + 32].tolist()):
            assert row[0] == v[5]
            assert row[1] == v[lane - 3 if lane >= 3 else lane]
            assert row[2] == v[lane + 4 if lane + 4 < 32 else lane]
            assert row[3] == v[lane ^ 9]
            assert row[4] == v[lane // 8 * 8 + 2]
            assert row[5] == v[lane - 2 if lane % 16 >= 2 else lane]
            assert row[6] == v[lane + 3 if lane % 8 < 5 else lane]
            assert row[7] == sum((value & 1) << i for i, value in enumerate(v))
            assert row[8] == (3 in v) + 2
            assert row[9] == sum((value % 5 == v[lane] % 5) << i for i, value in enumerate(v))
            assert row[10] == sum(v)
            assert row[11] == max(v) - min(v)
            assert row[12] == int(np.bitwise_or.reduce(v)) ^ int(np.bitwise_and.reduce(v))
            assert row[13] == v[31] * 0x10001
            assert row[14] == sum(v[: lane + 1])


def test_lanes_that_part_meet_again(device):
    out = device.empty(32, np.uint32)
    _launch(device, "halves", 1, 32, [out])
    moved = [(lane + (6 if lane % 2 == 0 else 10)) % 32 for lane in range(32)]
    assert out.tolist() == [moved[lane ^ 1] for lane in range(32)]


@pytest.mark.parametrize(("live", "block"), [(1, 64), (33, 64), (40, 100), (64, 64)])
def test_threads_that_ended_hold_up_nobody(device, live, block):
    out = device.zeros(block, np.uint32)
    _launch(device, "early_exit", 1, block, [out, np.uint32(live)])
    assert out.tolist() == [*range(live - 1, -1, -1), *([0] * (block - live))]


def test_blocks_vote_at_barriers(device):
    values = np.arange(96, dtype=np.uint32)
    out = device.empty((96, 4), np.uint32)
    _launch(device, "block_votes", 1, 96, [out, device.upload(values)])
    assert (out == [85, 1, 1, 0]).all()


def test_atomic_operations_of_both_widths(device):
    values = np.random.default_rng(4).integers(1, 1 << 31, 4 * 64, np.uint32)
    out = np.zeros(10, np.uint32)
    out[2] = out[5] = MASK32
    arrays = [device.upload(out), device.zeros(2, np.uint64), device.zeros(256, np.uint32), device.upload(values)]
    _launch(device, "atomics", 4, 64, arrays)
    out, wide, slots, _ = arrays
    total = int(values.sum(dtype=np.uint64))
    assert out[:6].tolist() == [
        total & MASK32,
        values.max(),
        values.min(),
        np.bitwise_or.reduce(values),
        np.bitwise_xor.reduce(values),
        np.bitwise_and.reduce(values),
    ]
    assert [out[6], out[7], out[9]] == [-256 & MASK32, 1, 256]
    assert wide.tolist() == [(total << 32) & MASK64, int(values.max()) << 8]
    assert sorted(slots.tolist()) == sorted(values.tolist())


def test_integer_intrinsics(device):
    values = [0, 1, MASK64, 1 << 63, 1 << 31, 0x0123456789ABCDEF, 0xFEDCBA9876543210, 0xFFFFFFFF00000000, 12345 << 20]
    out = device.empty((len(values), 16), np.uint64)
    _launch(device, "intrinsics", 1, len(values), [out, device.upload(np.array(values, np.uint64))])
    for wide, row in zip(values, out.tolist(), strict=True):
        a, b = wide & MASK32, wide >> 32
        both = [byte for word in (a, b) for byte in word.to_bytes(4, "little")]
        assert row[:4] == [32 - a.bit_length(), 64 - wide.bit_length(), a.bit_count(), wide.bit_count()]
        assert row[4:6] == [(a & -a).bit_length(), (wide & -wide).bit_length()]
        assert row[6:8] == [int(f"{a:032b}"[::-1], 2), int(f"{wide:064b}"[::-1], 2)]
        assert row[8:10] == [a * b >> 32, wide * (wide ^ MASK64) >> 64]
        assert row[10:12] == [(wide << 7 >> 32) & MASK32, (wide >> 7) & MASK32]
        assert row[12] == int.from_bytes([both[0], both[4], both[1], both[5]], "little")
        assert row[13:16] == [min(a, b), max(a, b), b]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("parted_barriers", "have parted"),
        ("barrier_against_warp", "have parted"),
        ("parted_masks", "have parted"),
        ("caller_not_in_mask", "leaves out the lane"),
    ],
)
def test_a_kernel_whose_threads_wait_for_ever_is_an_error_that_names_them(device, name, message):
    out = device.zeros(32, np.uint32)
    with pytest.raises(DeviceError, match=message) as caught:
        _launch(device, name, 2, 32, [out])
    assert re.search(r"block [01], 0, 0", str(caught.value))
    assert "line" in str(caught.value)
    # The device goes on working.
    _launch(device, "early_exit", 1, 32, [out, np.uint32(32)])
    assert out.tolist() == list(range(31, -1, -1))


def test_launches_that_no_gpu_would_take_are_refused(device):
    out = device.zeros(32, np.uint32)
    for grid, block, shared_bytes in [(1, 1025, 0), (0, 32, 0), (1, 0, 0), ((1, 1, 1, 1), 32, 0), (1, 32, 228 << 10)]:
        with pytest.raises(DeviceError):
            _launch(device, "early_exit", grid, block, [out, np.uint32(1)], shared_bytes)


def test_kernels_run_without_the_interpreter_lock(device):
    values = device.upload(np.ones((1000, 1024), np.uint32))
    out = device.empty(1000, np.uint32)
    device.kernel("runtime", "block_sums")
    worker = threading.Thread(target=_launch, args=(device, "block_sums", 1000, 1024, [out, values]))
    worker.start()
    ticks, start = 0, time.perf_counter()
    while worker.is_alive() and time.perf_counter() - start < 30:
        ticks += 1
        time.sleep(0.001)
    worker.join()
    assert (out == 1024).all()
    assert ticks > 5


_SANITIZED = """
import sys
import numpy as np
from pathlib import Path
from prover.kernels.cuda.shim_device import ShimDevice
device = ShimDevice(compiler_flags=("-fsanitize=address", "-g"), sources={"runtime": Path(sys.argv[1])})
out = device.upload(np.zeros(64, np.uint32))
def launch(name, arguments, shared_bytes=0):
    device.launch(device.kernel("runtime", name), 2, 64, arguments, shared_bytes)
launch("block_sums", [out, device.upload(np.ones(128, np.uint32))])
launch("early_exit", [out, np.uint32(40)])
launch("beyond_shared", [out, np.uint32(63)], 256)
print("good", flush=True)
if sys.argv[2] == "device":
    # Past the array and the slack of its alignment.
    launch("beyond_the_end", [out, np.uint32(64 + 16)])
else:
    launch("beyond_shared", [out, np.uint32(64)], 256)
print("unnoticed", flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("where", ["device", "shared"])
def test_the_address_sanitizer_sees_accesses_beyond_an_array(where):
    if Path(shim_build.compiler()[0]).name != "g++":
        pytest.skip("the sanitizer's library is looked up with g++")
    library = subprocess.run(["g++", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
    settings = "detect_leaks=0:detect_stack_use_after_return=0"
    environment = {**os.environ, "LD_PRELOAD": library.stdout.strip(), "ASAN_OPTIONS": settings}
    command = [sys.executable, "-c", _SANITIZED, str(KERNELS), where]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert result.stdout.strip() == "good"
    assert "AddressSanitizer: heap-buffer-overflow" in result.stderr
    assert result.returncode != 0
