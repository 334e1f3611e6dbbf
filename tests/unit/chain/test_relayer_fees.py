"""Fees are amounts that many payments share: attacks.md 23, amounts that link."""

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from chain.relayer.prices import GAS, WEI, Margin, Prices
from chain.relayer.quote import two_digits

TOKEN = "0x00000000000000000000000000000000000000AC"


@given(st.integers(1, 1 << 128))
def test_a_fee_is_rounded_up_to_two_digits_by_less_than_a_tenth(cost: int) -> None:
    fee = two_digits(cost)
    assert len(str(fee).rstrip("0")) <= 2
    assert cost <= fee
    assert 10 * fee < 11 * cost + 10
    assert two_digits(fee) == fee


def test_of_ten_thousand_costs_there_are_at_most_ninety_fees_a_decade() -> None:
    for decade in (100, 10_000, 10**18):
        step = max(1, 9 * decade // 10_000)
        assert len({two_digits(cost) for cost in range(decade, 10 * decade, step)}) <= 91


@given(gas_price=st.integers(0, 10**13), rate=st.integers(1, 10**30), percent=st.integers(0, 300))
def test_a_fee_covers_its_gas_and_margin_and_is_never_zero(
    tmp_path_factory, gas_price: int, rate: int, percent: int
) -> None:
    path: Path = tmp_path_factory.mktemp("prices") / "prices.json"
    path.write_text(json.dumps({TOKEN: str(rate)}))
    prices = Prices(path, Margin(percent, extra_wei=7))
    for kind, gas in GAS.items():
        fee = prices.fee(TOKEN, kind, gas_price)
        assert fee >= 1
        assert fee * WEI * 100 >= gas * gas_price * (100 + percent) * rate - 100 * rate
        assert fee >= prices.cost(TOKEN, gas, gas_price)
        assert fee == two_digits(fee)
