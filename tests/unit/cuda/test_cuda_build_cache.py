"""The cache of compiled CUDA units: never stale, built once by many, never half written, and removed when unused."""

import os
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from prover.errors import DeviceError, DeviceUnavailable
from prover.kernels.cuda import build_cache, shim_build
from prover.kernels.cuda import compile as compiler
from prover.kernels.cuda.sources import SOURCE_FOLDER

KERNEL = '#include "number.cuh"\nextern "C" __global__ void store(uint32_t* out) { out[0] = NUMBER; }\n'


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GELAP_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def source(tmp_path) -> Path:
    (tmp_path / "number.cuh").write_text('#include "types.cuh"\n#define NUMBER 1\n')
    (tmp_path / "unit.cu").write_text(KERNEL)
    return tmp_path / "unit.cu"


def _build(source: Path) -> set[Path]:
    return {
        shim_build.build_source(source),
        compiler.compile_source(source, "compute_90").path,
        compiler.compile_source(source, "sm_90").path,
    }


@pytest.mark.slow
def test_a_change_in_a_header_a_header_of_the_project_or_the_unit_makes_new_code(source):
    built = [_build(source)]
    assert _build(source) == built[0]
    (source.parent / "number.cuh").write_text('#include "types.cuh"\n#define NUMBER 2\n')
    built.append(_build(source))
    source.write_text(KERNEL + "// changed\n")
    built.append(_build(source))
    # A header beside the unit comes before one of the project with the same name.
    (source.parent / "types.cuh").write_text((SOURCE_FOLDER / "types.cuh").read_text() + "// changed\n")
    built.append(_build(source))
    assert len(set().union(*built)) == 12


@pytest.mark.slow
def test_options_architecture_and_compiler_are_part_of_the_name(source, monkeypatch):
    paths = {compiler.compile_source(source, arch).path for arch in ("compute_80", "compute_90", "sm_90")}
    paths.add(shim_build.build_source(source))
    paths.add(shim_build.build_source(source, ("-DGELAP_CHAINS",)))
    monkeypatch.setattr(compiler, "_OPTIONS", (*compiler._OPTIONS, "--fmad=false"))
    paths.add(compiler.compile_source(source, "compute_90").path)
    monkeypatch.setattr(compiler, "compiler_version", lambda: "99.0")
    paths.add(compiler.compile_source(source, "compute_90").path)
    monkeypatch.setattr(shim_build, "_compiler_version", lambda: "g++ 99")
    paths.add(shim_build.build_source(source))
    assert len(paths) == 8


_BUILDER = """
import sys, time
from pathlib import Path
from prover.kernels.cuda.build_cache import build_once
def build(target):
    with open(sys.argv[1], "a") as log:
        log.write("built\\n")
    target.write_bytes(b"half")
    time.sleep(1)
    target.write_bytes(b"whole")
print(build_once("thing.bin", build).read_bytes().decode())
"""


def test_many_processes_build_a_thing_once_and_all_read_it_whole(tmp_path):
    log = tmp_path / "log"
    command = [sys.executable, "-c", _BUILDER, str(log)]
    builders = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert [builder.communicate(timeout=60)[0].strip() for builder in builders] == ["whole"] * 4
    assert log.read_text() == "built\n"


def test_a_build_that_fails_leaves_nothing_and_can_be_repeated(tmp_path):
    def fail(target: Path) -> None:
        target.write_bytes(b"half")
        raise DeviceError("no")

    with pytest.raises(DeviceError, match="no"):
        build_cache.build_once("thing.bin", fail)
    assert [path.name for path in build_cache.build_folder().iterdir() if not path.name.startswith(".lock")] == []
    assert build_cache.build_once("thing.bin", lambda target: target.write_bytes(b"x")).read_bytes() == b"x"


def test_files_that_nobody_used_for_a_month_are_removed(tmp_path):
    old, kept, used = (
        build_cache.build_once(name, lambda target: target.write_bytes(b"x")) for name in ("old", "kept", "used")
    )
    now = time.time()
    for path, days in ((old, 40), (kept, 20), (used, 40)):
        os.utime(path, (now - days * 86400,) * 2)
    build_cache.build_once("used", lambda target: pytest.fail("it is there"))
    build_cache.build_once("new", lambda target: target.write_bytes(b"x"))
    assert [path.exists() for path in (old, kept, used)] == [False, True, True]


def test_a_folder_that_cannot_be_written_is_an_error_that_names_the_variable(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("GELAP_CACHE_DIR", str(blocked))
    with pytest.raises(DeviceError, match="GELAP_CACHE_DIR"):
        build_cache.build_once("thing.bin", lambda target: None)


def test_a_machine_without_a_cpp_compiler_is_told_what_to_install(monkeypatch):
    shim_build.compiler.cache_clear()
    monkeypatch.setattr(shim_build.shutil, "which", lambda name: None)
    monkeypatch.setattr(shim_build, "find_spec", lambda name: None)
    try:
        with pytest.raises(DeviceUnavailable, match=r"install g\+\+, or `pip install ziglang`"):
            shim_build.compiler()
        monkeypatch.setattr(shim_build, "find_spec", lambda name: object())
        assert shim_build.compiler() == (sys.executable, "-m", "ziglang", "c++")
    finally:
        shim_build.compiler.cache_clear()


def test_a_machine_without_nvrtc_is_told_what_to_install(monkeypatch):
    compiler._nvrtc.cache_clear()
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    try:
        with pytest.raises(DeviceUnavailable, match=r"pip install 'gelap\[cuda13\]'"):
            compiler.compile_unit("laws", "compute_90")
    finally:
        compiler._nvrtc.cache_clear()


def test_kernels_that_were_not_compiled_yet_are_known_as_such(source, monkeypatch):
    monkeypatch.setattr(compiler, "unit_path", lambda unit: source)
    assert not compiler.is_compiled("unit", "compute_90")
    compiler.compile_unit("unit", "compute_90")
    assert compiler.is_compiled("unit", "compute_90")
    assert not compiler.is_compiled("unit", "sm_90")


def test_a_description_that_was_lost_is_made_again(source):
    unit = compiler.compile_source(source, "compute_90")
    description = unit.path.with_name(unit.path.name + ".json")
    description.unlink()
    assert compiler.compile_source(source, "compute_90") == unit


def test_every_cuda_source_is_shipped():
    root = Path(__file__).parents[3]
    patterns = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    shipped = {path for pattern in patterns["prover.kernels.cuda"] for path in SOURCE_FOLDER.glob(pattern)}
    sources = {path for path in SOURCE_FOLDER.rglob("*") if path.suffix in (".cu", ".cuh", ".h", ".cpp")}
    assert sources == shipped


def test_a_source_that_changes_while_it_is_compiled_is_not_cached(source, monkeypatch):
    run = shim_build._run

    def run_and_edit(command: list[str], path: Path) -> str:
        result = run(command, path)
        (source.parent / "number.cuh").write_text('#include "types.cuh"\n#define NUMBER 3\n')
        return result

    shim_build._compiler_version()
    monkeypatch.setattr(shim_build, "_run", run_and_edit)
    with pytest.raises(DeviceError, match="changed while it was compiled"):
        shim_build.build_source(source)
    assert not list(build_cache.build_folder().glob("unit-shim-*"))
