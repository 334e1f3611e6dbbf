"""Kernels run here in a random order of blocks, warps and lanes, always the same, unless GELAP_SHIM_ORDER is set.

Compiling every unit takes minutes of CPU time where nothing is cached, so it begins beside the first tests.
"""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from prover.kernels.cuda.shim_device import ORDER_VARIABLE

os.environ.setdefault(ORDER_VARIABLE, "random:1")

_COMPILE = """
from prover.kernels.cuda.compile import preload
import sys
for architecture in sys.argv[1:]:
    preload(architecture)
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs all units comes last, so that nothing waits for the compiler meanwhile."""
    here = Path(__file__).parent
    items.sort(key=lambda item: item.path.parent == here and item.path.name.startswith("test_nvrtc"))


@pytest.fixture(scope="session", autouse=True)
def _compiling(request):
    """Who asks for a unit meanwhile waits for the process that compiles it, see `build_cache`."""
    here = [item for item in request.session.items if item.path.name == "test_nvrtc_units.py"]
    # Machine code comes with its PTX.
    kind = "sm" if any("machine_code" in item.name for item in here) else "compute"
    if len(here) < 3:
        yield
        return
    process = subprocess.Popen(
        [sys.executable, "-c", _COMPILE, *(f"{kind}_{capability}" for capability in (90, 80))],
        cwd=Path(__file__).parents[3],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    yield
    # With the compilers that it started, if the tests end before them.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    process.wait()
