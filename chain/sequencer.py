"""Moves queued commitments into the tree: decides which batch the pool allows now, has it proved and sends it.

The pool takes 64 commitments at any time. Fewer than 64 it takes only when one of them was queued before the previous
60-second epoch began, and then all that old must be in the batch. This sequencer puts everything pending into a short
batch: it stays valid for at least 60 seconds, unless 64 are pending by then or another batch comes first. Anyone may
run a sequencer; two of them disturb each other only in that the slower one's proof was in vain.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from chain.errors import RevertedError
from chain.pool import Pool
from chain.proving import INSERT_CIRCUIT, ProofSource, Proven
from chain.sender import Receipt
from chain.state import PoolState
from protocol.merkle import BATCH
from protocol.statements import InsertStatement

EPOCH_SECONDS = 60

Send = Callable[[str, Callable[[], bool]], Receipt | None]
"""Settles a call of the pool, given as data (0x hex), while the function says that it is wanted; None when it was given
up. Raises RevertedError when the pool refuses it.
"""


class Outcome(Enum):
    """How a round of the sequencer ended."""

    INSERTED = "inserted"
    NOTHING_PENDING = "nothing pending"
    TOO_EARLY = "too early"
    OVERTAKEN = "overtaken"


@dataclass(frozen=True)
class Round:
    """One call's result.

    `count` is the size of the batch that was inserted (INSERTED) or tried (OVERTAKEN), else 0; `wait_seconds` says when
    a short batch becomes allowed (TOO_EARLY), else 0; `receipt` and `proof` are there when a batch was inserted.
    """

    outcome: Outcome
    count: int = 0
    wait_seconds: int = 0
    receipt: Receipt | None = None
    proof: Proven | None = None


def allowed_batch(pending: int, oldest_queued_at: int | None, now: int) -> tuple[int, int]:
    """Size of the batch the pool takes at time `now`, and the seconds to wait if that is 0.

    `pending` commitments wait, the oldest since `oldest_queued_at`; times are block times in seconds since 1970.
    """
    if pending >= BATCH:
        return BATCH, 0
    if pending == 0 or oldest_queued_at is None:
        return 0, 0
    # Queued in epoch e, a commitment lets a short batch in from epoch e + 2 on.
    allowed_from = (oldest_queued_at // EPOCH_SECONDS + 2) * EPOCH_SECONDS
    return (pending, 0) if now >= allowed_from else (0, allowed_from - now)


def under_way(pool: Pool, root: int) -> bool:
    """Whether a transaction that waits for a block will change the tree, as far as the node knows of it."""
    return pool.merkle_root("pending") != root


def insert_pending(pool: Pool, state: PoolState, prover: ProofSource, send: Send | None = None) -> Round:
    """Insert one batch if the pool allows one now; `send` settles it, else the pool's own client does.

    Losing a race is no error: a batch that came first, so many new commitments that the pool now wants 64, or, with a
    proof that took longer than a short batch stays valid, others that have become due. The outcome is OVERTAKEN then,
    and the next call plans afresh. Raises ChainError for what a new call would not mend, and whatever `prover` raises.
    """
    tree = state.sync()
    pending = len(tree.pending)
    count, wait = allowed_batch(pending, state.oldest_pending_time(), pool.now())
    if count == 0:
        return Round(Outcome.TOO_EARLY if pending else Outcome.NOTHING_PENDING, wait_seconds=wait)
    insertion = tree.plan(count)
    statement = InsertStatement.from_batch(insertion)
    proof = prover.prove(INSERT_CIRCUIT, statement.public.inputs(), statement.inputs())
    try:
        if send is None:
            receipt: Receipt | None = pool.insert(insertion.new_root, count, proof.proof)
        else:
            data = pool.insert_data(insertion.new_root, count, proof.proof)
            receipt = send(data, lambda: pool.merkle_root() == insertion.old_root)
    except RevertedError:
        now = state.sync()
        same_tree = now.root == insertion.old_root and not under_way(pool, now.root)
        if same_tree and (count == BATCH or (len(now.pending) < BATCH and pool.due_count("pending") <= count)):
            raise
        return Round(Outcome.OVERTAKEN, count=count)
    state.sync()
    if receipt is None:
        return Round(Outcome.OVERTAKEN, count=count)
    return Round(Outcome.INSERTED, count=count, receipt=receipt, proof=proof)
