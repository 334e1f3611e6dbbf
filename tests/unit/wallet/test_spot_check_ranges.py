"""Which blocks of what a source served are asked for again: few, at random, and often enough to find a liar."""

import random
from collections import Counter

import pytest

from chain.events import EventPage, NullifierUsed, Origin
from wallet import spot_checks
from wallet.sources import Portion
from wallet.spot_checks import BLOCKS, RANGES, drawn

# What the wallet draws with, before a test puts others in its place.
DICE = spot_checks._RANDOM


def portion_of(blocks: list[int], last: int) -> Portion:
    """Two events in each of these blocks."""
    events = tuple(
        NullifierUsed(number, Origin(number, f"0x{number:064x}", f"0x{number:064x}", index, 0))
        for number in blocks
        for index in range(2)
    )
    return Portion((EventPage(1, last, "0x00", events),), True)


@pytest.fixture(autouse=True)
def _same_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spot_checks, "_RANDOM", random.Random(1))


def test_ranges_are_few_and_within_the_portion() -> None:
    for _ in range(200):
        ranges = drawn(portion_of(list(range(1, 1_000, 3)), 1_000))
        assert len(ranges) == RANGES
        assert all(1 <= first <= last <= 1_000 and last - first < BLOCKS for first, last in ranges)


def test_a_portion_with_few_blocks_is_compared_whole_and_one_without_events_not() -> None:
    assert sorted(drawn(portion_of([5, 500], 600))) == [(5, 36), (500, 531)]
    assert drawn(portion_of([], 600)) == []


def test_a_false_block_is_found_as_often_as_it_is_said() -> None:
    """Of 100 blocks with events, far apart, two are drawn: one in fifty. Where each has events, a range has 32."""
    far, dense = portion_of(list(range(100, 10_100, 100)), 10_200), portion_of(list(range(1, 101)), 1_000)
    rounds = 3_000
    found: Counter[str] = Counter()
    for _ in range(rounds):
        found["far"] += any(first <= 5_000 <= last for first, last in drawn(far))
        found["dense"] += any(first <= 50 <= last for first, last in drawn(dense))
    assert found["far"] / rounds == pytest.approx(0.02, abs=0.008)
    assert found["dense"] / rounds == pytest.approx(1 - 0.68 * 67 / 99, abs=0.03)


def test_ranges_are_drawn_from_what_nobody_can_foresee() -> None:
    assert isinstance(DICE, random.SystemRandom)
