"""Compiled kernels on disk: never stale, never half there, shared by processes, and no obstacle where disks refuse."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from prover import backend
from prover.errors import KernelError
from prover.kernels import build, cache, compilers, host, native
from prover.kernels.image import file_name, is_intact

_ROOT = Path(__file__).parents[2]
# A unit that compiles fast and belongs to no set.
UNIT = "prover.kernels.cpu.blake2b_kernels"


def _copy_of_sources(root: Path) -> Path:
    for name in ("prover/kernels/field.py", "prover/msm/cpu.py", *cache._CONSTANTS):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("VALUE = 1\n")
    return root / "prover"


def test_the_digest_changes_with_any_kernel_source(tmp_path, monkeypatch):
    package = _copy_of_sources(tmp_path)
    monkeypatch.setattr(cache, "_PACKAGE", package)
    digests = [cache.kernel_digest()]
    (package / "kernels/field.py").write_text("VALUE = 2\n")
    digests.append(cache.kernel_digest())
    (package / "kernels/field.py").rename(package / "kernels/renamed.py")
    digests.append(cache.kernel_digest())
    (package / "msm/cpu.py").unlink()
    digests.append(cache.kernel_digest())
    (tmp_path / "protocol/field.py").write_text("VALUE = 2\n")
    digests.append(cache.kernel_digest())
    assert len(set(digests)) == 5


def test_code_for_gpus_does_not_change_the_digest(tmp_path, monkeypatch):
    package = _copy_of_sources(tmp_path)
    monkeypatch.setattr(cache, "_PACKAGE", package)
    before = cache.kernel_digest()
    (package / "kernels/cuda").mkdir()
    for name in ("kernels/cuda/launch.py", "msm/cuda.py", "msm/plan_cuda.py", "kernels/field.cu"):
        (package / name).write_text("VALUE = 1\n")
    assert cache.kernel_digest() == before


def test_the_digest_changes_with_the_compiler_its_settings_and_the_cpu(monkeypatch):
    monkeypatch.delenv("NUMBA_OPT", raising=False)
    digests = [cache.kernel_digest(), cache.kernel_digest()]
    assert digests[0] == digests[1]
    for module, name, value in ((host, "_version", lambda package: "0.0"), (cache, "cpu_identity", lambda: "another")):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, value)
            digests.append(cache.kernel_digest())
    monkeypatch.setenv("NUMBA_OPT", "1")
    digests.append(cache.kernel_digest())
    assert len(set(digests)) == 4


def test_versions_are_those_of_the_installed_packages():
    from importlib.metadata import version

    for package in ("numba", "llvmlite", "numpy"):
        assert version(package) in host._version(package)


def test_the_cpu_is_told_by_the_model_and_abilities_of_the_first(tmp_path, monkeypatch):
    def identity(content: str) -> str:
        (tmp_path / "cpuinfo").write_text(content)
        host._cpuinfo.cache_clear()
        return host.cpu_identity()

    monkeypatch.setattr(host, "_CPUINFO", tmp_path / "cpuinfo")
    try:
        first = identity("processor : 0\nmodel : 17\ncpu MHz : 3000\nflags : fpu avx2\n\nprocessor : 1\nmodel : 17\n")
        assert identity("processor : 0\nmodel : 17\ncpu MHz : 800\nflags : fpu avx2\n") == first
        assert identity("processor : 0\nmodel : 18\nflags : fpu avx2\n") != first
        assert identity("processor : 0\nmodel : 17\nflags : fpu avx2 avx512f\n") != first
        assert host.cpu_features() == {"fpu": True, "avx2": True, "avx512f": True}
        monkeypatch.setenv("NUMBA_CPU_FEATURES", "+sse2,-avx512f")
        assert host.cpu_features() == {"sse2": True, "avx512f": False}
        monkeypatch.delenv("NUMBA_CPU_FEATURES")
        (tmp_path / "cpuinfo").unlink()
        host._cpuinfo.cache_clear()
        assert len(host.cpu_identity()) > 20
    finally:
        host._cpuinfo.cache_clear()


_IMPORTS = """
import importlib, pkgutil, sys
import prover
from prover.kernels import compile, device
for module in pkgutil.walk_packages(prover.__path__, "prover."):
    if module.name.endswith("kernels") and not module.ispkg or module.name == "prover.kernels.ifma.convert":
        importlib.import_module(module.name)
print(len(device.EXPORTS))
print(*(module.__file__ for module in list(sys.modules.values()) if getattr(module, "__file__", None)), sep="\\n")
"""
# Imported where kernels are compiled, but no source of numbers or code for them.
_HARMLESS = {f"prover/{name}.py" for name in ("errors", "cache", "limbs", "progress")} | {"protocol/errors.py"}


def test_the_digest_covers_every_source_that_compiling_kernels_imports():
    child = subprocess.run([sys.executable, "-c", _IMPORTS], cwd=_ROOT, capture_output=True, text=True, check=True)
    count, *files = child.stdout.splitlines()
    assert int(count) > 10
    imported = {Path(file).resolve() for file in files}
    ours = {str(file.relative_to(_ROOT)) for file in imported if file.is_relative_to(_ROOT) and file.suffix == ".py"}
    ours = {file for file in ours if file.startswith(("prover/", "protocol/")) and not file.endswith("__init__.py")}
    covered = {str(source.relative_to(_ROOT)) for source in cache.sources()}
    assert ours - covered - _HARMLESS == set()


_COMPRESS = """
import numpy as np
from prover.kernels.cpu import blake2b
state = np.zeros(8, np.uint64)
blake2b.compress(state, np.zeros((1, 16), np.uint64), 0)
print(state[0])
"""


@pytest.mark.slow
def test_a_constant_changed_in_another_file_is_compiled_anew(tmp_path):
    for package in ("prover", "protocol"):
        shutil.copytree(_ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    environment = {**os.environ, "GELAP_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(tmp_path)}

    def compress() -> str:
        command = [sys.executable, "-c", _COMPRESS]
        child = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
        assert child.returncode == 0, child.stderr
        return child.stdout

    first = compress()
    assert compress() == first
    constants = tmp_path / "prover/kernels/cpu/blake2b.py"
    constants.write_text(constants.read_text().replace("0x6A09E667F3BCC908", "0x6A09E667F3BCC909"))
    assert compress() != first


@pytest.fixture
def empty_folder(tmp_path, monkeypatch) -> Path:
    """A kernel folder with nothing in it, used by this process for the length of a test."""
    monkeypatch.setattr(build, "kernel_folder", lambda: tmp_path)
    return tmp_path


def test_a_missing_image_is_compiled_and_told_of(empty_folder):
    told = []
    assert build.missing([UNIT]) == [UNIT]
    build.build([UNIT], lambda *step: told.append(step))
    assert build.missing([UNIT]) == []
    assert told == [("compiling kernels", 0, 1), ("compiled blake2b_kernels", 1, 1)]
    build.build([UNIT], lambda *step: pytest.fail("nothing was missing"))
    assert is_intact((empty_folder / file_name(UNIT)).read_bytes())
    assert [path.name for path in empty_folder.iterdir() if path.name.startswith(".new")] == []


@pytest.mark.slow
def test_a_damaged_image_is_compiled_again(empty_folder):
    content = build.provide(UNIT)
    path = empty_folder / file_name(UNIT)
    for damaged in (b"", content[:-1], content[:60] + bytes([content[60] ^ 1]) + content[61:], b"X" + content[1:]):
        path.write_bytes(damaged)
        repaired = build.provide(UNIT)
        assert is_intact(repaired)
        assert path.read_bytes() == repaired


def test_a_unit_that_does_not_compile_is_an_error_that_names_it(empty_folder):
    with pytest.raises(KernelError, match=r"cannot compile prover\.kernels\.cpu\.nothing.*No module named"):
        build.build(["prover.kernels.cpu.nothing"])
    with pytest.raises(KernelError, match=r"cannot compile prover\.kernels\.cpu\.blake2b_kernels:g1"):
        build.build([f"{UNIT}:g1"])


def test_a_compiler_that_dies_is_an_error(empty_folder, monkeypatch):
    monkeypatch.setattr(compilers.sys, "executable", "/bin/false")
    with pytest.raises(KernelError, match="its process ended"):
        build.build([UNIT])


_CHILD = """
import os, sys, time
from prover.kernels import build
from prover.kernels.image import file_name
folder = build.build([sys.argv[1]])
print(os.stat(folder / file_name(sys.argv[1])).st_ino, "numba" in sys.modules)
"""


def test_processes_that_start_together_compile_once_and_share_the_folder(tmp_path):
    environment = {**os.environ, "GELAP_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", _CHILD, UNIT]
    together = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    answers = {child.communicate(timeout=120)[0] for child in together}
    assert [child.returncode for child in together] == [0, 0, 0]
    assert len(answers) == 1
    assert answers.pop().endswith("False\n")
    (folder,) = (tmp_path / "kernels").iterdir()
    assert folder.stat().st_mode & 0o077 == 0


def test_a_folder_that_cannot_be_made_is_a_warning_that_says_what_to_do(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GELAP_CACHE_DIR", str(tmp_path / "file"))
    monkeypatch.setattr(cache, "temporary_folder", cache.temporary_folder.__wrapped__)
    with pytest.warns(UserWarning, match="set GELAP_CACHE_DIR to a writable folder"):
        folder = cache.kernel_folder.__wrapped__()
    assert folder.is_dir()
    assert tmp_path not in folder.parents


def test_a_folder_that_can_only_be_read_serves_what_it_has(tmp_path, monkeypatch):
    build.build(["prover.msm.digit_kernels"])
    image = cache.kernel_folder() / file_name("prover.msm.digit_kernels")
    monkeypatch.setenv("GELAP_CACHE_DIR", str(tmp_path))
    folder = tmp_path / "kernels" / cache.kernel_digest()
    folder.mkdir(parents=True)
    genuine = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK and genuine(path, mode))
    shutil.copy(image, folder)
    assert cache.kernel_folder.__wrapped__() == folder
    spare = tmp_path / "spare"
    spare.mkdir()
    monkeypatch.setattr(build, "kernel_folder", lambda: folder)
    monkeypatch.setattr(build, "temporary_folder", lambda instead_of: spare)
    assert is_intact(build.provide("prover.msm.digit_kernels"))
    assert is_intact(build.provide(UNIT))
    assert [path.name for path in folder.iterdir()] == [file_name("prover.msm.digit_kernels")]


def test_after_a_warm_up_every_kernel_of_a_proof_is_in_memory():
    told = []
    backend.warm_up(lambda activity, done, total: told.append((done, total)))
    assert told[-1] == (len(build.proof_units()),) * 2
    assert set(build.proof_units()) <= native._images.keys()
    assert build.missing(build.proof_units()) == []


def test_every_unit_of_a_set_is_one_that_can_be_compiled():
    """A misspelt unit would be noticed on the other arithmetic path only."""
    for unit in {*build._PROOF, *build._PROOF_IN_LANES, *build._PROOF_PORTABLE, *build._SETUP, *build._SETUP_IN_LANES}:
        module, _, group = unit.partition(":")
        source = _ROOT / (module.replace(".", "/") + ".py")
        assert "@export(" in source.read_text()
        assert group in ("", "g1", "g2")
