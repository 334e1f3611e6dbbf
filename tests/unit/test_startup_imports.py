"""What a command loads before it works: start-up is a good part of the time of a single proof."""

import gc
import json
import subprocess
import sys
from contextlib import suppress

from prover.command import collection_paused

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
    assert "numba" in loaded
    unneeded = {
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


def test_garbage_is_collected_again_after_a_command_that_paused_it():
    with suppress(OSError), collection_paused():
        assert not gc.isenabled()
        raise OSError("a command that fails")
    assert gc.isenabled()
