"""The JSON of the API. Words and hashes are 0x and 64 hexadecimal digits, amounts decimal digits in a string.

Rows of pages are written as text at once: a page of a thousand leaves has 700 kB, and going through dictionaries takes
ten times as long. Their values are integers and hexadecimal digits, nothing that JSON would escape.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Table

from indexer import schema
from indexer.reader import Leaf, Summary
from protocol.merkle import BATCH, CAPACITY, ZEROS

_EMPTY_ROOT = ZEROS[-1].to_bytes(32, "big")
_PLACE = ("block_number", "transaction_hash", "log_index")


def status(summary: Summary, version: str) -> dict[str, Any]:
    tip, counters = summary.tip, summary.counters
    leaves = BATCH * counters.batches
    return {
        "version": version,
        "chain_id": summary.chain_id,
        "pool": hex_of(summary.address),
        "first_block": summary.first_block,
        "tip": None if tip is None else {"number": tip.number, "hash": hex_of(tip.hash), "timestamp": tip.timestamp},
        "root": hex_of(summary.root or _EMPTY_ROOT),
        "commitments": counters.queued,
        "pending": counters.queued - counters.inserted,
        "batches": counters.batches,
        "next_leaf_index": leaves,
        "tree_used_ratio": leaves / CAPACITY,
        "nullifiers": counters.nullifiers,
        "withdrawals": counters.withdrawals,
    }


def _commitment(row: Sequence[Any]) -> str:
    position, commitment, memo, block, transaction, log_index = row
    return (
        f'"position":{position},"commitment":"0x{commitment.hex()}","memo":"0x{memo.hex()}",'
        f'"block_number":{block},"transaction_hash":"0x{transaction.hex()}","log_index":{log_index}}}'
    )


def queued(row: Sequence[Any]) -> str:
    return "{" + _commitment(row)


def leaf(found: Leaf) -> str:
    return f'{{"leaf_index":{found.leaf_index},' + _commitment(found.row)


def nullifier(row: Sequence[Any]) -> str:
    number, nullifier, block, transaction, log_index = row
    return (
        f'{{"number":{number},"nullifier":"0x{nullifier.hex()}",'
        f'"block_number":{block},"transaction_hash":"0x{transaction.hex()}","log_index":{log_index}}}'
    )


def withdrawal(row: Sequence[Any]) -> str:
    number, receiver, token, amount, block, transaction, log_index = row
    return (
        f'{{"number":{number},"receiver":"0x{receiver.hex()}","token":"0x{token.hex()}","amount":"{amount}",'
        f'"block_number":{block},"transaction_hash":"0x{transaction.hex()}","log_index":{log_index}}}'
    )


def root(row: Sequence[Any]) -> str:
    number, root, size, first_position, block, transaction, log_index = row
    return (
        f'{{"number":{number},"root":"0x{root.hex()}","start_index":{BATCH * number},"count":{size},'
        f'"first_position":{first_position},'
        f'"block_number":{block},"transaction_hash":"0x{transaction.hex()}","log_index":{log_index}}}'
    )


@dataclass(frozen=True)
class Listing:
    """Rows that are paged by a running number: their name in the answer, what is read of them, and their JSON."""

    name: str
    table: Table
    key: str
    columns: tuple[str, ...]
    text: Callable[[Sequence[Any]], str]


LEAF_COLUMNS = ("position", "commitment", "memo", *_PLACE)
QUEUE = Listing("commitments", schema.COMMITMENTS, "position", LEAF_COLUMNS, queued)
NULLIFIERS = Listing("nullifiers", schema.NULLIFIERS, "number", ("number", "nullifier", *_PLACE), nullifier)
WITHDRAWALS = Listing(
    "withdrawals", schema.WITHDRAWALS, "number", ("number", "receiver", "token", "amount", *_PLACE), withdrawal
)
ROOTS = Listing("roots", schema.BATCHES, "number", ("number", "root", "size", "first_position", *_PLACE), root)


def page(name: str, rows: Sequence[str], **numbers: int) -> bytes:
    """A page of rows that are JSON already, with numbers beside them."""
    beside = "".join(f',"{key}":{number}' for key, number in numbers.items())
    return f'{{"{name}":[{",".join(rows)}]{beside}}}'.encode()


def block(row: Row[Any]) -> dict[str, Any]:
    return {"number": row.number, "hash": hex_of(row.hash), "timestamp": row.timestamp, "commitments": row.queued}


def path(leaf_index: int, leaf: bytes, siblings: Sequence[bytes], of_root: bytes) -> dict[str, Any]:
    return {
        "leaf_index": leaf_index,
        "leaf": hex_of(leaf),
        "siblings": [hex_of(sibling) for sibling in siblings],
        "root": hex_of(of_root),
    }


def problem(code: int, title: str, detail: str, **more: Any) -> Mapping[str, Any]:
    """Problem Details (RFC 9457)."""
    return {"type": "about:blank", "title": title, "status": code, "detail": detail, **more}


def hex_of(data: bytes) -> str:
    return "0x" + bytes(data).hex()
