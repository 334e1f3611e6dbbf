"""The binary stream: what goes in comes out, in pieces of any size; what is damaged is refused."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.index.chain import POOL, SyntheticChain, Transaction
from chain.errors import SourceError
from chain.stream.format import MAX_FRAME_BYTES, Frame, decode_stream, encode_frame, encode_header
from chain.stream.records import BlockId
from indexer.events import parse_log


def frames() -> list[Frame]:
    chain = SyntheticChain()
    chain.add([Transaction(0, 1), Transaction(2, 2, withdrawal=True), Transaction(inserts=3)])
    chain.add([])
    chain.add([Transaction(0, 1), Transaction(inserts=1)])
    made, position, batch = [], 0, 0
    for block in chain.blocks:
        here = BlockId(block.number, bytes.fromhex(block.hash[2:]), block.timestamp)
        events = [parse_log(log, "0x" + POOL.hex()) for log in block.logs]
        made.append(Frame(block.number, here, position, batch, [here] if events else [], events))
        position, batch = block.queued, batch + len(block.batches)
    return made


FRAMES = frames()
STREAM = encode_header(31337, POOL) + b"".join(map(encode_frame, FRAMES))


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_a_stream_in_any_pieces_is_what_was_sent(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    pieces = [STREAM[start:end] for start, end in itertools.pairwise(edges)]
    assert list(decode_stream(pieces)) == [(31337, POOL), *FRAMES]


@given(st.integers(0, len(STREAM) - 1))
def test_a_stream_that_breaks_off_is_noticed_or_ends_after_a_whole_frame(length: int) -> None:
    read: list[object] = []
    try:
        for item in decode_stream([STREAM[:length]]):
            read.append(item)
    except SourceError:
        pass
    else:
        assert STREAM[:length] == encode_header(31337, POOL) + b"".join(map(encode_frame, FRAMES[: len(read) - 1]))
    assert read == [(31337, POOL), *FRAMES][: len(read)]


@given(st.integers(0, len(STREAM) - 1), st.integers(1, 255))
def test_a_damaged_stream_raises_nothing_but_its_own_error(place: int, change: int) -> None:
    damaged = bytearray(STREAM)
    damaged[place] ^= change
    try:
        list(decode_stream([bytes(damaged)]))
    except SourceError as error:
        assert str(error)  # noqa: PT017 - other damage, such as in a memo, is for whoever checks the root


@pytest.mark.parametrize("start", [b"", b"<html>", b"gelap-ev\x00\x02" + bytes(28)])
def test_something_else_is_no_stream(start: bytes) -> None:
    with pytest.raises(SourceError):
        list(decode_stream([start]))


def test_a_frame_of_any_length_is_not_waited_for() -> None:
    with pytest.raises(SourceError, match="announces a frame"):
        list(decode_stream([encode_header(1, POOL), (MAX_FRAME_BYTES + 1).to_bytes(4, "big")]))
