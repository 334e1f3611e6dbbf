"""Pages of leaves and of numbered rows: what is in one, how long that holds, and its JSON.

A full page whose last block is old enough is finished: it never changes again, so clients, proxies and a cache may keep
it. Every page has an entity tag made from the hash of that block: after a reorganisation it is another one.
"""

import hashlib
from typing import NamedTuple

from chain.stream.records import BlockId
from indexer import schema
from indexer.api import answers
from indexer.api.answers import Listing
from indexer.reader import View
from protocol.merkle import BATCH

MAX_PAGE = 1_000
# Changes with the form of the answers, so that no cache mixes two of them.
_FORM = 1


class Finality(NamedTuple):
    """A block is taken for final when it is both so many blocks and so many seconds older than the tip.

    Ethereum makes blocks final after 64 or 96 of 12 s; rollups follow Ethereum, with blocks of 2 s and less.
    """

    blocks: int = 64
    seconds: int = 3_600


class Page(NamedTuple):
    """The numbers `first .. end - 1` of leaves or of a listing, before their rows are read.

    `used` is how many there are in all; `tag` an entity tag (RFC 9110), `key` names the contents of a finished page
    that everybody asks for, None otherwise.
    """

    listing: Listing | None
    first: int
    end: int
    used: int
    finished: bool
    tag: str
    key: str | None


def find_page(view: View, listing: Listing | None, first: int, limit: int, finality: Finality) -> Page:
    """`listing` None is for leaves."""
    name = "leaves" if listing is None else listing.name
    counters = view.state.counters
    used = {
        "leaves": BATCH * counters.batches,
        "commitments": counters.queued,
        "nullifiers": counters.nullifiers,
        "withdrawals": counters.withdrawals,
        "roots": counters.batches,
    }[name]
    end = max(first, min(first + limit, used))
    block = None
    if end > first:
        if listing is None:
            block = view.block_of(schema.BATCHES, "number", (end - 1) // BATCH)
        else:
            block = view.block_of(listing.table, listing.key, end - 1)
    finished = end == first + limit and _is_final(block, view.state.tip, finality)
    content = [_FORM, view.chain_id, view.state.address.hex(), name, first, limit, block.hash.hex() if block else ""]
    key = ":".join(str(each) for each in content)
    # A page of leaves says how many are in use; all else in it follows from the last row and its block.
    also = f":{end}:{used if listing is None else 0}"
    tag = hashlib.sha256((key if finished else key + also).encode()).hexdigest()[:32]
    wanted_by_all = finished and limit == MAX_PAGE and first % MAX_PAGE == 0
    # Weak: how many leaves are in use differs between copies of a finished page.
    return Page(listing, first, end, used, finished, f'W/"{tag}"', key if wanted_by_all else None)


def _is_final(block: BlockId | None, tip: BlockId | None, finality: Finality) -> bool:
    return (
        block is not None
        and tip is not None
        and tip.number - block.number >= finality.blocks
        and tip.timestamp - block.timestamp >= finality.seconds
    )


def read_page(view: View, page: Page) -> bytes:
    """The page's JSON; `page` was found in the same view."""
    if page.listing is None:
        leaves = [answers.leaf(leaf) for leaf in view.leaves(page.first, page.end, answers.LEAF_COLUMNS)]
        return answers.page("leaves", leaves, next=page.end, next_leaf_index=page.used)
    listing = page.listing
    rows = view.rows(listing.table, listing.key, page.first, page.end, listing.columns)
    return answers.page(listing.name, [listing.text(row) for row in rows], next=page.end)
