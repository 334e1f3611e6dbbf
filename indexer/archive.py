"""Keeps a pool's old blocks in files, and fills a database from them again.

A file holds one range of blocks in the binary form that wallets read (`chain.stream.format`), compressed with gzip:

    <chain id>-<pool>-<first block>-<last block>.events.gz

It is written once its blocks are too old to be replaced, and never changes after that: copies of it can lie anywhere.
Restoring believes nothing: every root is rebuilt from the leaves, and the indexer that goes on from there compares the
newest of the blocks with its endpoints and the root with the contract.
"""

import gzip
import os
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Engine

from chain.errors import MismatchError, SourceError
from chain.stream.format import Frame, decode_stream, encode_frame, encode_header
from chain.stream.records import BlockId
from indexer.chains import preset_of
from indexer.errors import ArchiveError
from indexer.reader import Reader
from indexer.store import Store
from indexer.verify import page_of

_NAME = re.compile(r"(\d+)-([0-9a-f]{40})-(\d+)-(\d+)\.events\.gz")
_PIECE = 1 << 20


class ArchiveFile(NamedTuple):
    """One file: all events of a pool's blocks `first .. last`."""

    path: Path
    chain_id: int
    pool: bytes
    first: int
    last: int


def files_in(folder: Path) -> list[ArchiveFile]:
    """The archive's files in the folder, of all pools, by pool and in the order of their blocks."""
    found = []
    for path in folder.iterdir() if folder.is_dir() else ():
        name = _NAME.fullmatch(path.name)
        if name is not None:
            found.append(ArchiveFile(path, int(name[1]), bytes.fromhex(name[2]), int(name[3]), int(name[4])))
    return sorted(found, key=lambda each: (each.chain_id, each.pool, each.first))


def archive(
    engine: Engine, chain_id: int, folder: Path, range_blocks: int | None = None, depth: int | None = None
) -> list[ArchiveFile]:
    """Write the files that the folder lacks, one a range of `range_blocks` blocks; returns the new ones.

    Ranges are those of the partitions, None for the preset's width. Blocks less than `depth` below the tip are left
    out, None for those that a reorganisation may still replace. Raises StoreError, and ArchiveError when the folder
    cannot be written or its files leave blocks out.
    """
    reader = Reader(engine, chain_id)
    summary = reader.summary()
    preset = preset_of(chain_id)
    width = range_blocks or preset.range_blocks
    depth = preset.journal_depth if depth is None else depth
    there = [each for each in files_in(folder) if (each.chain_id, each.pool) == (chain_id, summary.address)]
    _require_unbroken(there, summary.first_block)
    if summary.tip is None:
        return []
    # A range counts as old only when all of it is.
    sealed = (summary.tip.number - depth + 1) // width * width
    after = there[-1].last if there else None
    written = []
    for start in range(summary.first_block // width * width, sealed, width):
        if after is not None and start <= after:
            continue
        frames = list(_frames_below(reader, after, start + width))
        if not any(frame.events for frame in frames):
            continue
        pool, first, after = summary.address, frames[0].first_block, frames[-1].last.number
        path = folder / f"{chain_id}-{pool.hex()}-{first}-{after}.events.gz"
        _write(path, encode_header(chain_id, pool), frames)
        written.append(ArchiveFile(path, chain_id, pool, first, after))
    return written


def _frames_below(reader: Reader, after: int | None, end: int) -> Iterator[Frame]:
    """All events of the blocks after `after` and before `end`; the last frame ends at a block with events."""
    for frame in reader.frames(after, None):
        if frame.last.number < end:
            yield frame
            continue
        blocks = [block for block in frame.blocks if block.number < end]
        if blocks:
            events = [event for event in frame.events if event.block_number < end]
            yield frame._replace(last=blocks[-1], blocks=blocks, events=events)
        return


def _write(path: Path, header: bytes, frames: list[Frame]) -> None:
    """Write a file whole or not at all; the same frames make the same bytes."""
    unfinished = path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(unfinished, "wb") as output:
            with gzip.GzipFile("", "wb", 6, output, mtime=0) as compressed:
                compressed.write(header)
                for frame in frames:
                    compressed.write(encode_frame(frame))
            output.flush()
            os.fsync(output.fileno())
        os.replace(unfinished, path)
    except OSError as error:
        raise ArchiveError(f"{path} cannot be written ({error.strerror})") from None


def read(file: ArchiveFile) -> Iterator[Frame]:
    """A file's frames. Raises ArchiveError when it is damaged, or holds another pool's blocks than its name says."""
    try:
        with gzip.open(file.path, "rb") as compressed:
            items = decode_stream(iter(lambda: compressed.read(_PIECE), b""))
            if next(items) != (file.chain_id, file.pool):
                raise ArchiveError(f"{file.path} holds another pool's blocks: its name was changed")
            for item in items:
                assert isinstance(item, Frame)
                yield item
    except OSError as error:
        raise ArchiveError(f"{file.path} cannot be read ({error}): fetch it again") from None
    except (EOFError, zlib.error, SourceError):
        raise ArchiveError(f"{file.path} is damaged: fetch it again") from None


def restore(
    engine: Engine,
    files: list[ArchiveFile],
    range_blocks: int | None = None,
    on_block: Callable[[BlockId], None] = lambda block: None,
) -> BlockId:
    """Write the blocks of one pool's files that the database lacks; returns the newest. It goes on where it broke off.

    `files` are of one pool, in order. Raises ArchiveError for files that are damaged, leave blocks out or lead to
    other roots than they say, and StoreError.
    """
    _require_unbroken(files, files[0].first)
    store = Store(engine, files[0].chain_id, files[0].pool, files[0].first, range_blocks)
    tip = store.tip()
    history = store.history_at(tip)
    for file in files:
        if tip is not None and file.last <= tip.number:
            continue
        for frame in read(file):
            following = store.first_block if tip is None else tip.number + 1
            if frame.last.number < following:
                continue
            if frame.first_block != following:
                raise ArchiveError(
                    f"block {following} comes next, and {file.path} begins with {frame.first_block}: the database "
                    "was not filled from these files, use an empty one"
                )
            try:
                changes = history.follow(page_of(frame))
            except (MismatchError, StopIteration) as error:
                raise ArchiveError(f"{file.path} is false or damaged ({error}): fetch it again") from None
            store.write([changes], tip, tip)
            tip = frame.last
            on_block(tip)
    assert tip is not None
    return tip


def _require_unbroken(files: list[ArchiveFile], first_block: int) -> None:
    expected = first_block
    for file in files:
        if file.first != expected:
            raise ArchiveError(f"block {expected} should come before {file.path}: files of the archive are missing")
        expected = file.last + 1
