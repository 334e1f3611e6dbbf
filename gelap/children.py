"""Child processes of `gelap up` and `gelap demo`: started out of the terminal's reach, stopped in order."""

import ctypes
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

STOP_TIMEOUT = 15.0
_TAIL_LINES = 15
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def end_with_parent() -> None:
    """For `preexec_fn`: have the kernel send SIGTERM to this process when its parent dies, by `kill -9` too.

    On Linux only (prctl(2)); elsewhere only a parent that ends in order takes its children along. A parent with gRPC
    channels open sets GRPC_ENABLE_FORK_SUPPORT=0 before it opens the first: gRPC would start its threads in the child,
    and abort it when their files are closed before the program takes over.
    """
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


@dataclass
class Child:
    """A process of ours; its stdout and stderr go to `log`. `stop_timeout`: seconds that it gets to end."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    stop_timeout: float = STOP_TIMEOUT

    def ended(self) -> str | None:
        """Why the process is no longer running, with the end of its log; None while it runs."""
        code = self.process.poll()
        if code is None:
            return None
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit status {code}"
        tail = "\n".join(self.log_text().splitlines()[-_TAIL_LINES:])
        return f"the {self.name} {how}. Its log ends:\n{tail}"

    def log_text(self) -> str:
        return self.log.read_text(errors="replace")

    def stop(self) -> None:
        """Ask it to drain and wait; end it by force if it does not."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(self.stop_timeout)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def start_command(
    name: str, command: Sequence[str], environment: Mapping[str, str], log: Path, stop_timeout: float = STOP_TIMEOUT
) -> Child:
    """Start a `gelap` command, such as ("worker",), as a process of its own."""
    # A session of its own: Ctrl-C in the terminal reaches the parent only, which then stops its children in order.
    with open(log, "wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "gelap.cli", *command],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=end_with_parent,
        )
    return Child(name, process, log, stop_timeout)
