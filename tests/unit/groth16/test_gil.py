"""Kernels let other threads run: a worker keeps its leases and answers while it proves."""

import gc
import importlib
import pkgutil
import threading
import time

import pytest

import prover
from prover.engine import Engine
from prover.kernels.native import _PROTOTYPE, Entry
from prover.keys import default_directory, ensure_keys
from tests.unit.circuit.sample_statements import honest_spend

LARGEST_GAP_SECONDS = 1.0

# What ctypes' FUNCFLAG_PYTHONAPI says: the function is called with the GIL held.
_HOLDS_THE_INTERPRETER = 0x4


def test_every_kernel_is_called_without_the_interpreter():
    names = [module.name for module in pkgutil.walk_packages(prover.__path__, "prover.")]
    for name in names:
        if not name.endswith(("kernels", "cuda")) and ".cuda." not in name:
            importlib.import_module(name)
    gc.unfreeze()  # a server in this process may have set all that was loaded aside
    entries = [value for value in gc.get_objects() if type(value) is Entry]
    assert len(entries) > 30
    for entry in entries:
        entry.load()
        assert type(entry._function) is _PROTOTYPE
    assert not _PROTOTYPE._flags_ & _HOLDS_THE_INTERPRETER


class Heart:
    """A thread that wakes up every few milliseconds and notes how long this one has computed by then.

    What a busy machine does meanwhile does not count: while both threads wait for a CPU, neither computes.
    """

    def __init__(self) -> None:
        self._clock = time.pthread_getcpuclockid(threading.get_ident())
        self._beats = [self._computed()]
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat)

    def _computed(self) -> float:
        return time.clock_gettime(self._clock)

    def _beat(self) -> None:
        while not self._stopped.wait(0.005):
            self._beats.append(self._computed())

    def __enter__(self) -> "Heart":
        self._thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._beats.append(self._computed())
        self._stopped.set()
        self._thread.join()

    @property
    def largest_gap(self) -> float:
        return max(later - earlier for earlier, later in zip(self._beats, self._beats[1:], strict=False))


def test_a_heart_that_cannot_beat_is_noticed():
    with Heart() as heart:
        # One call into C that keeps the interpreter to itself, as a kernel without `nogil` would.
        start = time.thread_time()
        pow(3, 1_000_000)
        held = time.thread_time() - start
    assert heart.largest_gap > held / 2


@pytest.fixture(scope="module")
def spend() -> Engine:
    manifest = ensure_keys(default_directory(), ["spend"])
    engine = Engine.load("spend", manifest.zkey_path("spend_2x2"))
    engine.warm_up()
    return engine


def test_other_threads_keep_running_during_a_proof(spend):
    with Heart() as heart:
        witness = spend.solve(honest_spend())
        spend.prove(witness)
    assert heart.largest_gap < LARGEST_GAP_SECONDS
