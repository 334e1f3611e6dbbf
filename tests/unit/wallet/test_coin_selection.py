"""Which notes pay: at most two, the smallest that do, and a clear reason when none can."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wallet.coins import Coin, choose, choose_to_merge, merges_needed
from wallet.errors import ConsolidationError, InsufficientFundsError, NotSpendableYetError


def coins(*amounts: int) -> list[Coin]:
    return [Coin(position, amount) for position, amount in enumerate(amounts)]


def amounts(chosen: list[Coin]) -> list[int]:
    return sorted(coin.amount for coin in chosen)


@settings(deadline=None)
@given(st.lists(st.integers(1, 50), max_size=8), st.integers(1, 120))
def test_the_choice_is_the_cheapest_that_two_inputs_can_pay(held: list[int], amount: int) -> None:
    wallet = coins(*held)
    singles = [coin.amount for coin in wallet if coin.amount >= amount]
    pairs = [a.amount + b.amount for a, b in itertools.combinations(wallet, 2) if a.amount + b.amount >= amount]
    if singles:
        assert amounts(choose(wallet, amount)) == [min(singles)]
    elif pairs:
        chosen = choose(wallet, amount)
        assert len({coin.position for coin in chosen}) == 2
        assert sum(amounts(chosen)) == min(pairs)
    else:
        with pytest.raises(InsufficientFundsError):
            choose(wallet, amount)


@settings(deadline=None)
@given(st.permutations(coins(5, 5, 7, 7, 9)), st.integers(1, 16))
def test_the_choice_does_not_depend_on_the_order_of_the_notes(shuffled: list[Coin], amount: int) -> None:
    assert choose(shuffled, amount) == choose(coins(5, 5, 7, 7, 9), amount)


def test_a_small_payment_leaves_the_large_note_whole() -> None:
    assert amounts(choose(coins(1000, 30, 50), 40)) == [50]


def test_too_little_is_reported_with_the_whole_balance() -> None:
    with pytest.raises(InsufficientFundsError, match="needs 100, the balance is 60") as caught:
        choose(coins(10, 20), 100, pending=20, reserved=10)
    assert type(caught.value) is InsufficientFundsError


def test_funds_that_are_not_spendable_yet_are_reported_with_what_they_wait_for() -> None:
    with pytest.raises(NotSpendableYetError, match="30 can be spent now; 80 after the next tree update"):
        choose(coins(30), 100, pending=80)
    with pytest.raises(NotSpendableYetError, match="30 can be spent now; 80 is held by unfinished payments"):
        choose(coins(30), 100, reserved=80)
    with pytest.raises(NotSpendableYetError, match=r"50 after the next tree update.*; 40 is held by unfinished"):
        choose(coins(30), 100, pending=50, reserved=40)


def test_enough_in_too_many_notes_says_how_often_to_consolidate() -> None:
    with pytest.raises(ConsolidationError, match=r"the two largest hold 80: consolidate\(\) once first") as caught:
        choose(coins(40, 40, 40), 100)
    assert caught.value.rounds == 1
    with pytest.raises(ConsolidationError, match="9 times first, each time up to 2 notes"):
        choose(coins(*[10] * 11), 110)
    with pytest.raises(ConsolidationError, match=r"2 times first, each time up to 8 notes"):
        choose(coins(*[10] * 11), 110, merging=8)


@pytest.mark.parametrize("merging", [2, 8])
@settings(deadline=None)
@given(held=st.lists(st.integers(1, 20), min_size=1, max_size=30), data=st.data())
def test_so_many_consolidations_make_a_payment_possible_and_one_less_does_not(
    merging: int, held: list[int], data: st.DataObject
) -> None:
    amount = data.draw(st.integers(1, sum(held)))
    needed = merges_needed(coins(*held), amount, merging)
    after: list[bool] = []
    for _ in range(needed + 1):
        after.append(sum(sorted(held)[-2:]) >= amount)
        if len(held) > 1:
            merged = amounts(choose_to_merge(coins(*held), merging))
            for spent in merged:
                held.remove(spent)
            held.append(sum(merged))
    assert after == [False] * needed + [True]


@settings(deadline=None)
@given(held=st.lists(st.integers(1, 50), min_size=2, max_size=20), most=st.integers(2, 8))
def test_merging_takes_the_largest_notes(held: list[int], most: int) -> None:
    assert amounts(choose_to_merge(coins(*held), most)) == sorted(held)[-most:]


def test_a_single_note_cannot_be_merged() -> None:
    with pytest.raises(ConsolidationError, match="nothing to merge") as caught:
        choose_to_merge(coins(40))
    assert caught.value.rounds == 0
