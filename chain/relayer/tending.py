"""Cares for payments that are under way: notes what was mined, replaces what is stuck, begins again after a
reorganisation.

A payment is pending until enough blocks hold it. Then it is settled or failed, and still watched until it is so deep
that no reorganisation is expected: when its block is replaced before, it is pending again and sent again.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog

from chain.errors import RevertedError
from chain.pool import Pool
from chain.relayer import metrics
from chain.relayer.journal import Journal, Submission
from chain.relayer.policy import Policy
from chain.rpc import on_one_endpoint
from chain.transactions import GasPrice, Mined, Transactions

log = structlog.get_logger("gelap.relayer")


@dataclass(frozen=True)
class _Seen:
    """What one endpoint says at about one time: its newest block, the hashes of blocks that are watched (None where it
    has no such block), the mined one of each pending payment by id, and how many transactions of the account are mined.
    """

    head: tuple[int, str]
    hashes: dict[int, str | None]
    mined: dict[str, Mined | None]
    nonce: int


class Tender:
    """One hand at a time: the caller holds a lock. Raises RpcError when the node does not answer."""

    def __init__(
        self,
        pool: Pool,
        journal: Journal,
        transactions: Transactions,
        policy: Policy,
        clock: Callable[[], float],
    ) -> None:
        self._pool = pool
        self._journal = journal
        self._transactions = transactions
        self._policy = policy
        self._clock = clock
        self._head: tuple[int, str] | None = None
        self._lower_since: float | None = None

    def tend(self) -> None:
        """Look after everything once."""
        # Two endpoints can be on different forks, and would look like a reorganisation.
        seen = on_one_endpoint(self._pool.w3, self._look)
        if self._is_behind(seen.head[0]):
            return
        self._head = seen.head
        for item in self._journal.watched():
            if item.block_number in seen.hashes:
                self._watch(item, seen)
        for item in self._journal.pending():
            if item.id in seen.mined:
                self._tend(item, seen)

    def _look(self) -> _Seen:
        head = self._transactions.head()
        hashes: dict[int, str | None] = {}
        if head != self._head:
            numbers = {item.block_number for item in self._journal.watched() if item.block_number is not None}
            hashes = {number: self._pool.block_hash(number) for number in sorted(numbers)}
        # Before the receipts: a block between the two must not look as if the nonce had gone to another transaction.
        nonce = self._transactions.nonce("latest")
        mined = {item.id: self._transactions.mined(item.hashes) for item in self._journal.pending()}
        return _Seen(head, hashes, mined, nonce)

    def _is_behind(self, head: int) -> bool:
        """Whether the node may just not have read as far as it, or another endpoint, had. A chain that stays shorter
        was replaced.
        """
        if self._head is None or head >= self._head[0]:
            self._lower_since = None
            return False
        now = self._clock()
        if self._lower_since is None:
            self._lower_since = now
        return now - self._lower_since < self._policy.stuck_after

    def _watch(self, item: Submission, seen: _Seen) -> None:
        """Look whether the block of a payment that has ended is still there."""
        number = item.block_number
        assert number is not None
        if seen.hashes[number] != item.block_hash:
            self._begin_again(item)
        elif seen.head[0] - number + 1 >= self._policy.final_after:
            # Its call is on the chain for good; the nullifiers stay, so that it is known when it comes again.
            self._journal.update(replace(item, final=True, data=""))

    def _tend(self, item: Submission, seen: _Seen) -> None:
        mined = seen.mined[item.id]
        if mined is not None:
            if item.block_hash is not None and item.block_hash != mined.block_hash:
                self._tell_reorg(item)
            item = self._in_block(item, mined)
            if seen.head[0] - mined.block_number + 1 >= self._policy.confirmations:
                self._close(item, mined)
        elif item.block_hash is not None:
            self._begin_again(item)
        elif seen.nonce > item.nonce:
            # The receipt may be a moment behind the nonce.
            if self._clock() - item.sent_at > self._policy.stuck_after:
                self._end(item, "failed", "another transaction of the relayer's account took its place")
        elif self._clock() - item.sent_at > self._policy.stuck_after:
            self._send_again(item)

    def _in_block(self, item: Submission, mined: Mined) -> Submission:
        """Keep which block holds the payment, if that is new."""
        if item.block_hash == mined.block_hash and item.block_number == mined.block_number:
            return item
        others = tuple(shown for shown in item.hashes if shown != mined.transaction)
        item = replace(
            item,
            hashes=(*others, mined.transaction),
            block_number=mined.block_number,
            block_hash=mined.block_hash,
        )
        self._journal.update(item)
        return item

    def _close(self, item: Submission, mined: Mined) -> None:
        metrics.GAS.inc(mined.gas_used)
        metrics.GAS_ETHER.inc(mined.gas_used * mined.gas_price / 10**18)
        if mined.succeeded and not mined.cancelled:
            self._end(item, "settled")
            metrics.FEES.labels(item.token, item.way).inc(item.fee)
        else:
            self._end(
                item, "failed", "it was cancelled" if mined.cancelled else "the pool refused it when it was mined"
            )

    def _end(self, item: Submission, state: str, detail: str = "") -> None:
        self._journal.update(replace(item, state=state, detail=detail))
        metrics.PAYMENTS.labels(state).inc()
        if state == "settled":
            log.info("settled", id=item.id, transaction=item.hashes[-1])
        else:
            log.warning("failed", id=item.id, detail=detail)

    def _begin_again(self, item: Submission) -> None:
        """Its block is gone: send it again, at its price, as the node may hold it still; cancel it if it can only fail
        now.
        """
        self._tell_reorg(item)
        self._send_again(replace(item, state="pending", detail="", block_number=None, block_hash=None), dearer=False)

    def _tell_reorg(self, item: Submission) -> None:
        metrics.REORGS.inc()
        log.warning("its block was replaced", id=item.id, block=item.block_number)

    def _send_again(self, item: Submission, dearer: bool = True) -> None:
        cancelled = item.cancelled
        if not cancelled:
            try:
                # Not after what is pending: there its own transaction has spent the notes.
                self._pool.estimate(item.data, "latest")
            except RevertedError:
                # It would now only burn gas: its deadline is over, or its notes were spent another way.
                cancelled = True
        price = GasPrice(item.max_fee, item.tip)
        if dearer or cancelled != item.cancelled:
            raised = price.raised().at_least(self._transactions.price())
            if raised.max_fee <= self._policy.dearest:
                price = raised
            else:
                cancelled = item.cancelled  # sent again as it is, in case the node forgot it
        shown, raw = self._transactions.sign(item.nonce, price, item.gas, None if cancelled else item.data)
        hashes = (*(other for other in item.hashes if other != shown), shown)
        changed = replace(
            item, max_fee=price.max_fee, tip=price.tip, cancelled=cancelled, sent_at=self._clock(), hashes=hashes
        )
        self._journal.update(changed)
        self._transactions.send(shown, raw)
        metrics.REPLACED.inc()
        log.info("replaced", id=item.id, nonce=item.nonce, transaction=shown, cancelled=cancelled)
