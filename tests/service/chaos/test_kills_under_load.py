"""Workers that keep dying under a steady load: the run of `gelap bench serve --kill-every`, scaled down."""

import pytest

from bench.serve.cluster import ClusterPlan
from bench.serve.command import measure
from bench.serve.mix import parse


@pytest.mark.slow
def test_workers_killed_again_and_again_lose_nothing():
    settings = {"GELAP_LIMIT_LEASE": "2.0", "GELAP_LIMIT_STRANDED": "1.0", "GELAP_LIMIT_LOSSES": "100"}
    plan = ClusterPlan(workers=2, max_batch=4, kill_every=4.0, settings=settings)
    document = measure(plan, rate=20.0, number=240, kinds=parse("200"), timeout=240.0, submit_only=False, seed=1)
    assert document["faults"] == {"lost": 0, "delivered_twice": 0, "wrong": 0}
    assert document["statuses"] == {"OK": 240}
    assert document["kills"] >= 2
    assert document["lost_attempts"] >= 1
    assert document["retries"] == 0, "a lost worker spends none"
