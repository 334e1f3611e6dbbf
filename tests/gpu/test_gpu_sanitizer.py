"""NVIDIA's compute-sanitizer finds nothing in the small law suites: no bad address, no race, no read of what was never
written, no barrier that some threads miss.

By hand: `compute-sanitizer --tool racecheck python -m bench.gpu --extent tiny --only laws --in-process`.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
_FOUND = 9


@pytest.mark.parametrize("tool", ["memcheck", "racecheck", "initcheck", "synccheck"])
def test_the_sanitizer_finds_nothing(tool, tmp_path):
    sanitizer = shutil.which("compute-sanitizer")
    if sanitizer is None:
        pytest.skip("compute-sanitizer is not on the PATH; it comes with the CUDA toolkit")
    measure = [sys.executable, "-m", "bench.gpu", "--extent", "tiny", "--only", "laws", "--in-process"]
    result = subprocess.run(
        [sanitizer, "--tool", tool, "--error-exitcode", str(_FOUND), *measure, "--json", str(tmp_path / "laws.json")],
        cwd=_ROOT,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-4000:]
