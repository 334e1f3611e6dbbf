"""What a relayer takes on, and for how long it cares."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Policy:
    """Times in seconds, ether in wei.

    A quote holds for `quote_life` to `quote_life` + 60. A payment must stay valid for `least_time` when it comes in;
    at most `most_pending` wait at once, and `most_pending_per_token` of one token. Nothing is taken when paying for its
    gas would leave the account less than `least_balance`.

    A transaction that no block holds after `stuck_after` is replaced by a dearer one, up to `dearest` wei for a unit of
    gas. A payment is settled when `confirmations` blocks hold it, its own included; until `final_after` blocks do, it
    is looked at whether one of them was replaced.
    """

    quote_life: int = 120
    least_time: int = 90
    most_pending: int = 64
    most_pending_per_token: int = 32
    least_balance: int = 0
    stuck_after: float = 45.0
    dearest: int = 500 * 10**9
    confirmations: int = 1
    final_after: int = 64
