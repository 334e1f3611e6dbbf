"""The JSON of the API. Words and hashes are 0x and 64 hexadecimal digits, amounts decimal digits in a string."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row

from indexer.reader import Leaf, Summary
from protocol.merkle import BATCH, CAPACITY, ZEROS

_EMPTY_ROOT = ZEROS[-1].to_bytes(32, "big")


def status(summary: Summary, version: str) -> dict[str, Any]:
    tip, counters = summary.tip, summary.counters
    leaves = BATCH * counters.batches
    return {
        "version": version,
        "chain_id": summary.chain_id,
        "pool": _hex(summary.address),
        "first_block": summary.first_block,
        "tip": None if tip is None else {"number": tip.number, "hash": _hex(tip.hash), "timestamp": tip.timestamp},
        "root": _hex(summary.root or _EMPTY_ROOT),
        "commitments": counters.queued,
        "pending": counters.queued - counters.inserted,
        "batches": counters.batches,
        "next_leaf_index": leaves,
        "tree_used_ratio": leaves / CAPACITY,
        "nullifiers": counters.nullifiers,
        "withdrawals": counters.withdrawals,
    }


def leaves(found: Sequence[Leaf], following: int, used: int) -> dict[str, Any]:
    return {
        "leaves": [{"leaf_index": leaf.leaf_index, **commitment(leaf.row)} for leaf in found],
        "next": following,
        "next_leaf_index": used,
    }


def commitment(row: Row[Any]) -> dict[str, Any]:
    return {
        "position": row.position,
        "commitment": _hex(row.commitment),
        "memo": _hex(row.memo),
        **_place(row),
    }


def nullifier(row: Row[Any]) -> dict[str, Any]:
    return {"number": row.number, "nullifier": _hex(row.nullifier), **_place(row)}


def withdrawal(row: Row[Any]) -> dict[str, Any]:
    return {
        "number": row.number,
        "receiver": _hex(row.receiver),
        "token": _hex(row.token),
        "amount": row.amount,
        **_place(row),
    }


def root(row: Row[Any]) -> dict[str, Any]:
    return {
        "number": row.number,
        "root": _hex(row.root),
        "start_index": BATCH * row.number,
        "count": row.size,
        "first_position": row.first_position,
        **_place(row),
    }


def block(row: Row[Any]) -> dict[str, Any]:
    return {"number": row.number, "hash": _hex(row.hash), "timestamp": row.timestamp, "commitments": row.queued}


def path(leaf_index: int, leaf: bytes, siblings: Sequence[bytes], of_root: bytes) -> dict[str, Any]:
    return {
        "leaf_index": leaf_index,
        "leaf": _hex(leaf),
        "siblings": [_hex(sibling) for sibling in siblings],
        "root": _hex(of_root),
    }


def problem(code: int, title: str, detail: str, **more: Any) -> Mapping[str, Any]:
    """Problem Details (RFC 9457)."""
    return {"type": "about:blank", "title": title, "status": code, "detail": detail, **more}


def _place(row: Row[Any]) -> dict[str, Any]:
    return {
        "block_number": row.block_number,
        "transaction_hash": _hex(row.transaction_hash),
        "log_index": row.log_index,
    }


def _hex(data: bytes) -> str:
    return "0x" + bytes(data).hex()
