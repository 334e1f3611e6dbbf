"""The product's processes, started as an operator starts them: each can be killed, stopped and started again."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gelap.children import Child, start_command

# A start compiles kernels where there are none yet, on a machine that may be busy with other things.
READY_SECONDS = 600.0
STOP_SECONDS = 120.0
LOG_LINES = 12


@dataclass
class Service:
    """One `gelap` command with its options and environment. Each start writes a log of its own."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    ready_event: str
    child: Child | None = None
    logs: list[Path] = field(default_factory=list)
    ready: Mapping[str, Any] = field(default_factory=dict)

    def start(self, wait: bool = True) -> None:
        assert self.child is None, f"the {self.name} runs"
        log = self.folder / f"{self.name.replace(' ', '-')}-{len(self.logs) + 1}.log"
        self.child = start_command(self.name, self.command, self.environment, log, STOP_SECONDS)
        self.logs.append(log)
        self.ready = {}
        if wait:
            self.wait()

    def wait(self) -> None:
        """Return when its log says that it is ready."""
        assert self.child is not None
        deadline = time.monotonic() + READY_SECONDS
        while True:
            for line in _lines(self.logs[-1]):
                if f'"event": "{self.ready_event}"' in line:
                    self.ready = json.loads(line)
                    return
            self.check()
            assert time.monotonic() < deadline, f"not ready after {READY_SECONDS:.0f} s: {self.tail()}"
            time.sleep(0.05)

    def check(self) -> None:
        """Raise when it ended by itself."""
        child = self.child
        reason = child.ended() if child else None
        assert reason is None, reason

    # From here on it is not missed any more: others may look while it ends.

    def kill(self) -> None:
        """As `kill -9` does."""
        self._taken().kill()

    def stop(self) -> None:
        """Ask it to end; it must do so in order."""
        self.wait_for_end(self.ask_to_stop())

    def ask_to_stop(self) -> Child:
        child = self._taken()
        child.process.send_signal(signal.SIGTERM)
        return child

    def wait_for_end(self, child: Child) -> None:
        try:
            code = child.process.wait(child.stop_timeout)
        except subprocess.TimeoutExpired:
            child.kill()
            raise
        assert code == 0, f"asked to end, it ended with {code}: {self.tail()}"

    def _taken(self) -> Child:
        child, self.child = self.child, None
        assert child is not None, f"the {self.name} does not run"
        return child

    def put_down(self) -> None:
        """Whatever state it is in."""
        if self.child is not None:
            child, self.child = self.child, None
            child.kill()

    def cpu_seconds(self) -> float:
        """What it has used so far; 0 where the system has no /proc."""
        assert self.child is not None
        try:
            fields = Path(f"/proc/{self.child.process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def events(self) -> list[dict[str, Any]]:
        """The lines of all its logs."""
        lines = (line for log in self.logs for line in _lines(log))
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    def tail(self) -> str:
        lines = [line for log in self.logs for line in log.read_text(errors="replace").splitlines()][-LOG_LINES:]
        state = "running" if self.child and self.child.process.poll() is None else "not running"
        return "\n".join([f"--- {self.name} ({state})", *lines])


def _lines(log: Path) -> list[str]:
    """The whole lines, without one that is just being written."""
    return log.read_text(errors="replace").rpartition("\n")[0].splitlines()


def environment(**settings: str) -> dict[str, str]:
    """This process's environment without settings of Gelap, then `settings`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GELAP_") or name in _KEPT}
    return kept | settings


# Where compiled kernels and programs are: no part of the configuration under test.
_KEPT = ("GELAP_CACHE_DIR", "GELAP_ANVIL", "GELAP_CPU_PATH")


def stop_all(services: Sequence[Service]) -> None:
    """Ask all to end, then wait for each: all must do so in order."""
    asked = [(service, service.ask_to_stop()) for service in services if service.child is not None]
    for service, child in asked:
        service.wait_for_end(child)


def gelap(*arguments: str) -> list[str]:
    """The argument vector of a `gelap` command."""
    return [sys.executable, "-m", "gelap.cli", *arguments]
