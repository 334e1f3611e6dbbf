"""The JSON of the API. Words and hashes are 0x and 64 hexadecimal digits, amounts decimal digits in a string.

Rows of pages are written as text at once: a page of a thousand leaves has 700 kB, and going through dictionaries takes
twenty times as long. Their values are integers and hexadecimal digits, nothing that JSON would escape.
"""

from binascii import hexlify
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Table

from indexer import schema
from indexer.reader import Leaf, Summary
from protocol.merkle import BATCH, CAPACITY, ZEROS

_EMPTY_ROOT = ZEROS[-1].to_bytes(32, "big")
_PLACE = ("block_number", "transaction_hash", "log_index")
_IN_CHAIN = b'"block_number":%d,"transaction_hash":"0x%b","log_index":%d}'


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


_LEAF = b'{"leaf_index":%d,"position":%d,"commitment":"0x%b","memo":"0x%b",' + _IN_CHAIN
_QUEUED = b'{"position":%d,"commitment":"0x%b","memo":"0x%b",' + _IN_CHAIN
_NULLIFIER = b'{"number":%d,"nullifier":"0x%b",' + _IN_CHAIN
_WITHDRAWAL = b'{"number":%d,"receiver":"0x%b","token":"0x%b","amount":"%b",' + _IN_CHAIN
_ROOT = b'{"number":%d,"root":"0x%b","start_index":%d,"count":%d,"first_position":%d,' + _IN_CHAIN


def leaf(found: Leaf) -> bytes:
    position, commitment, memo, block, transaction, log_index = found.row
    return _LEAF % (
        found.leaf_index,
        position,
        hexlify(commitment),
        hexlify(memo),
        block,
        hexlify(transaction),
        log_index,
    )


def queued(row: Sequence[Any]) -> bytes:
    position, commitment, memo, block, transaction, log_index = row
    return _QUEUED % (position, hexlify(commitment), hexlify(memo), block, hexlify(transaction), log_index)


def nullifier(row: Sequence[Any]) -> bytes:
    number, nullifier, block, transaction, log_index = row
    return _NULLIFIER % (number, hexlify(nullifier), block, hexlify(transaction), log_index)


def withdrawal(row: Sequence[Any]) -> bytes:
    number, receiver, token, amount, block, transaction, log_index = row
    return _WITHDRAWAL % (
        number,
        hexlify(receiver),
        hexlify(token),
        amount.encode(),
        block,
        hexlify(transaction),
        log_index,
    )


def root(row: Sequence[Any]) -> bytes:
    number, root, size, first_position, block, transaction, log_index = row
    return _ROOT % (
        number,
        hexlify(root),
        BATCH * number,
        size,
        first_position,
        block,
        hexlify(transaction),
        log_index,
    )


@dataclass(frozen=True)
class Listing:
    """Rows that are paged by a running number: their name in the answer, what is read of them, and their JSON."""

    name: str
    table: Table
    key: str
    columns: tuple[str, ...]
    text: Callable[[Sequence[Any]], bytes]


LEAF_COLUMNS = ("position", "commitment", "memo", *_PLACE)
QUEUE = Listing("commitments", schema.COMMITMENTS, "position", LEAF_COLUMNS, queued)
NULLIFIERS = Listing("nullifiers", schema.NULLIFIERS, "number", ("number", "nullifier", *_PLACE), nullifier)
WITHDRAWALS = Listing(
    "withdrawals", schema.WITHDRAWALS, "number", ("number", "receiver", "token", "amount", *_PLACE), withdrawal
)
ROOTS = Listing("roots", schema.BATCHES, "number", ("number", "root", "size", "first_position", *_PLACE), root)


def page(name: str, rows: list[bytes], **numbers: int) -> bytes:
    """A page of rows that are JSON already, with numbers beside them."""
    beside = "".join(f',"{key}":{number}' for key, number in numbers.items())
    start, end = f'{{"{name}":['.encode(), f"]{beside}}}".encode()
    return b"".join((start, b",".join(rows), end))


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
