"""How a worker's executor gathers batches: by proving key, up to a size, for a time, none spoiling the others."""

import threading
import time

import pytest

from worker.errors import ProvingFailedError
from worker.executor import Batching, Executor, HandedBackError

# Longer than a machine is busy with other things.
PATIENCE = 60.0


class Recorder:
    """A circuit whose batches are recorded; a witness is a number, whose proof is the number as text."""

    def __init__(self, name):
        self.verification_key_digest = name.encode().ljust(32, b"\0")
        self.batches = []
        self.go = threading.Event()
        self.go.set()
        self.begun = threading.Semaphore(0)

    def prove(self, witnesses, phase_done):
        self.batches.append(list(witnesses))
        self.begun.release()
        assert self.go.wait(PATIENCE)
        phase_done("all of it")
        if "spoiled" in witnesses:
            raise MemoryError
        return [ValueError("wrong") if each == "wrong" else str(each).encode() for each in witnesses]


def fine():
    """Nobody has cancelled it."""


@pytest.fixture
def build():
    made = []

    def build(*circuits, **knobs):
        executor = Executor({f"circuit {n}": each for n, each in enumerate(circuits)}, Batching(**knobs))
        made.append((executor, circuits))
        return executor

    yield build
    for executor, circuits in made:
        for circuit in circuits:
            circuit.go.set()
        executor.close()


def results(futures):
    return [future.result(PATIENCE).proof for future in futures]


def busy(executor, circuit):
    """Have the device at a first batch until `circuit.go` is set, so that others gather."""
    circuit.go.clear()
    first = executor.prove(circuit, 0, fine)
    assert circuit.begun.acquire(timeout=PATIENCE)
    return first


def test_what_comes_while_the_device_is_busy_is_proved_together(build):
    circuit = Recorder("a")
    executor = build(circuit, most=4)
    futures = [busy(executor, circuit)] + [executor.prove(circuit, n, fine) for n in range(1, 7)]
    circuit.go.set()
    assert results(futures) == [str(n).encode() for n in range(7)]
    assert circuit.batches == [[0], [1, 2, 3, 4], [5, 6]]
    assert futures[1].result().batch == 4


def test_a_batch_has_one_key_and_the_one_that_waited_longest_goes_first(build):
    one, two = Recorder("one"), Recorder("two")
    executor = build(one, two, most=8)
    futures = [busy(executor, one)]
    for number, circuit in enumerate([two, one, two, one], start=1):
        futures.append(executor.prove(circuit, number, fine))
    one.go.set()
    results(futures)
    assert (one.batches, two.batches) == ([[0], [2, 4]], [[1, 3]])


def test_with_a_delay_a_job_waits_for_others_but_not_longer(build):
    circuit = Recorder("a")
    executor = build(circuit, most=8, delay=0.3, enough=3)
    started = time.monotonic()
    results([executor.prove(circuit, 1, fine)])
    assert time.monotonic() - started >= 0.25
    assert circuit.batches == [[1]]


def test_jobs_that_are_enough_wait_for_no_others(build):
    circuit = Recorder("a")
    executor = build(circuit, most=8, delay=100 * PATIENCE, enough=3)
    results([executor.prove(circuit, n, fine) for n in range(3)])
    assert circuit.batches == [[0, 1, 2]]


def test_one_wrong_proof_is_one_jobs_failure(build):
    circuit = Recorder("a")
    executor = build(circuit, most=4)
    futures = [busy(executor, circuit)] + [executor.prove(circuit, each, fine) for each in (1, "wrong", 3)]
    circuit.go.set()
    assert results([futures[1], futures[3]]) == [b"1", b"3"]
    with pytest.raises(ValueError, match="wrong"):
        futures[2].result(PATIENCE)


def test_a_batch_that_fails_as_a_whole_is_proved_one_by_one(build):
    """It may have been too large for the device's memory."""
    circuit = Recorder("a")
    executor = build(circuit, most=4)
    futures = [busy(executor, circuit)] + [executor.prove(circuit, each, fine) for each in (1, "spoiled", 3)]
    circuit.go.set()
    assert results([futures[1], futures[3]]) == [b"1", b"3"]
    with pytest.raises(MemoryError):
        futures[2].result(PATIENCE)
    assert circuit.batches[1:] == [[1, "spoiled", 3], [1], ["spoiled"], [3]]


class GoneError(Exception):
    pass


def gone():
    raise GoneError


def test_a_cancelled_job_does_not_reach_the_device(build):
    circuit = Recorder("a")
    executor = build(circuit, most=4)
    futures = [busy(executor, circuit), executor.prove(circuit, 1, gone), executor.prove(circuit, 2, fine)]
    circuit.go.set()
    assert results([futures[0], futures[2]]) == [b"0", b"2"]
    with pytest.raises(GoneError):
        futures[1].result(PATIENCE)
    assert circuit.batches == [[0], [2]]


def test_a_batch_ends_at_its_next_phase_when_nobody_wants_it_any_more(build):
    circuit = Recorder("a")
    executor = build(circuit)
    cancelled = threading.Event()
    circuit.go.clear()
    future = executor.prove(circuit, 1, lambda: gone() if cancelled.is_set() else None)
    assert circuit.begun.acquire(timeout=PATIENCE)
    cancelled.set()
    circuit.go.set()
    with pytest.raises(GoneError):
        future.result(PATIENCE)
    assert results([executor.prove(circuit, 2, fine)]) == [b"2"]


def test_draining_finishes_the_device_and_hands_the_rest_back(build):
    circuit = Recorder("a")
    executor = build(circuit, most=2)
    first, waiting = busy(executor, circuit), executor.prove(circuit, 1, fine)
    executor.drain()
    late = executor.prove(circuit, 2, fine)
    circuit.go.set()
    assert results([first]) == [b"0"]
    for future in (waiting, late):
        with pytest.raises(HandedBackError):
            future.result(PATIENCE)


def test_the_device_says_for_how_long_it_has_been_busy(build):
    circuit = Recorder("a")
    executor = build(circuit)
    assert executor.busy_seconds == 0
    first = busy(executor, circuit)
    time.sleep(0.05)
    assert executor.busy_seconds >= 0.05
    circuit.go.set()
    results([first])


def test_another_workers_circuit_is_refused(build):
    circuit = Recorder("a")
    executor = build(circuit)
    assert executor.circuit("circuit 0", circuit.verification_key_digest) is circuit
    for name, key in (("circuit 1", circuit.verification_key_digest), ("circuit 0", bytes(32))):
        with pytest.raises(ProvingFailedError):
            executor.circuit(name, key)
