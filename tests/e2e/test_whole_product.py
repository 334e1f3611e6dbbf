"""Three people, a relayer, two sequencers and an indexer, all real processes, live through random operations."""

import os
from pathlib import Path

import pytest

from tests.e2e.world import checks, plan
from tests.e2e.world.operations import Operations
from tests.e2e.world.setting import world

pytestmark = pytest.mark.slow

OPERATIONS = int(os.environ.get("GELAP_E2E_OPERATIONS") or 20)


def test_after_random_operations_the_sums_agree_everywhere(seed: int, tmp_path: Path) -> None:
    with world(tmp_path) as made:
        for person in made.people:
            person.command("sync", *person.here)
        operations = Operations(made)
        try:
            for step in plan.draw(seed, OPERATIONS):
                made.log.append(f"{step.number:3} {step.kind}")
                made.log[-1] += f" -> {operations.run(step)}"
                made.look()
            checks.everything_agrees(made)
        except BaseException:
            print(f"GELAP_E2E_SEED={seed}")
            print(made.report())
            raise
