"""What `gelap info` says of a GPU: told from CuPy's answers, which are made up here."""

import sys
import types

import pytest

from prover.devices import choice, facts
from prover.devices.budget import VARIABLE
from prover.devices.choice import FALLBACK_VARIABLE

GIB = 1 << 30


@pytest.fixture
def cupy(monkeypatch):
    """One H100, as CuPy would describe it."""
    runtime = types.ModuleType("cupy.cuda.runtime")
    runtime.getDeviceCount = lambda: 1
    runtime.getDeviceProperties = lambda index: {
        "name": b"NVIDIA H100 80GB HBM3",
        "major": 9,
        "minor": 0,
        "multiProcessorCount": 132,
    }
    runtime.memGetInfo = lambda: (70 * GIB, 80 * GIB)
    runtime.driverGetVersion = lambda: 13000
    runtime.runtimeGetVersion = lambda: 12090

    class Device:
        def __init__(self, index: int) -> None:
            assert index == 0

        def __enter__(self):
            return self

        def __exit__(self, *error: object) -> None:
            """Nothing to leave."""

    cuda = types.ModuleType("cupy.cuda")
    cuda.runtime, cuda.Device = runtime, Device
    package = types.ModuleType("cupy")
    package.cuda = cuda
    for name, module in (("cupy", package), ("cupy.cuda", cuda), ("cupy.cuda.runtime", runtime)):
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(choice, "find_spec", lambda name: object())
    monkeypatch.delenv(choice.VARIABLE, raising=False)
    return runtime


def test_a_gpu_is_described_with_its_driver_its_memory_and_its_kernels(cupy, monkeypatch):
    monkeypatch.setenv(VARIABLE, "50%")
    monkeypatch.setenv(FALLBACK_VARIABLE, "error")
    found = facts.facts()
    assert found["device"] == "cuda:0: a GPU is there"
    assert found["gpu"] == (
        "NVIDIA H100 80GB HBM3, compute capability 9.0, 132 multiprocessors, 80.0 GiB, 70.0 GiB free"
    )
    assert found["cuda"].startswith("driver 13.0, runtime 12.9, NVRTC 1")
    assert found["gpu memory to use"] == "40.0 GiB"
    assert found["where a GPU fails"] == "an error"
    assert found["compiled GPU kernels"].endswith("units for sm_90")


def test_a_gpu_that_is_too_old_is_named_with_the_reason(cupy):
    cupy.getDeviceProperties = lambda index: {"name": b"Tesla K80", "major": 3, "minor": 7, "multiProcessorCount": 13}
    assert facts.facts()["gpu"].startswith("Tesla K80: ")
    assert "too old" in facts.facts()["gpu"]


def test_a_setting_that_cannot_be_used_is_told_and_not_raised(cupy, monkeypatch):
    monkeypatch.setenv(choice.VARIABLE, "tpu")
    monkeypatch.setenv(VARIABLE, "plenty")
    found = facts.facts()
    assert found["device"].startswith("none: there is no device 'tpu'")
    assert "GELAP_DEVICE_MEMORY must be" in found["gpu"]


def test_without_cupy_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(choice, "find_spec", lambda name: None)
    assert "gelap[cuda13]" in facts.facts()["gpu"]


def test_the_drivers_version_is_read_from_the_kernels_file(monkeypatch, tmp_path):
    line = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build\n"
    (tmp_path / "version").write_text(line)
    monkeypatch.setattr(facts, "_DRIVER_FILE", tmp_path / "version")
    assert facts.driver_version() == "580.65.06"
    monkeypatch.setattr(facts, "_DRIVER_FILE", tmp_path / "missing")
    assert facts.driver_version() is None
