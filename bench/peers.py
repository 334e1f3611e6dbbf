"""Provers measured from outside, as whole processes on the same files: our own command, and snarkjs beside it."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bench.errors import BenchError

_ROOT = Path(__file__).resolve().parents[1]
GELAP, SNARKJS = "gelap", "snarkjs"


@dataclass(frozen=True)
class ProverProgram:
    """command(zkey, wtns, proof, public) is the argument list that proves.

    versions are printed with the results; path is the arithmetic path to use, empty for a program that has none.
    """

    name: str
    command: Callable[[str, str, str, str], list[str]]
    versions: dict[str, str] = field(default_factory=dict)
    path: str = ""


def gelap(path: str) -> ProverProgram:
    def command(zkey: str, wtns: str, proof: str, public: str) -> list[str]:
        files = ("--zkey", zkey, "--wtns", wtns, "--proof", proof, "--public", public)
        return [sys.executable, "-m", "gelap.cli", "prove", "--device", "cpu", *files]

    return ProverProgram(GELAP, command, path=path)


def snarkjs() -> ProverProgram:
    """snarkjs from node_modules, else from PATH. Raises BenchError when it is in neither place."""
    local = _ROOT / "node_modules" / ".bin" / "snarkjs"
    found = str(local) if local.exists() else shutil.which("snarkjs")
    node = shutil.which("node")
    if found is None or node is None:
        raise BenchError("snarkjs is not installed; run `npm ci` in Gelap's folder, or measure without --peer")

    def command(zkey: str, wtns: str, proof: str, public: str) -> list[str]:
        return [found, "groth16", "prove", zkey, wtns, proof, public]

    return ProverProgram(SNARKJS, command, {"snarkjs": _snarkjs_version(found), "node": _node_version(node)})


PEERS: dict[str, Callable[[], ProverProgram]] = {SNARKJS: snarkjs}


def find_peer(name: str) -> ProverProgram:
    """Raises BenchError for a peer that is unknown or not installed."""
    if name not in PEERS:
        raise BenchError(f"there is no peer {name!r}; choose one of: {', '.join(PEERS)}")
    return PEERS[name]()


def _snarkjs_version(program: str) -> str:
    for folder in Path(program).resolve().parents:
        try:
            return str(json.loads((folder / "package.json").read_text(encoding="utf-8"))["version"])
        except (OSError, ValueError, KeyError):
            continue
    return "unknown"


def _node_version(node: str) -> str:
    result = subprocess.run([node, "--version"], capture_output=True, text=True, check=False, timeout=30)
    return result.stdout.strip().lstrip("v") or "unknown"
