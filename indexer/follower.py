"""Follows one pool on one chain: reads what is new, replaces what was reorganised, and halts when nothing fits.

A page goes into the database only after every root in it was rebuilt, and the last page of a round only after the
contract itself named the same root, next leaf and number of pending commitments. When blocks were replaced, their
replacement is read and checked first; then one transaction cuts the old rows off and writes the new ones.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from chain.errors import MismatchError, NodesDisagreeError, RpcError
from chain.stream.records import BlockId
from indexer import metrics
from indexer.agreement import require_agreement
from indexer.chains import preset_of
from indexer.contract import check_contract, require_code
from indexer.errors import EndpointsError, HaltError, StoreError, WriterError
from indexer.health import Health, Phase
from indexer.pages import read_pages
from indexer.rpc import Endpoint, Endpoints
from indexer.state import Changes, PoolHistory
from indexer.store import Store
from protocol.merkle import CAPACITY

# A block replaced while it is read looks like a false event; what stays wrong so often is not that.
MISMATCHES_TO_HALT = 4
# An endpoint without a new block for so long may have lost its peers: let the others be asked first.
STALL_SECONDS = 60.0
LONGEST_PAUSE = 10.0

log = structlog.get_logger("gelap.indexer")


@dataclass(frozen=True)
class Pace:
    """`confirmations`: how many blocks stay unread below the newest; `poll`: seconds between two looks at the chain."""

    confirmations: int = 3
    poll: float = 3.0


class Follower:
    """Not for use by several threads. `on_tip` is called with each new tip after it was written.

    `name` is the chain's, for metrics, logs and `health`; None for that of its preset.
    """

    def __init__(
        self,
        store: Store,
        endpoints: Endpoints,
        address: bytes,
        pace: Pace | None = None,
        on_tip: Callable[[BlockId], None] = lambda tip: None,
        name: str | None = None,
        health: Health | None = None,
    ) -> None:
        self.name = name or preset_of(store.chain_id).name
        self._store = store
        self._endpoints = endpoints
        self._address = "0x" + address.hex()
        self._pace = pace or Pace()
        self._on_tip = on_tip
        self._health = health or Health()
        self._log = log.bind(chain=self.name)
        self._stopping = threading.Event()
        self._code_seen = False
        self._head = -1
        self._head_since = time.monotonic()
        self._history: PoolHistory | None = None
        self._tip: BlockId | None = None

    def stop(self) -> None:
        """Let `run` return after the page in hand; may be called from any thread."""
        self._stopping.set()

    def run(self) -> None:
        """Follow the chain until `stop`. Raises HaltError and WriterError; anything else is waited out."""
        mismatches, pause = 0, self._pace.poll
        while not self._stopping.is_set():
            try:
                self.round()
                mismatches, pause = 0, self._pace.poll
                self._health.set(self.name, Phase.FOLLOWING)
            except MismatchError as error:
                mismatches += 1
                metrics.MISMATCHES.labels(self.name).inc()
                self._log.error("events and contract disagree", attempt=mismatches, reason=str(error))
                if mismatches >= MISMATCHES_TO_HALT:
                    raise HaltError(f"halted, and wrote nothing of it: {error}") from error
                self._health.set(self.name, Phase.WAITING, str(error))
                pause = min(max(1.0, self._pace.poll), LONGEST_PAUSE)
            except NodesDisagreeError as error:
                # Not a reason to halt: a provider that is on a fork for a while comes back.
                metrics.MISMATCHES.labels(self.name).inc()
                self._log.error("endpoints disagree", reason=str(error))
                self._health.set(self.name, Phase.WAITING, str(error))
                pause = min(max(1.0, 2 * pause), LONGEST_PAUSE)
            except EndpointsError as error:
                self._log.error("waiting for an endpoint", reason=str(error))
                self._health.set(self.name, Phase.WAITING, str(error))
                pause = min(max(1.0, 2 * pause), LONGEST_PAUSE)
            except WriterError:
                raise
            except StoreError as error:
                self._log.error("waiting for the database", reason=str(error))
                self._health.set(self.name, Phase.WAITING, str(error))
                pause = min(max(1.0, 2 * pause), LONGEST_PAUSE)
            self._stopping.wait(pause)

    def round(self) -> None:
        """Read and write everything that is new, once.

        Raises EndpointsError, MismatchError, NodesDisagreeError and StoreError.
        """
        try:
            self._endpoints.attempt(self._follow)
        except BaseException:
            # A page that was refused may have moved the tree in memory already.
            self._history = None
            raise
        metrics.LAST_ROUND.labels(self.name).set_to_current_time()

    def _follow(self, endpoint: Endpoint) -> None:
        if self._history is None:
            self._tip = self._store.tip()
            self._history = self._store.history_at(self._tip)
            self._show()
        try:
            if not self._code_seen:
                require_code(endpoint, self._address)
                self._code_seen = True
            head = endpoint.number("eth_blockNumber")
            self._watch_head(endpoint, head)
            target = head - self._pace.confirmations
            metrics.LAG.labels(self.name).set(
                max(0, target - (self._tip.number if self._tip else self._store.first_block - 1))
            )
            base = self._common_block(endpoint, head)
            if base == self._tip:
                self._read_on(endpoint, target)
            else:
                self._replace(endpoint, base, target)
        except BaseException:
            self._history = None
            raise

    def _watch_head(self, endpoint: Endpoint, head: int) -> None:
        now = time.monotonic()
        if head != self._head:
            self._head, self._head_since = head, now
        elif now - self._head_since > STALL_SECONDS:
            self._head_since = now
            self._endpoints.rest(endpoint, STALL_SECONDS / 2)
        metrics.HEAD.labels(self.name).set(head)

    def _common_block(self, endpoint: Endpoint, head: int) -> BlockId | None:
        """The newest journaled block that the endpoint's chain still has; None for before the first.

        Raises RpcError when the endpoint has not reached the tip yet and shows no other block where it could, and
        MismatchError when blocks differ that are too old to be replaced.
        """
        if self._tip is None:
            return None
        differs = False
        for block in self._store.journal(self._tip.number):
            theirs = endpoint.block_hash(block.number) if block.number <= head else None
            if theirs == block.hash:
                if block != self._tip and not differs:
                    raise RpcError(f"{endpoint.name} is behind: it knows block {head}, {self._tip.number} is indexed")
                return block
            # A block that the endpoint does not have yet says nothing about the one that will be there.
            if theirs is not None and not differs:
                differs = True
                self._require_same_past(endpoint, self._tip.number - self._store.journal_depth)
        if not differs:
            raise RpcError(f"{endpoint.name} is behind: it knows block {head}, {self._tip.number} is indexed")
        return None

    def _require_same_past(self, endpoint: Endpoint, number: int) -> None:
        """Raises MismatchError when the endpoint has another block than the newest journaled one below `number`."""
        oldest = next(self._store.journal(number - 1), None)
        if oldest is not None and endpoint.block_hash(oldest.number) != oldest.hash:
            raise MismatchError(
                f"{endpoint.name} has none of the last {self._store.journal_depth} blocks that were indexed: it serves "
                "another chain with the same id, or the chain began anew, which needs a new database"
            )

    def _read_on(self, endpoint: Endpoint, target: int) -> None:
        first = self._store.first_block if self._tip is None else self._tip.number + 1
        for page in read_pages(endpoint, self._address, first, target):
            assert self._history is not None
            changes = self._history.follow(page)
            if page.last.number == target:
                self._check(endpoint, page.last, self._tip)
            self._write([changes], self._tip)
            if self._stopping.is_set():
                return

    def _replace(self, endpoint: Endpoint, base: BlockId | None, target: int) -> None:
        assert self._tip is not None
        first = self._store.first_block if base is None else base.number + 1
        if first > target:
            return
        self._log.warning("blocks were replaced", after=base.number if base else None, tip=self._tip.number)
        self._history = self._store.history_at(base)
        changes = [self._history.follow(page) for page in read_pages(endpoint, self._address, first, target)]
        self._check(endpoint, changes[-1].tip, base)
        replaced = self._tip.number - (first - 1)
        self._write(changes, base)
        metrics.REORGS.labels(self.name).inc()
        metrics.REORG_BLOCKS.labels(self.name).observe(replaced)
        self._log.warning("followed a reorganisation", replaced_blocks=replaced, tip=target)

    def _check(self, endpoint: Endpoint, tip: BlockId, common: BlockId | None) -> None:
        """Compare what was read up to `tip` with the contract, as `endpoint` and then as the others have it.

        What the database holds up to the block `common` is of the same chain.
        """
        assert self._history is not None
        check_contract(endpoint, self._address, tip.number, self._history)

        def older(head: int) -> BlockId | None:
            if common is None:
                return None
            return next(self._store.journal(min(common.number, head - self._pace.confirmations)), None)

        require_agreement(self._endpoints, endpoint, self._address, tip, self._history, older)

    def _write(self, changes: list[Changes], onto: BlockId | None) -> None:
        with metrics.WRITE_SECONDS.labels(self.name).time():
            self._store.write(changes, onto, self._tip)
        self._tip = changes[-1].tip
        for each in changes:
            for kind, events in (
                ("commitment", each.commitments),
                ("nullifier", each.nullifiers),
                ("withdrawal", each.withdrawals),
                ("batch", each.batches),
            ):
                metrics.EVENTS.labels(self.name, kind).inc(len(events))
        self._show()
        self._on_tip(self._tip)

    def _show(self) -> None:
        assert self._history is not None
        if self._tip is not None:
            metrics.TIP.labels(self.name).set(self._tip.number)
            metrics.TIP_TIME.labels(self.name).set(self._tip.timestamp)
            metrics.LAG.labels(self.name).set(max(0, self._head - self._pace.confirmations - self._tip.number))
        metrics.COMMITMENTS.labels(self.name).set(self._history.counters.queued)
        metrics.PENDING.labels(self.name).set(self._history.pending_count)
        metrics.LEAVES.labels(self.name).set(self._history.next_leaf_index)
        metrics.CAPACITY_RATIO.labels(self.name).set(self._history.next_leaf_index / CAPACITY)
