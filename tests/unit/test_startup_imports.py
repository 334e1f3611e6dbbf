"""What a command loads before it works: start-up is a good part of the time of a single proof."""

import gc
import json
import subprocess
import sys
from contextlib import suppress

from prover.backend import warm_up
from prover.command import collection_paused
from prover.formats.verification_key import write_verification_key
from prover.formats.wtns import write_wtns
from prover.formats.zkey import write_zkey
from prover.groth16.setup import setup
from prover.groth16.verification_key import verification_key
from prover.witness.cpu import solve
from tests.unit.groth16 import samples

_CHILD = """
import json, sys
import {module}
print(json.dumps([name for name in sys.modules]))
"""


def imported_by(module: str) -> set[str]:
    child = subprocess.run([sys.executable, "-c", _CHILD.format(module=module)], capture_output=True, check=True)
    return set(json.loads(child.stdout))


def test_the_command_line_loads_no_engine_before_a_command_runs():
    loaded = imported_by("gelap.cli")
    assert loaded.isdisjoint({"numpy", "numba", "rich.progress", "pydantic_settings", "prover.groth16.prove"})


def test_proving_loads_neither_circuits_nor_the_setup():
    loaded = imported_by("prover.groth16.cli, prover.groth16.prove, prover.formats.wtns")
    assert "prover.kernels.native" in loaded
    unneeded = {
        "numba",
        "llvmlite",
        "pydantic",
        "prover.kernels.device",
        "prover.kernels.compile",
        "prover.kernels.compilers",
        "prover.kernels.link",
        "protocol.merkle",
        "prover.statements.registry",
        "prover.circuit.builder",
        "prover.groth16.setup",
        "prover.groth16.ceremony",
        "prover.msm.sparse",
        "rich.progress",
        "pydantic_settings",
        "structlog",
    }
    assert loaded.isdisjoint(unneeded)


def test_nothing_that_proves_sets_up_or_computes_witnesses_loads_the_compiler():
    modules = (
        "prover.engine, prover.backend, prover.groth16.setup, prover.groth16.ceremony, prover.keys, worker.engines"
    )
    loaded = imported_by(modules + ", prover.kernels.cpu.poseidon, wallet.proving, bench.task")
    assert loaded.isdisjoint({"numba", "llvmlite"})


_COMMAND = """
import sys
from gelap.cli import app
app(sys.argv[1:], standalone_mode=False)
assert sys.modules.keys().isdisjoint({"numba", "llvmlite", "pydantic", "rich.console"}), "loads what it does not need"
"""


def test_a_command_that_proves_or_verifies_loads_neither_compiler_nor_converters(tmp_path):
    warm_up()
    circuit = samples.product_circuit()
    key = setup(circuit.r1cs, samples.powers_of_tau())
    write_zkey(tmp_path / "key.zkey", key)
    write_verification_key(tmp_path / "key.json", verification_key(key))
    write_wtns(tmp_path / "a.wtns", solve(circuit, {"result": 35, "left": 5, "right": 7})[0])
    files = {name: str(tmp_path / f"{name}.json") for name in ("proof", "public")}
    shared = ["--proof", files["proof"], "--public", files["public"]]
    proving = ["prove", "--zkey", str(tmp_path / "key.zkey"), "--wtns", str(tmp_path / "a.wtns"), *shared]
    for command in (proving, ["verify", "--vkey", str(tmp_path / "key.json"), *shared]):
        child = subprocess.run([sys.executable, "-c", _COMMAND, *command], capture_output=True, text=True, check=False)
        assert child.returncode == 0, child.stderr
    assert child.stdout == "valid\n"


def test_garbage_is_collected_again_after_a_command_that_paused_it():
    with suppress(OSError), collection_paused():
        assert not gc.isenabled()
        raise OSError("a command that fails")
    assert gc.isenabled()
