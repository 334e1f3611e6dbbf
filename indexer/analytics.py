"""Sums and counts over a pool's history, for statistics: by period of time, never by user.

Nothing here selects rows by a commitment, nullifier, address or transaction: rows come in pages by number, sums for all
tokens of a period. Times are seconds since 1970, periods whole hours, days and (Monday to Sunday) weeks in UTC.
"""

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from enum import Enum
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Numeric, Select, cast, func, select, text

from indexer import schema
from indexer.database import database_errors
from indexer.errors import StoreError
from indexer.reader import View
from indexer.state import Counters

# SQLite looks at the clock after so many of its instructions.
_INSTRUCTIONS = 20_000
_SUM = "sum_of_amounts"


class TooSlowError(StoreError):
    """The database did not answer in the time that a query has."""


class Period(Enum):
    """Its length in seconds; 1970 began on a Thursday, so weeks begin four days later."""

    HOUR = 3_600
    DAY = 86_400
    WEEK = 604_800

    @property
    def offset(self) -> int:
        return 4 * 86_400 if self is Period.WEEK else 0

    def index(self, seconds: int) -> int:
        """The number of the period that a time is in; periods follow one another."""
        return (seconds - self.offset) // self.value

    def start(self, index: int) -> int:
        return index * self.value + self.offset


class Snapshot(NamedTuple):
    """The counters at the end of a period in which something happened."""

    period: int
    counters: Counters


class TokenTotal(NamedTuple):
    """Withdrawals of one token in one period; `amount` in its smallest unit, `receivers` different addresses."""

    period: int
    token: bytes
    withdrawals: int
    amount: int
    receivers: int


class PeriodPage(NamedTuple):
    """`following` is where the next page begins, a period and how many of its rows were given; None at the end."""

    rows: list[Any]
    following: tuple[int, int] | None


@contextlib.contextmanager
def time_limit(view: View, deadline: float) -> Iterator[None]:
    """Let the database give up at `deadline`, of `time.monotonic`. Raises TooSlowError."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TooSlowError("the query takes too long")
    driver: Any = view.connection.connection.driver_connection
    on_sqlite = isinstance(driver, sqlite3.Connection)
    if on_sqlite:
        driver.set_progress_handler(lambda: time.monotonic() > deadline, _INSTRUCTIONS)
    else:
        # Until the end of the transaction, and so of the view.
        with database_errors():
            view.connection.execute(text(f"SET LOCAL statement_timeout = {int(1000 * left) + 1}"))
    try:
        with database_errors():
            yield
    except StoreError as error:
        if time.monotonic() >= deadline:
            raise TooSlowError("the query takes too long") from error
        raise
    finally:
        if on_sqlite:
            driver.set_progress_handler(None, 0)


def history(view: View, period: Period, since: int | None, start: tuple[int, int] | None, limit: int) -> PeriodPage:
    """Snapshots of `limit` periods from the period of the time `since` on, or from where the last page ended.

    Without either, from the pool's first event on. Periods in which nothing happened are left out.
    """
    first = _first_period(view, period, since, start)
    if first is None:
        return PeriodPage([], None)
    journal = schema.JOURNAL
    blocks = _blocks(view, period, first, first + limit)
    index = _index_of(journal.c.timestamp, period)
    last = (
        select(func.max(journal.c.number).label("number"))
        .where(journal.c.chain_id == view.chain_id, *_between(journal.c.number, blocks), journal.c.has_events)
        .group_by(index)
        .subquery()
    )
    rows = view.connection.execute(
        select(index.label("period"), *(journal.c[name] for name in Counters._fields))
        .join(last, journal.c.number == last.c.number)
        .where(journal.c.chain_id == view.chain_id, *_between(journal.c.number, blocks))
        .order_by(journal.c.number)
    )
    return PeriodPage([Snapshot(row[0], Counters(*row[1:])) for row in rows], _after(view, period, first + limit))


def token_totals(
    view: View, period: Period, since: int | None, start: tuple[int, int] | None, limit: int
) -> PeriodPage:
    """TokenTotals of all tokens, by period and token: `limit` rows at most, of `limit` periods at most."""
    first = _first_period(view, period, since, start)
    if first is None:
        return PeriodPage([], None)
    given = start[1] if start is not None else 0
    journal, withdrawals = schema.JOURNAL, schema.WITHDRAWALS
    blocks = _blocks(view, period, first, first + limit)
    index, amount = _index_of(journal.c.timestamp, period), _sum_of(view, withdrawals.c.amount)
    query: Select[Any] = (
        select(index, withdrawals.c.token, func.count(), amount, func.count(withdrawals.c.receiver.distinct()))
        .join_from(
            withdrawals,
            journal,
            (journal.c.chain_id == withdrawals.c.chain_id) & (journal.c.number == withdrawals.c.block_number),
        )
        .where(
            withdrawals.c.chain_id == view.chain_id,
            *_between(withdrawals.c.number, _withdrawals_before(view, blocks)),
            *_between(journal.c.number, blocks),
        )
        .group_by(index, withdrawals.c.token)
        .order_by(index, withdrawals.c.token)
        .offset(given)
        .limit(limit + 1)
    )
    rows = [TokenTotal(row[0], bytes(row[1]), row[2], int(row[3]), row[4]) for row in view.connection.execute(query)]
    if len(rows) <= limit:
        return PeriodPage(rows, _after(view, period, first + limit))
    rows.pop()
    last = rows[-1].period
    before = given if last == first else 0
    return PeriodPage(rows, (last, before + sum(row.period == last for row in rows)))


def _first_period(view: View, period: Period, since: int | None, start: tuple[int, int] | None) -> int | None:
    """Where a page begins; None for a pool without events, or a beginning after the newest block."""
    tip = view.state.tip
    first = _row_from(view, view.state.first_block, with_events=True)
    if tip is None or first is None:
        return None
    begin = first[1] if since is None else max(since, first[1])
    found = period.index(begin) if start is None else start[0]
    return found if found <= period.index(tip.timestamp) else None


def _after(view: View, period: Period, index: int) -> tuple[int, int] | None:
    tip = view.state.tip
    return (index, 0) if tip is not None and index <= period.index(tip.timestamp) else None


def _index_of(timestamp: ColumnElement[int], period: Period) -> ColumnElement[int]:
    return (timestamp - period.offset) // period.value


def _between(column: ColumnElement[int], bounds: tuple[int, int]) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return column >= bounds[0], column < bounds[1]


def _blocks(view: View, period: Period, first: int, end: int) -> tuple[int, int]:
    """The numbers of the blocks in the periods `first .. end - 1`, as a range that holds no others."""
    return _block_at(view, period.start(first)), _block_at(view, period.start(end))


def _block_at(view: View, seconds: int) -> int:
    """The number from which on journaled blocks are of the time `seconds` or later.

    A search in halves over the primary key: times never fall from block to block, and have no index of their own.
    """
    tip = view.state.tip
    assert tip is not None
    low, high = view.state.first_block, tip.number + 1
    while low < high:
        middle = (low + high) // 2
        found = _row_from(view, middle)
        if found is None or found[1] >= seconds:
            high = middle
        else:
            low = found[0] + 1
    return low


def _row_from(view: View, number: int, with_events: bool = False) -> tuple[int, int] | None:
    """Number and time of the first journaled block with this number or a higher one."""
    journal = schema.JOURNAL
    query = select(journal.c.number, journal.c.timestamp).where(
        journal.c.chain_id == view.chain_id, journal.c.number >= number
    )
    if with_events:
        query = query.where(journal.c.has_events)
    row = view.connection.execute(query.order_by(journal.c.number).limit(1)).one_or_none()
    return None if row is None else (row.number, row.timestamp)


def _withdrawals_before(view: View, blocks: tuple[int, int]) -> tuple[int, int]:
    """How many withdrawals there were before each of two blocks: the numbers of those between them."""
    journal = schema.JOURNAL
    return tuple(  # type: ignore[return-value]
        view.connection.scalar(
            select(journal.c.withdrawals)
            .where(journal.c.chain_id == view.chain_id, journal.c.number < block)
            .order_by(journal.c.number.desc())
            .limit(1)
        )
        or 0
        for block in blocks
    )


def _sum_of(view: View, amount: ColumnElement[str]) -> ColumnElement[Any]:
    """The exact sum of decimal numbers of up to 78 digits."""
    driver: Any = view.connection.connection.driver_connection
    if not isinstance(driver, sqlite3.Connection):
        return func.sum(cast(amount, Numeric(78, 0)))
    driver.create_aggregate(_SUM, 1, _Sum)  # type: ignore[arg-type]
    return getattr(func, _SUM)(amount)


class _Sum:
    """SQLite's integers have 64 bits."""

    def __init__(self) -> None:
        self._sum = 0

    def step(self, amount: str) -> None:
        self._sum += int(amount)

    def finalize(self) -> str:
        return str(self._sum)
