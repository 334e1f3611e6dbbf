"""A chain analyst against a made-up population: whom the wallet warns is whom the analyst links.

Everybody deposits once and withdraws once or twice, within 60 days. The analyst sees what is public: times and amounts.
The careful plan their payments until `wallet.advice` has nothing left to say; the careless do not listen. Everything is
drawn from one seed, so the figures asserted here, with room around them, are those that docs/adversaries.md names.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from wallet import advice
from wallet.store import HistoryEntry

TOKEN = "0x" + "11" * 20
HOUR, DAY = 3600, 24 * 3600
PEOPLE = 240
PERIOD = 60 * DAY


@dataclass(frozen=True)
class Deposit:
    person: int
    time: int
    amount: int


@dataclass(frozen=True)
class Withdrawal:
    person: int
    time: int
    amount: int
    warnings: tuple[str, ...]


@dataclass
class Population:
    deposits: list[Deposit] = field(default_factory=list)
    withdrawals: list[Withdrawal] = field(default_factory=list)

    def withdraw(self, deposit: Deposit, time: int, amount: int) -> None:
        told = tuple(warnings(deposit, time, amount))
        self.withdrawals.append(Withdrawal(deposit.person, time, amount, told))


def warnings(deposit: Deposit, time: int, amount: int) -> list[str]:
    """What the wallet of this person says of the withdrawal, to an address of its own and through a relayer."""
    entry = HistoryEntry("deposited", TOKEN, deposit.amount, 0, "", "", 1, deposit.time, "0xaa", 0)
    receiver = f"0x{deposit.person:040x}"
    return advice.for_withdrawal([entry], TOKEN, amount, receiver, None, time)


def odd_amount(rng: random.Random) -> int:
    return round(10 ** rng.uniform(4, 7)) * 10 + 3


def careful(rng: random.Random, crowd: Population, person: int, time: int) -> None:
    deposit = Deposit(person, time, advice.common_below(odd_amount(rng)))
    crowd.deposits.append(deposit)
    later, amount = time, deposit.amount
    while warnings(deposit, later, amount):
        later = time + round(rng.uniform(0, 20 * DAY))
        amount = advice.common_below(rng.randrange(deposit.amount // 20, deposit.amount))
    crowd.withdraw(deposit, later, amount)


def same_amount(rng: random.Random, crowd: Population, person: int, time: int) -> None:
    """All of it again, in a few days."""
    deposit = Deposit(person, time, odd_amount(rng))
    crowd.deposits.append(deposit)
    crowd.withdraw(deposit, time + round(rng.uniform(2, 10) * DAY), deposit.amount)


def hurried(rng: random.Random, crowd: Population, person: int, time: int) -> None:
    """Common amounts, but out again within minutes."""
    deposit = Deposit(person, time, advice.common_below(odd_amount(rng)))
    crowd.deposits.append(deposit)
    crowd.withdraw(deposit, time + round(rng.uniform(0.1, 0.5) * HOUR), advice.common_below(deposit.amount // 2))


def in_two_parts(rng: random.Random, crowd: Population, person: int, time: int) -> None:
    """An odd amount in, two parts out that add up to it."""
    deposit = Deposit(person, time, odd_amount(rng))
    crowd.deposits.append(deposit)
    part = round(deposit.amount * rng.uniform(0.2, 0.8))
    for share in (part, deposit.amount - part):
        crowd.withdraw(deposit, time + round(rng.uniform(2, 10) * DAY), share)


HABITS = {"careful": careful, "same amount": same_amount, "hurried": hurried, "in two parts": in_two_parts}


def drawn(seed: int) -> Population:
    """Half of the people are careful, the others have one of the three bad habits."""
    rng = random.Random(seed)
    crowd = Population()
    for person in range(PEOPLE):
        habit = careful if person % 2 else HABITS[list(HABITS)[1 + person // 2 % 3]]
        habit(rng, crowd, person, rng.randrange(PERIOD))
    return crowd


def guess(crowd: Population, withdrawal: Withdrawal) -> int | None:
    """Whom the analyst takes for the owner: whose deposit has this amount; or, with another withdrawal, adds up to it;
    else who deposited enough most recently.
    """
    before = [each for each in crowd.deposits if each.time < withdrawal.time and each.amount >= withdrawal.amount]
    exact = [each for each in before if each.amount == withdrawal.amount]
    if len(exact) == 1:
        return exact[0].person
    others = [other.amount for other in crowd.withdrawals if other is not withdrawal]
    parts = [each for each in before if each.amount - withdrawal.amount in others and each.amount != withdrawal.amount]
    if len(parts) == 1:
        return parts[0].person
    return max(before, key=lambda each: each.time).person if before else None


def linked(crowd: Population, withdrawals: Sequence[Withdrawal]) -> float:
    """The share of them whose owner the analyst names."""
    return sum(guess(crowd, each) == each.person for each in withdrawals) / len(withdrawals)


def blind(crowd: Population, withdrawals: Sequence[Withdrawal]) -> float:
    """The share that guessing among all who deposited enough before would name."""
    sizes = [sum(d.time < w.time and d.amount >= w.amount for d in crowd.deposits) for w in withdrawals]
    return sum(1 / size for size in sizes if size) / len(withdrawals)


def of(crowd: Population, habit: str) -> list[Withdrawal]:
    names = {person: list(HABITS)[1 + person // 2 % 3] for person in range(0, PEOPLE, 2)}
    return [each for each in crowd.withdrawals if names.get(each.person, "careful") == habit]


@pytest.fixture(scope="module")
def crowd() -> Population:
    return drawn(seed=2026)


def test_who_is_linked_was_warned(crowd: Population) -> None:
    """Attack row 23: of those without a warning few are named, of those with one most are."""
    warned = [each for each in crowd.withdrawals if each.warnings]
    quiet = [each for each in crowd.withdrawals if not each.warnings]
    assert len(quiet) == PEOPLE // 2
    assert linked(crowd, warned) > 0.85
    assert linked(crowd, quiet) < 0.10
    assert linked(crowd, warned) > 10 * linked(crowd, quiet)


@pytest.mark.parametrize(
    ("habit", "said", "share"),
    [
        ("same amount", "exactly this amount", 0.95),
        ("hurried", "the last deposit of this token was 0 hours ago", 0.6),
        ("in two parts", "few others use", 0.85),
    ],
)
def test_each_bad_habit_is_linked_and_told(crowd: Population, habit: str, said: str, share: float) -> None:
    """Attack row 23: by amount, by time, and by parts that add up."""
    withdrawals = of(crowd, habit)
    assert all(any(said in warning for warning in each.warnings) for each in withdrawals)
    assert linked(crowd, withdrawals) > share


def test_the_careful_are_little_better_known_than_by_chance(crowd: Population) -> None:
    withdrawals = of(crowd, "careful")
    assert linked(crowd, withdrawals) < 3 * blind(crowd, withdrawals) + 0.03


def test_in_a_pool_of_few_the_careful_are_known_all_the_same() -> None:
    """What no wallet can mend, and the documents say: two depositors hide each other only so well."""
    rng = random.Random(2026)
    right = total = 0
    for _ in range(60):
        few = Population()
        for person in range(2):
            careful(rng, few, person, rng.randrange(PERIOD))
        right += sum(guess(few, each) == each.person for each in few.withdrawals)
        total += len(few.withdrawals)
    assert right / total > 0.5


def test_two_withdrawals_in_a_row_are_one_persons_and_told() -> None:
    """Attack row 23: to fresh addresses, minutes apart. Of pairs as close, three in four are one person's."""
    rng = random.Random(2026)
    crowd, second = drawn(seed=2026), []
    for person in range(PEOPLE, PEOPLE + 40):
        deposit = Deposit(person, rng.randrange(PERIOD), advice.common_below(odd_amount(rng)))
        first = deposit.time + round(rng.uniform(2, 20) * DAY)
        for time in (first, first + rng.randrange(60, 600)):
            crowd.withdraw(deposit, time, advice.common_below(deposit.amount // 3))
        made = HistoryEntry("withdrawn", TOKEN, 1, 0, "0x" + "cc" * 20, "", 2, first, "0xbb", 0)
        later = crowd.withdrawals[-1]
        second.append(advice.for_withdrawal([made], TOKEN, later.amount, "0x" + "dd" * 20, None, later.time))
    ordered = sorted(crowd.withdrawals, key=lambda each: each.time)
    close = [(one, next_one) for one, next_one in pairwise(ordered) if next_one.time - one.time < 600]
    right = [one.person == next_one.person for one, next_one in close]
    assert sum(right) >= 35
    assert sum(right) / len(right) > 0.6
    assert all("two in a row" in " ".join(told) for told in second)


def test_a_withdrawal_to_an_account_that_deposited_is_told() -> None:
    """Attack row 23: whoever pays for gas, and whatever the letters' case."""
    account = "0x" + "aB" * 20
    history = [HistoryEntry("deposited", TOKEN, 500, 0, account, "", 1, 0, "0xaa", 0)]
    assert "paid into the pool" in " ".join(advice.for_withdrawal(history, TOKEN, 100, account.lower(), None, 9 * DAY))
    assert advice.for_withdrawal(history, TOKEN, 100, "0x" + "cd" * 20, None, 9 * DAY) == []


def test_the_figures_do_not_hang_on_one_seed() -> None:
    crowds = [drawn(seed) for seed in range(5)]
    quiet = [linked(each, of(each, "careful")) for each in crowds]
    same = [linked(each, of(each, "same amount")) for each in crowds]
    assert max(quiet) < 0.12 < 0.9 < min(same)
