"""What is told before a payment that would link people."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wallet import advice
from wallet.store import HistoryEntry

TOKEN, RECEIVER, PAYER = "0x" + "11" * 20, "0x" + "AA" * 20, "0x" + "BB" * 20
DAY = 24 * 3600


def entry(kind: str, amount: int, timestamp: int = 0, counterparty: str = "", token: str = TOKEN) -> HistoryEntry:
    return HistoryEntry(kind, token, amount, 0, counterparty, "", 1, timestamp, "0xaa", 0)


@pytest.mark.parametrize(
    ("amount", "common"),
    [(1, 1), (2, 2), (3, 2), (4, 2), (5, 5), (9, 5), (10, 10), (19, 10), (123456, 100000), (2**127, 10**38)],
)
def test_a_common_amount_is_suggested_and_needs_no_warning(amount: int, common: int) -> None:
    assert advice.common_below(amount) == common
    assert advice.for_amount(common) == []
    assert bool(advice.for_amount(amount)) == (amount != common)


@given(st.integers(1, 2**128 - 1))
def test_common_parts_never_exceed_the_amount_and_leave_little_over(amount: int) -> None:
    parts = advice.common_parts(amount)
    assert all(advice.common_below(part) == part for part in parts)
    assert parts == sorted(parts, reverse=True)
    assert 0 <= (amount - sum(parts)) * 1000 < max(amount, 1)
    assert len(parts) <= 10


def test_common_parts_are_named() -> None:
    assert advice.common_parts(75) == [50, 20, 5]
    assert advice.common_parts(123_456_789) == [100_000_000, 20_000_000, 2_000_000, 1_000_000, 200_000, 200_000]
    assert "50, 20, 5 on different days" in advice.for_amount(75)[0]


def withdrawal(history: list[HistoryEntry], amount: int = 100, payer: str | None = None, now: int = 10 * DAY) -> str:
    return " / ".join(advice.for_withdrawal(history, TOKEN, amount, RECEIVER, payer, now))


def test_a_careful_withdrawal_gets_no_warning() -> None:
    assert withdrawal([entry("deposited", 500), entry("received", 100, 10 * DAY)]) == ""


def test_quick_in_and_out_the_same_amount_and_reuse_are_told() -> None:
    assert "5 hours ago" in withdrawal([entry("deposited", 500, 10 * DAY - 5 * 3600)])
    assert withdrawal([entry("deposited", 500, 9 * DAY)]) == "", "a day is enough"
    assert "exactly this amount" in withdrawal([entry("deposited", 100)])
    assert withdrawal([entry("deposited", 100, 10 * DAY, token="0x" + "22" * 20)]) == "", "another token"
    assert "fresh one" in withdrawal([entry("withdrawn", 7, counterparty=RECEIVER.lower())])
    assert "123" in withdrawal([], amount=123)


def test_paying_gas_from_an_account_of_ones_own_is_told_and_more_so_when_it_receives() -> None:
    assert PAYER in withdrawal([], payer=PAYER)
    assert "everything it did is linked" in withdrawal([], payer=RECEIVER)


def test_an_address_that_was_paid_before_is_told() -> None:
    assert advice.for_payment([entry("sent", 1, counterparty="gelap1bob")], "gelap1carol", None) == []
    assert "fresh one" in advice.for_payment([entry("sent", 1, counterparty="gelap1bob")], "gelap1bob", None)[0]
