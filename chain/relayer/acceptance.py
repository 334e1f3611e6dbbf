"""Whether a payment brings the fee that its quote asks for, on chain or with a note."""

from dataclasses import dataclass

from eth_utils import to_checksum_address

from chain.errors import RelayerError
from chain.pool import NOBODY, Spend
from chain.relayer.note_fees import NoteFees, shows_no_fee
from chain.relayer.quote import Kind, Quote


@dataclass(frozen=True)
class Paid:
    """`fee` of the quote's token; `note` is the commitment of the note that pays it, None for a fee on chain."""

    fee: int
    note: int | None = None


def require_paid(quote: Quote, spend: Spend, relayer: str, note_fees: NoteFees | None) -> Paid:
    """What `spend` pays the account `relayer`, or with a note; at least what the quote says.

    The quote's signature, pool and relayer are checked already. Raises RelayerError: `bad-quote` when it is for another
    kind of payment or payee, `underpaid`.
    """
    if quote.kind == "transact-note":
        return _paid_with_note(quote, spend, note_fees)
    kind = _kind(spend)
    # A quote for many notes covers few as well.
    if quote.kind != kind and (quote.kind, kind) != ("consolidate", "transact"):
        raise RelayerError(f"the quote is for {quote.kind}, the payment is a {kind}", "bad-quote")
    if to_checksum_address(spend.relayer) != relayer:
        raise RelayerError("the payment's fee goes to somebody else", "underpaid")
    if spend.public_token != int(quote.token, 16):
        raise RelayerError("the fee is not in the quote's token", "underpaid")
    if spend.fee < quote.fee:
        raise RelayerError(f"the fee is {spend.fee}, the quote says {quote.fee}", "underpaid")
    return Paid(spend.fee)


def _kind(spend: Spend) -> Kind:
    """Of a payment whose fee is on chain."""
    if to_checksum_address(spend.receiver) != NOBODY:
        return "withdraw"
    return "transact" if len(spend.nullifiers) <= 2 else "consolidate"


def _paid_with_note(quote: Quote, spend: Spend, note_fees: NoteFees | None) -> Paid:
    if note_fees is None or quote.payee != note_fees.address.encode():
        raise RelayerError("the quote is for another address: ask for a new one", "bad-quote")
    if not shows_no_fee(spend):
        raise RelayerError("a payment that pays with a note shows no fee, relayer or receiver", "bad-quote")
    note = note_fees.paid(spend, int(quote.token, 16))
    if note is None:
        raise RelayerError("no memo of the payment opens to a note in the quote's token for this relayer", "underpaid")
    if note.amount < quote.fee:
        raise RelayerError(f"the note pays {note.amount}, the quote says {quote.fee}", "underpaid")
    return Paid(note.amount, note.commitment)
