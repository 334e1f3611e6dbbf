"""`--device` and GELAP_DEVICE on the command line: one clear line where a device cannot be had."""

import os
import subprocess
import sys

import pytest

from prover.devices import choice
from prover.devices.opened import open_device
from prover.formats.proof import read_proof, read_public
from prover.formats.wtns import write_wtns
from prover.formats.zkey import write_zkey
from prover.kernels.cuda.shim_device import ShimDevice
from tests.unit.groth16 import samples


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("device")
    write_zkey(folder / "key.zkey", samples.zkey())
    write_wtns(folder / "good.wtns", samples.witness())
    write_wtns(folder / "bad.wtns", samples.witness(d=2))
    return folder


def prove(files, *arguments: str, witness: str = "good", **environment: str):
    options = {"zkey": "key.zkey", "wtns": f"{witness}.wtns", "proof": "proof.json", "public": "public.json"}
    named = [part for name, file in options.items() for part in (f"--{name}", str(files / file))]
    return subprocess.run(
        [sys.executable, "-m", "gelap.cli", "prove", *named, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_a_proof_by_the_devices_code_is_valid(files):
    result = prove(files, "--device", "shim")
    assert (result.returncode, result.stdout) == (0, ""), result.stderr
    verifier = samples.proving_key().verifier
    assert verifier.verify(read_public(files / "public.json"), read_proof(files / "proof.json"))


@pytest.mark.slow
def test_a_false_witness_is_refused_there_as_on_the_cpu(files):
    result = prove(files, "--device", "shim", witness="bad", GELAP_DEVICE_FALLBACK="error")
    assert result.returncode == 1
    assert result.stderr.startswith("error: the proof does not verify")


@pytest.mark.skipif(choice.gpu_problem() is None, reason="says what is said on a machine without a GPU; this has one")
def test_asking_for_a_gpu_where_there_is_none_is_one_line(files):
    result = prove(files, "--device", "cuda")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("error: cuda cannot be used: ")
    assert "--device cpu" in result.stderr


def test_an_unknown_device_is_one_line_however_it_was_named(files):
    for result in (prove(files, "--device", "tpu"), prove(files, GELAP_DEVICE="tpu")):
        assert result.returncode == 2
        assert result.stderr == "error: there is no device 'tpu'; choose one of: auto, cuda, cuda:N, cpu\n"


def test_a_budget_that_is_no_number_is_one_line(files):
    result = prove(files, "--device", "shim", GELAP_DEVICE_MEMORY="plenty")
    assert result.returncode == 2
    assert "GELAP_DEVICE_MEMORY must be" in result.stderr
    assert "Traceback" not in result.stderr


def test_too_small_a_budget_leaves_no_proof(files):
    result = prove(files, "--device", "shim", GELAP_DEVICE_MEMORY="10k")
    assert result.returncode == 2
    assert "10.0 KiB may be used" in result.stderr


def test_a_gpu_that_another_process_owns_is_left_to_it_when_nobody_asked_for_it(monkeypatch, tmp_path):
    monkeypatch.setenv("GELAP_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(choice, "gpu_problem", lambda index=0: None)
    monkeypatch.delenv("GELAP_DEVICE", raising=False)
    from prover.devices.ownership import DeviceLock
    from prover.errors import DeviceUnavailable

    with DeviceLock("cuda:0"):
        chosen, owner = open_device()
        assert (chosen.kind, owner) == ("cpu", None)
        assert "belongs to another process" in chosen.reason
        with pytest.raises(DeviceUnavailable, match="belongs to another process"):
            open_device("cuda")


def test_an_opened_device_runs_everything_on_its_own_thread():
    import threading

    chosen, owner = open_device("shim")
    assert owner is not None
    with owner:
        assert isinstance(owner.device, ShimDevice)
        names = {owner.run(lambda: threading.current_thread().name) for _ in range(3)}
        assert len(names) == 1
        assert names != {threading.current_thread().name}
        with pytest.raises(ZeroDivisionError):
            owner.run(lambda: 1 // 0)
    with pytest.raises(RuntimeError):
        owner.run(int)
    assert chosen.name == "shim"
