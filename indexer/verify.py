"""Checks what is in the database against itself: every root is rebuilt from the stored leaves, every number counted.

Nothing is written, and an indexer may go on writing meanwhile. What no root and no counter covers cannot be checked:
memos, receivers, amounts, and the hashes of transactions.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sqlalchemy import Engine, Row, func, select

from chain.errors import MismatchError
from chain.stream.format import Frame
from chain.stream.records import BlockId
from indexer import schema
from indexer.contract import check_contract
from indexer.database import database_errors
from indexer.errors import DamagedError
from indexer.pages import Page
from indexer.reader import Reader, Summary, UnknownBlockError
from indexer.rpc import Endpoint, Endpoints
from indexer.state import Batch, Changes, Counters, PoolHistory

_ADVICE = "the database is damaged: restore a backup, or start with a new one"


def page_of(frame: Frame) -> Page:
    """A frame as the page of a chain that it was made from."""
    blocks = list(frame.blocks)
    if not blocks or blocks[-1].number != frame.last.number:
        blocks.append(frame.last)
    return Page(frame.first_block, frame.last, list(frame.events), blocks)


def verify(
    engine: Engine, chain_id: int, on_block: Callable[[BlockId], None] = lambda block: None
) -> tuple[Summary, PoolHistory]:
    """Return what the database says of the pool, and the history that its rows lead to: they are the same.

    Raises DamagedError for rows that do not fit, StoreError when the database cannot be read, or when blocks were
    replaced while it was.
    """
    reader = Reader(engine, chain_id)
    history = PoolHistory.restored(Counters(), [], [], None)
    last: BlockId | None = None
    while True:
        after = (None, None) if last is None else (last.number, last.hash)
        for frame in _frames(reader, *after):
            _take(reader, history, frame)
            last = frame.last
            on_block(last)
        summary = reader.summary()
        if summary.tip == last:
            break
    if summary.counters != history.counters:
        raise DamagedError(
            f"the pool's row counts {summary.counters}, its events lead to {history.counters}: {_ADVICE}"
        )
    _refuse_twins(engine, chain_id)
    return summary, history


def _frames(reader: Reader, after: int | None, block_hash: bytes | None) -> Iterator[Frame]:
    try:
        yield from reader.frames(after, block_hash)
    except UnknownBlockError as error:
        raise UnknownBlockError(f"{error}: a reorganisation was followed meanwhile, try again") from None


def _take(reader: Reader, history: PoolHistory, frame: Frame) -> None:
    where = f"in the blocks {frame.first_block} to {frame.last.number}"
    if (frame.first_position, frame.first_batch) != (history.counters.queued, history.counters.batches):
        raise DamagedError(f"{where}, rows are missing before the first: {_ADVICE}")
    try:
        changes = history.follow(page_of(frame))
    except (MismatchError, StopIteration) as error:
        raise DamagedError(f"{where}, the rows do not fit together ({error}): {_ADVICE}") from None
    stored = [
        Batch(row.number, row.first_position, row.size, bytes(row.subtree), bytes(row.root), batch.event)
        for row, batch in zip(_batches(reader, changes), changes.batches, strict=False)
    ]
    if stored != changes.batches:
        raise DamagedError(f"{where}, a batch's subtree is not that of its leaves: {_ADVICE}")


def _batches(reader: Reader, changes: Changes) -> Sequence[Row[Any]]:
    with reader.view() as view:
        return view.rows(schema.BATCHES, "number", changes.before.batches, changes.after.batches)


def _refuse_twins(engine: Engine, chain_id: int) -> None:
    """No constraint of PostgreSQL spans the partitions of the nullifiers."""
    table = schema.NULLIFIERS
    twins = select(table.c.nullifier).where(table.c.chain_id == chain_id).group_by(table.c.nullifier)
    with database_errors(), engine.connect() as connection:
        found = connection.scalar(twins.having(func.count() > 1).limit(1))
    if found is not None:
        raise DamagedError(f"the nullifier 0x{bytes(found).hex()} is there twice: {_ADVICE}")


def compare_with_contract(rpc_urls: Sequence[str], summary: Summary, history: PoolHistory) -> None:
    """Ask the contract, through the first endpoint that answers, for its state at the newest block.

    Raises DamagedError when it is another, or the endpoint has another block there, and EndpointsError.
    """
    assert summary.tip is not None
    tip, address = summary.tip, "0x" + summary.address.hex()
    endpoints = Endpoints([Endpoint(url) for url in rpc_urls], summary.chain_id)

    def compare(endpoint: Endpoint) -> None:
        found = endpoint.block_hash(tip.number)
        if found is not None and found != tip.hash:
            raise MismatchError(f"block {tip.number} of {endpoint.name} is 0x{found.hex()}, not 0x{tip.hash.hex()}")
        check_contract(endpoint, address, tip.number, history)

    try:
        endpoints.attempt(compare)
    except MismatchError as error:
        raise DamagedError(f"the database differs from the chain: {error}") from None
    finally:
        endpoints.close()
