"""Compiles units with NVRTC, NVIDIA's run-time compiler, which needs neither a GPU nor a CUDA toolkit.

For a real architecture ("sm_90") the result is machine code, a cubin; for a virtual one ("compute_90") it is PTX, which
is enough to know that a unit compiles and takes a third of the time. Results are cached by the content of the unit, of
every header it includes, of the options and of the compiler's version: see `build_cache`.

NVRTC compiles one unit at a time in a process, so `preload` gives each unit a process of its own:
`python -m prover.kernels.cuda.compile ARCHITECTURE UNIT...`.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from prover.errors import DeviceError, DeviceUnavailable
from prover.kernels.cuda.build_cache import build_folder, build_once, content_digest, write_atomically
from prover.kernels.cuda.device import Parameter
from prover.kernels.cuda.sources import SOURCE_FOLDER, read_files, unit_path, units

_OPTIONS = ("--std=c++17", "--ptxas-options=-v")

# `.visible .entry name(` and its parameters: `.param .u64 name_param_0,` or `.param .u64 .ptr .align 1 name_param_0`.
_ENTRY = re.compile(r"\.entry\s+(\w+)\s*\(([^)]*)\)")
_PARAMETER = re.compile(r"\.param\s+\.[a-z](\d+)\s")
_COMPILING = re.compile(r"Compiling entry function '(\w+)'")
_STACK = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
_FUNCTION = re.compile(r"Function properties for (\w+)")
_USED = re.compile(r"Used (\d+) registers")
_SHARED = re.compile(r"(\d+) bytes smem")


@dataclass(frozen=True)
class Resources:
    """What a kernel takes of a multiprocessor: per thread registers and bytes of stack and spills, static shared bytes.

    Stack and spills are the kernel's own, without functions that it calls.
    """

    registers: int
    stack_bytes: int
    spill_store_bytes: int
    spill_load_bytes: int
    shared_bytes: int


@dataclass(frozen=True)
class CompiledUnit:
    """A unit's code on disk. `resources` is empty for a virtual architecture."""

    unit: str
    arch: str
    path: Path
    parameters: dict[str, tuple[Parameter, ...]]
    resources: dict[str, Resources]


@cache
def _nvrtc() -> Any:
    try:
        from cuda.bindings import nvrtc

        status, _, _ = nvrtc.nvrtcVersion()
    except (ImportError, RuntimeError, OSError) as error:
        raise DeviceUnavailable(
            f"CUDA kernels are compiled with NVRTC, which cannot be loaded ({error}): "
            "install it with `pip install 'gelap[cuda13]'`, or gelap[cuda12] for drivers of CUDA 12"
        ) from None
    if int(status) != 0:
        raise DeviceUnavailable(f"NVRTC cannot be used: {status.name}")
    return nvrtc


def _call(function: Any, *arguments: Any) -> Any:
    """The result of an NVRTC function, or None; raises DeviceError when it fails."""
    status, *results = function(*arguments)
    if int(status) != 0:
        raise DeviceError(f"{function.__name__} failed: {status.name}")
    return results[0] if results else None


def compiler_version() -> str:
    """Version of NVRTC, like "13.0". Raises DeviceUnavailable when it is not installed."""
    _, major, minor = _nvrtc().nvrtcVersion()
    return f"{major}.{minor}"


def supported_architectures() -> list[int]:
    """What NVRTC can make machine code for: 90 stands for compute capability 9.0. Ascending."""
    return sorted(_call(_nvrtc().nvrtcGetSupportedArchs))


def architecture(major: int, minor: int) -> str:
    """The architecture to compile for on a GPU of this compute capability.

    Machine code runs on the capability it is made for and on later minor ones; where this NVRTC has none, the driver
    compiles PTX. Raises DeviceUnavailable for a GPU that is too old for this NVRTC.
    """
    older = [number for number in supported_architectures() if number <= 10 * major + minor]
    if not older:
        raise DeviceUnavailable(
            f"NVRTC {compiler_version()} makes no code for compute capability {major}.{minor}: the GPU is too old"
        )
    return f"sm_{older[-1]}" if older[-1] // 10 == major else f"compute_{older[-1]}"


def _target(files: list[tuple[str, bytes]], arch: str) -> str:
    """Name in the cache of the code made of these files, the unit itself first."""
    digest = content_digest(files, compiler_version(), arch, *_OPTIONS)
    return f"{Path(files[0][0]).stem}-{arch}-{digest}.{'cubin' if arch.startswith('sm_') else 'ptx'}"


def is_compiled(unit: str, arch: str) -> bool:
    """Whether the code of a unit, as its sources are now, is in the cache."""
    return (build_folder() / _target(read_files(unit_path(unit)), arch)).exists()


def compile_unit(unit: str, arch: str) -> CompiledUnit:
    """A unit's code for `arch`, from the cache or compiled now.

    Raises DeviceUnavailable when NVRTC is not installed, DeviceError with the compiler's log when the unit is wrong.
    """
    return compile_source(unit_path(unit), arch)


def compile_source(source: Path, arch: str) -> CompiledUnit:
    """As compile_unit, for a source file anywhere."""
    # Read once, so that a name always belongs to what was compiled.
    files = read_files(source)
    name = _target(files, arch)

    def build(target: Path) -> None:
        code, ptx, description = _compile(files, arch)
        write_atomically(build_folder() / f"{name}.json", lambda path: _write_json(path, description))
        if code is not ptx:
            _keep_ptx(files, arch, ptx, description)
        target.write_bytes(code)

    path = build_once(name, build)
    # Normally written just above.
    described = build_once(f"{name}.json", lambda target: _write_json(target, _compile(files, arch)[2]))
    description = json.loads(described.read_bytes())
    return CompiledUnit(
        source.stem,
        arch,
        path,
        {kernel: tuple(Parameter(**each) for each in many) for kernel, many in description["parameters"].items()},
        {kernel: Resources(**values) for kernel, values in description["resources"].items()},
    )


def _keep_ptx(files: list[tuple[str, bytes]], arch: str, ptx: bytes, description: dict[str, Any]) -> None:
    """On the way to machine code NVRTC makes the very PTX of the virtual architecture: keep that, too."""
    target = build_folder() / _target(files, arch.replace("sm_", "compute_"))
    if not target.exists():
        without = {"parameters": description["parameters"], "resources": {}}
        write_atomically(target.with_name(f"{target.name}.json"), lambda path: _write_json(path, without))
        write_atomically(target, lambda path: _write(path, ptx))


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content))


def _compile(files: list[tuple[str, bytes]], arch: str) -> tuple[bytes, bytes, dict[str, Any]]:
    """The code, the PTX on the way to it (the same object for a virtual architecture), and what is known of both."""
    nvrtc = _nvrtc()
    (name, text), *headers = files
    program = _call(
        nvrtc.nvrtcCreateProgram,
        text,
        name.encode(),
        len(headers),
        [content for _, content in headers],
        [header.encode() for header, _ in headers],
    )
    try:
        options = [f"--gpu-architecture={arch}".encode(), *(option.encode() for option in _OPTIONS)]
        (status,) = nvrtc.nvrtcCompileProgram(program, len(options), options)
        log = _read(nvrtc.nvrtcGetProgramLogSize, nvrtc.nvrtcGetProgramLog, program).rstrip(b"\0 \n").decode()
        if int(status) != 0:
            raise DeviceError(f"{name} does not compile for {arch}: {status.name}\n{log[:4000]}")
        ptx = _read(nvrtc.nvrtcGetPTXSize, nvrtc.nvrtcGetPTX, program).rstrip(b"\0")
        description = {"parameters": _parameters(ptx.decode()), "resources": _resources(log)}
        if arch.startswith("sm_"):
            return _read(nvrtc.nvrtcGetCUBINSize, nvrtc.nvrtcGetCUBIN, program), ptx, description
        return ptx, ptx, description
    finally:
        nvrtc.nvrtcDestroyProgram(program)


def _read(size: Any, content: Any, program: Any) -> bytes:
    # The binding writes into the bytes object that it is given.
    buffer = bytes(bytearray(_call(size, program)))
    _call(content, program, buffer)
    return buffer


def _parameters(ptx: str) -> dict[str, list[dict[str, Any]]]:
    return {
        name: [asdict(Parameter(int(bits) // 8)) for bits in _PARAMETER.findall(declarations)]
        for name, declarations in _ENTRY.findall(ptx)
    }


def _resources(log: str) -> dict[str, dict[str, int]]:
    """Resources by kernel, from ptxas's report: a kernel's lines follow its "Compiling entry function"."""
    kernels: dict[str, dict[str, int]] = {}
    kernel = function = ""
    for line in log.splitlines():
        if found := _COMPILING.search(line):
            kernel = found[1]
        elif found := _FUNCTION.search(line):
            function = found[1]
        elif (found := _STACK.search(line)) and function == kernel:
            stack, stores, loads = (int(number) for number in found.groups())
            kernels.setdefault(kernel, {}).update(
                stack_bytes=stack, spill_store_bytes=stores, spill_load_bytes=loads, registers=0, shared_bytes=0
            )
        elif (found := _USED.search(line)) and kernel in kernels:
            kernels[kernel]["registers"] = int(found[1])
            if shared := _SHARED.search(line):
                kernels[kernel]["shared_bytes"] = int(shared[1])
    return kernels


def preload(
    arch: str, chosen: Sequence[str] | None = None, progress: Callable[[str], None] | None = None
) -> list[CompiledUnit]:
    """Compile units (None: all) side by side; `progress` is told the name of each that is ready, in order."""
    names = units() if chosen is None else list(chosen)
    # So that a machine without NVRTC is told so once.
    compiler_version()
    compiled: dict[str, CompiledUnit] = {}
    with ThreadPoolExecutor(max(1, min(len(names), os.cpu_count() or 1))) as pool:
        # The largest take longest: they go first.
        futures = {
            name: pool.submit(_compile_apart, name, arch)
            for name in sorted(names, key=lambda name: unit_path(name).name not in _LARGEST)
        }
        for name in names:
            compiled[name] = futures[name].result()
            if progress is not None:
                progress(name)
    return list(compiled.values())


# A hint only.
_LARGEST = ("msm_g2.cu", "laws.cu", "fixed_base.cu", "msm_g1.cu")


def _compile_apart(unit: str, arch: str) -> CompiledUnit:
    """As compile_unit, in a process of its own; whatever that has to complain of is found again here."""
    if not is_compiled(unit, arch):
        path = os.pathsep.join([str(SOURCE_FOLDER.parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])])
        subprocess.run(
            [sys.executable, "-m", "prover.kernels.cuda.compile", arch, unit],
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
    return compile_unit(unit, arch)


if __name__ == "__main__":
    for each in sys.argv[2:]:
        compile_unit(each, sys.argv[1])
