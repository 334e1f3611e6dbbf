"""Fee quotes: what a relayer promises to settle a payment for, signed as EIP-712 typed data.

A quote names no customer and has no number of its own, and everybody who asks within the same minute gets the same one:
presenting it tells the relayer nothing about who asked for it.
"""

from dataclasses import dataclass
from typing import Any, Literal, get_args

from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_account.signers.local import LocalAccount
from eth_keys.exceptions import BadSignature, ValidationError
from eth_utils import to_checksum_address

from chain.errors import RelayerError

Kind = Literal["transact", "withdraw", "consolidate", "transact-note"]
"""`transact` (a transfer of at most 2 notes), `withdraw` and `consolidate` (a transfer of at most 8) pay their fee on
chain, to the relayer's account; `transact-note` is a transfer that pays it with a third note, which only the relayer
can recognise.
"""
KINDS: tuple[Kind, ...] = get_args(Kind)

QUOTE_TYPES = {
    "Quote": [
        {"name": "relayer", "type": "address"},
        {"name": "token", "type": "address"},
        {"name": "kind", "type": "string"},
        {"name": "fee", "type": "uint256"},
        {"name": "expiry", "type": "uint256"},
        {"name": "payee", "type": "string"},
    ]
}


def two_digits(fee: int) -> int:
    """Rounded up to two significant digits, at least 1: fees that many payments share single nobody out."""
    scale = 10 ** max(0, len(str(fee)) - 2)
    return max(1, -(-fee // scale) * scale)


@dataclass(frozen=True)
class Quote:
    """`fee` of `token` (smallest unit), paid to `relayer`, settles one payment of this kind until `expiry` (seconds
    since 1970) in the pool `pool` of chain `chain_id`. EVM addresses are checksummed.

    Of the kind `transact-note` the fee goes to the Gelap address `payee`; it is empty for the others.
    """

    chain_id: int
    pool: str
    relayer: str
    token: str
    kind: Kind
    fee: int
    expiry: int
    payee: str = ""

    def signed(self, account: LocalAccount) -> "SignedQuote":
        return SignedQuote(self, bytes(account.sign_message(self._message()).signature))

    def _message(self) -> Any:
        domain = {"name": "Gelap Relayer", "version": "1", "chainId": self.chain_id, "verifyingContract": self.pool}
        fields = {
            "relayer": self.relayer,
            "token": self.token,
            "kind": self.kind,
            "fee": self.fee,
            "expiry": self.expiry,
            "payee": self.payee,
        }
        return encode_typed_data(domain, QUOTE_TYPES, fields)

    def signer(self, signature: bytes) -> str | None:
        """The address that signed this quote, None for bytes that are no signature."""
        try:
            return to_checksum_address(Account.recover_message(self._message(), signature=signature))
        except (BadSignature, ValidationError, ValueError):
            return None


@dataclass(frozen=True)
class SignedQuote:
    """A quote and its signature (65 bytes: r, s, v)."""

    quote: Quote
    signature: bytes

    def require_valid(self, now: int) -> None:
        """Raises RelayerError: `bad-quote` when its relayer did not sign it, `expired` when it is over."""
        if self.quote.signer(self.signature) != self.quote.relayer:
            raise RelayerError("the quote is not signed by its relayer: ask for a new one", "bad-quote")
        if now > self.quote.expiry:
            raise RelayerError("the quote has expired: ask for a new one", "expired")
