"""Parent side of `bench.task`."""

import json
import os
import subprocess
import sys
from typing import Any

from bench.errors import ChildError
from bench.processes import confined

# The environment variable that chooses the CPU's arithmetic, and what it takes.
PATH_VARIABLE = "GELAP_CPU_PATH"
PATHS = ("auto", "ifma", "scalar")


def environment(path: str) -> dict[str, str]:
    """The environment of a child that computes on one arithmetic path; none, or `auto`, leaves the choice as it is."""
    chosen = {} if path in ("", "auto") else {PATH_VARIABLE: path}
    return {**os.environ, **chosen}


def run_task(name: str, arguments: dict[str, Any], path: str, threads: int) -> dict[str, Any]:
    """Run a task of `bench.task` in a process of its own and return {"path": ..., "answer": ...}.

    Its progress goes to this process's stderr, and so does its error before a ChildError.
    """
    command = [sys.executable, "-m", "bench.task", name]
    with confined(threads):
        process = subprocess.Popen(
            command, env=environment(path), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
    with process:
        try:
            output, _ = process.communicate(json.dumps(arguments))
        except BaseException:
            process.kill()
            process.wait()
            raise
    if process.returncode:
        raise ChildError("", process.returncode)
    answer: dict[str, Any] = json.loads(output)
    return answer
