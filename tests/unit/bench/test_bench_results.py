"""What becomes of single runs: statistics, documents, tables, and the machine they were made on."""

import json
import platform
import re
from types import SimpleNamespace

import pytest

from bench import load, machine, options, tables
from bench.errors import BenchError, WrongResultError
from bench.result import Report, Result
from bench.timing import timed_runs


def result(seconds: list[float], **fields) -> Result:
    return Result("msm_g1", 1024, "points", seconds, {"scalars": "uniform"}, threads=2, **fields)


def report(*results: Result, others: float | None = 0.0) -> Report:
    described = machine.describe() | {"peers": {"snarkjs": "0.7"}, "others_cores": others, "usable_cores": 2}
    return Report("msm", "2026-01-31T12:00:00+00:00", described, {"repeat": 5}, list(results))


def test_the_first_run_is_not_counted_and_every_run_has_its_own_inputs():
    prepared, seen, checked = iter(range(100)), [], []
    seconds = timed_runs(
        lambda: next(prepared), lambda value: seen.append(value) or value, lambda a, b: not checked.append((a, b)), 5
    )
    assert len(seconds) == 5
    assert seen == list(range(6))
    assert checked == [(value, value) for value in range(6)]


def test_a_wrong_output_ends_the_measurement():
    outputs = iter([1, 1, 0, 1])
    with pytest.raises(WrongResultError):
        timed_runs(lambda: None, lambda _: next(outputs), lambda _, output: output == 1, 3)


def test_the_spread_is_the_distance_of_the_quartiles_and_ignores_one_outlier():
    measured = result([1.0, 2.0, 3.0, 4.0, 100.0])
    assert (measured.median, measured.quartiles) == (3.0, (2.0, 4.0))
    assert measured.spread == pytest.approx(2 / 3)
    assert result([7.0]).spread == 0


def test_circuits_are_sizes_of_one_series_of_proofs():
    proofs = [Result("gelap_resident", n, "constraints", [1.0], {"circuit": f"c{n}"}, threads=1) for n in (1, 2)]
    assert {proof.series for proof in proofs} == {"gelap resident, 1 thread"}
    assert result([1.0], path="scalar").series == "msm g1, uniform, scalar, 2 threads"


def test_a_document_holds_every_run():
    document = json.loads(json.dumps(report(result([3.0, 1.0, 2.0])).document()))
    (row,) = document["results"]
    assert row["seconds"] == [3.0, 1.0, 2.0]
    assert (row["median"], row["min"], row["max"], row["quartiles"]) == (2.0, 1.0, 3.0, [1.5, 2.5])


def test_the_machine_is_described_without_naming_it():
    described = machine.describe()
    assert {"cpu", "cores", "flags", "python", "numba", "numpy", "commit", "load_average"} <= set(described)
    assert described["python"] == platform.python_version()
    assert platform.node() not in re.findall(r"[^\s\"]+", json.dumps(list(described.values())))


def test_only_other_programs_count_as_load(monkeypatch):
    clock = {"machine": 100.0, "own": 10.0, "time": 0.0}
    monkeypatch.setattr(load, "_machine_seconds", lambda: clock["machine"])
    monkeypatch.setattr(load, "_own_seconds", lambda: clock["own"])
    # In that module only: other threads of the tests go by the real one.
    monkeypatch.setattr(load, "time", SimpleNamespace(monotonic=lambda: clock["time"]))
    meanwhile = load.OtherLoad()
    clock.update(machine=120.0, own=25.0, time=10.0)
    assert meanwhile.cores() == 0.5


def test_the_machine_and_this_process_have_spent_some_time():
    assert load._own_seconds() > 0
    seconds = load._machine_seconds()
    assert seconds is None or seconds > 0


def test_a_busy_machine_is_reported():
    assert "0.30 cores" in tables.busy_warning(report(others=0.3))
    assert tables.busy_warning(report(others=0.01)) is None
    assert tables.busy_warning(report(others=None)) is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (123.4, "123 s"),
        (1.0, "1.00 s"),
        (0.99999, "1.00 s"),
        (0.0123, "12.3 ms"),
        (45.6e-6, "45.6 µs"),
        (6.3e-9, "6.30 ns"),
    ],
)
def test_durations_have_three_digits(seconds, text):
    assert tables.duration(seconds) == text


def test_sizes_are_numbers_and_powers():
    assert options.sizes("2^4, 10,16") == [10, 16]
    assert options.powers_of_two("2^4,8") == [8, 16]


@pytest.mark.parametrize("text", ["", "0", "-1", "2^25", "3^2", "1e3", "10,,20", "2^", "99999999", "١٠"])
def test_an_unusable_size_says_how_to_write_one(text):
    with pytest.raises(BenchError, match=r"--sizes 1000,2\^14"):
        options.sizes(text)


def test_options_refuse_what_cannot_be_measured():
    with pytest.raises(BenchError, match=r"2\^k elements, not 12"):
        options.powers_of_two("12")
    with pytest.raises(BenchError, match="CPUs of this machine"):
        options.threads([10_000])
    with pytest.raises(BenchError, match="auto, ifma, scalar"):
        options.paths(["mmx"])
    with pytest.raises(BenchError, match="g1 or g2"):
        options.groups(["g3"])
