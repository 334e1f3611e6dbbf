"""Chooses which notes pay for a payment.

One payment takes at most two notes, so the choice is small:

1. the smallest single note that covers the amount: it breaks up no large note and leaves the rest for the next payment;
2. else the pair with the smallest sufficient sum, found by walking inwards from the smallest and the largest note.

The choice depends on the notes and the amount only. A payment that is tried again, after a prover or the network
failed, therefore takes the same notes unless others arrived meanwhile, and of two attempts that share a note at most
one can ever settle.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from wallet.errors import ConsolidationError, InsufficientFundsError, NotSpendableYetError

MAX_INPUTS = 2


@dataclass(frozen=True)
class Coin:
    """A spendable note: its position in the pool's queue and its amount in the token's smallest unit, above 0."""

    position: int
    amount: int


def choose(coins: Sequence[Coin], amount: int, unavailable: int = 0) -> list[Coin]:
    """The one or two coins that pay `amount` (above 0, fee included).

    `unavailable` is what the wallet owns beyond `coins` but cannot spend at the moment; it only makes the error exact.
    Raises InsufficientFundsError, NotSpendableYetError or ConsolidationError.
    """
    ordered = sorted(coins, key=lambda coin: (coin.amount, coin.position))
    total = sum(coin.amount for coin in ordered)
    if total < amount:
        if total + unavailable >= amount:
            raise NotSpendableYetError(
                f"the payment needs {amount}; {total} can be spent now and {unavailable} waits to be inserted into the "
                "tree or is held by an unfinished payment: try again after the next tree update"
            )
        raise InsufficientFundsError(f"the payment needs {amount}, the balance is {total + unavailable}")
    single = next((coin for coin in ordered if coin.amount >= amount), None)
    if single is not None:
        return [single]
    pair = _smallest_pair(ordered, amount)
    if pair is None:
        largest = sum(coin.amount for coin in ordered[-MAX_INPUTS:])
        raise ConsolidationError(
            f"the payment needs {amount}, but one payment takes {MAX_INPUTS} notes and the two largest hold {largest}: "
            "merge notes first with consolidate()"
        )
    return pair


def choose_to_merge(coins: Sequence[Coin]) -> list[Coin]:
    """The two largest coins: merging them raises most what one payment can pay.

    Raises ConsolidationError when there are not two.
    """
    ordered = sorted(coins, key=lambda coin: (coin.amount, coin.position))
    if len(ordered) < MAX_INPUTS:
        raise ConsolidationError(f"there is nothing to merge: {len(ordered)} spendable note(s) of this token")
    return ordered[-MAX_INPUTS:]


def _smallest_pair(ordered: Sequence[Coin], amount: int) -> list[Coin] | None:
    best: list[Coin] | None = None
    low, high = 0, len(ordered) - 1
    while low < high:
        pair = [ordered[low], ordered[high]]
        if sum(coin.amount for coin in pair) < amount:
            low += 1
            continue
        if best is None or sum(coin.amount for coin in pair) < sum(coin.amount for coin in best):
            best = pair
        high -= 1
    return best
