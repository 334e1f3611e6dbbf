"""A wallet's scan: trying memos with a viewing key, and what a synchronisation does with them.

Memos of strangers are random bytes. They take the same steps as real ones: a key exchange with some point, a key
derivation, and for the one in 256 whose view tag fits by chance a failed decryption. Every ten-thousandth is ours, and
the wallet must find exactly those.
"""

import itertools
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.errors import BenchError, WrongResultError
from bench.result import Result
from prover.progress import Reporter

_PORTION = 100_000
_OURS = 10_000
_TOKEN = 0x5FBDB2315678AFECB367F032D93F642F64180AA3


def measure(sizes: list[int], leaves: list[int], runs: int, progress: Reporter) -> list[Result]:
    """Time both, with as many processes as this one may use CPUs.

    Seconds of the memos include starting the processes. Those of a synchronisation include opening memos, storing notes
    and commitments, hashing the tree and checking every root; not the download.
    """
    try:
        import wallet.wallet  # noqa: F401
    except ImportError as error:
        raise BenchError(
            f"this needs the wallet's packages, and {error.name} is missing: pip install 'gelap[wallet]'"
        ) from None
    results = []
    steps = itertools.count(1)
    total = (runs + 1) * (len(sizes) + len(leaves))
    for kind, numbers, run in (("memos", sizes, _try_memos), ("leaves", leaves, _synchronise)):
        for size in numbers:
            seconds = []
            for _ in range(runs + 1):
                progress(f"{size:,} {kind}", next(steps), total)
                seconds.append(run(size))
            results.append(Result("scan" if kind == "memos" else "wallet_sync", size, kind, seconds[1:]))
    return results


def _portions(size: int) -> Iterator[tuple[list[tuple[bytes, int]], list[int]]]:
    """Memos with their commitments, in portions, and the places of ours in each."""
    from protocol.keys import Account
    from protocol.memo import MEMO_BYTES, encrypt
    from wallet.spend import to_oneself

    account = Account.from_seed(bytes(64))
    for start in range(0, size, _PORTION):
        count = min(_PORTION, size - start)
        memos = [(os.urandom(MEMO_BYTES), int.from_bytes(os.urandom(31), "big")) for _ in range(count)]
        ours = list(range(0, count, _OURS))
        for place in ours:
            output = to_oneself(account, _TOKEN, place + 1)
            memos[place] = (encrypt(output.note, output.address), output.note.commitment)
        yield memos, ours


def _try_memos(size: int) -> float:
    from protocol.keys import Account
    from wallet.trial import TrialProcesses

    key = Account.from_seed(bytes(64)).viewing_key
    seconds = 0.0
    with TrialProcesses() as trial:
        for memos, ours in _portions(size):
            started = time.perf_counter()
            opened = trial(key, memos)
            seconds += time.perf_counter() - started
            if [place for place, found in enumerate(opened) if found] != ours:
                raise WrongResultError("the scan found other memos than ours")
    return seconds


def _synchronise(size: int) -> float:
    from chain.events import AccountUpdated, CommitmentQueued, Origin, PoolEvent
    from chain.tree import PoolTree
    from protocol.keys import Account
    from protocol.merkle import BATCH
    from prover.kernels.cpu.poseidon import hash_pairs
    from wallet.scanner import Scanner
    from wallet.sealed import file_key
    from wallet.session import GrowingHash
    from wallet.store import Store
    from wallet.trial import TrialProcesses

    account = Account.from_seed(bytes(64))
    source = PoolTree(hash_pairs)
    seconds, block, position, planted = 0.0, 0, 0, 0
    with (
        tempfile.TemporaryDirectory(prefix="gelap-bench-") as folder,
        TrialProcesses() as trial,
        Store(Path(folder) / "wallet.db", file_key(account)) as store,
    ):
        scanner, tree = Scanner(account, store, trial), PoolTree(GrowingHash())
        for memos, ours in _portions(size):
            events: list[PoolEvent] = []
            planted += len(ours)
            for memo, commitment in memos:
                block += 1
                origin = Origin(block, hex(block), hex(block), 0, block)
                events.append(CommitmentQueued(position, commitment, memo, origin))
                source.apply(events[-1])
                position += 1
                if len(source.pending) == BATCH:
                    plan = source.plan(BATCH)
                    block += 1
                    origin = Origin(block, hex(block), hex(block), 0, block)
                    events.append(AccountUpdated(plan.new_root, plan.start_index, BATCH, origin))
                    source.apply(events[-1])
            started = time.perf_counter()
            with store.transaction():
                scanner.apply(tree, events)
            seconds += time.perf_counter() - started
        if tree.root != source.root or len(store.notes()) != planted:
            raise WrongResultError("the wallet found other notes, or another root")
    return seconds
