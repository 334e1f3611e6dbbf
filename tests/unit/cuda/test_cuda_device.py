"""The shim keeps the contract of a device; errors of CuPy become ours; what is missing is named."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from protocol.field import Q
from prover.errors import DeviceError, DeviceLost, DeviceOutOfMemory, DeviceUnavailable
from prover.kernels.cuda.cupy_device import CupyDevice, translated
from prover.kernels.cuda.rate import _elements
from prover.kernels.cuda.shim_device import ShimDevice
from tests.unit.cuda.device_contract import *  # noqa: F403
from tests.unit.cuda.law_support import MONTGOMERY, integers


@pytest.fixture(scope="module")
def device() -> ShimDevice:
    return ShimDevice()


def test_the_shim_poisons_new_arrays_and_takes_a_size_of_memory(device):
    assert (device.empty((3, 5), np.uint8) == 0xA5).all()
    small = ShimDevice(total_bytes=1000)
    assert small.memory() == (1000, 1000)
    small.set_budget(5000)
    with pytest.raises(DeviceOutOfMemory):
        small.empty(1001, np.uint8)


def test_the_shim_refuses_arrays_that_are_not_contiguous(device):
    a = device.upload(np.zeros((64, 8), np.uint32))
    arguments = [np.uint32(0), a, a[::2], a, np.uint32(32)]
    with pytest.raises(TypeError, match="not contiguous"):
        device.launch(device.kernel("laws", "fq_operation"), 1, 32, arguments)


def test_the_kernels_of_the_multiply_rate_do_multiply(device):
    threads, rounds, chains = 64, 5, 2
    values, factors = _elements(threads * chains, 8, "fq"), _elements(threads, 8, "fq")
    on_device = device.upload(values)
    device.launch(device.kernel("rate", "fq_multiply_2"), 2, 32, [on_device, device.upload(factors), np.uint32(rounds)])
    unit = pow(MONTGOMERY, -1, Q)
    expected = [
        x * pow(y * unit, rounds, Q) % Q for x, y in zip(integers(values), chains * integers(factors), strict=True)
    ]
    assert integers(device.download(on_device)) == expected


class _CudaError(RuntimeError):
    """As CuPy's CUDARuntimeError and CUDADriverError: a RuntimeError with the code in `status`."""

    def __init__(self, status: int):
        super().__init__(f"code {status}")
        self.status = status


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (MemoryError("out of memory allocating 8 bytes"), DeviceOutOfMemory),
        (_CudaError(2), DeviceOutOfMemory),
        (_CudaError(1), DeviceError),
        (_CudaError(701), DeviceError),
        (_CudaError(900), DeviceError),
        (_CudaError(46), DeviceLost),
        (_CudaError(100), DeviceLost),
        (_CudaError(214), DeviceLost),
        (_CudaError(700), DeviceLost),
        (_CudaError(702), DeviceLost),
        (_CudaError(719), DeviceLost),
        (_CudaError(999), DeviceLost),
    ],
)
def test_errors_of_cupy_become_errors_of_the_prover(error, kind):
    ours = translated(error)
    assert type(ours) is kind
    assert not isinstance(ours, MemoryError)
    assert str(error) in str(ours)


def test_errors_that_are_not_the_devices_are_left_alone():
    assert translated(TypeError("wrong")) is None
    assert translated(RuntimeError("wrong")) is None


def _bare_cupy_device() -> CupyDevice:
    """A CupyDevice without a GPU behind it, enough to see what it does with errors."""
    device = CupyDevice.__new__(CupyDevice)
    device._lost = None
    return device


def test_a_lost_device_stays_lost():
    device = _bare_cupy_device()
    with pytest.raises(DeviceError) as first, device.guarded():
        raise _CudaError(1)
    assert type(first.value) is DeviceError
    with device.guarded():
        pass
    with pytest.raises(DeviceLost), device.guarded():
        raise _CudaError(700)
    with pytest.raises(DeviceLost, match="700"), device.guarded():
        pytest.fail("nothing may be asked of a device that is lost")


class _OutOfMemory(MemoryError):
    pass


class _Pool:
    """As CuPy's: what was freed counts against the limit until it is given back."""

    def __init__(self, limit: int, in_pieces: int):
        self.limit, self.in_pieces = limit, in_pieces

    def malloc(self, size: int) -> int:
        if size + self.in_pieces > self.limit:
            raise _OutOfMemory
        return size

    def free_all_blocks(self) -> None:
        self.in_pieces = 0


def test_freed_pieces_are_given_back_before_memory_is_called_used_up(monkeypatch):
    device = _bare_cupy_device()
    device._cupy = SimpleNamespace(
        cuda=SimpleNamespace(memory=SimpleNamespace(OutOfMemoryError=_OutOfMemory)),
        ndarray=lambda shape, dtype, memory: memory,
    )
    device._pool, device._total, device._capturing = _Pool(1000, 600), 2000, False
    monkeypatch.setattr(CupyDevice, "_use", lambda self: None)
    monkeypatch.setattr(CupyDevice, "memory", lambda self: (400, 1000))
    assert device.empty(900, np.uint8) == 900
    for size in (1001, 2001, 1 << 62):
        with pytest.raises(DeviceOutOfMemory, match=f"{size:,} bytes does not fit: 400 of 1,000"):
            device.empty(size, np.uint8)


def test_a_device_without_cupy_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(DeviceUnavailable, match=r"pip install 'gelap\[cuda13\]'"):
        CupyDevice()
