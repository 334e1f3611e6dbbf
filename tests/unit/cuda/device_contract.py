"""What `Device` promises, as tests over a fixture `device`: the shim runs them everywhere, a GPU in tests/gpu.

Import this module's names into a test module that defines `device`, a module-scoped fixture of a device without work or
budget.
"""

import numpy as np
import pytest

from prover.errors import DeviceError, DeviceOutOfMemory
from prover.kernels.cuda.rate import multiply_rate, rate, rate_kernels, wide_multiply_add_rate
from prover.limbs import from_limbs, to_limbs

ADD, MUL = np.uint32(0), np.uint32(2)
COUNT = 100


def random_elements(seed: int, count: int = COUNT) -> np.ndarray:
    elements = np.random.default_rng(seed).integers(0, 1 << 32, (count, 8), np.uint32)
    elements[:, 7] &= 0x1FFFFFFF
    return elements


def launch(device, operation: np.uint32, out, a, b) -> None:
    count = len(a)
    kernel = device.kernel("laws", "fq_operation")
    device.launch(kernel, (count + 63) // 64, 64, [operation, out, a, b, np.uint32(count)])


def test_arrays_go_to_the_device_and_come_back(device):
    for array in (
        random_elements(1),
        np.arange(24, dtype=np.uint64).reshape(2, 3, 4),
        np.array([-1, 2], np.int32),
        np.zeros((0, 8), np.uint32),
        np.arange(20, dtype=np.uint32).reshape(4, 5).T,
    ):
        on_device = device.upload(array)
        assert (on_device.shape, on_device.dtype, on_device.nbytes) == (array.shape, array.dtype, array.nbytes)
        back = device.download(on_device)
        assert isinstance(back, np.ndarray)
        assert back.flags.c_contiguous
        assert np.array_equal(back, array)
        back[...] = 0
        assert np.array_equal(device.download(on_device), array)


def test_slices_reshapes_and_views_are_windows_on_the_same_memory(device):
    array = device.upload(np.arange(64, dtype=np.uint32).reshape(8, 8))
    device.fill_zero(array[2:4])
    assert device.download(array.reshape(-1))[16:32].tolist() == [0] * 16
    assert device.download(array[4:].view(np.uint64))[0, 0] == 33 << 32 | 32
    device.copy(array[:2], array[6:])
    assert device.download(array)[0].tolist() == list(range(48, 56))
    with pytest.raises(DeviceError, match="cannot copy"):
        device.copy(array[:1], array[:2])


def test_zeros_are_zeros(device):
    assert not device.download(device.zeros((100, 8), np.uint32)).any()
    assert device.empty(5, np.uint64).shape == (5,)


def test_a_launch_takes_typed_arguments_only_and_as_many_as_the_kernel(device):
    a = device.upload(random_elements(1))
    out = device.empty(a.shape, np.uint32)
    kernel = device.kernel("laws", "fq_operation")
    good = [ADD, out, a, a, np.uint32(COUNT)]
    device.launch(kernel, 2, 64, good)
    for wrong in (
        good[:-1],
        [*good, np.uint32(1)],
        [0, *good[1:]],
        [np.uint64(0), *good[1:]],
        [np.float32(0), *good[1:]],
        [ADD, out, a, None, np.uint32(COUNT)],
        [ADD, out, a, a, a],
        [a, *good[1:]],
    ):
        with pytest.raises(TypeError, match="fq_operation"):
            device.launch(kernel, 2, 64, wrong)
    with pytest.raises(DeviceError, match=r"no kernel nonsense; it has: .*fq_operation"):
        device.kernel("laws", "nonsense")
    with pytest.raises(ValueError, match="no CUDA unit"):
        device.kernel("nonsense", "fq_operation")
    assert device.kernel("laws", "fq_operation") is kernel


@pytest.mark.parametrize(("grid", "block", "shared_bytes"), [(0, 64, 0), (1, 0, 0), (1, 64, 1 << 20)])
def test_impossible_launches_are_errors_that_leave_the_device_usable(device, grid, block, shared_bytes):
    a = device.upload(random_elements(1))
    arguments = [ADD, device.empty(a.shape, np.uint32), a, a, np.uint32(COUNT)]
    with pytest.raises(DeviceError):
        device.launch(device.kernel("laws", "fq_operation"), grid, block, arguments, shared_bytes)
    device.synchronize()


def test_a_budget_is_kept_told_and_lifted(device):
    free, total = device.memory()
    assert 0 < free <= total
    size = 1 << 20
    device.set_budget(3 * size)
    try:
        device.free_unused()
        assert device.memory()[1] == 3 * size
        first = device.empty(size, np.uint8)
        with pytest.raises(DeviceOutOfMemory, match=r"2,621,440 bytes does not fit"):
            device.empty(5 * size // 2, np.uint8)
        assert device.memory()[0] <= 2 * size
        # A view keeps the whole array alive, and freeing it gives its memory back.
        view = first[: size // 2].view(np.uint32)
        del first
        with pytest.raises(DeviceOutOfMemory):
            device.empty(5 * size // 2, np.uint8)
        del view
        assert device.empty(5 * size // 2, np.uint8).nbytes == 5 * size // 2
    finally:
        device.set_budget(None)
    assert device.empty(8 * size, np.uint8).nbytes == 8 * size


def test_running_out_of_memory_is_never_a_memory_error(device):
    for size in (1 << 50, 1 << 62):
        with pytest.raises(DeviceOutOfMemory) as caught:
            device.empty(size, np.uint8)
        assert not isinstance(caught.value, MemoryError)
    assert device.download(device.zeros(4, np.uint8)).tolist() == [0] * 4


def test_copies_from_pinned_memory_are_queued_in_order(device):
    source, target = device.pinned((COUNT, 8), np.uint32), device.pinned((COUNT, 8), np.uint32)
    source[...] = random_elements(2)
    a = device.empty(source.shape, np.uint32)
    out = device.empty(source.shape, np.uint32)
    device.upload_async(a, source)
    launch(device, ADD, out, a, a)
    device.download_async(target, out)
    device.synchronize()
    expected = device.download(out)
    assert np.array_equal(target, expected)
    assert expected.any()
    with pytest.raises(DeviceError, match="cannot copy"):
        device.upload_async(a, source[:1])


def test_streams_wait_for_events(device):
    a = device.upload(random_elements(3))
    doubled, fourfold = device.empty(a.shape, np.uint32), device.empty(a.shape, np.uint32)
    with device.stream(1):
        launch(device, ADD, doubled, a, a)
        event = device.record()
    with device.stream(2):
        device.wait(event)
        launch(device, ADD, fourfold, doubled, doubled)
        done = device.record()
    device.wait(done)
    expected = device.empty(a.shape, np.uint32)
    launch(device, ADD, expected, a, a)
    launch(device, ADD, expected, expected, expected)
    assert np.array_equal(device.download(fourfold), device.download(expected))
    with pytest.raises(ValueError, match="streams are numbered"), device.stream(4):
        pass


def test_a_captured_sequence_runs_when_it_is_launched_as_often_as_one_likes(device):
    start = to_limbs([1, 2, 3]).view(np.uint32)
    a = device.upload(start)
    kernel = device.kernel("laws", "fq_operation")

    def double() -> None:
        device.launch(kernel, 1, 32, [ADD, a, a, a, np.uint32(3)])

    graph = device.capture(double)
    assert np.array_equal(device.download(a), start)
    for _ in range(5):
        graph.launch()
    assert from_limbs(device.download(a).view(np.uint64)) == [32, 64, 96]


def test_what_cannot_be_captured_is_an_error_and_capturing_works_afterwards(device):
    a = device.upload(random_elements(4))
    for forbidden in (
        lambda: device.empty(8, np.uint8),
        lambda: device.upload(np.zeros(8, np.uint8)),
        lambda: device.download(a),
        lambda: device.synchronize(),
        lambda: device.capture(lambda: None),
    ):
        with pytest.raises(DeviceError, match="captured"):
            device.capture(forbidden)
    out = device.empty(a.shape, np.uint32)
    device.capture(lambda: launch(device, ADD, out, a, a)).launch()
    assert device.download(out).any()


def test_time_is_measured(device):
    a = device.upload(random_elements(5, 2000))
    out = device.empty(a.shape, np.uint32)
    with device.timer() as timer:
        launch(device, MUL, out, a, a)
    assert 0 < timer.ms < 10_000


def test_units_are_loaded_ahead_with_progress(device):
    told: list[str] = []
    device.preload(["laws", "rate"], told.append)
    assert told == ["laws", "rate"]


def test_the_multiply_rate_is_measured_for_every_kernel(device):
    assert multiply_rate(device, rounds=2, waves=1) > 0
    for kernel in rate_kernels():
        found = rate(device, kernel, rounds=1, waves=1, repeats=1)
        assert found.kernel == kernel
        assert found.per_second > 0
    assert wide_multiply_add_rate(device, rounds=2, waves=1, repeats=1).per_second > 0
