"""What people ask for, checked before anything is read, built or signed: amounts, addresses, texts.

Every function returns what it was given in its canonical form, or raises RequestError with what to do.
"""

from eth_utils import is_address, to_canonical_address, to_checksum_address

from chain.pool import NOBODY
from protocol.address import Address
from protocol.memo import TEXT_BYTES
from protocol.note import AMOUNT_BITS
from wallet.errors import RequestError


def checked_amount(amount: int) -> int:
    """An amount that a note can hold, in the token's smallest unit."""
    if not 0 < amount < 1 << AMOUNT_BITS:
        raise RequestError("an amount must be above 0 and below 2^128, in the token's smallest unit")
    return amount


def evm_address(text: str, what: str) -> str:
    """An EVM address, checksummed; `what` names it in the error."""
    if not is_address(text):
        raise RequestError(f"the {what} must be an EVM address: 0x and 40 hexadecimal digits")
    return to_checksum_address(text)


def token_address(text: str) -> str:
    address = evm_address(text, "token")
    if not any(to_canonical_address(address)):
        raise RequestError("the token must be an ERC-20 contract, not the zero address")
    return address


def gelap_recipient(text: str) -> Address:
    """Who is paid privately; raises AddressError for text that is no Gelap address."""
    recipient = Address.decode(text)
    if recipient.owner == 0:
        # It would burn the money, and stand in the history as a withdrawal: see `wallet.spend.evm_recipient`.
        raise RequestError("nobody can spend what is paid to this address: ask the recipient for another one")
    return recipient


def withdrawal_receiver(text: str, pool: str) -> str:
    """Who is paid out by the pool at the address `pool`."""
    receiver = evm_address(text, "receiver")
    if receiver in (NOBODY, pool):
        raise RequestError("a withdrawal needs a receiver that is neither the zero address nor the pool")
    return receiver


def memo_text(text: str) -> bytes:
    encoded = text.encode()
    if len(encoded) > TEXT_BYTES:
        raise RequestError(f"the text is {len(encoded)} bytes of UTF-8, at most {TEXT_BYTES} fit")
    return encoded


def checked_fee(fee: int, relayer: str) -> tuple[int, str]:
    """A fee on chain and the EVM address that gets it."""
    relayer = evm_address(relayer, "relayer")
    if fee < 0 or (fee > 0) != (relayer != NOBODY):
        raise RequestError("a fee above 0 and a relayer that gets it go together")
    return fee, relayer
