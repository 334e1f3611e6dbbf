"""What gives a payment away, told before it is made. Nothing here asks anybody anything."""

from collections.abc import Iterable, Sequence

from wallet.store import HistoryEntry

QUICK_SECONDS = 24 * 3600
_STEPS = (5, 2, 1)

REMOTE_PROVER = (
    "the remote prover learns this payment (token, amounts, the notes it takes and makes) and the account's public "
    "key, which links all payments it proves for you; it cannot spend. `--prover local` tells nobody"
)


def indexer(name: str) -> str:
    """What an indexer learns that is asked without a proxy."""
    return (
        f"the indexer {name} learns this machine's address, when this wallet looks and how far it had read, never "
        "which notes are yours; `--proxy socks5h://...` hides the address"
    )


def relayer(name: str) -> str:
    """What a relayer learns that is asked without a proxy."""
    return (
        f"the relayer {name} learns this machine's address together with the payment that it settles, token and kind "
        "included; `--proxy socks5h://...` hides the address"
    )


def readable(name: str) -> str:
    """What others learn on the way to a service without TLS."""
    return f"the connection to {name} is not encrypted: everybody on the way can read it; use its https address"


def common_below(amount: int) -> int:
    """The largest of 1, 2, 5, 10, 20, 50, ... that is at most `amount` (above 0)."""
    power = 10 ** (len(str(amount)) - 1)
    return next(step * power for step in _STEPS if step * power <= amount)


def common_parts(amount: int) -> list[int]:
    """Common amounts that together are at most `amount` (above 0) and leave less than a thousandth of it over.

    More parts would say more by their number than the remainder does by its size, and it stays in the pool.
    """
    parts, rest = [], amount
    while rest and rest * 1000 >= amount:
        parts.append(common_below(rest))
        rest -= parts[-1]
    return parts


def for_amount(amount: int) -> list[str]:
    """Deposits and withdrawals show their amounts."""
    parts = common_parts(amount)
    if parts == [amount]:
        return []
    return [
        f"{amount} is an amount that few others use and links what enters to what leaves; {parts[0]} is a common one, "
        f"and so are {', '.join(map(str, parts))} on different days"
    ]


def for_withdrawal(
    history: Sequence[HistoryEntry], token: str, amount: int, receiver: str, payer: str | None, now: int
) -> list[str]:
    """`payer` is the EVM account that pays for gas, if it is this wallet's; `now` in seconds since 1970."""
    found = for_amount(amount)
    ours = [entry for entry in history if entry.token == token]
    deposits = [entry for entry in ours if entry.kind == "deposited"]
    recent = [entry for entry in deposits if now - entry.timestamp < QUICK_SECONDS]
    if recent:
        hours = max(now - recent[-1].timestamp, 0) // 3600
        found.append(
            f"the last deposit of this token was {hours} hours ago: few others came and went meanwhile; a day or more "
            "hides better, or --delay"
        )
    if any(entry.amount == amount for entry in deposits):
        found.append("a deposit of exactly this amount stands on the chain: withdraw another amount")
    found += _reuse(ours, ("withdrawn",), receiver, "a withdrawal to this address was made before: use a fresh one")
    found += _reuse(
        history, ("deposited",), receiver, "the receiver paid into the pool: a withdrawal to there shows who it was"
    )
    last = max((entry.timestamp for entry in ours if entry.kind == "withdrawn"), default=now - QUICK_SECONDS)
    if now - last < QUICK_SECONDS:
        found.append(
            f"the last withdrawal of this token was {max(now - last, 0) // 3600} hours ago: two in a row look like one "
            "person's; another day hides better"
        )
    if payer is not None:
        found.append(_own_gas(payer))
        if payer.lower() == receiver.lower():
            found.append(
                "the receiver is the account that pays for gas: everything it did is linked to this withdrawal"
            )
    return found


def for_payment(history: Sequence[HistoryEntry], recipient: str, payer: str | None) -> list[str]:
    """A private payment to a Gelap address."""
    found = _reuse(
        history, ("sent",), recipient, "this address was paid before: ask for a fresh one, so that no prover links them"
    )
    return found + ([_own_gas(payer)] if payer is not None else [])


def for_deposit(amount: int) -> list[str]:
    return for_amount(amount)


def _reuse(history: Iterable[HistoryEntry], kinds: tuple[str, ...], address: str, text: str) -> list[str]:
    used = {entry.counterparty.lower() for entry in history if entry.kind in kinds}
    return [text] if address.lower() in used else []


def _own_gas(payer: str) -> str:
    return f"{payer} pays for gas: everybody sees that this account made a payment"
