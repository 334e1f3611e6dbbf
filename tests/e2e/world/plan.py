"""Which operations come when and together, and where the faults fall: drawn from the seed before anything runs."""

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass

PEOPLE = 3

# How often each operation is drawn.
WEIGHTS = {
    "deposit": 16,
    "permit deposit": 8,
    "send": 24,
    "send to oneself": 6,
    "withdraw": 15,
    "consolidate": 8,
    "insert": 1,
    "sync": 6,
    "address": 3,
    "too much": 6,
    "abandoned": 4,
    "crash": 4,
}
COMMAND_SHARE = 0.06
"""How many operations go through `gelap wallet` as a process."""
TOGETHER_SHARE = 0.5
"""How many rounds have everybody act at the same time; in the others one acts alone."""


@dataclass(frozen=True)
class Step:
    """One operation of the person number `actor`; `other` is somebody else. What is chosen while it runs is drawn from
    `rng()`.
    """

    number: int
    seed: int
    kind: str
    actor: int
    other: int
    by_command: bool

    def rng(self) -> random.Random:
        return random.Random(f"{self.seed} {self.number}")


@dataclass(frozen=True)
class Round:
    """Operations of different people that run at the same time, and the faults before them and amid them."""

    steps: tuple[Step, ...]
    before: tuple[str, ...] = ()
    amid: tuple[str, ...] = ()

    @property
    def number(self) -> int:
        """The number of its first operation."""
        return self.steps[0].number


def draw(seed: int, operations: int, faults: Sequence[str], amid: Collection[str]) -> list[Round]:
    """Rounds of so many operations in all; the first two make everybody some notes.

    `faults` are the names of those to have, each once, in the order in which they strike when they come together;
    `amid` says which of them strike while everybody acts.
    """
    rng = random.Random(seed)
    places = _place(seed, operations, faults)
    rounds: list[Round] = []
    number = 0
    while number < operations:
        struck = [name for name in faults if places[name] <= number]
        for name in struck:
            places[name] = operations
        together = rng.random() < TOGETHER_SHARE or number < 2 * PEOPLE or any(name in amid for name in struck)
        actors = rng.sample(range(PEOPLE), PEOPLE if together else 1)[: operations - number]
        steps = []
        for actor in actors:
            kind = rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0] if number >= 2 * PEOPLE else "deposit"
            other = rng.choice([each for each in range(PEOPLE) if each != actor])
            steps.append(Step(number, seed, kind, actor, other, rng.random() < COMMAND_SHARE))
            number += 1
        rounds.append(
            Round(
                tuple(steps),
                tuple(name for name in struck if name not in amid),
                tuple(name for name in struck if name in amid),
            )
        )
    return rounds


def _place(seed: int, operations: int, faults: Sequence[str]) -> dict[str, int]:
    """The operation from which on each fault is due: shuffled, three in ten together with another, between a tenth and
    nine tenths of the operations.
    """
    rng = random.Random(f"{seed} faults")
    shuffled = rng.sample(list(faults), len(faults))
    pairs = 3 * len(shuffled) // 10
    groups = [shuffled[2 * pair : 2 * pair + 2] for pair in range(pairs)]
    groups += [[name] for name in shuffled[2 * pairs :]]
    rng.shuffle(groups)
    first, last = operations // 10, operations * 9 // 10
    width = (last - first) // len(groups) if groups else 0
    # In the first third of its stretch: what it breaks is whole again before the next ones strike.
    places = [first + index * width + rng.randrange(max(1, width // 3)) for index in range(len(groups))]
    return {name: place for group, place in zip(groups, places, strict=True) for name in group}
