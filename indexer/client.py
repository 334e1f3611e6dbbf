"""Reads an indexer's binary stream as the pages of events that a scan of the chain would give.

Nothing in it has to be believed: whoever follows the pages rebuilds each root (`chain.tree.PoolTree`), and asks the
contract, through a node of their own choice, whether it knows the last one (`Pool.known_root`).
"""

from collections.abc import Iterator

import requests
from eth_utils import to_checksum_address

from chain import events as chain_events
from chain.errors import ReorgError
from indexer.errors import WireError
from indexer.events import Event, Inserted, Nullified, Queued
from indexer.pages import BlockId
from indexer.wire import MEDIA_TYPE, Frame, decode_stream


def read_pages(
    url: str,
    chain_id: int,
    pool: str,
    after: tuple[int, str] | None = None,
    session: requests.Session | None = None,
    timeout: float = 30.0,
) -> Iterator[chain_events.EventPage]:
    """All events after the block `after` (number and 0x hash; None for all), from the indexer at `url`.

    `session` can bring a proxy. The request says how far its sender has read and nothing else. Raises ReorgError when
    that block was replaced (start again from an older one), WireError for anything else.
    """
    query = {} if after is None else {"after": str(after[0]), "hash": after[1]}
    try:
        with (session or requests.Session()).get(
            f"{url.rstrip('/')}/v1/events", params=query, headers={"Accept": MEDIA_TYPE}, timeout=timeout, stream=True
        ) as response:
            if response.status_code == 409:
                raise ReorgError("the indexer does not know the last block that was read: start from an older one")
            if response.status_code != 200:
                raise WireError(f"the indexer answers with HTTP status {response.status_code}: check its address")
            items = decode_stream(response.iter_content(1 << 16))
            served = next(items)
            if served != (chain_id, bytes.fromhex(pool[2:])):
                raise WireError("the indexer serves another pool, or another chain: check its address")
            expected = None if after is None else after[0] + 1
            for frame in items:
                assert isinstance(frame, Frame)
                if expected is not None and frame.first_block != expected:
                    raise WireError("the indexer leaves blocks out: use another one")
                expected = frame.last.number + 1
                yield _page(frame)
    except requests.RequestException as error:
        raise WireError(f"the indexer does not answer ({type(error).__name__}): check its address") from None


def _page(frame: Frame) -> chain_events.EventPage:
    blocks = {block.number: block for block in frame.blocks}
    return chain_events.EventPage(
        frame.first_block,
        frame.last.number,
        "0x" + frame.last.hash.hex(),
        tuple(_event(event, blocks[event.block_number]) for event in frame.events),
    )


def _event(event: Event, block: BlockId) -> chain_events.PoolEvent:
    origin = chain_events.Origin(
        block_number=block.number,
        block_hash="0x" + block.hash.hex(),
        transaction_hash="0x" + event.transaction_hash.hex(),
        log_index=event.log_index,
        timestamp=block.timestamp,
    )
    if isinstance(event, Queued):
        return chain_events.CommitmentQueued(
            event.position, int.from_bytes(event.commitment, "big"), event.memo, origin
        )
    if isinstance(event, Nullified):
        return chain_events.NullifierUsed(int.from_bytes(event.nullifier, "big"), origin)
    if isinstance(event, Inserted):
        return chain_events.AccountUpdated(int.from_bytes(event.root, "big"), event.start_index, event.size, origin)
    return chain_events.WithdrawExecuted(
        to_checksum_address(event.receiver), to_checksum_address(event.token), event.amount, origin
    )
