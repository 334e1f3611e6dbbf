"""Fees that are paid with a note: found by opening a payment's memos, and believed only if the commitment fits.

The relayer holds the viewing key of the account that is paid, never its spending key: an operator keeps that elsewhere
and sweeps the fees with a wallet.
"""

from dataclasses import dataclass, field

from chain.pool import NOBODY, Spend
from protocol.address import Address
from protocol.keys import FullViewingKey
from protocol.memo import MemoOpener
from protocol.note import Note


@dataclass(frozen=True)
class NoteFees:
    """Recognises notes to `address` by the viewing key (X25519, 32 bytes) that belongs to it."""

    address: Address
    viewing_key: bytes = field(repr=False)

    @classmethod
    def of(cls, keys: FullViewingKey) -> "NoteFees":
        """Fees to the account's first address, which every wallet of the account recognises."""
        return cls(keys.address(0), keys.viewing_key)

    def paid(self, spend: Spend, token: int) -> Note | None:
        """The largest note of `token` to this address among the payment's outputs, None when there is none.

        The payment's proof binds commitments and memos, so what is found here will be in the pool when it is settled.
        """
        opener = MemoOpener(self.viewing_key)
        found: list[Note] = []
        for memo, commitment in zip(spend.memos, spend.commitments, strict=False):
            opened = opener.open(memo, commitment)
            note = opened.note([self.address.owner], commitment) if opened else None
            if note is not None and note.token == token:
                found.append(note)
        return max(found, key=lambda note: note.amount, default=None)


def shows_no_fee(spend: Spend) -> bool:
    """Whether the chain will see neither fee, relayer nor receiver: nothing but a transfer."""
    shown = (int(spend.receiver, 16), int(spend.relayer, 16), spend.fee, spend.public_amount, spend.public_token)
    return shown == (int(NOBODY, 16), 0, 0, 0, 0)
