"""What machine and compiler this is, found without loading either: every start of a process pays for it."""

import os
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
# Lines of /proc/cpuinfo that say what a CPU can do, by the names x86 and ARM use.
_TELLING = {
    "vendor_id", "cpu family", "model", "model name", "stepping", "flags",
    "CPU implementer", "CPU architecture", "CPU variant", "CPU part", "CPU revision", "Features",
}  # fmt: skip


@cache
def _cpuinfo() -> dict[str, str]:
    """The telling lines about the first CPU; empty where the system has no such file."""
    try:
        with open(_CPUINFO, encoding="utf-8", errors="replace") as stream:
            first = stream.read(1 << 14).split("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs if name.strip() in _TELLING}


def cpu_identity() -> str:
    """A text that changes with the CPU's model and abilities."""
    known = _cpuinfo()
    if known.get("flags") or known.get("Features"):
        return repr(sorted(known.items()))
    import platform

    from llvmlite import binding

    return f"{platform.machine()} {binding.get_host_cpu_name()} {binding.get_host_cpu_features().flatten()}"


def cpu_features() -> dict[str, bool]:
    """The CPU features that Numba compiles for: the host's, unless NUMBA_CPU_FEATURES or NUMBA_CPU_NAME say otherwise.

    On x86 the names of Linux and of LLVM agree for what Gelap asks about.
    """
    chosen = os.environ.get("NUMBA_CPU_FEATURES")
    if chosen is not None:
        return {name[1:]: name.startswith("+") for name in chosen.split(",") if name}
    if os.environ.get("NUMBA_CPU_NAME"):
        return {}
    flags = _cpuinfo().get("flags")
    if flags:
        return dict.fromkeys(flags.split(), True)
    from llvmlite import binding

    return dict(binding.get_host_cpu_features())


def compiler_identity() -> str:
    """A text that changes with the versions of Numba, llvmlite, NumPy and Python, and with what configures Numba."""
    versions = [_version(package) for package in ("numba", "llvmlite", "numpy")]
    python = f"{sys.version} {object.__basicsize__}"
    settings = sorted(item for item in os.environ.items() if item[0].startswith("NUMBA_") and item[0] != _IGNORED)
    return repr((versions, python, settings))


_IGNORED = "NUMBA_CACHE_DIR"


def _version(package: str) -> str:
    """The version of a package, read from its files: looking it up among all installed ones takes much longer."""
    spec = find_spec(package)
    for name in ("_version.py", "version.py"):
        try:
            return (Path(spec.origin).parent / name).read_text()  # type: ignore[union-attr, arg-type]
        except (OSError, AttributeError, TypeError):
            continue
    from importlib.metadata import version

    return version(package)
