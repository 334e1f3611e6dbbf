"""Builds transactions from notes, keys and terms. Nothing here asks the chain, a prover or a file anything.

    builder = TransactionBuilder(account, pool.chain_id, pool.address)
    call = builder.deposit(token, 100)                                  # for Pool.deposit
    spend = builder.transfer(notes.select(token, 40), recipient, 40, deadline=pool.now() + 1200)
    proof = prover.prove(spend.circuit, spend.public_inputs, spend.inputs)
    pool.transact(spend.call(proof.proof))

Amounts are in the token's smallest unit, deadlines in seconds since 1970.
"""

from dataclasses import dataclass, field

from chain.pool import NOBODY
from protocol.address import Address
from protocol.keys import Account, FullViewingKey
from protocol.memo import SentRecord, encrypt
from wallet.checks import (
    checked_amount,
    checked_fee,
    evm_address,
    gelap_recipient,
    memo_text,
    token_address,
    withdrawal_receiver,
)
from wallet.errors import RequestError, ViewOnlyError
from wallet.notes import Funds
from wallet.spend import INPUTS, Output, PreparedSpend, Terms, build_spend, evm_recipient, payment, to_oneself

MERGED_INPUTS = 8


@dataclass(frozen=True)
class Fee:
    """What a relayer gets for sending a spend: `amount` on chain, to the EVM address `relayer`, where everybody sees
    token and amount, or by a note to the Gelap address `payee`, where the spend shows a third output instead.
    """

    amount: int = 0
    relayer: str = NOBODY
    payee: Address | None = None

    def __post_init__(self) -> None:
        if self.payee is None:
            checked_fee(self.amount, self.relayer)
        elif self.relayer != NOBODY or self.payee.owner == 0:
            raise RequestError("a fee goes to an EVM address on chain, or by a note to a Gelap address, not to both")
        else:
            checked_amount(self.amount)

    @property
    def on_chain(self) -> int:
        return self.amount if self.payee is None else 0


NO_FEE = Fee()


@dataclass(frozen=True)
class DepositCall:
    """The arguments of the pool's `deposit`: `memo` (224 bytes) opens the note behind `pre_commitment`."""

    token: str
    amount: int
    pre_commitment: int = field(repr=False)
    memo: bytes = field(repr=False)


class TransactionBuilder:
    """Makes deposits and signed spends of one account for one pool. Errors are RequestError and ProtocolError."""

    def __init__(self, keys: FullViewingKey, chain_id: int, pool: str) -> None:
        """`keys` is an Account; a FullViewingKey makes deposits only, everything else is ViewOnlyError then."""
        self._keys = keys
        self._chain_id = chain_id
        self._pool = evm_address(pool, "pool")

    def signer(self) -> Account:
        """The account that signs; ViewOnlyError when there are only viewing keys."""
        if not isinstance(self._keys, Account):
            raise ViewOnlyError("this wallet can only look: open it with the mnemonic to pay")
        return self._keys

    def deposit(self, token: str, amount: int, payer: str = NOBODY) -> DepositCall:
        """A note to oneself of exactly what the pool is to pull. `payer` is the EVM account that it is pulled from: the
        memo tells the account's own wallets, which warn of a withdrawal to there.
        """
        token = token_address(token)
        origin = SentRecord(evm_recipient(evm_address(payer, "payer")), 0)
        output = to_oneself(self._keys, int(token, 16), checked_amount(amount), origin.to_text())
        memo = encrypt(output.note, output.address, output.text)
        return DepositCall(token, amount, output.note.pre_commitment, memo)

    def transfer(
        self, funds: Funds, recipient: Address | str, amount: int, *, deadline: int, text: str = "", fee: Fee = NO_FEE
    ) -> PreparedSpend:
        """Pay a Gelap address; `text` (at most 90 bytes of UTF-8) is for the recipient only."""
        to = gelap_recipient(recipient if isinstance(recipient, str) else recipient.encode())
        output = payment(to, int(funds.token, 16), checked_amount(amount), memo_text(text))
        return self._build(funds, output, SentRecord(to, amount), fee, self._terms(deadline, fee), fee.on_chain)

    def withdrawal(
        self, funds: Funds, receiver: str, amount: int, *, deadline: int, fee: Fee = NO_FEE
    ) -> PreparedSpend:
        """Pay out to an EVM address: receiver, token and amount become public, so the fee is paid on chain too."""
        if fee.payee is not None:
            raise RequestError("a withdrawal pays its fee on chain: it shows its token and amount anyway")
        receiver = withdrawal_receiver(receiver, self._pool)
        record = SentRecord(evm_recipient(receiver), checked_amount(amount))
        output = to_oneself(self.signer(), int(funds.token, 16), 0)
        return self._build(funds, output, record, fee, self._terms(deadline, fee, receiver), amount + fee.amount)

    def consolidation(self, funds: Funds, *, deadline: int, fee: Fee = NO_FEE) -> PreparedSpend:
        """Merge all of the funds but the fee into one note: up to two notes, or up to eight (see `wallet.coins`)."""
        merged = funds.amount - fee.amount
        if merged <= 0:
            raise RequestError(f"the fee of {fee.amount} takes all of the {funds.amount} that would be merged")
        output = to_oneself(self.signer(), int(funds.token, 16), checked_amount(merged))
        inputs = INPUTS if len(funds.notes) <= INPUTS else MERGED_INPUTS
        record = SentRecord(output.address, merged)
        return self._build(funds, output, record, fee, self._terms(deadline, fee), fee.on_chain, inputs)

    def _terms(self, deadline: int, fee: Fee, receiver: str = NOBODY) -> Terms:
        return Terms(self._chain_id, self._pool, deadline, receiver, fee.relayer, fee.on_chain)

    def _build(
        self,
        funds: Funds,
        output: Output,
        record: SentRecord,
        fee: Fee,
        terms: Terms,
        public_amount: int,
        inputs: int = INPUTS,
    ) -> PreparedSpend:
        fee_note = None if fee.payee is None else payment(fee.payee, int(funds.token, 16), fee.amount)
        return build_spend(
            self.signer(),
            terms,
            funds.root,
            funds.notes,
            output,
            record,
            public_amount,
            inputs=inputs,
            fee_note=fee_note,
        )
