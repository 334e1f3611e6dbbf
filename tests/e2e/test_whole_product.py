"""Three people, a relayer, two sequencers and an indexer, all real processes, live through random operations.

In half of the rounds all three act at the same time, and some faults strike while they do. Everything that is drawn
comes from one seed, which is printed; GELAP_E2E_SEED repeats a run, save for which of what happens at the same time
comes first. GELAP_E2E_OPERATIONS makes it shorter, and GELAP_E2E_FAULTS names the faults to have, separated by commas.
"""

import os
from pathlib import Path

import pytest

from tests.e2e.world import checks, plan
from tests.e2e.world.faults import AMID, NAMES, Faults
from tests.e2e.world.operations import Operations
from tests.e2e.world.setting import World
from tests.e2e.world.stage import world
from wallet import relaying

# Alone on two cores it takes four minutes; keys and kernels that are not there yet take one or two more, and a machine
# that is busy with other things several times as long.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]

OPERATIONS = int(os.environ.get("GELAP_E2E_OPERATIONS") or 200)
FAULTS = [name for name in os.environ.get("GELAP_E2E_FAULTS", "").split(",") if name]
# So many rounds lie between two comparisons of all sums; balances are compared after each.
ROUNDS_BETWEEN_SUMS = 8


def test_after_random_operations_and_faults_the_sums_agree_everywhere(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A block takes milliseconds here.
    monkeypatch.setattr(relaying, "POLL_SECONDS", 0.1)
    with world(tmp_path) as made:
        try:
            live(made, seed)
        except BaseException:
            print(made.tails())
            raise
        finally:
            print("\n".join([f"GELAP_E2E_SEED={seed} GELAP_E2E_OPERATIONS={OPERATIONS}", *made.log]))


def live(made: World, seed: int) -> None:
    operations = Operations(made)
    faults = Faults(made, operations.payments, seed)
    wanted = [name for name in NAMES if name in (FAULTS or NAMES)]
    for count, each in enumerate(plan.draw(seed, OPERATIONS, wanted, AMID), 1):
        faults.mend(each.number)
        for name in each.before:
            faults.strike(name, each.number)
        made.disturbed = frozenset(each.amid)
        begun = operations.begin(each.steps)
        for name in each.amid:
            faults.strike(name, each.number)
        operations.end(begun)
        made.disturbed = frozenset()
        made.look()
        if count % ROUNDS_BETWEEN_SUMS == 0:
            checks.sums_agree(made)
    faults.mend(None)
    with made.telling("the end") as tell:
        checks.everything_agrees(made)
        for person in made.everybody:
            checks.reading_anew_agrees(made, person, made.folder)
        checks.nothing_is_left_behind(made)
        attempts = attempts_of_proofs(made)
        again = sum(attempt > 1 for attempt in attempts)
        tell(f"everything agrees; {len(attempts)} proofs, {again} of them of jobs that a worker lost")


def attempts_of_proofs(made: World) -> list[int]:
    """Of each proof that was made, the how-many-th worker made it."""
    told = [line for name in ("worker 1", "worker 2") for line in made.services[name].events()]
    return [line["attempt"] for line in told if line["event"] == "job done"]
