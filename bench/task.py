"""Child side of a benchmark: `python -m bench.task NAME`, arguments as JSON on stdin.

On stdout comes {"path": the arithmetic path that was used, "answer": what the task returned}.
Progress and errors go to stderr; the exit codes are those of `prover.command`.
"""

import importlib
import json
import sys
from dataclasses import asdict
from typing import Any

import typer

from bench.errors import BenchError, WrongResultError
from prover.command import FAILED, MALFORMED, fail, reported_errors
from prover.kernels.paths import cpu_path
from prover.progress import on_terminal

TASKS = {
    "field": "bench.field:measure",
    "ntt": "bench.ntt:measure",
    "msm": "bench.msm:measure",
    "prepare": "bench.proving:prepare",
    "prove": "bench.proving:measure",
    "verify": "bench.verify:measure",
    "check": "bench.verify:check",
    "batch": "bench.proving:measure_many",
    "scan": "bench.scan:measure",
    "gpu": "bench.gpu.tasks:measure",
}


def run(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Call a task with a progress reporter; the answer is plain JSON values."""
    module, function = TASKS[name].split(":")
    with reported_errors(), on_terminal("bench") as progress:
        try:
            path = cpu_path().name
            answer = getattr(importlib.import_module(module), function)(**arguments, progress=progress)
        except WrongResultError as error:
            fail(str(error), FAILED)
        except BenchError as error:
            fail(str(error), MALFORMED)
    if isinstance(answer, list):
        answer = [asdict(result) for result in answer]
    return {"path": path, "answer": answer}


if __name__ == "__main__":
    try:
        answered = run(sys.argv[1], json.load(sys.stdin))
    except typer.Exit as end:
        sys.exit(end.exit_code)
    json.dump(answered, sys.stdout)
