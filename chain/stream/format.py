"""The binary form of a pool's events, for wallets: everything they need to follow the pool, and nothing about anybody.

All integers are big-endian and unsigned.

    stream   = header frame*
    header   = "gelap-ev" | version u16 = 1 | chain id u64 | pool (20)                                        38 bytes
    frame    = length u32 | body                                       `length` counts the body's bytes
    body     = first block u64 | last block u64 | hash of the last block (32) | its time u64
             | position of the first commitment in it u64 | batches before it u64                             72 bytes
             | record*
    record   = 0x01 | number u64 | hash (32) | time u64                     a block: what follows is in it
             | 0x02 | hash (32)                                             a transaction of that block
             | 0x03 | log index u32 | commitment (32) | memo (224)          CommitmentQueued
             | 0x04 | log index u32 | nullifier (32)                        NullifierUsed
             | 0x05 | log index u32 | receiver (20) | token (20) | amount (32)   WithdrawExecuted
             | 0x06 | log index u32 | root (32) | leaves u8                 AccountUpdated

Events are in chain order. Positions count on from the frame's first, and so do batches: the n-th of the pool (n from 0)
starts at leaf 64 n. A frame holds all events of its blocks; the next frame goes on at the following block.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from chain.errors import SourceError
from chain.stream.records import BlockId, Event, Inserted, Nullified, Queued, Withdrawn

MEDIA_TYPE = "application/vnd.gelap.events"
MAGIC, VERSION = b"gelap-ev", 1
# A frame above this is refused before it is read: some 100,000 events.
MAX_FRAME_BYTES = 32 << 20

_HEADER = struct.Struct(">8sHQ20s")
_LENGTH = struct.Struct(">I")
_BODY = struct.Struct(">QQ32sQQQ")
_BLOCK = struct.Struct(">BQ32sQ")
_TRANSACTION = struct.Struct(">B32s")
_QUEUED = struct.Struct(">BI32s224s")
_NULLIFIED = struct.Struct(">BI32s")
_WITHDRAWN = struct.Struct(">BI20s20s32s")
_INSERTED = struct.Struct(">BI32sB")
_RECORDS = {1: _BLOCK, 2: _TRANSACTION, 3: _QUEUED, 4: _NULLIFIED, 5: _WITHDRAWN, 6: _INSERTED}


class BrokenOffError(SourceError):
    """The stream ended within a frame; all frames before it are whole."""


class Frame(NamedTuple):
    """All events of the blocks `first_block .. last.number`, in chain order; `blocks` has those with events, in order.

    `first_position` is the position of the first commitment in it, `first_batch` the number of the first batch in it.
    """

    first_block: int
    last: BlockId
    first_position: int
    first_batch: int
    blocks: Sequence[BlockId]
    events: Sequence[Event]


def encode_header(chain_id: int, pool: bytes) -> bytes:
    return _HEADER.pack(MAGIC, VERSION, chain_id, pool)


def encode_frame(frame: Frame) -> bytes:
    last = frame.last
    parts = [
        _BODY.pack(frame.first_block, last.number, last.hash, last.timestamp, frame.first_position, frame.first_batch)
    ]
    blocks = {block.number: block for block in frame.blocks}
    block, transaction = -1, b""
    for event in frame.events:
        if event.block_number != block:
            block, transaction = event.block_number, b""
            parts.append(_BLOCK.pack(1, *blocks[block]))
        if event.transaction_hash != transaction:
            transaction = event.transaction_hash
            parts.append(_TRANSACTION.pack(2, transaction))
        if isinstance(event, Queued):
            parts.append(_QUEUED.pack(3, event.log_index, event.commitment, event.memo))
        elif isinstance(event, Nullified):
            parts.append(_NULLIFIED.pack(4, event.log_index, event.nullifier))
        elif isinstance(event, Withdrawn):
            amount = event.amount.to_bytes(32, "big")
            parts.append(_WITHDRAWN.pack(5, event.log_index, event.receiver, event.token, amount))
        else:
            parts.append(_INSERTED.pack(6, event.log_index, event.root, event.size))
    body = b"".join(parts)
    return _LENGTH.pack(len(body)) + body


def decode_header(data: bytes) -> tuple[int, bytes]:
    """The chain's id and the pool's address; `data` has 38 bytes. Raises SourceError."""
    if len(data) != _HEADER.size or data[: len(MAGIC)] != MAGIC:
        raise SourceError("this is no answer of a Gelap indexer: check its address")
    _, version, chain_id, pool = _HEADER.unpack(data)
    if version != VERSION:
        raise SourceError(
            f"the indexer speaks version {version} of the format, this program {VERSION}: update the older"
        )
    return chain_id, pool


def decode_stream(chunks: Iterable[bytes]) -> Iterator[tuple[int, bytes] | Frame]:
    """A whole stream, arriving in pieces of any size: first (chain id, pool), then the frames. Raises SourceError."""
    reader = _Pieces(chunks)
    yield decode_header(reader.take(_HEADER.size))
    while length := reader.take(_LENGTH.size, at_end_of_stream=True):
        (size,) = _LENGTH.unpack(length)
        if not _BODY.size <= size <= MAX_FRAME_BYTES:
            raise SourceError(f"the indexer announces a frame of {size} bytes: its answer is damaged")
        yield decode_frame(reader.take(size))


def decode_frame(body: bytes) -> Frame:
    """A frame's body. Raises SourceError; what it says is not checked against the chain, which is the caller's part."""
    try:
        first, number, block_hash, timestamp, position, batch = _BODY.unpack_from(body)
        if first > number:
            raise ValueError("a frame that ends before it begins")
        frame = Frame(first, BlockId(number, block_hash, timestamp), position, batch, [], [])
        events = list(_records(body, frame))
    except (struct.error, KeyError, IndexError, ValueError):
        raise SourceError("a frame of the indexer's answer is damaged: ask again, or another indexer") from None
    return frame._replace(events=events)


def _records(body: bytes, frame: Frame) -> Iterator[Event]:
    offset, position, batch = _BODY.size, frame.first_position, frame.first_batch
    assert isinstance(frame.blocks, list)
    block, transaction = -1, b""
    while offset < len(body):
        kind = body[offset]
        layout = _RECORDS[kind]
        _, *fields = layout.unpack_from(body, offset)
        offset += layout.size
        if kind == 1:
            if not max(block + 1, frame.first_block) <= fields[0] <= frame.last.number:
                raise ValueError("blocks out of order")
            block, transaction = fields[0], b""
            frame.blocks.append(BlockId(*fields))
            continue
        if kind == 2:
            (transaction,) = fields
        if block < 0 or not transaction:
            raise ValueError("a record outside of a block or a transaction")
        if kind == 3:
            yield Queued(block, fields[0], transaction, position, fields[1], fields[2])
            position += 1
        elif kind == 4:
            yield Nullified(block, fields[0], transaction, fields[1])
        elif kind == 5:
            receiver, token, amount = fields[1:]
            yield Withdrawn(block, fields[0], transaction, receiver, token, int.from_bytes(amount, "big"))
        elif kind == 6:
            yield Inserted(block, fields[0], transaction, fields[1], 64 * batch, fields[2])
            batch += 1


class _Pieces:
    """Cuts a sequence of byte strings anew."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._kept = bytearray()

    def take(self, size: int, at_end_of_stream: bool = False) -> bytes:
        """The next `size` bytes; b"" when the stream ended just here and that is allowed. Raises SourceError."""
        while len(self._kept) < size:
            chunk = next(self._chunks, None)
            if chunk is None:
                if at_end_of_stream and not self._kept:
                    return b""
                raise BrokenOffError("the indexer's answer breaks off: ask again")
            self._kept += chunk
        taken = bytes(self._kept[:size])
        del self._kept[:size]
        return taken
