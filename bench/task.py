"""Child side of a benchmark: `python -m bench.task NAME`, arguments as JSON on stdin, the answer as JSON on stdout.

Progress and errors go to stderr; the exit codes are those of `prover.command`.
"""

import importlib
import json
import sys
from dataclasses import asdict
from typing import Any

from bench.errors import BenchError, WrongResultError
from bench.result import Result
from prover.command import FAILED, MALFORMED, fail, reported_errors
from prover.progress import on_terminal

TASKS = {
    "field": "bench.field:measure",
    "ntt": "bench.ntt:measure",
    "msm": "bench.msm:measure",
    "prepare": "bench.proving:prepare",
    "prove": "bench.proving:measure",
    "verify": "bench.verify:measure",
    "check": "bench.verify:check",
}


def run(name: str, arguments: dict[str, Any]) -> Any:
    """Call a task with a progress reporter; results become plain JSON values."""
    module, function = TASKS[name].split(":")
    with reported_errors(), on_terminal("bench") as progress:
        try:
            answer = getattr(importlib.import_module(module), function)(**arguments, progress=progress)
        except WrongResultError as error:
            fail(str(error), FAILED)
        except BenchError as error:
            fail(str(error), MALFORMED)
    if isinstance(answer, list):
        return [asdict(item) if isinstance(item, Result) else item for item in answer]
    return answer


if __name__ == "__main__":
    json.dump(run(sys.argv[1], json.load(sys.stdin)), sys.stdout)
