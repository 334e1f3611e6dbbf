"""Answers the fields of the schema from the database: one connection and one state of it for a whole query."""

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLError, GraphQLObjectType, GraphQLResolveInfo, GraphQLSchema
from sqlalchemy import Connection, select

from chain.stream.records import BlockId
from indexer import analytics, schema
from indexer.analytics import Period, PeriodPage
from indexer.api.graphql.cost import MAX_ROWS
from indexer.api.served import Api, Served
from indexer.reader import View
from indexer.state import Counters
from protocol.merkle import BATCH, CAPACITY, ZEROS


class Context:
    """What the resolvers of one query share. Use it in one thread and inside `with`."""

    def __init__(self, api: Api, seconds: float) -> None:
        self.api = api
        self.deadline = time.monotonic() + seconds
        self._opened = contextlib.ExitStack()
        self._connection: Connection | None = None
        self._views: dict[str, View] = {}

    def __enter__(self) -> "Context":
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def view(self, chain: Served) -> View:
        """The state of a chain's pool, the same for the whole query."""
        if chain.name not in self._views:
            if self._connection is None:
                self._connection = self._opened.enter_context(chain.reader.connect())
            self._views[chain.name] = self._opened.enter_context(chain.reader.view(self._connection))
        return self._views[chain.name]


@dataclass(frozen=True)
class PoolView:
    """A `Pool` of the schema."""

    chain: Served
    view: View


def _totals(counters: Counters) -> dict[str, Any]:
    leaves = BATCH * counters.batches
    return {
        "commitments": counters.queued,
        "pending": counters.queued - counters.inserted,
        "batches": counters.batches,
        "leavesUsed": leaves,
        "treeUsedRatio": leaves / CAPACITY,
        "nullifiers": counters.nullifiers,
        "withdrawals": counters.withdrawals,
    }


def _chains(_: Any, info: GraphQLResolveInfo) -> list[PoolView]:
    context: Context = info.context
    return [PoolView(chain, context.view(chain)) for chain in context.api.chains.values()]


def _pool(_: Any, info: GraphQLResolveInfo, chain: str | None = None) -> PoolView:
    context: Context = info.context
    found = context.api.only_chain if chain is None else context.api.find(chain)
    if found is None:
        raise GraphQLError("name one of these chains: " + ", ".join(context.api.chains))
    return PoolView(found, context.view(found))


def _root(pool: PoolView, info: GraphQLResolveInfo) -> bytes:
    table = schema.BATCHES
    query = select(table.c.root).where(
        table.c.chain_id == pool.view.chain_id, table.c.number == pool.view.state.counters.batches - 1
    )
    with analytics.time_limit(pool.view, info.context.deadline):
        return pool.view.connection.scalar(query) or ZEROS[-1].to_bytes(32, "big")


def _by_period(
    read: Callable[[View, Period, int | None, tuple[int, int] | None, int], PeriodPage],
    node: Callable[[Any, Period], Mapping[str, Any]],
) -> Callable[..., dict[str, Any]]:
    def resolve(
        pool: PoolView,
        info: GraphQLResolveInfo,
        period: str,
        first: int,
        since: int | None = None,
        after: str | None = None,
    ) -> dict[str, Any]:
        length = Period[period]
        start = None if after is None else _numbers(after, length.name[0].lower())
        with analytics.time_limit(pool.view, info.context.deadline):
            page = read(pool.view, length, since, start, _rows(first))
        following = page.following
        cursor = None if following is None else f"{length.name[0].lower()}{following[0]}-{following[1]}"
        return _page([node(row, length) for row in page.rows], cursor)

    return resolve


def _withdrawals(pool: PoolView, info: GraphQLResolveInfo, first: int, after: str | None = None) -> dict[str, Any]:
    rows, cursor = _numbered(pool, info, "withdrawals", first, after)
    return _page(
        [
            {
                "number": row.number,
                "receiver": row.receiver,
                "token": row.token,
                "amount": row.amount,
                "block": BlockId(row.block_number, row.hash, row.timestamp),
                "transactionHash": row.transaction_hash,
            }
            for row in rows
        ],
        cursor,
    )


def _batches(pool: PoolView, info: GraphQLResolveInfo, first: int, after: str | None = None) -> dict[str, Any]:
    rows, cursor = _numbered(pool, info, "batches", first, after)
    return _page(
        [
            {
                "number": row.number,
                "startIndex": BATCH * row.number,
                "size": row.size,
                "fill": row.size / BATCH,
                "root": row.root,
                "block": BlockId(row.block_number, row.hash, row.timestamp),
                "transactionHash": row.transaction_hash,
            }
            for row in rows
        ],
        cursor,
    )


def _numbered(
    pool: PoolView, info: GraphQLResolveInfo, name: str, first: int, after: str | None
) -> tuple[Sequence[Any], str | None]:
    """Rows of a table by running number with their blocks; a cursor holds the next number and the last row's block."""
    table, journal = schema.METADATA.tables[name], schema.JOURNAL
    limit, number = _rows(first), 0
    if after is not None:
        number, block = _numbers(after, name[0])
    query = (
        select(table, journal.c.hash, journal.c.timestamp)
        .join(journal, (journal.c.chain_id == table.c.chain_id) & (journal.c.number == table.c.block_number))
        .where(table.c.chain_id == pool.view.chain_id)
        .order_by(table.c.number)
    )
    with analytics.time_limit(pool.view, info.context.deadline):
        # With the row before the page, which shows whether the cursor is of this chain still.
        begin = max(0, number - 1)
        rows = pool.view.connection.execute(
            query.where(table.c.number >= begin, table.c.number <= number + limit)
        ).all()
    if number > 0:
        if not rows or rows[0].number != begin or _short(rows[0].hash) != block:
            raise GraphQLError("the block of this cursor was replaced by another: begin again, without `after`")
        rows = rows[1:]
    if len(rows) <= limit:
        return rows, None
    rows = rows[:limit]
    return rows, f"{name[0]}{number + limit}-{_short(rows[-1].hash)}"


def _short(block_hash: bytes) -> int:
    """Enough of a hash to tell a block from the one that replaced it."""
    return int.from_bytes(bytes(block_hash)[:6], "big")


def _rows(first: int) -> int:
    if not 1 <= first <= MAX_ROWS:
        raise GraphQLError(f"`first` is 1 to {MAX_ROWS}")
    return first


def _numbers(cursor: str, kind: str) -> tuple[int, int]:
    """The two numbers of a cursor; its first letter says of what it is."""
    parts = cursor[1:].split("-")
    if (
        cursor[:1] != kind
        or len(parts) != 2
        or not all(part.isascii() and part.isdigit() and len(part) <= 15 for part in parts)
    ):
        raise GraphQLError("`after` is an endCursor of the page before, of the same field and period")
    return int(parts[0]), int(parts[1])


def _page(nodes: list[Any], cursor: str | None) -> dict[str, Any]:
    return {"nodes": nodes, "pageInfo": {"hasNextPage": cursor is not None, "endCursor": cursor}}


_RESOLVERS: dict[str, dict[str, Callable[..., Any]]] = {
    "Query": {"chains": _chains, "pool": _pool},
    "Pool": {
        "chain": lambda pool, _: pool.chain.name,
        "chainId": lambda pool, _: pool.view.chain_id,
        "address": lambda pool, _: pool.view.state.address,
        "firstBlock": lambda pool, _: pool.view.state.first_block,
        "tip": lambda pool, _: pool.view.state.tip,
        "root": _root,
        "totals": lambda pool, _: _totals(pool.view.state.counters),
        "history": _by_period(
            analytics.history,
            lambda row, period: {"start": period.start(row.period), "totals": _totals(row.counters)},
        ),
        "withdrawals": _withdrawals,
        "withdrawalTotals": _by_period(
            analytics.token_totals,
            lambda row, period: {"start": period.start(row.period), **row._asdict()},
        ),
        "batches": _batches,
    },
}


def attach(to: GraphQLSchema) -> GraphQLSchema:
    """Give the schema's fields their resolvers; all others are read from dictionaries and attributes by name."""
    for type_name, fields in _RESOLVERS.items():
        found = to.type_map[type_name]
        assert isinstance(found, GraphQLObjectType)
        for field_name, resolve in fields.items():
            found.fields[field_name].resolve = resolve
    return to
