"""Prepares payments: chooses notes, takes a relayer's quote or none, builds and signs. Writes nothing down."""

from collections.abc import Callable
from dataclasses import dataclass

from chain.pool import NOBODY, Pool
from chain.proving import ProofSource, spend_circuit
from chain.relayer.quote import Kind, SignedQuote
from wallet.checks import checked_amount, gelap_recipient, memo_text, token_address, withdrawal_receiver
from wallet.coins import MAX_INPUTS
from wallet.errors import ConsolidationError, ProvingError, RequestError
from wallet.notes import Funds, NoteManager
from wallet.payments import Payment
from wallet.proving import circuits_of
from wallet.relaying import DEADLINE_SECONDS, checked_quote, deadline_for, fee_of, usual_deadline
from wallet.spend import PreparedSpend
from wallet.transactions import MERGED_INPUTS, Fee, TransactionBuilder

__all__ = ["DEADLINE_SECONDS", "Paying", "Preparation", "Prepared"]


@dataclass(frozen=True)
class Paying:
    """Who sends a payment, and for what: an account of one's own, which gets nothing; `relayer`, an EVM address that
    gets `fee` on chain; or the relayer that signed `quote`, for at most `max_fee`.
    """

    fee: int = 0
    relayer: str = NOBODY
    quote: SignedQuote | None = None
    max_fee: int | None = None

    def __post_init__(self) -> None:
        Fee(self.fee, self.relayer)
        if self.quote is not None and self.fee:
            raise RequestError("a quote names its fee and its relayer: give the quote or these, not both")


@dataclass(frozen=True)
class Prepared:
    """A signed spend, and what the wallet's file is to know of it."""

    spend: PreparedSpend
    payment: Payment


class Preparation:
    """Makes transfers, withdrawals and consolidations of one account's notes. Errors are WalletError, ChainError and
    ProtocolError; those of a request that makes no sense come before anything is read.
    """

    def __init__(
        self,
        notes: NoteManager,
        builder: TransactionBuilder,
        pool: Pool,
        prover: ProofSource | None,
        catch_up: Callable[[], int],
    ) -> None:
        """`catch_up` reads what is new on the chain and returns its time, in seconds since 1970."""
        self._notes = notes
        self._builder = builder
        self._pool = pool
        self._prover = prover
        self._catch_up = catch_up

    def transfer(self, address: str, token: str, amount: int, text: str, paying: Paying) -> Prepared:
        self._builder.signer()
        checked_amount(amount)
        recipient, token = gelap_recipient(address), token_address(token)
        memo_text(text)
        deadline, fee = self._terms(token, paying, ("transact", "transact-note"), self._catch_up(), amount)
        funds = self._select(token, amount + fee.amount)
        spend = self._builder.transfer(funds, recipient, amount, deadline=deadline, text=text, fee=fee)
        return _prepared(spend, "send", token, amount, address)

    def withdrawal(self, receiver: str, token: str, amount: int, paying: Paying) -> Prepared:
        self._builder.signer()
        checked_amount(amount)
        receiver, token = withdrawal_receiver(receiver, self._pool.address), token_address(token)
        deadline, fee = self._terms(token, paying, ("withdraw",), self._catch_up(), amount)
        funds = self._select(token, amount + fee.amount)
        spend = self._builder.withdrawal(funds, receiver, amount, deadline=deadline, fee=fee)
        return _prepared(spend, "withdraw", token, amount, receiver)

    def consolidation(self, token: str, most: int | None, paying: Paying) -> Prepared:
        """Of `most` notes at most; None for as many as there is a circuit for."""
        self._builder.signer()
        token = token_address(token)
        if most is not None and most < MAX_INPUTS:
            raise RequestError("two notes or more can be merged")
        now = self._catch_up()
        # A relayer's quote covers the gas of its kind of payment, and no more notes than that takes.
        pair = paying.quote is not None and paying.quote.quote.kind != "consolidate"
        fits = MAX_INPUTS if pair else self._mergeable()
        funds = self._notes.select_to_merge(token, fits if most is None else min(most, fits))
        deadline, fee = self._terms(token, paying, ("transact", "consolidate", "transact-note"), now, funds.amount // 2)
        spend = self._builder.consolidation(funds, deadline=deadline, fee=fee)
        return _prepared(spend, "consolidate", token, funds.amount - fee.amount, "")

    def merging_kind(self, token: str, most: int | None) -> Kind:
        """The relayer's word for a merge of the notes that there are now, `most` at most, with a fee on chain."""
        fits = self._mergeable()
        funds = self._notes.select_to_merge(token, fits if most is None else min(most, fits))
        return "transact" if len(funds.notes) <= MAX_INPUTS else "consolidate"

    def require_circuit(self, inputs: int, outputs: int) -> None:
        """Raises RequestError when pool or prover have no key for a spend of so many notes to so many."""
        name = spend_circuit(inputs, outputs)
        if (inputs, outputs) not in self._pool.arities():
            raise RequestError(f"this pool has no key for {name}: pay the relayer on chain")
        if name not in circuits_of(self._prover):
            raise RequestError(f"the prover has no key for {name}: make it with `gelap keys make`, or pay on chain")

    def _terms(self, token: str, paying: Paying, kinds: tuple[Kind, ...], now: int, most: int) -> tuple[int, Fee]:
        """The deadline and the fee; that of a quote is at most `most` where the caller set no limit."""
        if paying.quote is None:
            return usual_deadline(now), Fee(paying.fee, paying.relayer)
        bound = most if paying.max_fee is None else paying.max_fee
        quote = checked_quote(paying.quote, self._pool, token, kinds, now, bound)
        if quote.kind == "transact-note":
            self.require_circuit(2, 3)
        return deadline_for(quote, now), fee_of(quote)

    def _select(self, token: str, amount: int) -> Funds:
        try:
            return self._notes.select(token, amount)
        except ConsolidationError:
            return self._notes.select(token, amount, merging=self._mergeable())  # to say how often, exactly

    def _mergeable(self) -> int:
        """How many notes one consolidation can take."""
        if (MERGED_INPUTS, 2) not in self._pool.arities():
            return MAX_INPUTS
        try:
            return MERGED_INPUTS if spend_circuit(MERGED_INPUTS, 2) in circuits_of(self._prover) else MAX_INPUTS
        except ProvingError:
            return MAX_INPUTS  # a prover that does not answer now may do so when the proof is wanted


def _prepared(spend: PreparedSpend, kind: str, token: str, amount: int, counterparty: str) -> Prepared:
    payment = Payment(kind, token, amount, spend.fee, counterparty, spend.terms.deadline, spend.reserved)
    return Prepared(spend, payment)
