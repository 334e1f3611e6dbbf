"""Builds a unit for the shim: the .cu file as C++, with g++, clang++ or the compiler of the `ziglang` wheel."""

import re
import shutil
import subprocess
import sys
import threading
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from prover.errors import DeviceError, DeviceUnavailable
from prover.kernels.cuda.build_cache import build_once, content_digest
from prover.kernels.cuda.device import Parameter
from prover.kernels.cuda.sources import SHIM_FOLDER, SOURCE_FOLDER, included_files, unit_path

_FLAGS = (
    "-std=c++20",
    "-O2",
    "-fPIC",
    "-shared",
    "-fvisibility=hidden",
    "-fno-strict-aliasing",
    "-Wno-unknown-pragmas",
    "-DGELAP_SHIM",
)
_KERNEL = re.compile(
    r'extern\s*"C"\s*__attribute__\s*\(\(visibility\("default"\)\)\)\s*(?:static\s+)?void\s+(\w+)\s*\(([^)]*)\)'
)
_EIGHT_BYTES = {"uint64_t", "int64_t", "size_t", "unsigned long long", "long long", "unsigned long", "long"}
_FOUR_BYTES = {"uint32_t", "int32_t", "unsigned", "unsigned int", "int"}


@cache
def compiler() -> tuple[str, ...]:
    """The command of a C++ compiler; raises DeviceUnavailable when there is none."""
    for name in ("g++", "clang++"):
        if found := shutil.which(name):
            return (found,)
    if find_spec("ziglang") is not None:
        return (sys.executable, "-m", "ziglang", "c++")
    raise DeviceUnavailable(
        "no C++ compiler to build the CUDA kernels for this CPU: install g++, or `pip install ziglang`"
    )


@cache
def _compiler_version() -> str:
    return subprocess.run([*compiler(), "--version"], capture_output=True, text=True, check=False).stdout


def build_unit(unit: str, flags: tuple[str, ...] = ()) -> Path:
    """The shared library of a unit, from the cache or built now, with extra compiler flags if given.

    Raises DeviceUnavailable when there is no compiler, DeviceError with the compiler's message for a wrong unit.
    """
    return build_source(unit_path(unit), flags)


def build_source(source: Path, flags: tuple[str, ...] = ()) -> Path:
    """As build_unit, for a source file anywhere."""
    runtime = SHIM_FOLDER / "runtime.cpp"
    folders = (SOURCE_FOLDER, SHIM_FOLDER)
    files = [*included_files(source, folders), *included_files(runtime, folders)]
    digest = content_digest(files, _compiler_version(), *_FLAGS, *flags)

    def build(target: Path) -> None:
        includes = [f"-I{folder}" for folder in folders]
        sources = ["-x", "c++", str(source), str(runtime)]
        _run([*compiler(), *_FLAGS, *flags, *includes, *sources, "-o", str(target)], source)

    return build_once(f"{source.stem}-shim-{digest}.so", build)


def kernel_parameters(source: Path, flags: tuple[str, ...] = ()) -> dict[str, tuple[Parameter, ...]]:
    """Each kernel of a unit with its parameters, read from the preprocessed source."""
    folders = (SOURCE_FOLDER, SHIM_FOLDER)
    digest = content_digest(included_files(source, folders), _compiler_version(), *_FLAGS, *flags, "parameters")

    def preprocess(target: Path) -> None:
        command = [*compiler(), "-E", "-P", "-DGELAP_SHIM", "-std=c++20", *flags]
        text = _run([*command, *(f"-I{folder}" for folder in folders), "-x", "c++", str(source)], source)
        target.write_text("\n".join(f"{name}({parameters})" for name, parameters in _KERNEL.findall(text)))

    lines = build_once(f"{source.stem}-shim-{digest}.txt", preprocess).read_text().split(")")
    declarations = (line.strip().partition("(") for line in lines if line.strip())
    return {
        name: tuple(_parameter(name, text) for text in parameters.split(",") if text.strip())
        for name, _, parameters in declarations
    }


def _parameter(kernel: str, declaration: str) -> Parameter:
    if "*" in declaration:
        return Parameter(8, True)
    words = [word for word in declaration.split() if word not in ("const", "__restrict__")]
    kind = " ".join(words[:-1])
    if kind in _EIGHT_BYTES:
        return Parameter(8, False)
    if kind in _FOUR_BYTES:
        return Parameter(4, False)
    raise DeviceError(
        f"kernel {kernel} has a parameter that is neither a pointer nor an integer: {declaration.strip()}"
    )


_building = threading.Semaphore(4)


def _run(command: list[str], source: Path) -> str:
    with _building:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise DeviceError(f"{source.name} does not compile for the shim:\n{result.stderr.strip()[:4000]}")
    return result.stdout
