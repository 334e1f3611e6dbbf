"""The pool's events as typed values, read in chain order and in windows that adapt to what the node allows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from eth_abi import decode
from eth_abi.exceptions import DecodingError
from eth_typing import ChecksumAddress
from eth_utils import to_checksum_address
from eth_utils.abi import event_signature_to_log_topic
from hexbytes import HexBytes
from web3 import Web3
from web3.exceptions import BlockNotFound

from chain.errors import ChainError, MismatchError, ReorgError, RpcError, UnavailableError
from chain.rpc import on_one_endpoint, rpc_errors

FIRST_WINDOW = 5_000
LARGEST_WINDOW = 100_000
REORG_RETRIES = 5


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an event stands in the chain. Hashes are 0x-prefixed hex."""

    block_number: int
    block_hash: str
    transaction_hash: str
    log_index: int
    timestamp: int
    """Of the block, in seconds since 1970."""


@dataclass(frozen=True, slots=True)
class CommitmentQueued:
    """A commitment joined the queue at `position`; `memo` is whatever bytes were sent with it."""

    position: int
    commitment: int
    memo: bytes
    origin: Origin


@dataclass(frozen=True, slots=True)
class NullifierUsed:
    """The note with this nullifier is spent."""

    nullifier: int
    origin: Origin


@dataclass(frozen=True, slots=True)
class WithdrawExecuted:
    """`receiver` got `amount` (net of the relayer's fee, in the token's smallest unit)."""

    receiver: ChecksumAddress
    token: ChecksumAddress
    amount: int
    origin: Origin


@dataclass(frozen=True, slots=True)
class AccountUpdated:
    """The next `count` queued commitments became leaves from `start_index` on; `root` is the tree's new root."""

    root: int
    start_index: int
    count: int
    origin: Origin


PoolEvent = CommitmentQueued | NullifierUsed | WithdrawExecuted | AccountUpdated

TOPIC_QUEUED = event_signature_to_log_topic("CommitmentQueued(uint256,uint256,bytes)")
TOPIC_NULLIFIER = event_signature_to_log_topic("NullifierUsed(uint256)")
TOPIC_WITHDRAW = event_signature_to_log_topic("WithdrawExecuted(address,address,uint256)")
TOPIC_UPDATED = event_signature_to_log_topic("AccountUpdated(uint256,uint256,uint256)")
TOPICS = [HexBytes(topic) for topic in (TOPIC_QUEUED, TOPIC_NULLIFIER, TOPIC_WITHDRAW, TOPIC_UPDATED)]


def parse_log(log: Any, timestamp: int) -> PoolEvent:
    """One log of the pool, in a block of this time, as an event; MismatchError when it is none of the pool's."""
    topics = [bytes(topic) for topic in log["topics"]]
    data = bytes(log["data"])
    origin = Origin(
        block_number=log["blockNumber"],
        block_hash="0x" + bytes(log["blockHash"]).hex(),
        transaction_hash="0x" + bytes(log["transactionHash"]).hex(),
        log_index=log["logIndex"],
        timestamp=timestamp,
    )
    try:
        if topics[0] == TOPIC_QUEUED:
            commitment, memo = decode(["uint256", "bytes"], data)
            return CommitmentQueued(_word(topics[1]), commitment, memo, origin)
        if topics[0] == TOPIC_NULLIFIER:
            return NullifierUsed(_word(topics[1]), origin)
        if topics[0] == TOPIC_WITHDRAW:
            (amount,) = decode(["uint256"], data)
            return WithdrawExecuted(_address(topics[1]), _address(topics[2]), amount, origin)
        if topics[0] == TOPIC_UPDATED:
            return AccountUpdated(*decode(["uint256", "uint256", "uint256"], data), origin)  # type: ignore[call-arg]
    except (DecodingError, IndexError) as error:
        raise MismatchError(
            f"the pool's log {_place(origin)} cannot be decoded: is this the pool's address?"
        ) from error
    raise MismatchError(f"the pool's log {_place(origin)} is no event of this pool: is this the pool's address?")


@dataclass(frozen=True)
class EventPage:
    """All events of the blocks `first_block..last_block`, in order; `last_hash` is the last block's hash (0x hex)."""

    first_block: int
    last_block: int
    last_hash: str
    events: tuple[PoolEvent, ...]


def read_pages(w3: Web3, address: ChecksumAddress, from_block: int, to_block: int) -> Iterator[EventPage]:
    """The pool's events of `from_block..to_block` (both included), page by page.

    A window the node finds too large is halved, and doubled again after each success. Every page is read between two
    looks at its last block's hash and read again when that block was replaced meanwhile, so a page never mixes two
    forks. Raises ReorgError when the chain does not come to rest, RpcError when even one block is too much.
    """
    window, first = FIRST_WINDOW, from_block
    while first <= to_block:
        last = min(first + window - 1, to_block)
        try:
            page = on_one_endpoint(w3, partial(_read_page, w3, address, first, last))
        except RpcError as error:
            if last == first or (isinstance(error, UnavailableError) and not error.timed_out):
                raise
            window = max(1, (last - first + 1) // 2)
            continue
        yield page
        first = last + 1
        window = min(2 * window, LARGEST_WINDOW)


def _read_page(w3: Web3, address: ChecksumAddress, first: int, last: int) -> EventPage:
    for _ in range(REORG_RETRIES):
        before = block_hash(w3, last)
        if before is None:
            raise UnavailableError(f"the chain's node does not have block {last} yet, or not any more: try again")
        with rpc_errors():
            logs: Sequence[Any] = w3.eth.get_logs(
                {"address": address, "fromBlock": first, "toBlock": last, "topics": [TOPICS]}
            )
        if before == block_hash(w3, last):
            with rpc_errors():
                ordered = sorted(logs, key=lambda log: (log["blockNumber"], log["logIndex"]))
                times = _block_times(w3, ordered)
                events = tuple(parse_log(log, times[log["blockNumber"]]) for log in ordered)
            return EventPage(first, last, before, events)
    raise ReorgError(f"the chain keeps replacing block {last}: try again when the node has settled")


def _block_times(w3: Web3, logs: Sequence[Any]) -> dict[int, int]:
    """The time of every block that holds one of these logs; many nodes send it along, the others are asked.

    They are asked for all blocks alike. A wallet that asked for the blocks of its own notes alone would tell the node
    which events concern it.
    """
    times: dict[int, int] = {}
    for log in logs:
        number, stamp = log["blockNumber"], log.get("blockTimestamp")
        if stamp is not None:
            times[number] = int(stamp, 16) if isinstance(stamp, str) else stamp
        elif number not in times:
            with rpc_errors():
                times[number] = w3.eth.get_block(number)["timestamp"]
    return times


def block_hash(w3: Web3, number: int) -> str | None:
    """The hash of block `number` (0x hex) on the node's present chain; None when it has no such block."""
    try:
        with rpc_errors():
            return "0x" + bytes(w3.eth.get_block(number)["hash"]).hex()
    except ChainError as error:
        if isinstance(error.__cause__, BlockNotFound):
            return None
        raise


def _word(topic: bytes) -> int:
    return int.from_bytes(topic, "big")


def _address(topic: bytes) -> ChecksumAddress:
    return to_checksum_address(topic[-20:])


def _place(origin: Origin) -> str:
    return f"{origin.log_index} in block {origin.block_number}"
