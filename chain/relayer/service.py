"""The relayer: quotes fees, checks that a payment pays, sends it, and cares for it until it is settled.

It cannot change a payment, as receiver, relayer, fee, deadline and memos are bound in the proof; it can refuse or delay
it.
"""

import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from eth_account.signers.local import LocalAccount
from eth_utils import to_checksum_address

from chain.errors import ChainError, RelayerError, RevertedError
from chain.pool import Pool, Spend
from chain.relayer import metrics
from chain.relayer.acceptance import Paid, require_paid
from chain.relayer.journal import Journal, Submission
from chain.relayer.note_fees import NoteFees
from chain.relayer.policy import Policy
from chain.relayer.prices import GAS, Prices
from chain.relayer.quote import Kind, Quote, SignedQuote
from chain.relayer.tending import Tender
from chain.rpc import rpc_errors
from chain.sender import GAS_MARGIN_PERCENT
from chain.transactions import CANCEL_GAS, GasPrice, Transactions

log = structlog.get_logger("gelap.relayer")
_MINUTE = 60
# A node that has not been read to the end for so long is taken to be away.
_NODE_SECONDS = 30.0
# So many payments are looked at at once; a slow node must not take all threads that answer.
_HANDS = 16


@dataclass(frozen=True)
class Health:
    """Whether payments should be sent here: all three are needed, and `stopping` is not."""

    node_up: bool
    funded: bool
    prices_usable: bool
    stopping: bool

    @property
    def ready(self) -> bool:
        return self.node_up and self.funded and self.prices_usable and not self.stopping


class Relayer:
    """Safe for several threads. Refusals are RelayerErrors; another ChainError means that the node does not answer."""

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

        Raises ChainError when the journal is another account's, pool's or chain's.
        """
        self.pool = pool
        self.address = account.address
        self.policy = policy or Policy()
        self._asked_for_notes = note_fees is not None
        self.note_fees = note_fees if (2, 3) in pool.arities() else None
        self._account = account
        self._prices = prices
        self._journal = journal
        self._clock = clock
        self._transactions = Transactions(pool.w3, account, pool.address, pool.chain_id)
        self._tender = Tender(pool, journal, self._transactions, self.policy, clock)
        # One payment at a time takes a nonce, and one hand cares for those under way.
        self._sending = threading.Lock()
        self._quotes: dict[tuple[str, Kind], tuple[int, SignedQuote]] = {}
        self._hands = threading.BoundedSemaphore(_HANDS)
        self._seen_at: float | None = None
        self._funded = False
        self._stopping = False
        journal.require_owner(f"{self.address} in the pool {pool.address} of chain {pool.chain_id}")

    def tokens(self) -> list[str]:
        """The tokens that a fee can be paid in."""
        return sorted(self._prices.rates())

    def quote(self, token: str, kind: Kind) -> SignedQuote:
        """A fee that this relayer will settle one payment for until the quote expires.

        Everybody who asks within the same minute gets the same one, so that presenting it does not tell who asked.
        """
        self._require_staying()
        token = to_checksum_address(token)
        rate = self._prices.rates().get(token, 0)
        # A whole minute, at least `quote_life` away.
        expiry = -(-(self.pool.now() + self.policy.quote_life) // _MINUTE) * _MINUTE
        kept_rate, kept = self._quotes.get((token, kind), (0, None))
        if kept is not None and (kept_rate, kept.quote.expiry) == (rate, expiry):
            return kept
        payee = self._payee(kind)
        fee = self._prices.fee(token, kind, self._transactions.expected_price())
        self._require_funds(GAS[kind], self._transactions.price())
        terms = (self.pool.chain_id, self.pool.address, self.address, token, kind)
        signed = Quote(*terms, fee, expiry, payee).signed(self._account)
        self._quotes[token, kind] = rate, signed
        return signed

    def submit(self, signed: SignedQuote, spend: Spend) -> Submission:
        """Check a payment and send it. A payment that spends a note of one under way, or of one settled here, is
        answered with that one and not sent again, as only one of them can succeed.
        """
        data = self.pool.spend_data(spend)
        if not self._hands.acquire(blocking=False):
            raise RelayerError("too many payments are being looked at: try again in a moment", "busy")
        try:
            return self._submit(data, signed, spend)
        finally:
            self._hands.release()

    def _submit(self, data: str, signed: SignedQuote, spend: Spend) -> Submission:
        with self._sending:
            known = self._journal.with_nullifier(spend.nullifiers)
            if known is not None:
                return known
            self._require_staying()
            paid = self._require_acceptable(signed, spend)
            self._require_room(signed.quote.token)
            gas = self._simulate(data)
            if self._prices.cost(signed.quote.token, gas, self._transactions.expected_price()) > paid.fee:
                raise RelayerError("gas has become dearer than the fee: ask for a new quote", "underpaid")
            price = self._transactions.price().at_most(self.policy.dearest)
            gas += gas * GAS_MARGIN_PERCENT // 100
            self._require_funds(gas, price)
            return self._send(data, gas, price, spend, signed.quote, paid)

    def find(self, submission_id: str) -> Submission:
        found = self._journal.find(submission_id)
        if found is None:
            raise RelayerError("no payment has this id", "unknown")
        return found

    def tend(self) -> None:
        """Look after what is under way, once: see `chain.relayer.tending`."""
        with self._sending:
            self._tender.tend()
            balance = self._transactions.balance()
            pending = self._journal.pending()
            self._funded = self._left(balance, max(GAS.values()), self._transactions.price()) >= 0
        self._seen_at = self._clock()
        oldest = min((item.came_at for item in pending), default=self._seen_at)
        metrics.PENDING.set(len(pending))
        metrics.OLDEST_PENDING.set(self._seen_at - oldest)
        metrics.BALANCE.set(balance / 10**18)

    def run(self, stop: threading.Event, pause: float = 2.0) -> None:
        """Tend until `stop` is set, whatever the node does."""
        while True:
            try:
                self.tend()
            except ChainError as error:
                log.warning("node failed", reason=type(error).__name__)
            metrics.NODE_UP.set(self.health().node_up)
            if stop.wait(pause):
                return

    def drain(self) -> None:
        """Take nothing new from now on; what is under way is cared for as before."""
        self._stopping = True

    def pending_count(self) -> int:
        """How many payments are under way."""
        return len(self._journal.pending())

    def require_usable(self) -> None:
        """Compare what was configured with the chain, before serving. Raises ChainError with what to change."""
        for token in self.tokens():
            with rpc_errors():
                known = bool(self.pool.w3.eth.get_code(to_checksum_address(token)))
            if not known:
                raise ChainError(f"there is no token at {token} on chain {self.pool.chain_id}: correct the prices")
            if self.pool.token(token).balance_of(self.address) == 0:
                # 22,100 gas for a new storage slot of the token, against 5,000 for one that has been written.
                log.warning("holds none of a token: the first fee in it costs 17,100 gas more", token=token)
        if self.note_fees is None and self._asked_for_notes:
            raise ChainError("this pool has no key for payments that pay with a note: leave the viewing key out")

    def health(self) -> Health:
        node_up = self._seen_at is not None and self._clock() - self._seen_at < _NODE_SECONDS
        return Health(node_up, self._funded, self._prices.usable, self._stopping)

    def _require_staying(self) -> None:
        if self._stopping:
            raise RelayerError("this relayer is about to stop: use another one, or try again later", "stopping")

    def _payee(self, kind: Kind) -> str:
        """The Gelap address to pay, empty for a fee on chain. RelayerError (`kind`) for what is not served."""
        if kind == "consolidate" and (8, 2) not in self.pool.arities():
            raise RelayerError("this pool has no key for spends of 8 notes: ask for a quote of another kind", "kind")
        if kind != "transact-note":
            return ""
        if self.note_fees is None:
            raise RelayerError("this relayer takes no fee paid with a note: ask for a quote of another kind", "kind")
        return self.note_fees.address.encode()

    def _require_acceptable(self, signed: SignedQuote, spend: Spend) -> Paid:
        quote, now = signed.quote, self.pool.now()
        signed.require_valid(now)
        if (quote.chain_id, quote.pool, quote.relayer) != (self.pool.chain_id, self.pool.address, self.address):
            raise RelayerError("the quote is for another relayer, pool or chain", "bad-quote")
        paid = require_paid(quote, spend, self.address, self.note_fees)
        if paid.note is not None and self._journal.with_fee_note(paid.note) is not None:
            raise RelayerError("that note has paid for another payment: make a new one", "underpaid")
        if spend.deadline < now + self.policy.least_time:
            raise RelayerError(f"the payment ends in less than {self.policy.least_time} s: build it again", "deadline")
        return paid

    def _require_room(self, token: str) -> None:
        pending = self._waiting()
        if len(pending) >= self.policy.most_pending:
            raise RelayerError("too many payments are under way: try again later", "busy")
        if sum(item.token == token for item in pending) >= self.policy.most_pending_per_token:
            raise RelayerError("too many payments of this token are under way: try again later", "busy")

    def _waiting(self) -> list[Submission]:
        """Payments that no block holds."""
        return [item for item in self._journal.pending() if item.block_hash is None]

    def _left(self, balance: int, gas: int, price: GasPrice) -> int:
        """The account's wei above the least balance, after everything that waits and `gas` more, at worst."""
        waiting = sum(item.max_fee * (CANCEL_GAS if item.cancelled else item.gas) for item in self._waiting())
        return balance - waiting - gas * price.max_fee - self.policy.least_balance

    def _require_funds(self, gas: int, price: GasPrice) -> None:
        balance = self._transactions.balance()
        if self._left(balance, gas, price) < 0:
            self._funded = False
            log.warning("too little ether", ether=balance / 10**18)
            raise RelayerError(
                "the relayer's account has too little ether: use another relayer, or broadcast the payment yourself",
                "unfunded",
            )

    def _simulate(self, data: str) -> int:
        try:
            return self.pool.estimate(data)
        except RevertedError as error:
            raise RelayerError(str(error), "refused") from error

    def _send(self, data: str, gas: int, price: GasPrice, spend: Spend, quote: Quote, paid: Paid) -> Submission:
        nonce = max(self._transactions.nonce(), self._journal.next_nonce())
        if not self._journal.pending():
            # Nothing of ours waits, so a gap would be of nonces that were never used, and would block all that follow.
            nonce = self._transactions.nonce()
        name = hashlib.sha256(f"{nonce}:{data}".encode()).hexdigest()
        shown, raw = self._transactions.sign(nonce, price, gas, data)
        now = self._clock()
        item = Submission(
            id=name,
            nonce=nonce,
            data=data,
            gas=gas,
            max_fee=price.max_fee,
            tip=price.tip,
            sent_at=now,
            hashes=(shown,),
            token=quote.token,
            fee=paid.fee,
            way="chain" if paid.note is None else "note",
            came_at=now,
        )
        # Kept first: a crash after it was sent must not lead to a second transaction.
        self._journal.add(item, spend.nullifiers, paid.note)
        if not self._transactions.send(shown, raw):
            self._journal.remove(item)
            raise RelayerError("the relayer's node refused the transaction: try again later", "node")
        metrics.PENDING.set(self.pending_count())
        log.info("sent", id=item.id, nonce=nonce, transaction=shown)
        return item
