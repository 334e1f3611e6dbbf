"""A real GPU keeps the contract of a device, as the shim does."""

import pytest

from prover.devices.ownership import DeviceLock
from prover.kernels.cuda.cupy_device import CupyDevice
from tests.unit.cuda.device_contract import *  # noqa: F403


@pytest.fixture(scope="module")
def device():
    with DeviceLock("cuda:0"):
        yield CupyDevice()
