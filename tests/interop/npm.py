"""Runs the npm peers that `make test` installs: snarkjs and circom."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_TIMEOUT_SECONDS = 180


def run(tool: str, *arguments: str | Path, cwd: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a tool of node_modules/.bin; its output comes back merged and without colours.

    The test fails when the tool is not installed, or, with `check`, when it reports failure.
    """
    program = ROOT / "node_modules" / ".bin" / tool
    if not program.exists():
        pytest.fail(f"{tool} is not installed; run `make node_modules/.dev` (or `npm ci`) first", pytrace=False)
    result = subprocess.run(
        [program, *map(str, arguments)],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_TIMEOUT_SECONDS,
        check=False,
    )
    result.stdout = _COLOURS.sub("", result.stdout)
    if check and result.returncode:
        pytest.fail(f"{tool} {' '.join(map(str, arguments))} failed:\n{result.stdout}", pytrace=False)
    return result


def snarkjs(*arguments: str | Path, cwd: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    return run("snarkjs", *arguments, cwd=cwd, check=check)


def compile_circom(source: Path, folder: Path) -> None:
    """Compile a circuit into folder: NAME.r1cs, NAME.sym and NAME_js/NAME.wasm.

    circom2 is WebAssembly and finds libraries only below its working directory, hence the repository's root.
    """
    run("circom2", source, "--r1cs", "--sym", "--wasm", "--O2", "-l", "node_modules", "-o", folder, cwd=ROOT)
