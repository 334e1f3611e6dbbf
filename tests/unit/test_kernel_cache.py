"""The compile cache: never stale, shared by processes, and no obstacle where it cannot be written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from numba import config
from numba.core import event

from prover import backend
from prover.kernels import cache
from prover.kernels.cpu import vector
from prover.kernels.cpu.pairing import pairing_product_is_one
from prover.kernels.cpu.points import G1_GENERATOR, G2_GENERATOR, pack_g1, pack_g2
from prover.limbs import to_limbs


@pytest.fixture
def numba_folder(monkeypatch):
    """Put Numba's cache folder back after a test that moves it."""
    monkeypatch.setattr(config, "CACHE_DIR", config.CACHE_DIR)
    monkeypatch.setenv("NUMBA_CACHE_DIR", os.environ["NUMBA_CACHE_DIR"])


def _copy_of_sources(root: Path) -> Path:
    for name in ("kernels/field.py", "msm/cpu.py"):
        (root / name).parent.mkdir()
        (root / name).write_text("VALUE = 1\n")
    return root


def test_the_digest_changes_with_any_kernel_source(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "_PACKAGE", _copy_of_sources(tmp_path))
    digests = [cache.kernel_digest()]
    (tmp_path / "kernels/field.py").write_text("VALUE = 2\n")
    digests.append(cache.kernel_digest())
    (tmp_path / "kernels/field.py").rename(tmp_path / "kernels/renamed.py")
    digests.append(cache.kernel_digest())
    (tmp_path / "msm/cpu.py").unlink()
    digests.append(cache.kernel_digest())
    assert len(set(digests)) == 4


def test_code_for_gpus_leaves_the_digest_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "_PACKAGE", _copy_of_sources(tmp_path))
    before = cache.kernel_digest()
    for name in ("kernels/cuda/shim/build.py", "msm/cuda.py", "msm/plan_cuda.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("VALUE = 1\n")
    assert cache.kernel_digest() == before
    (tmp_path / "msm/barracuda.py").write_text("VALUE = 1\n")
    assert cache.kernel_digest() != before


def test_the_digest_changes_with_the_compiler_and_the_cpu(monkeypatch):
    before = cache.kernel_digest()
    assert cache.kernel_digest() == before
    with monkeypatch.context() as patch:
        patch.setattr(cache, "version", lambda package: "0.0")
        assert cache.kernel_digest() != before
    monkeypatch.setattr(cache.binding, "get_host_cpu_name", lambda: "another")
    assert cache.kernel_digest() != before


def test_numba_is_pointed_at_the_folder_even_when_it_was_imported_before(tmp_path, monkeypatch, numba_folder):
    monkeypatch.setenv("GELAP_CACHE_DIR", str(tmp_path))
    folder = cache.use_kernel_cache()
    assert folder == tmp_path / "kernels" / cache.kernel_digest()
    assert config.CACHE_DIR == os.environ["NUMBA_CACHE_DIR"] == str(folder)
    assert folder.stat().st_mode & 0o077 == 0


def test_a_folder_that_cannot_be_made_is_a_warning_that_says_what_to_do(tmp_path, monkeypatch, numba_folder):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GELAP_CACHE_DIR", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="set GELAP_CACHE_DIR to a writable folder"):
        folder = cache.use_kernel_cache()
    assert Path(config.CACHE_DIR) == folder
    assert folder.is_dir()


_CHILD = """
from prover.kernels.cpu import vector
from prover.limbs import from_limbs, to_limbs
assert from_limbs(vector.fr_from_mont(vector.fr_to_mont(to_limbs([5])))) == [5]
print(sum(vector._fr_scale.stats.cache_hits.values()), sum(vector._fr_scale.stats.cache_misses.values()))
"""


def test_processes_share_the_folder_also_when_they_start_together(tmp_path):
    environment = {**os.environ, "GELAP_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", _CHILD]
    together = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) for _ in range(2)]
    assert [child.wait(120) for child in together] == [0, 0]
    for child in together:
        child.stdout.close()
    later = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, timeout=120)
    assert later.stdout.split() == [b"1", b"0"]


class _Compilations(event.Listener):
    def __init__(self):
        self.names = []

    def on_start(self, seen):
        self.names.append(seen.data["dispatcher"].py_func.__qualname__)

    def on_end(self, seen):
        pass


def test_after_a_warm_up_the_steps_of_a_proof_compile_nothing():
    told = []
    backend.warm_up(lambda activity, done, total: told.append((done, total)))
    assert told == [(done, len(told) - 1) for done in range(len(told))]
    seen = _Compilations()
    with event.install_listener("numba:compile", seen):
        g1, g2 = pack_g1([G1_GENERATOR] * 5), pack_g2([G2_GENERATOR] * 5)
        g1.flags.writeable = False
        scalars = to_limbs([1, 2, 3, 4, 5])
        values = vector.fr_to_mont(to_limbs(range(1 << 13)))
        backend.fr_mul_sub_plain(backend.extend_to_odd_coset(values, threads=1), values, values)
        backend.msm_g1(g1, scalars)
        backend.msm_g1(backend.prepare_g1(g1), scalars)
        backend.msm_g2(backend.prepare_g2(g2), scalars, threads=1)
        pairing_product_is_one(g1, g2)
    assert seen.names == []
