"""Tests of this folder need an NVIDIA GPU and CuPy. Elsewhere they are skipped, with the reason.

They import what a proving machine has: NumPy, Numba, CuPy, pytest and the project; `python -m pytest tests/gpu` runs
them from a checkout that is not installed.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from prover.devices.choice import gpu_problem
from prover.devices.opened import ProvingDevice, open_device

_FOLDER = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = [item for item in items if _FOLDER in item.path.parents]
    problem = gpu_problem() if here else None
    for item in here:
        item.add_marker(pytest.mark.gpu)
        if problem:
            item.add_marker(pytest.mark.skip(reason=f"no GPU can be used: {problem}"))


@pytest.fixture(scope="module")
def owner() -> Iterator[ProvingDevice]:
    """The first GPU, owned for the length of a module."""
    _, device = open_device("cuda")
    assert device is not None
    with device:
        yield device
