"""The sequencer as a service: inserts what is pending, round after round, for as long as it runs.

It keeps nothing that it could lose: a new process reads the pool's events again and goes on. Several may serve one
pool; whoever comes second has proved, and at worst paid gas, in vain.
"""

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from chain.errors import MismatchError, NotMinedError, ReorgError, RevertedError, RpcError
from chain.pool import Pool
from chain.proving import ProofSource
from chain.sequencer import Outcome, Round, insert_pending, under_way
from chain.state import PoolState
from protocol.merkle import BATCH

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
    """Serves one pool from one account. `prove` failures are whatever classes `retried` names."""

    def __init__(
        self,
        pool: Pool,
        prover: ProofSource,
        pace: Pace | None = None,
        state: PoolState | None = None,
        retried: tuple[type[Exception], ...] = (),
    ) -> None:
        self._pool = pool
        self._prover = prover
        self._pace = pace or Pace()
        self._state = state or PoolState(pool)
        self._retried: tuple[type[Exception], ...] = (RpcError, ReorgError, NotMinedError, *retried)

    def run(self, stop: threading.Event, rounds: Callable[[Round], None] | None = None) -> None:
        """Work until `stop` is set; `rounds` hears of every round that tried a batch.

        Goes on after an endpoint, a prover or a transaction that failed. Raises MismatchError, as nothing may be built
        on such a chain, and RevertedError when the pool refuses a batch that nobody else came before.
        """
        pause = self._pace.poll
        while not stop.is_set():
            wait = self._pace.poll
            try:
                done = self.step(stop)
                pause = self._pace.poll
                if done is not None:
                    self._tell(done)
                    if rounds:
                        rounds(done)
                    wait = 0.0 if done.outcome is Outcome.INSERTED else wait
            except (MismatchError, RevertedError):
                raise
            except self._retried as error:
                log.warning("round failed", reason=type(error).__name__, detail=str(error), retry_seconds=pause)
                wait, pause = pause, min(2 * pause, self._pace.longest_pause)
            stop.wait(wait)

    def step(self, stop: threading.Event) -> Round | None:
        """Look once, and insert a batch if it is time; None when it is not."""
        if not self._due():
            return None
        if stop.wait(random.uniform(0, self._pace.jitter)) or not self._due():
            return None
        return insert_pending(self._pool, self._state, self._prover)

    def _due(self) -> bool:
        tree = self._state.sync()
        if not tree.pending or under_way(self._pool, tree.root):
            return False
        if len(tree.pending) >= BATCH:
            return True
        oldest = self._state.oldest_pending_time()
        return oldest is not None and self._pool.now() - oldest >= self._pace.patience

    @staticmethod
    def _tell(done: Round) -> None:
        if done.outcome is Outcome.INSERTED and done.receipt is not None:
            log.info("inserted", leaves=done.count, gas=done.receipt.gas_used, transaction=done.receipt.tx_hash)
        elif done.outcome is Outcome.OVERTAKEN:
            log.info("overtaken", leaves=done.count)
