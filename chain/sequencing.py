"""The sequencer as a service: inserts what is pending, round after round, for as long as it runs.

It keeps nothing that it could lose: a new process reads the pool's events again and goes on. Several may serve one
pool; whoever comes second has proved, and at worst paid gas, in vain.
"""

import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from chain import sequencer_metrics as metrics
from chain.errors import ChainError, MismatchError, NotMinedError, ReorgError, RevertedError, RpcError
from chain.pool import Pool
from chain.proving import ProofSource, Proven
from chain.replacing import ReplacingSender, Urgency
from chain.sequencer import Outcome, Round, insert_pending, under_way
from chain.state import PoolState
from chain.transactions import Mined
from protocol.merkle import BATCH

# A block replaced while it is read looks like a contradiction; what is one so often in a row is not that.
MISMATCHES_TO_END = 4

log = structlog.get_logger("gelap.sequencer")


@dataclass(frozen=True)
class Pace:
    """When to act; all in seconds.

    A full batch is inserted at once, a short one when its oldest commitment has waited for `patience` and the pool
    allows it (after 60 to 120). `poll` lies between two looks at the chain, and a random part of `jitter` before each
    batch, so that several sequencers seldom prove the same. After a failure the pause grows from `poll` to
    `longest_pause`.
    """

    patience: float = 120.0
    poll: float = 5.0
    jitter: float = 2.0
    longest_pause: float = 60.0


class Sequencer:
    """Serves one pool from one account of its own. `prove` failures are whatever classes `retried` names."""

    def __init__(
        self,
        pool: Pool,
        prover: ProofSource,
        pace: Pace | None = None,
        state: PoolState | None = None,
        retried: tuple[type[Exception], ...] = (),
        urgency: Urgency | None = None,
    ) -> None:
        """Raises ChainError for a pool that is seen without an account."""
        if pool.account is None:
            raise ChainError("a sequencer needs an account that pays for gas")
        self._pool = pool
        self._prover = _RememberingProver(prover)
        self._pace = pace or Pace()
        self._state = state or PoolState(pool)
        self._retried: tuple[type[Exception], ...] = (RpcError, ReorgError, MismatchError, NotMinedError, *retried)
        self._sender = ReplacingSender(pool, pool.account, urgency, _count_gas, metrics.REPLACED.inc)

    def run(self, stop: threading.Event, rounds: Callable[[Round], None] | None = None) -> None:
        """Work until `stop` is set; `rounds` hears of every round that tried a batch.

        Goes on after an endpoint, a prover or a transaction that failed. Raises MismatchError when events and contract
        disagree MISMATCHES_TO_END times in a row, as nothing may be built on such a chain, and RevertedError when the
        pool refuses a batch that nobody else came before.
        """
        pause, mismatches = self._pace.poll, 0
        while not stop.is_set():
            wait = self._pace.poll
            try:
                done = self.step(stop)
                pause, mismatches = self._pace.poll, 0
                if done is not None:
                    self._tell(done)
                    if rounds:
                        rounds(done)
                    wait = 0.0 if done.outcome is Outcome.INSERTED else wait
            except RevertedError:
                raise
            except self._retried as error:
                if stop.is_set():
                    return
                mismatches = mismatches + 1 if isinstance(error, MismatchError) else 0
                if mismatches == MISMATCHES_TO_END:
                    raise
                metrics.FAILURES.labels(type(error).__name__).inc()
                log.warning("round failed", reason=type(error).__name__, detail=str(error), retry_seconds=pause)
                wait, pause = pause, min(2 * pause, self._pace.longest_pause)
            stop.wait(wait)

    def step(self, stop: threading.Event) -> Round | None:
        """Look once, and insert a batch if it is time; None when it is not."""
        metrics.BALANCE.set(self._sender.balance() / 10**18)
        if self._sender.clear(stop) or not self._due():
            return None
        if stop.wait(random.uniform(0, self._pace.jitter)) or not self._due():
            return None
        return insert_pending(
            self._pool, self._state, self._prover, lambda data, wanted: self._sender.send(data, wanted, stop)
        )

    def _due(self) -> bool:
        tree = self._state.sync()
        oldest = self._state.oldest_pending_time()
        age = 0 if oldest is None else max(0, self._pool.now() - oldest)
        metrics.PENDING.set(len(tree.pending))
        metrics.OLDEST_PENDING.set(age)
        metrics.LAST_LOOK.set(time.time())
        if not tree.pending or under_way(self._pool, tree.root):
            return False
        return len(tree.pending) >= BATCH or (oldest is not None and age >= self._pace.patience)

    @staticmethod
    def _tell(done: Round) -> None:
        if done.outcome in (Outcome.INSERTED, Outcome.OVERTAKEN):
            metrics.BATCHES.labels(done.outcome.value).inc()
        if done.outcome is Outcome.INSERTED and done.receipt is not None:
            metrics.LEAVES.inc(done.count)
            log.info("inserted", leaves=done.count, gas=done.receipt.gas_used, transaction=done.receipt.tx_hash)
        elif done.outcome is Outcome.OVERTAKEN:
            log.info("overtaken", leaves=done.count)


class _RememberingProver:
    """Keeps the last proof: when its transaction could not be sent, the next round needs it again."""

    def __init__(self, inner: ProofSource) -> None:
        self._inner = inner
        self._last: tuple[str, list[int]] | None = None
        self._proof: Proven | None = None

    def prove(self, circuit: str, public_inputs: list[int], inputs: Mapping[str, Any]) -> Proven:
        statement = circuit, list(public_inputs)
        if self._proof is None or self._last != statement:
            self._proof = None
            started = time.perf_counter()
            self._proof = self._inner.prove(circuit, public_inputs, inputs)
            self._last = statement
            metrics.PROVE_SECONDS.observe(time.perf_counter() - started)
        return self._proof


def _count_gas(mined: Mined) -> None:
    outcome = "cancelled" if mined.cancelled else "inserted" if mined.succeeded else "refused"
    metrics.GAS.labels(outcome).inc(mined.gas_used)
    metrics.GAS_ETHER.inc(mined.gas_used * mined.gas_price / 10**18)
