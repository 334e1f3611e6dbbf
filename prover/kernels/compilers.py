"""The processes that compile kernels, one a CPU: Numba takes long to load and never gets smaller.

The processes import what this one would import; see `prover.kernels.compile` for what they read and answer.
"""

import fcntl
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue

from prover.errors import KernelError
from prover.kernels.cpu.threads import default_threads
from prover.progress import Reporter

# Each takes some 250 MB, and the longest unit is as long as this many others.
_MOST_PROCESSES = 8


@contextmanager
def only_builder(folder: Path, progress: Reporter) -> Iterator[None]:
    """Hold the folder's lock for writers; it is released when the process ends, however it ends."""
    descriptor = os.open(folder / ".compiling", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("waiting for another process that compiles kernels", 0, 1)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def compile_units(folder: Path, units: Sequence[str], progress: Reporter) -> None:
    """Compile the units into the folder, one a CPU at a time. Raises KernelError when one does not compile."""
    waiting: SimpleQueue[str] = SimpleQueue()
    for unit in units:
        waiting.put(unit)
    done = 0
    failures: list[BaseException] = []
    reporting = threading.Lock()
    progress("compiling kernels", 0, max(1, len(units)))

    def finished(unit: str) -> None:
        nonlocal done
        with reporting:
            done += 1
            progress(f"compiled {unit.rpartition('.')[2]}", done, len(units))

    def work() -> None:
        try:
            with _Compiler(folder) as compiler:
                while not failures:
                    unit = waiting.get_nowait()
                    compiler.compile(unit)
                    finished(unit)
        except Empty:
            pass
        except BaseException as error:
            failures.append(error)

    helpers = [threading.Thread(target=work) for _ in range(min(default_threads(), len(units), _MOST_PROCESSES) - 1)]
    for helper in helpers:
        helper.start()
    if units:
        work()
    for helper in helpers:
        helper.join()
    if failures:
        raise failures[0]


class _Compiler:
    """A process that compiles one unit after the other."""

    def __init__(self, folder: Path) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  (closed when the process ends)
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}
        command = [sys.executable, "-P", "-m", "prover.kernels.compile", str(folder)]
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True
        )

    def __enter__(self) -> "_Compiler":
        return self

    def __exit__(self, *failure: object) -> None:
        if failure[0] not in (None, Empty):
            self._process.kill()
        self._process.communicate()
        self._errors.close()

    def compile(self, unit: str) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(unit + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass
        if self._process.stdout.readline().strip() != unit:
            self._process.wait()
            self._errors.seek(0)
            told = self._errors.read().decode(errors="replace").strip().splitlines()
            raise KernelError(f"cannot compile {unit}: {' | '.join(told[-4:]) or 'its process ended'}")
