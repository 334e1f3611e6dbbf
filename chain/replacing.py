"""Sends one call at a time from an account of its own, and replaces it while no block takes it.

Nothing is kept on disk: what an earlier process left waiting is found by the account's nonce, and cancelled or
replaced.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog
from eth_account.signers.local import LocalAccount

from chain.errors import NotMinedError, RevertedError, RpcError
from chain.pool import Pool
from chain.rpc import rpc_errors
from chain.sender import GAS_MARGIN_PERCENT, Receipt
from chain.transactions import GasPrice, Mined, Transactions

log = structlog.get_logger("gelap.sequencer")


@dataclass(frozen=True)
class Urgency:
    """A transaction that no block holds after `stuck_after` seconds is replaced by one that is an eighth dearer, up to
    `dearest` wei for a unit of gas. `poll` seconds lie between two looks.
    """

    stuck_after: float = 60.0
    dearest: int = 500 * 10**9
    poll: float = 1.0


@dataclass(frozen=True)
class _Sent:
    """What waits with one nonce: its gas and data (None uses the nonce up), and all transactions sent so far, the
    last one `at` this time."""

    nonce: int
    gas: int
    data: str | None
    price: GasPrice
    hashes: tuple[str, ...] = ()
    at: float = 0.0


class ReplacingSender:
    """Calls of the pool by `account`, which nothing else may use. Not for several threads.

    `tell` hears of every transaction of a call that was mined, failed and cancelled ones included, `replaced` of every
    one that was replaced.
    """

    def __init__(
        self,
        pool: Pool,
        account: LocalAccount,
        urgency: Urgency | None = None,
        tell: Callable[[Mined], None] | None = None,
        replaced: Callable[[], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pool = pool
        self._urgency = urgency or Urgency()
        self._transactions = Transactions(pool.w3, account, pool.address, pool.chain_id)
        self._tell = tell or (lambda mined: None)
        self._replaced = replaced or (lambda: None)
        self._clock = clock
        self._left_since: float | None = None

    def balance(self) -> int:
        """The account's, in wei."""
        return self._transactions.balance()

    def send(self, data: str, wanted: Callable[[], bool], stop: threading.Event) -> Receipt | None:
        """Settle the call, however long that takes; None when it was cancelled because it was `wanted` no more.

        Raises RevertedError when the pool refuses it, before it is sent or in its block, RpcError when the node does
        not take it, and NotMinedError when `stop` was set or the nonce was used otherwise: it may still land.
        """
        gas = self._pool.estimate(data)
        nonce = self._transactions.nonce("latest")
        price = self._transactions.price().at_most(self._urgency.dearest)
        sent = _Sent(nonce, gas + gas * GAS_MARGIN_PERCENT // 100, data, price)
        return self._settle(self._hand_over(sent), wanted, stop)

    def clear(self, stop: threading.Event) -> bool:
        """Cancel what an earlier process left waiting, once it has been seen for `stuck_after` seconds; whether there
        was such a thing. Raises as `send` does.
        """
        latest = self._transactions.nonce("latest")
        if self._transactions.nonce("pending") <= latest:
            self._left_since = None
            return False
        now = self._clock()
        self._left_since = now if self._left_since is None else self._left_since
        if now - self._left_since < self._urgency.stuck_after:
            return False
        log.warning("cancelling a transaction of an earlier process", nonce=latest)
        self._left_since = None
        price = self._transactions.price().at_most(self._urgency.dearest)
        self._settle(self._hand_over(_Sent(latest, 0, None, price)), lambda: True, stop)
        return True

    def _hand_over(self, sent: _Sent) -> _Sent:
        """Send it for the first time, dearer than what may wait with the same nonce from an earlier process."""
        while True:
            sent = self._signed(sent)
            if self._sent(sent):
                return replace(sent, at=self._clock())
            raised = sent.price.raised()
            if raised.max_fee > self._urgency.dearest or self._transactions.nonce("pending") <= sent.nonce:
                raise RpcError("the chain's node refuses the transaction: has the account enough ether for its gas?")
            sent = replace(sent, price=raised)

    def _settle(self, sent: _Sent, wanted: Callable[[], bool], stop: threading.Event) -> Receipt | None:
        while True:
            try:
                mined = self._transactions.mined(sent.hashes)
                if mined is not None:
                    self._tell(mined)
                    return self._receipt(mined)
                sent = self._pushed(sent, wanted)
            except RpcError as error:
                # It is under way whether a node answers or not.
                log.warning("node failed", reason=type(error).__name__)
            if stop.wait(self._urgency.poll):
                raise NotMinedError(f"transaction {sent.hashes[-1]} still waits for a block", sent.hashes[-1])

    def _pushed(self, sent: _Sent, wanted: Callable[[], bool]) -> _Sent:
        """Replaced when it is time for that, or at once to cancel it."""
        late = self._clock() - sent.at > self._urgency.stuck_after
        if late and self._transactions.nonce("latest") > sent.nonce:
            if self._transactions.mined(sent.hashes) is not None:
                return sent  # its block came between the two questions
            shown = sent.hashes[-1]
            raise NotMinedError(f"another transaction of the account took the place of {shown}", shown)
        unwanted = sent.data is not None and not wanted()
        if not late and not unwanted:
            return sent
        price = sent.price.raised().at_least(self._transactions.price())
        if price.max_fee <= self._urgency.dearest:
            sent = self._signed(replace(sent, price=price, data=None if unwanted else sent.data))
            self._replaced()
            log.info("replaced", nonce=sent.nonce, transaction=sent.hashes[-1], cancelled=sent.data is None)
        # Else as it is, in case the node forgot it. A refusal means that it has it, or that it was mined meanwhile.
        self._sent(sent)
        return replace(sent, at=self._clock())

    def _signed(self, sent: _Sent) -> _Sent:
        shown, _ = self._transactions.sign(sent.nonce, sent.price, sent.gas, sent.data)
        return replace(sent, hashes=(*(other for other in sent.hashes if other != shown), shown))

    def _sent(self, sent: _Sent) -> bool:
        shown, raw = self._transactions.sign(sent.nonce, sent.price, sent.gas, sent.data)
        return self._transactions.send(shown, raw)

    def _receipt(self, mined: Mined) -> Receipt | None:
        if mined.cancelled:
            return None
        if not mined.succeeded:
            raise RevertedError(
                f"transaction {mined.transaction} was mined and refused: another batch came first",
                transaction=mined.transaction,
            )
        with rpc_errors():
            timestamp = self._pool.w3.eth.get_block(mined.block_number)["timestamp"]
        return Receipt(mined.transaction, mined.block_number, mined.gas_used, timestamp)
