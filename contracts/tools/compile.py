"""Compile the contracts and write `contracts/artifacts/<Name>.json`.

    python -m contracts.tools.compile

Needs Node and the npm package solc (`npm ci`). The settings are those of `foundry.toml`, so forge tests the same code;
without metadata in the bytecode the result depends on the sources and the compiler only.
"""

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from contracts import ARTIFACTS, NAMES

ROOT = Path(__file__).parents[1]
_SOLC = ROOT / "tools" / "solc"


class CompileError(Exception):
    """solc is missing, or refused the sources; the message says which."""


def compile_artifacts() -> dict[str, dict[str, Any]]:
    """Compile `src/` and return the artifacts by name, as `contracts.artifact` does; raises CompileError."""
    settings = _settings()
    sources = {f"src/{path.name}": {"content": path.read_text()} for path in sorted((ROOT / "src").glob("*.sol"))}
    output = json.loads(
        _solc("--standard-json", json.dumps({"language": "Solidity", "sources": sources, "settings": settings}))
    )
    problems = [problem["formattedMessage"] for problem in output.get("errors", [])]
    if problems:
        raise CompileError("\n".join(problems))
    compiler = _solc("--version").split("Version: ")[1].strip()
    del settings["outputSelection"]
    return {
        name: {
            "abi": compiled["abi"],
            "bytecode": "0x" + compiled["evm"]["bytecode"]["object"],
            "compiler": compiler,
            "settings": settings,
        }
        for name in NAMES
        for compiled in [output["contracts"][f"src/{name}.sol"][name]]
    }


def text(artifact: dict[str, Any]) -> str:
    """Return an artifact as it is written to its file."""
    return json.dumps(artifact, indent=2) + "\n"


def _settings() -> dict[str, Any]:
    profile = tomllib.loads((ROOT / "foundry.toml").read_text())["profile"]["default"]
    return {
        "evmVersion": profile["evm_version"],
        "metadata": {"appendCBOR": profile["cbor_metadata"], "bytecodeHash": profile["bytecode_hash"]},
        "optimizer": {"enabled": profile["optimizer"], "runs": profile["optimizer_runs"]},
        "outputSelection": {"*": {"*": ["abi", "evm.bytecode.object"]}},
        "viaIR": profile["via_ir"],
    }


def _solc(option: str, standard_input: str = "") -> str:
    try:
        result = subprocess.run(
            ["node", str(_SOLC), option], input=standard_input, capture_output=True, text=True, check=True
        )
    except FileNotFoundError:
        raise CompileError("Node is needed to run solc: install Node 20 or later") from None
    except subprocess.CalledProcessError as error:
        reason = error.stderr.strip() or f"exit status {error.returncode}"
        raise CompileError(f"solc could not run (is the npm package installed? run `npm ci`): {reason}") from None
    return result.stdout


def main() -> int:
    try:
        artifacts = compile_artifacts()
    except CompileError as error:
        print(error, file=sys.stderr)
        return 1
    ARTIFACTS.mkdir(exist_ok=True)
    for name, artifact in artifacts.items():
        (ARTIFACTS / f"{name}.json").write_text(text(artifact))
    return 0


if __name__ == "__main__":
    sys.exit(main())
