"""The load of `gelap bench serve`: its mix, its arrivals, and that it notices an answer that is wrong."""

import random
import statistics
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.serve import outcome
from bench.serve.cluster import CIRCUIT, VERIFICATION_KEY_DIGEST
from bench.serve.load import Request
from bench.serve.mix import JobKind, arrivals, draw, parse
from proto.results import Priority
from worker.fake import FakeCircuit
from worker.manifest import CircuitEntry

KIND = JobKind(20, 1.0, Priority.NORMAL)


def test_a_mix_is_kinds_of_jobs_by_weight():
    kinds = parse("20:3, 500:1:bulk")
    assert kinds == [JobKind(20, 3.0, Priority.NORMAL), JobKind(500, 1.0, Priority.BULK)]
    drawn = draw(kinds, 4000, random.Random(1))
    assert 0.7 < sum(kind.milliseconds == 20 for kind in drawn) / 4000 < 0.8
    assert parse("7") == [JobKind(7, 1.0, Priority.NORMAL)]


@pytest.mark.parametrize("text", ["", "fast", "20:", "20:0", "-5", "20:1:slow"])
def test_a_mix_that_is_none_is_refused(text):
    with pytest.raises(BenchError, match="--mix"):
        parse(text)


def test_arrivals_are_those_of_callers_who_know_nothing_of_each_other():
    times = arrivals(50.0, 5000, random.Random(1))
    gaps = [later - earlier for earlier, later in zip([0.0, *times], times, strict=False)]
    assert statistics.mean(gaps) == pytest.approx(1 / 50, rel=0.05)
    assert statistics.stdev(gaps) == pytest.approx(1 / 50, rel=0.1), "an exponential's deviation is its mean"


def answered(number, **changes):
    circuit = FakeCircuit(CircuitEntry(CIRCUIT, Path(), bytes(32), Path(), VERIFICATION_KEY_DIGEST, 1, True), 0)
    (proof,) = circuit.prove([circuit.solve({"public": [number]})])
    request = Request(KIND, number, None, due=number / 10, sent=number / 10, ended=number / 10 + 0.03)
    request.status, request.proof, request.fake, request.job_id = "OK", proof, True, f"{number:032x}"
    request.phases = {"queue": 0.001, "wait": 0.002, "prove": 0.02}
    for name, value in changes.items():
        setattr(request, name, value)
    return request


def log(*numbers):
    return "".join(f'{{"event": "job done", "job": "{number:032x}"}}\n' for number in numbers)


def test_a_clean_run_has_no_faults():
    assert not outcome.check([answered(n) for n in range(1, 4)], log(1, 2, 3)).any


@pytest.mark.parametrize(
    ("requests", "logs", "expected"),
    [
        ([answered(1), answered(2, status="UNAVAILABLE")], log(1), outcome.Faults(1, 0, 0)),
        ([answered(1), answered(2)], log(1, 2, 2), outcome.Faults(0, 1, 0)),
        ([answered(1), answered(2, job_id=f"{1:032x}")], log(1), outcome.Faults(0, 1, 0)),
        ([answered(1), answered(2, public_input=3)], log(1, 2), outcome.Faults(0, 0, 1)),
        ([answered(1, proof=bytes(256))], log(1), outcome.Faults(0, 0, 1)),
        ([answered(1, fake=False)], log(1), outcome.Faults(0, 0, 1)),
    ],
    ids=["lost", "done twice", "one job for two", "of another statement", "no tag", "not called fake"],
)
def test_faults_are_noticed(requests, logs, expected):
    assert outcome.check(requests, logs) == expected


def test_the_document_sums_up():
    document = outcome.document([answered(n) for n in range(1, 101)], 10.0, outcome.Faults(0, 0, 0), 3, {"retries": 2})
    assert (document["goodput"], document["statuses"], document["kills"], document["retries"]) == (
        10.0,
        {"OK": 100},
        3,
        2,
    )
    assert document["latency"]["p50"] == pytest.approx(0.03)
    assert document["overhead"]["p99"] == pytest.approx(0.008)
    assert document["phases"]["queue"]["max"] == 0.001
    assert sum(row[1] for row in document["timeline"]) == sum(row[2] for row in document["timeline"]) == 100


def test_percentiles_are_values_that_occurred():
    assert outcome.percentiles([float(n) for n in range(1, 101)]) == {"p50": 50, "p95": 95, "p99": 99, "max": 100}
    assert outcome.percentiles([7.0]) == {"p50": 7, "p95": 7, "p99": 7, "max": 7}
