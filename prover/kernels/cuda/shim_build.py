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
from prover.kernels.cuda.sources import SHIM_FOLDER, SOURCE_FOLDER, read_files, unit_path

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
_FOLDERS = (SOURCE_FOLDER, SHIM_FOLDER)
_INCLUDES = tuple(f"-I{folder}" for folder in _FOLDERS)
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

    def digest() -> str:
        files = [*read_files(source, _FOLDERS), *read_files(runtime, _FOLDERS)]
        return content_digest(files, _compiler_version(), *_FLAGS, *flags)

    read = digest()

    def build(target: Path) -> None:
        _run(
            [*compiler(), *_FLAGS, *flags, *_INCLUDES, "-x", "c++", str(source), str(runtime), "-o", str(target)],
            source,
        )
        _check_unchanged(source, read, digest())

    return build_once(f"{source.stem}-shim-{read}.so", build)


def kernel_parameters(source: Path, flags: tuple[str, ...] = ()) -> dict[str, tuple[Parameter, ...]]:
    """Each kernel of a unit with its parameters, read from the preprocessed source."""

    def digest() -> str:
        return content_digest(read_files(source, _FOLDERS), _compiler_version(), *_FLAGS, *flags, "parameters")

    read = digest()

    def preprocess(target: Path) -> None:
        command = [*compiler(), "-E", "-P", "-DGELAP_SHIM", "-std=c++20", *flags, *_INCLUDES, "-x", "c++", str(source)]
        text = _run(command, source)
        _check_unchanged(source, read, digest())
        target.write_text("\n".join(f"{name}({parameters})" for name, parameters in _KERNEL.findall(text)))

    lines = build_once(f"{source.stem}-shim-{read}.txt", preprocess).read_text().split(")")
    declarations = (line.strip().partition("(") for line in lines if line.strip())
    return {
        name: tuple(_parameter(name, text) for text in parameters.split(",") if text.strip())
        for name, _, parameters in declarations
    }


def _check_unchanged(source: Path, before: str, after: str) -> None:
    """The compiler reads the files itself: what it made of others must not get the name of those that were read."""
    if before != after:
        raise DeviceError(f"{source.name} or a file it includes changed while it was compiled: try again")


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
