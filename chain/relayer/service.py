"""The relayer: quotes fees, checks that a payment pays, sends it, and cares for it until it is mined.

It cannot change a payment, as receiver, relayer, fee and deadline are bound in the proof; it can refuse or delay it.
"""

import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog
from eth_account.signers.local import LocalAccount
from eth_utils import to_checksum_address

from chain.errors import ChainError, RelayerError, RevertedError
from chain.pool import NOBODY, Pool, Spend
from chain.relayer.journal import Journal, Submission
from chain.relayer.note_fees import NoteFees, shows_no_fee
from chain.relayer.prices import Prices
from chain.relayer.quote import Kind, Quote, SignedQuote
from chain.relayer.transactions import GasPrice, Transactions
from chain.sender import GAS_MARGIN_PERCENT

log = structlog.get_logger("gelap.relayer")
_MINUTE = 60


@dataclass(frozen=True)
class Policy:
    """Times in seconds. A quote holds for `quote_life` to `quote_life` + 60. A transaction that no block holds after
    `stuck_after` is replaced by a dearer one, up to `dearest` wei for a unit of gas. A payment must stay valid for
    `least_time` when it comes in, and at most `most_pending` wait at once.
    """

    quote_life: int = 120
    stuck_after: float = 45.0
    dearest: int = 500 * 10**9
    least_time: int = 90
    most_pending: int = 64


class Relayer:
    """Safe for several threads. Every refusal is a RelayerError; ChainError when the node does not answer."""

    def __init__(
        self,
        pool: Pool,
        account: LocalAccount,
        prices: Prices,
        journal: Journal,
        policy: Policy | None = None,
        clock: Callable[[], float] = time.time,
        note_fees: NoteFees | None = None,
    ) -> None:
        """`pool` is seen from `account`. `clock` is for the age of transactions; deadlines go by the chain's time.
        Without `note_fees`, or on a pool that has no key for it, no fee can be paid with a note.
        """
        self.pool = pool
        self.address = account.address
        self.policy = policy or Policy()
        self._account = account
        self._prices = prices
        self._journal = journal
        self._clock = clock
        self.note_fees = note_fees if (2, 3) in pool.arities() else None
        self._transactions = Transactions(pool.w3, account, pool.address, pool.chain_id)
        # One payment at a time takes a nonce, and one hand cares for those under way.
        self._sending = threading.Lock()

    def tokens(self) -> list[str]:
        """The tokens that a fee can be paid in."""
        return sorted(self._prices.rates())

    def quote(self, token: str, kind: Kind) -> SignedQuote:
        """A fee that this relayer will settle one payment for until the quote expires."""
        payee = ""
        if kind == "transact-note":
            if self.note_fees is None:
                raise RelayerError(
                    "this relayer takes no fee paid with a note: ask for a quote of another kind", "kind"
                )
            payee = self.note_fees.address.encode()
        fee = self._prices.fee(to_checksum_address(token), kind, self._transactions.expected_price())
        # A whole minute: everybody who asks in it gets the same quote.
        expiry = -(-(self.pool.now() + self.policy.quote_life) // _MINUTE) * _MINUTE
        terms = (self.pool.chain_id, self.pool.address, self.address, to_checksum_address(token), kind)
        quote = Quote(*terms, fee, expiry, payee)
        return quote.signed(self._account)

    def submit(self, signed: SignedQuote, spend: Spend) -> Submission:
        """Check a payment and send it. A payment that spends a note of one under way, or of one settled here, is
        answered with that one and not sent again, as only one of them can succeed.
        """
        data = self.pool.spend_data(spend)
        with self._sending:
            known = self._journal.with_nullifier(spend.nullifiers)
            if known is not None:
                return known
            now = self.pool.now()
            signed.require_valid(now)
            paid = self._require_paid(signed.quote, spend)
            if spend.deadline < now + self.policy.least_time:
                raise RelayerError(
                    f"the payment ends in less than {self.policy.least_time} s: build it again", "deadline"
                )
            if len(self._journal.pending()) >= self.policy.most_pending:
                raise RelayerError("too many payments are under way: try again later", "busy")
            gas = self._simulate(data)
            price = self._transactions.price()
            if self._prices.cost(signed.quote.token, gas, self._transactions.expected_price()) > paid:
                raise RelayerError("gas has become dearer than the fee: ask for a new quote", "underpaid")
            return self._send(data, gas, price, spend)

    def find(self, submission_id: str) -> Submission:
        found = self._journal.find(submission_id)
        if found is None:
            raise RelayerError("no payment has this id", "unknown")
        return found

    def tend(self) -> None:
        """Look after what is under way, once: note what was mined, replace what is stuck."""
        with self._sending:
            for item in self._journal.pending():
                self._tend(item)

    def run(self, stop: threading.Event, pause: float = 2.0) -> None:
        """Tend until `stop` is set, whatever the node does."""
        while not stop.wait(pause):
            try:
                self.tend()
            except ChainError as error:
                log.warning("node failed", reason=type(error).__name__)

    def _require_paid(self, quote: Quote, spend: Spend) -> int:
        """The fee that the payment brings, in the quote's token."""
        if (quote.chain_id, quote.pool, quote.relayer) != (self.pool.chain_id, self.pool.address, self.address):
            raise RelayerError("the quote is for another relayer, pool or chain", "bad-quote")
        if quote.kind == "transact-note":
            return self._require_note(quote, spend)
        kind: Kind = "transact" if to_checksum_address(spend.receiver) == NOBODY else "withdraw"
        if quote.kind != kind:
            raise RelayerError(f"the quote is for {quote.kind}, the payment is a {kind}", "bad-quote")
        if to_checksum_address(spend.relayer) != self.address:
            raise RelayerError("the payment's fee goes to somebody else", "underpaid")
        if spend.public_token != int(quote.token, 16):
            raise RelayerError("the fee is not in the quote's token", "underpaid")
        if spend.fee < quote.fee:
            raise RelayerError(f"the fee is {spend.fee}, the quote says {quote.fee}", "underpaid")
        return spend.fee

    def _require_note(self, quote: Quote, spend: Spend) -> int:
        if self.note_fees is None or quote.payee != self.note_fees.address.encode():
            raise RelayerError("the quote is for another address: ask for a new one", "bad-quote")
        if not shows_no_fee(spend):
            raise RelayerError("a payment that pays with a note shows no fee, relayer or receiver", "bad-quote")
        note = self.note_fees.paid(spend, int(quote.token, 16))
        if note is None:
            raise RelayerError(
                "no memo of the payment opens to a note in the quote's token for this relayer", "underpaid"
            )
        if note.amount < quote.fee:
            raise RelayerError(f"the note pays {note.amount}, the quote says {quote.fee}", "underpaid")
        return note.amount

    def _simulate(self, data: str) -> int:
        try:
            return self.pool.estimate(data)
        except RevertedError as error:
            raise RelayerError(str(error), "refused") from error

    def _send(self, data: str, gas: int, price: GasPrice, spend: Spend) -> Submission:
        nonce = max(self._transactions.nonce(), self._journal.next_nonce())
        if not self._journal.pending():
            # Nothing of ours waits, so a gap would be of nonces that were never used, and would block all that follow.
            nonce = self._transactions.nonce()
        name = hashlib.sha256(f"{nonce}:{data}".encode()).hexdigest()
        gas += gas * GAS_MARGIN_PERCENT // 100
        item = Submission(name, nonce, data, gas, price.max_fee, price.tip, self._clock(), ())
        item, raw = self._transactions.sign(item)
        # Kept first: a crash after it was sent must not lead to a second transaction.
        self._journal.add(item, spend.nullifiers)
        if not self._transactions.send(raw):
            self._journal.remove(item)
            raise RelayerError("the relayer's node refused the transaction: try again later", "node")
        log.info("sent", id=item.id, nonce=nonce, transaction=item.hashes[-1])
        return item

    def _tend(self, item: Submission) -> None:
        mined = self._transactions.mined(item)
        if mined is not None:
            self._close(item, *mined)
        elif self._transactions.nonce("latest") > item.nonce:
            # The receipt may be a moment behind the nonce.
            if self._clock() - item.sent_at > self.policy.stuck_after:
                self._fail(item, "another transaction of the relayer's account took its place")
        elif self._clock() - item.sent_at > self.policy.stuck_after:
            self._replace(item)

    def _close(self, item: Submission, transaction: str, succeeded: bool) -> None:
        others = tuple(shown for shown in item.hashes if shown != transaction)
        item = replace(item, hashes=(*others, transaction))
        if succeeded and not self._was_cancelled(item, transaction):
            self._journal.update(replace(item, state="settled"))
            log.info("settled", id=item.id, transaction=transaction)
        else:
            self._fail(item, "the pool refused it when it was mined" if not succeeded else "it was cancelled")

    def _was_cancelled(self, item: Submission, transaction: str) -> bool:
        """Whether this was the transaction that uses the nonce up: it goes to the relayer itself."""
        return item.cancelled and self._transactions.recipient(transaction) == self.address

    def _fail(self, item: Submission, detail: str) -> None:
        self._journal.update(replace(item, state="failed", detail=detail))
        log.warning("failed", id=item.id, detail=detail)

    def _replace(self, item: Submission) -> None:
        cancelled = item.cancelled
        if not cancelled:
            try:
                # Not after what is pending: there its own transaction has spent the notes.
                self.pool.estimate(item.data, "latest")
            except RevertedError:
                # It would now only burn gas: its deadline is over, or its notes were spent another way.
                cancelled = True
        dearer, market = GasPrice(item.max_fee, item.tip).raised(), self._transactions.price()
        price = GasPrice(max(dearer.max_fee, market.max_fee), max(dearer.tip, market.tip))
        if price.max_fee > self.policy.dearest:
            price = GasPrice(item.max_fee, item.tip)  # sent again as it is, in case the node forgot it
            cancelled = item.cancelled
        changed = replace(item, max_fee=price.max_fee, tip=price.tip, cancelled=cancelled, sent_at=self._clock())
        changed, raw = self._transactions.sign(changed)
        self._journal.update(changed)
        self._transactions.send(raw)
        log.info("replaced", id=item.id, nonce=item.nonce, transaction=changed.hashes[-1], cancelled=cancelled)
