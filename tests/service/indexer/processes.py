"""`gelap indexer run` as a process, for tests that start, kill and restart it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bench.index.chain import POOL
from gelap.children import Child, end_with_parent

ONE_POOL = ("--pool", "0x" + POOL.hex(), "--confirmations", "0", "--poll", "0.1")


def start_indexer(
    folder: Path, options: tuple[str, ...], environment: Mapping[str, str], name: str = "indexer"
) -> Child:
    """Start it with the options; its log is `folder/name.log`. It listens on free ports."""
    log = folder / f"{name}.log"
    listening = () if "--no-api" in options else ("--address", "127.0.0.1:0")
    command = [sys.executable, "-m", "gelap.cli", "indexer", "run", *options, *listening]
    with open(log, "wb") as output:
        process = subprocess.Popen(
            [*command, "--metrics-address", "127.0.0.1:0"],
            env=os.environ | environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=end_with_parent,
        )
    return Child(name, process, log)


def ready(child: Child) -> dict[str, Any]:
    """Wait for the log's line that says which ports it listens on."""
    found: list[dict[str, Any]] = []

    def said() -> bool:
        lines = (line for line in child.log_text().splitlines() if line.startswith("{") and line.endswith("}"))
        found[:] = [event for event in map(json.loads, lines) if event.get("event") == "indexer ready"]
        return bool(found)

    until(said, child)
    return found[0]


def end(child: Child, code: int = 0) -> None:
    """Ask it to end as an operator does; it ends with this exit status."""
    child.process.send_signal(signal.SIGTERM)
    assert child.process.wait(60) == code, child.log_text()


def until(condition: Callable[[], bool], *children: Child, seconds: float = 120) -> None:
    """Wait; fails with the logs when one of the processes ends, or after so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        for child in children:
            assert child.ended() is None, child.ended()
        assert time.monotonic() < deadline, "\n".join(child.log_text() for child in children)
        time.sleep(0.02)
