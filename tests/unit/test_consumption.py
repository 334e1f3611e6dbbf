"""When a cluster counts as one that gets its work done."""

from gateway.health import Condition, Consumption
from worker.overview import CircuitLoad, Overview
from worker.registry import LiveWorker

WORKERS = [object.__new__(LiveWorker)]


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def overview(queued, running=0, **counters):
    load = CircuitLoad(
        key=bytes(32),
        circuit="square",
        head="",
        normal=queued,
        bulk=0,
        oldest_seconds=0.0,
        device_seconds=0.0,
        wrong_jobs=0,
        stopped_seconds=None,
    )
    return Overview(running=running, circuits=(load,), counters=counters)


def watched(stall=10.0):
    clock = Clock()
    return clock, Consumption(stall, clock)


def test_without_workers_nothing_is_consumed():
    _, consumption = watched()
    assert not consumption.observe(overview(0), [])
    assert not consumption.observe(overview(5), [])


def test_an_idle_cluster_is_well_for_ever():
    clock, consumption = watched()
    for _ in range(5):
        clock.now += 1000
        assert consumption.observe(overview(0), WORKERS)


def test_a_queue_that_stands_still_is_noticed_after_the_stall_time():
    clock, consumption = watched(stall=10.0)
    assert consumption.observe(overview(5, running=2, SUCCEEDED=1), WORKERS)
    clock.now += 9.9
    assert consumption.observe(overview(6, running=2, SUCCEEDED=1), WORKERS), (
        "more jobs are no progress, but it is early"
    )
    clock.now += 0.2
    assert not consumption.observe(overview(7, running=2, SUCCEEDED=1), WORKERS)


def test_any_progress_starts_the_time_anew():
    clock, consumption = watched(stall=10.0)
    consumption.observe(overview(5, running=2, SUCCEEDED=1), WORKERS)
    for progress in ({"SUCCEEDED": 2}, {"SUCCEEDED": 2, "FAILED": 1}, {"SUCCEEDED": 2, "FAILED": 1, "retries": 1}):
        clock.now += 9
        assert consumption.observe(overview(5, running=2, **progress), WORKERS)
    clock.now += 9
    assert consumption.observe(overview(5, running=1, **progress), WORKERS)
    clock.now += 11
    assert not consumption.observe(overview(5, running=1, **progress), WORKERS)


def test_callers_who_give_up_are_no_progress():
    clock, consumption = watched(stall=10.0)
    consumption.observe(overview(5), WORKERS)
    clock.now += 11
    assert not consumption.observe(overview(4, CANCELLED=1, EXPIRED=3), WORKERS)


def test_a_gateway_is_ready_without_workers_but_not_without_its_store_or_while_it_stops():
    assert Condition(store_up=True).ready
    assert not Condition(store_up=False, consuming=True).ready
    assert not Condition(store_up=True, consuming=True, draining=True).ready
