"""Reads the pool's events from one endpoint, page by page, each page on one fork."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from chain.endpoints import RefusedError
from chain.errors import MismatchError, RpcError
from chain.stream.records import BlockId, Event
from indexer.events import TOPICS, parse_log
from indexer.rpc import Endpoint

REORG_RETRIES = 3


@dataclass(frozen=True)
class Page:
    """All events of the blocks `first_block .. last.number`, in chain order.

    `blocks` has every block with an event, and `last`, in order.
    """

    first_block: int
    last: BlockId
    events: list[Event]
    blocks: list[BlockId]


def read_pages(endpoint: Endpoint, address: str, first: int, last: int) -> Iterator[Page]:
    """The blocks `first..last`, both included, in pages of as many blocks as the endpoint allows.

    `address` is the pool's, 0x and lower case. Raises RpcError, also when blocks are replaced again and again while
    they are read, and MismatchError.
    """
    window = endpoint.window
    while first <= last:
        end = min(first + window.size - 1, last)
        try:
            page = read_page(endpoint, address, first, end)
        except RefusedError:
            if not window.refused(end - first + 1):
                raise
            continue
        window.accepted(len(page.events))
        yield page
        first = end + 1


def read_page(endpoint: Endpoint, address: str, first: int, last: int) -> Page:
    """The blocks `first..last` in one question, between two looks at the last block's hash."""
    question = {"address": address, "fromBlock": hex(first), "toBlock": hex(last), "topics": [TOPICS]}
    for _ in range(REORG_RETRIES):
        end = block_id(endpoint, last)
        logs = endpoint.call("eth_getLogs", question)
        if end is None:
            raise RpcError(f"{endpoint.name} does not have block {last} yet")
        if not isinstance(logs, list):
            raise RpcError(f"{endpoint.name} answers eth_getLogs with no list")
        if endpoint.block_hash(last) == end.hash:
            return _page(endpoint, address, first, end, logs)
    raise RpcError(f"{endpoint.name} keeps replacing block {last}")


def block_id(endpoint: Endpoint, number: int) -> BlockId | None:
    """A block of the endpoint's present chain; None when it has no such block."""
    found = endpoint.block(number)
    if found is None:
        return None
    try:
        return BlockId(number, bytes.fromhex(found["hash"][2:]), int(found["timestamp"], 16))
    except (TypeError, ValueError):
        raise RpcError(f"{endpoint.name} sends a block without hash and time") from None


def _page(endpoint: Endpoint, address: str, first: int, end: BlockId, logs: list[Any]) -> Page:
    events = [parse_log(log, address) for log in logs]
    hashes: dict[int, str] = {}
    times: dict[int, int | None] = {end.number: end.timestamp}
    for log, event in zip(logs, events, strict=True):
        number = event.block_number
        if hashes.setdefault(number, log["blockHash"]) != log["blockHash"] or not first <= number <= end.number:
            raise MismatchError(f"{endpoint.name} mixes blocks of two forks, or sends blocks nobody asked for")
        stamp = log.get("blockTimestamp")
        times.setdefault(number, endpoint.read_number(stamp, "eth_getLogs") if isinstance(stamp, str) else None)
    events.sort(key=lambda event: (event.block_number, event.log_index))
    blocks = []
    for number in sorted(hashes):
        block_hash, timestamp = bytes.fromhex(hashes[number][2:]), times[number]
        if timestamp is None:
            found = block_id(endpoint, number)
            if found is None:
                raise RpcError(f"{endpoint.name} does not have block {number}, whose logs it sent")
            timestamp = found.timestamp
            if found.hash != block_hash:
                raise MismatchError(f"block {number} of {endpoint.name} was replaced while it was read")
        if number == end.number and block_hash != end.hash:
            raise MismatchError(f"{endpoint.name} sends logs of another block {number} than its chain's")
        blocks.append(BlockId(number, block_hash, timestamp))
    if not blocks or blocks[-1].number != end.number:
        blocks.append(end)
    return Page(first, end, events, blocks)
