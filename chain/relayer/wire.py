"""What travels between wallet and relayer: JSON; large integers as decimal text, bytes and addresses as hexadecimal."""

import re
from typing import Annotated, Literal

from eth_utils import to_checksum_address
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from chain.errors import RelayerError
from chain.pool import Spend
from chain.relayer.quote import Kind, Quote, SignedQuote
from protocol.address import Address as GelapAddress
from protocol.errors import AddressError

_WORD = 1 << 256


def _word(text: str) -> str:
    if int(text) >= _WORD:
        raise ValueError("a number above 2^256 - 1")
    return text


def _address(text: str) -> str:
    return to_checksum_address(text.lower())


def _gelap_address(text: str) -> str:
    try:
        return GelapAddress.decode(text).encode()
    except AddressError as error:
        raise ValueError(str(error)) from None


Number = Annotated[str, StringConstraints(pattern=r"^(0|[1-9][0-9]{0,77})$"), AfterValidator(_word)]
Address = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-fA-F]{40}$"), AfterValidator(_address)]
Proof = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-f]{512}$")]
Memo = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-f]{448}$")]
Signature = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-f]{130}$")]
Payee = Annotated[str, StringConstraints(max_length=116), AfterValidator(_gelap_address)]
State = Literal["pending", "settled", "failed"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class QuoteModel(_Model):
    chain_id: int = Field(ge=1)
    pool: Address
    relayer: Address
    token: Address
    kind: Kind
    fee: Number
    expiry: int = Field(ge=0, lt=1 << 64)
    payee: Payee | None = Field(
        None, description="The Gelap address to pay, of the kind transact-note; null otherwise."
    )
    signature: Signature

    @classmethod
    def of(cls, signed: SignedQuote) -> "QuoteModel":
        quote = signed.quote
        return cls(
            chain_id=quote.chain_id,
            pool=quote.pool,
            relayer=quote.relayer,
            token=quote.token,
            kind=quote.kind,
            fee=str(quote.fee),
            expiry=quote.expiry,
            payee=quote.payee or None,
            signature=_hex(signed.signature),
        )

    def signed(self) -> SignedQuote:
        terms = (self.chain_id, self.pool, self.relayer, self.token, self.kind, int(self.fee), self.expiry)
        quote = Quote(*terms, payee=self.payee or "")
        return SignedQuote(quote, _bytes(self.signature))


class SpendModel(_Model):
    proof: Proof
    root: Number
    nullifiers: list[Number] = Field(min_length=1, max_length=16)
    commitments: list[Number] = Field(min_length=1, max_length=16)
    public_token: Number
    public_amount: Number
    receiver: Address
    relayer: Address
    fee: Number
    deadline: Number
    memos: list[Memo] = Field(min_length=1, max_length=16)

    @classmethod
    def of(cls, spend: Spend) -> "SpendModel":
        return cls(
            proof=_hex(spend.proof),
            root=str(spend.root),
            nullifiers=[str(item) for item in spend.nullifiers],
            commitments=[str(item) for item in spend.commitments],
            public_token=str(spend.public_token),
            public_amount=str(spend.public_amount),
            receiver=spend.receiver,
            relayer=spend.relayer,
            fee=str(spend.fee),
            deadline=str(spend.deadline),
            memos=[_hex(memo) for memo in spend.memos],
        )

    def spend(self) -> Spend:
        return Spend(
            proof=_bytes(self.proof),
            root=int(self.root),
            nullifiers=[int(item) for item in self.nullifiers],
            commitments=[int(item) for item in self.commitments],
            public_token=int(self.public_token),
            public_amount=int(self.public_amount),
            receiver=self.receiver,
            relayer=self.relayer,
            fee=int(self.fee),
            deadline=int(self.deadline),
            memos=[_bytes(memo) for memo in self.memos],
        )


class SubmitModel(_Model):
    quote: QuoteModel
    spend: SpendModel


class SubmissionModel(_Model):
    """`transaction` is the newest one that was sent for it, or the one that was mined."""

    id: str = Field(pattern=r"^[0-9a-f]{64}$")
    state: State
    transaction: str = Field(pattern=r"^0x[0-9a-f]{64}$")
    detail: str = ""
    block: int | None = Field(None, description="The block that holds it; a reorganisation can change it.")


class ProblemModel(_Model):
    """RFC 9457; `code` is the stable part."""

    type: str
    title: str
    status: int
    detail: str
    code: str


class TermsModel(_Model):
    chain_id: int
    pool: Address
    relayer: Address
    tokens: list[Address]
    address: Payee | None = Field(
        None, description="The Gelap address for fees paid with a note; null where transact-note is not served."
    )


def parse(model: type[BaseModel], text: bytes) -> BaseModel:
    """Raises RelayerError (`malformed`) with the place of the first mistake and without the values."""
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise RelayerError(re.sub(r"\s+", " ", f"{place}: {first['msg']}")[:200], "malformed") from None


def _hex(data: bytes) -> str:
    return "0x" + data.hex()


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text[2:])
