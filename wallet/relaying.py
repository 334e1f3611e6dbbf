"""Payments that a relayer sends: its quote is checked before anything is signed, the outcome is read from the chain.

A relayer is believed nothing. It says for what fee it sends a payment, in a quote that it signs; it gets the payment
with its proof, which binds receiver, relayer, fee and deadline; and whether the pool took it, this wallet's own node
says. The node is not asked about this payment, which would tell it who paid: the wallet reads the pool's events,
everybody's alike.
"""

import time
from typing import TYPE_CHECKING

from chain.errors import NotMinedError, RelayerError, RpcError
from chain.events import CommitmentQueued, NullifierUsed, Origin
from chain.pool import Pool
from chain.pool import Spend as SpendCall
from chain.relayer.quote import Kind, Quote, SignedQuote
from chain.rpc import rpc_errors
from chain.sender import Receipt
from protocol.address import Address
from wallet.errors import RequestError
from wallet.transactions import Fee

if TYPE_CHECKING:
    from chain.relayer.client import RelayerClient

SETTLE_SECONDS = 300.0
"""So long a handed-over payment is waited for; it stays recorded beyond."""
POLL_SECONDS = 2.0

DEADLINE_SECONDS = 20 * 60
DEADLINE_STEP = 5 * 60
"""Deadlines are whole multiples of it. To the second, one would tell everybody when its wallet read the chain."""
LONGEST_QUOTE = 3600
"""A quote that holds longer than so many seconds does not lengthen the payment's deadline any more."""
AFTER_QUOTE = 600
"""So many seconds a payment stays valid after the last moment at which its relayer can take it."""


def checked_quote(signed: SignedQuote, pool: Pool, token: str, kinds: tuple[Kind, ...], now: int, most: int) -> Quote:
    """The quote, if a payment in this token may be built on it at the time `now`, for a fee of at most `most`.

    Raises RelayerError (`lying`, `bad-quote`, `expired`) and, for a fee that is too high, RequestError.
    """
    quote = signed.quote
    if (quote.chain_id, quote.pool, quote.token) != (pool.chain_id, pool.address, token):
        raise RelayerError("the quote is for another pool, token or chain: ask for a new one", "lying")
    if quote.kind not in kinds or (quote.kind == "transact-note") != bool(quote.payee):
        raise RelayerError(f"the quote is for {quote.kind}, not for {' or '.join(kinds)}: ask for a new one", "lying")
    signed.require_valid(now)
    if quote.fee == 0:
        raise RelayerError("the quote names no fee, and no payment can be bound to its relayer then", "lying")
    if quote.fee > most:
        raise RequestError(
            f"the relayer asks for a fee of {quote.fee}, and at most {most} was to be paid: ask another one, or allow "
            "more with max_fee"
        )
    return quote


def fee_of(quote: Quote) -> Fee:
    if quote.kind == "transact-note":
        return Fee(quote.fee, payee=Address.decode(quote.payee))
    return Fee(quote.fee, quote.relayer)


def usual_deadline(now: int) -> int:
    """When a payment that is made now ends, in seconds since 1970: a whole step, at most DEADLINE_SECONDS ahead."""
    return (now + DEADLINE_SECONDS) // DEADLINE_STEP * DEADLINE_STEP


def deadline_for(quote: Quote, now: int) -> int:
    """When a payment on this quote ends (seconds since 1970): as usual, so that it looks like any other, unless the
    relayer could still take it then.
    """
    needed = min(quote.expiry, now + LONGEST_QUOTE) + AFTER_QUOTE
    return max(usual_deadline(now), -(-needed // DEADLINE_STEP) * DEADLINE_STEP)


def hand_over(call: SpendCall, quote: SignedQuote, via: "RelayerClient", pool: Pool, first_block: int) -> Receipt:
    """Give a proved payment to its relayer and wait until the chain shows it in the block `first_block` or later.

    Raises RelayerError when the relayer refuses, fails or disappears, NotMinedError when no block showed it in time.
    Either way the payment may still settle until its deadline.
    """
    try:
        return _wait(call, _submit(call, quote, via, pool), via, pool, first_block)
    except RelayerError as error:
        # It may have sent the payment all the same.
        settled = settlement_of(call, pool, first_block)
        if settled is not None:
            return settled
        raise RelayerError(
            f"{error}. The payment is proved and kept: resume sends it, through the relayer again or from an account "
            "of your own; its notes come back after its deadline",
            error.code,
        ) from error


def _submit(call: SpendCall, quote: SignedQuote, via: "RelayerClient", pool: Pool) -> str:
    try:
        return via.submit(quote, call).id
    except RelayerError as error:
        if error.code == "unreachable":
            time.sleep(POLL_SECONDS)
            return via.submit(quote, call).id  # asking again is harmless, and its answer may have been lost
        if error.code != "expired":
            raise
    # The proof took longer than the quote held: the fee that is bound may still be enough.
    fresh = via.quote(pool, quote.quote.token, quote.quote.kind)
    if (fresh.quote.relayer, fresh.quote.payee) != (quote.quote.relayer, quote.quote.payee):
        raise RelayerError("the relayer has another account now: the payment's fee goes to its former one", "bad-quote")
    if fresh.quote.fee > quote.quote.fee:
        raise RelayerError(
            f"the quote expired before the proof was there, and the relayer asks for {fresh.quote.fee} instead of "
            f"{quote.quote.fee} now",
            "expired",
        )
    return via.submit(fresh, call).id


def _wait(call: SpendCall, name: str, via: "RelayerClient", pool: Pool, first_block: int) -> Receipt:
    give_up = time.monotonic() + SETTLE_SECONDS
    transaction = ""
    while (receipt := settlement_of(call, pool, first_block)) is None:
        if time.monotonic() > give_up:
            raise NotMinedError(
                f"the relayer took the payment, but no block showed it within {SETTLE_SECONDS:.0f} s: it may still "
                "settle until its deadline, so do not pay again; resume sends it once more",
                transaction,
            )
        time.sleep(POLL_SECONDS)
        try:
            submission = via.status(name)
        except RelayerError:
            continue  # it may have gone after it sent the payment: the chain will show
        transaction = submission.transaction
        if submission.state == "failed":
            raise RelayerError(f"the relayer failed to send the payment ({submission.detail})", "failed")
    return receipt


def settlement_of(call: SpendCall, pool: Pool, first_block: int) -> Receipt | None:
    """The transaction that settled exactly this payment in the block `first_block` or later; None when there is none.

    Found among the pool's events, all of them. `gas_used` is 0 where the node does not tell a whole block's receipts: a
    question for this one would name it.
    """
    head = pool.block_number()
    shown: dict[str, set[int]] = {}
    for event in pool.events(first_block, head) if first_block <= head else ():
        if isinstance(event, NullifierUsed | CommitmentQueued):
            values = shown.setdefault(event.origin.transaction_hash, set())
            values.add(event.nullifier if isinstance(event, NullifierUsed) else event.commitment)
            # All of them: others spend the same notes too, another payment of this account or another device.
            if values.issuperset({*call.nullifiers, *call.commitments}):
                return _receipt(event.origin, pool)
    return None


def _receipt(origin: Origin, pool: Pool) -> Receipt:
    gas_used = 0
    try:
        with rpc_errors():
            receipts = pool.w3.eth.get_block_receipts(origin.block_number)
        found = (r for r in receipts if "0x" + bytes(r["transactionHash"]).hex() == origin.transaction_hash)
        gas_used = next((receipt["gasUsed"] for receipt in found), 0)
    except RpcError:
        pass
    return Receipt(origin.transaction_hash, origin.block_number, gas_used, origin.timestamp)
