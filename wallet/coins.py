"""Chooses which notes pay for a payment, and which are merged.

One payment takes at most two notes, so the choice is small:

1. the smallest single note that covers the amount: it breaks up no large note and leaves the rest for the next payment;
2. else the pair with the smallest sufficient sum, found by walking inwards from the smallest and the largest note.

The choice depends on the notes and the amount only. A payment that is tried again, after a prover or the network
failed, therefore takes the same notes unless others arrived meanwhile, and of two attempts that share a note at most
one can ever settle.

A payment never takes more than two, even where the pool has a circuit for eight. How many nullifiers a transaction
shows is public: as long as every payment shows two, none tells whether its payer holds few notes or many. One with
eight would say that a payer with three notes or more pays right now, and tie those notes together beside a payment.
Eight at once are for merging, which nobody has to do at the moment of a payment. It stands out as well, but as
housekeeping with no payment beside it. Whoever does not want even that merges two at a time: that looks like a payment.
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


def choose(
    coins: Sequence[Coin], amount: int, *, pending: int = 0, reserved: int = 0, merging: int = MAX_INPUTS
) -> list[Coin]:
    """The one or two coins that pay `amount` (above 0, fee included).

    The rest only makes errors exact: `pending` is what waits for a tree update, `reserved` what unfinished payments
    hold, `merging` how many notes one consolidation takes. Raises InsufficientFundsError, NotSpendableYetError or
    ConsolidationError.
    """
    ordered = _ordered(coins)
    total = sum(coin.amount for coin in ordered)
    if total + pending + reserved < amount:
        raise InsufficientFundsError(f"the payment needs {amount}, the balance is {total + pending + reserved}")
    if total < amount:
        raise NotSpendableYetError(
            f"the payment needs {amount}; {total} can be spent now{_why_not_yet(pending, reserved)}"
        )
    single = next((coin for coin in ordered if coin.amount >= amount), None)
    if single is not None:
        return [single]
    pair = _smallest_pair(ordered, amount)
    if pair is None:
        raise _spread(ordered, amount, merging)
    return pair


def choose_to_merge(coins: Sequence[Coin], most: int = MAX_INPUTS) -> list[Coin]:
    """The largest coins, `most` (2 or more) of them or all there are: that raises most what one payment can pay.

    Raises ConsolidationError when there are not two.
    """
    ordered = _ordered(coins)
    if len(ordered) < 2:
        raise ConsolidationError(f"there is nothing to merge: {len(ordered)} spendable note(s) of this token", 0)
    return ordered[-most:]


def merges_needed(coins: Sequence[Coin], amount: int, merging: int = MAX_INPUTS) -> int:
    """How many consolidations of `merging` notes each, one after the other, until a payment can pay `amount`.

    0 when it can now. `amount` is at most what the coins hold together; fees of the consolidations come on top.
    """
    largest = [coin.amount for coin in reversed(_ordered(coins))]
    count = next(count for count in range(1, len(largest) + 1) if sum(largest[:count]) >= amount)
    # The payment itself takes two of what is left, and every consolidation makes one note of `merging`.
    return -(-max(count - MAX_INPUTS, 0) // (merging - 1))


def _why_not_yet(pending: int, reserved: int) -> str:
    reasons = []
    if pending:
        reasons.append(f"{pending} after the next tree update, which takes a minute or two where somebody makes one")
    if reserved:
        reasons.append(f"{reserved} is held by unfinished payments and comes back, or its change, when they end")
    return "".join(f"; {reason}" for reason in reasons) + ": try again then"


def _spread(ordered: Sequence[Coin], amount: int, merging: int) -> ConsolidationError:
    held = sum(coin.amount for coin in ordered[-MAX_INPUTS:])
    rounds = merges_needed(ordered, amount, merging)
    times = "once" if rounds == 1 else f"{rounds} times"
    return ConsolidationError(
        f"the payment needs {amount}, but one payment takes {MAX_INPUTS} notes and the two largest hold {held}: "
        f"consolidate() {times} first, each time up to {merging} notes and then a tree update",
        rounds,
    )


def _ordered(coins: Sequence[Coin]) -> list[Coin]:
    return sorted(coins, key=lambda coin: (coin.amount, coin.position))


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
