"""Which notes pay: at most two, the smallest that do, and a clear reason when none can."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wallet.coins import Coin, choose, choose_to_merge
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
        choose(coins(10, 20), 100, unavailable=30)
    assert type(caught.value) is InsufficientFundsError


def test_funds_that_wait_for_a_tree_update_are_reported_as_not_spendable_yet() -> None:
    with pytest.raises(NotSpendableYetError, match="30 can be spent now and 80 waits"):
        choose(coins(30), 100, unavailable=80)


def test_enough_in_too_many_notes_asks_for_consolidation() -> None:
    with pytest.raises(ConsolidationError, match="the two largest hold 80"):
        choose(coins(40, 40, 40), 100)


def test_merging_takes_the_two_largest_notes() -> None:
    assert amounts(choose_to_merge(coins(5, 40, 10, 30))) == [30, 40]


def test_a_single_note_cannot_be_merged() -> None:
    with pytest.raises(ConsolidationError, match="nothing to merge"):
        choose_to_merge(coins(40))
