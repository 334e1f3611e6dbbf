"""Which device is chosen, who owns it, and what is said where there is none."""

import subprocess
import sys
import types

import pytest

from prover.devices import choice
from prover.devices.choice import FALLBACK_VARIABLE, VARIABLE, choose, fallback_to_cpu, gpu_problem
from prover.devices.ownership import DeviceLock
from prover.errors import DeviceUnavailable


class CudaError(RuntimeError):
    """As CuPy's: not one of Python's own."""


@pytest.fixture
def cupy(monkeypatch):
    """Pretend that CuPy is installed; what it answers is set by the test."""

    def answer(count: int | Exception) -> None:
        def get_device_count() -> int:
            if isinstance(count, Exception):
                raise count
            return count

        runtime = types.ModuleType("cupy.cuda.runtime")
        runtime.getDeviceCount = get_device_count
        cuda = types.ModuleType("cupy.cuda")
        cuda.runtime = runtime
        package = types.ModuleType("cupy")
        package.cuda = cuda
        for name, module in (("cupy", package), ("cupy.cuda", cuda), ("cupy.cuda.runtime", runtime)):
            monkeypatch.setitem(sys.modules, name, module)
        monkeypatch.setattr(choice, "find_spec", lambda name: object())

    return answer


@pytest.fixture
def no_cupy(monkeypatch):
    monkeypatch.setattr(choice, "find_spec", lambda name: None)


def test_the_cpu_is_chosen_where_there_is_no_gpu_and_the_reason_is_told(no_cupy, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    chosen = choose()
    assert (chosen.kind, chosen.name) == ("cpu", "cpu")
    assert "CuPy is not installed" in chosen.reason


def test_the_gpu_is_chosen_where_there_is_one(cupy):
    cupy(1)
    chosen = choose("auto")
    assert (chosen.kind, chosen.name) == ("cuda", "cuda:0")


@pytest.mark.parametrize("wish", ["cuda", "cuda:0"])
def test_asking_for_a_gpu_without_cupy_says_what_to_install(no_cupy, wish):
    with pytest.raises(DeviceUnavailable, match=r"pip install 'gelap\[cuda13\]'.*--device cpu"):
        choose(wish)


def test_asking_for_a_gpu_without_a_driver_says_what_cupy_says(cupy):
    cupy(CudaError("cudaErrorNoDevice: no CUDA-capable device is detected\nmore"))
    with pytest.raises(DeviceUnavailable, match=r"no CUDA-capable device is detected.*nvidia-smi"):
        choose("cuda")
    assert choose("auto").kind == "cpu"


def test_gpus_are_chosen_by_number(cupy):
    cupy(2)
    assert choose("cuda:1").index == 1
    with pytest.raises(DeviceUnavailable, match="2 GPUs, numbered from 0"):
        choose("cuda:2")
    cupy(1)
    assert gpu_problem(1) == "this machine has 1 GPU, numbered from 0"


def test_the_environment_chooses_and_the_option_overrides_it(cupy, monkeypatch):
    cupy(1)
    monkeypatch.setenv(VARIABLE, "cpu")
    assert choose().kind == "cpu"
    assert choose().reason == "GELAP_DEVICE=cpu"
    assert choose("cuda").kind == "cuda"


@pytest.mark.parametrize("wish", ["gpu", "cuda:", "cuda:x", "CUDA", "cuda:-1"])
def test_an_unknown_device_is_answered_with_the_known_ones(wish):
    with pytest.raises(DeviceUnavailable, match="auto, cuda, cuda:N, cpu"):
        choose(wish)


@pytest.mark.parametrize(("value", "answer"), [(None, True), ("", True), ("cpu", True), ("error", False)])
def test_the_fallback_is_a_policy(monkeypatch, value, answer):
    if value is None:
        monkeypatch.delenv(FALLBACK_VARIABLE, raising=False)
    else:
        monkeypatch.setenv(FALLBACK_VARIABLE, value)
    assert fallback_to_cpu() is answer


def test_an_unknown_policy_is_refused(monkeypatch):
    monkeypatch.setenv(FALLBACK_VARIABLE, "maybe")
    with pytest.raises(DeviceUnavailable, match="cpu or error"):
        fallback_to_cpu()


def test_a_device_has_one_owner_at_a_time(tmp_path):
    told = pytest.raises(DeviceUnavailable, match=r"cuda:0 belongs to another process \(pid [0-9]+\).*--device")
    with DeviceLock("cuda:0", tmp_path), DeviceLock("cuda:1", tmp_path), told:
        DeviceLock("cuda:0", tmp_path)
    DeviceLock("cuda:0", tmp_path).release()


def test_releasing_twice_does_nothing(tmp_path):
    lock = DeviceLock("cuda:0", tmp_path)
    lock.release()
    lock.release()
    DeviceLock("cuda:0", tmp_path).release()


def test_the_lock_ends_with_its_process(tmp_path):
    code = (
        "import sys; from pathlib import Path; from prover.devices.ownership import DeviceLock;"
        "lock = DeviceLock('cuda:0', Path(sys.argv[1])); print('mine', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "mine\n"
        with pytest.raises(DeviceUnavailable, match=f"pid {process.pid}"):
            DeviceLock("cuda:0", tmp_path)
    finally:
        process.kill()
        process.communicate()
    DeviceLock("cuda:0", tmp_path).release()


def test_a_folder_that_cannot_be_written_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DeviceUnavailable, match="GELAP_CACHE_DIR"):
        DeviceLock("cuda:0", tmp_path / "file")
