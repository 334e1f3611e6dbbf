"""Builds a spend: fills it up to the inputs and outputs of its circuit, encrypts the memos, binds and signs it.

The spending key signs here and goes no further. Whoever proves gets `PreparedSpend.inputs`: the notes of this one
payment with their nullifying keys, and the signature.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from eth_utils import to_canonical_address

from chain.pool import NOBODY
from chain.pool import Spend as SpendCall
from chain.proving import SPEND_CIRCUIT, spend_circuit
from protocol.address import Address
from protocol.field import R
from protocol.keys import Account, FullViewingKey
from protocol.memo import SentRecord, encrypt
from protocol.note import Note, random_blinding
from protocol.statements import InputValue, SpendPublic, SpendWitness, SpentNote, bound_hash
from wallet.errors import RequestError

T = TypeVar("T")

INPUTS = 2


@dataclass(frozen=True)
class Terms:
    """What a spend is bound to, beside its notes. `receiver` is an EVM address, or NOBODY for a private transfer.

    `fee` goes to `relayer` (NOBODY and 0 without one); `deadline` in seconds since 1970 is the last block time at which
    the pool takes the spend.
    """

    chain_id: int
    pool: str
    deadline: int
    receiver: str = NOBODY
    relayer: str = NOBODY
    fee: int = 0


@dataclass(frozen=True)
class Output:
    """A new note, the address that can spend it, and the text of its memo (at most 90 bytes)."""

    note: Note
    address: Address
    text: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class PreparedSpend:
    """A signed spend that still lacks its proof.

    It is as good as a bearer payment until `terms.deadline`: whoever has `inputs` and `memos` can have it proved and
    settled exactly as it is, but cannot change it.
    """

    witness: SpendWitness
    terms: Terms
    memos: tuple[bytes, ...] = field(repr=False)
    reserved: tuple[int, ...] = ()
    """The nullifiers of the real notes it spends, without the dummies."""

    circuit: str = SPEND_CIRCUIT
    note_fee: int = 0
    """What a relayer gets by a note of its own, which nobody else sees; 0 where its fee is on chain."""

    @property
    def fee(self) -> int:
        """What a relayer gets, on chain or by a note."""
        return self.terms.fee + self.note_fee

    @property
    def public_inputs(self) -> list[int]:
        """In the circuit's order, plain integers below the scalar field's order."""
        return self.witness.public.inputs()

    @property
    def inputs(self) -> dict[str, InputValue]:
        """All inputs of the circuit by name: they reveal this payment, give them only to whoever proves it."""
        return self.witness.inputs()

    def call(self, proof: bytes) -> SpendCall:
        """The contract call, given the 256 bytes of the proof."""
        public = self.witness.public
        return SpendCall(
            proof=proof,
            root=public.root,
            nullifiers=public.nullifiers,
            commitments=public.commitments,
            public_token=public.public_token,
            public_amount=public.public_amount,
            receiver=self.terms.receiver,
            relayer=self.terms.relayer,
            fee=self.terms.fee,
            deadline=self.terms.deadline,
            memos=self.memos,
        )


def payment(recipient: Address, token: int, amount: int, text: bytes = b"") -> Output:
    """A fresh note of `amount` for somebody."""
    return Output(Note(token, amount, recipient.owner, random_blinding()), recipient, text)


def to_oneself(keys: FullViewingKey, token: int, amount: int, text: bytes = b"") -> Output:
    """A fresh note of `amount` for this account itself, with a nullifying key of its own."""
    blinding = random_blinding()
    address = keys.address_for_note(blinding)
    return Output(Note(token, amount, address.owner, blinding), address, text)


def evm_recipient(receiver: str) -> Address:
    """How a withdrawal's record names its receiver: owner 0, which nobody has, and the padded EVM address."""
    return Address(0, to_canonical_address(receiver).rjust(32, b"\0"))


def build_spend(
    account: Account,
    terms: Terms,
    root: int,
    spent: Sequence[SpentNote],
    first: Output,
    record: SentRecord,
    public_amount: int,
    *,
    inputs: int = INPUTS,
    fee_note: Output | None = None,
) -> PreparedSpend:
    """Build and sign the spend of one to `inputs` notes of one token that are in the tree under `root`.

    Outputs are `first`, the change, always a note to oneself whose text is `record`, and `fee_note` if there is one, in
    random order; an unused input is a dummy of amount 0. `public_amount` leaves the pool, the fee included. Raises
    RequestError when the notes do not cover that, ChainError where there is no circuit for so many.
    """
    if not 1 <= len(spent) <= inputs:
        raise RequestError(f"a spend takes 1 to {inputs} notes, got {len(spent)}")
    note_fee = 0 if fee_note is None else fee_note.note.amount
    token = spent[0].note.token
    change = sum(item.note.amount for item in spent) - first.note.amount - note_fee - public_amount
    if change < 0:
        raise RequestError("the chosen notes do not cover the payment and its fee")
    dummies = [_dummy(account, token) for _ in range(inputs - len(spent))]
    filled = _shuffled([*spent, *dummies])
    own = to_oneself(account, token, change, record.to_text())
    outputs = _shuffled([first, own] if fee_note is None else [first, own, fee_note])
    memos = tuple(encrypt(output.note, output.address, output.text) for output in outputs)
    notes = tuple(output.note for output in outputs)
    public = SpendPublic.from_notes(root, filled, notes, public_amount, _bound_hash(terms, memos))
    witness = SpendWitness(
        public=public,
        spent=tuple(filled),
        outputs=notes,
        owner_key=account.public,
        signature=account.sign(public.message()),
    )
    return PreparedSpend(
        witness,
        terms,
        memos,
        reserved=tuple(item.nullifier for item in spent),
        circuit=spend_circuit(inputs, len(outputs)),
        note_fee=note_fee,
    )


def _dummy(account: Account, token: int) -> SpentNote:
    nullifying_key = int.from_bytes(secrets.token_bytes(64), "big") % R
    note = Note(token, 0, account.owner(nullifying_key), random_blinding())
    return SpentNote.dummy(note, nullifying_key)


def _bound_hash(terms: Terms, memos: Sequence[bytes]) -> int:
    pool, receiver, relayer = (
        int.from_bytes(to_canonical_address(address), "big") for address in (terms.pool, terms.receiver, terms.relayer)
    )
    return bound_hash(terms.chain_id, pool, receiver, relayer, terms.fee, terms.deadline, memos)


def _shuffled(items: list[T]) -> list[T]:
    """A random order, so that neither the place of the change nor that of a dummy says anything."""
    secrets.SystemRandom().shuffle(items)
    return items
