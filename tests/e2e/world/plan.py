"""Which operation comes when, and where the faults fall: drawn from the seed alone, before anything runs."""

import random
from collections.abc import Sequence
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


@dataclass(frozen=True)
class Step:
    """One operation. All that is chosen while it runs is drawn from `rng()`."""

    number: int
    seed: int
    kind: str
    actor: int
    by_command: bool

    def rng(self) -> random.Random:
        return random.Random(f"{self.seed} {self.number}")


def draw(seed: int, operations: int) -> list[Step]:
    """So many operations; the first make everybody some notes."""
    rng = random.Random(seed)
    steps = []
    for number in range(operations):
        kind = rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        actor = rng.randrange(PEOPLE)
        if number < 2 * PEOPLE:
            kind, actor = "deposit", number % PEOPLE
        steps.append(Step(number, seed, kind, actor, rng.random() < COMMAND_SHARE))
    return steps


def place(seed: int, operations: int, names: Sequence[str]) -> dict[int, str]:
    """Faults, shuffled, one in each of as many equal stretches between a tenth and nine tenths of the operations."""
    rng = random.Random(f"{seed} faults")
    shuffled = rng.sample(list(names), len(names))
    first, last = operations // 10, operations * 9 // 10
    width = (last - first) // len(shuffled) if shuffled else 0
    # In the first half of its stretch: what it breaks is whole again before the next one.
    return {first + index * width + rng.randrange(max(1, width // 2)): name for index, name in enumerate(shuffled)}
