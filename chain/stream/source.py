"""An indexer as the place where a pool's events come from: the same pages that a scan of the chain would give.

Nothing in them has to be believed: whoever follows the pages rebuilds each root (`chain.tree.PoolTree`), and asks the
contract, through a node of their own choice, whether it knows the last one (`Pool.known_root`).
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

import requests
from eth_utils import to_checksum_address
from urllib3.exceptions import HTTPError

from chain.errors import ReorgError, SourceError
from chain.events import AccountUpdated, CommitmentQueued, EventPage, NullifierUsed, Origin, PoolEvent, WithdrawExecuted
from chain.http import TooLongError, host_of, open_session, parse_json, read_body, retry_after
from chain.stream.format import MEDIA_TYPE, BrokenOffError, Frame, decode_stream
from chain.stream.records import BlockId, Event, Inserted, Nullified, Queued

# So often in a row is a stream asked for that gives not even one frame.
ATTEMPTS = 4
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
# Within so many seconds a frame has to arrive, however steadily its bytes drip.
FRAME_SECONDS = 600.0
_MOST_JSON_BYTES = 64 << 10


class IndexerSource:
    """The indexer at `url`, for the pool `pool` (0x hex) of chain `chain_id`.

    It is told how far its reader has read, and nothing else. Every method raises SourceError when it cannot be used;
    its message names the host and not the rest of the URL. Not for use by several threads.
    """

    def __init__(
        self,
        url: str,
        chain_id: int,
        pool: str,
        proxy: str | None = None,
        *,
        ca_file: str | None = None,
        timeout: float = 30.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`timeout` in seconds bounds the wait for a connection and for each part of an answer. With `proxy` nothing
        goes around it; `ca_file` holds the certificates (PEM) to trust in place of the public ones.
        """
        name = host_of(url)
        if name is None:
            raise SourceError("an indexer is named by an http or https URL: correct GELAP_INDEXER")
        self.name = name
        # The chain's id is in the path, since one indexer may serve several.
        self._url = f"{url.rstrip('/')}/v1/chains/{chain_id}"
        self._served = (chain_id, bytes.fromhex(pool[2:]))
        self._timeout = timeout
        self._sleep = sleep
        self._session = open_session(url, proxy, ca_file)

    def __enter__(self) -> "IndexerSource":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._session.close()

    def pages(self, after: tuple[int, str] | None = None) -> Iterator[EventPage]:
        """All events after the block `after` (number and 0x hash; None for all) that the indexer has, in order.

        A stream that breaks off is asked for again, from its last whole frame on. Nothing comes from an indexer that
        is behind `after`. Raises ReorgError when that block was replaced: start again from an older one.
        """
        failures = 0
        while True:
            try:
                for page in self._stream(after):
                    after, failures = (page.last_block, page.last_hash), 0
                    yield page
                return
            except _InterruptedError as error:
                failures += 1
                if failures == ATTEMPTS:
                    raise SourceError(
                        f"the indexer {self.name} {error}: try another one, or read from a node"
                    ) from None
                pause = FIRST_PAUSE * 2 ** (failures - 1)
                self._sleep(min(max(pause, error.wait_seconds), LONGEST_PAUSE))

    def tip(self) -> BlockId | None:
        """The last block that the indexer has read, as it says; None when it has read none."""
        try:
            with self._get("/status", {}, "application/json") as response:
                if response.status_code != 200:
                    raise self._refusal(response)
                tip = parse_json(read_body(response, _MOST_JSON_BYTES, FRAME_SECONDS))["tip"]
            return None if tip is None else _block_id(tip)
        except _InterruptedError as error:
            raise self._given_up(error) from None
        except (HTTPError, OSError) as error:
            raise self._given_up(_InterruptedError(f"breaks its answer off ({type(error).__name__})")) from None
        except (TooLongError, ValueError, LookupError, TypeError, AttributeError, OverflowError):
            raise SourceError(f"{self.name} gives no indexer's status: check the address") from None

    def _stream(self, after: tuple[int, str] | None) -> Iterator[EventPage]:
        query = {} if after is None else {"after": str(after[0]), "hash": after[1]}
        response = self._get("/events", query, MEDIA_TYPE)
        try:
            if response.status_code == 409 and after is not None:
                self._require_behind(after[0])
                return
            if response.status_code != 200:
                raise self._refusal(response)
            yield from self._frames(response, None if after is None else after[0] + 1)
        finally:
            response.close()

    def _frames(self, response: requests.Response, expected: int | None) -> Iterator[EventPage]:
        items = decode_stream(self._chunks(response))
        try:
            if next(items) != self._served:
                raise SourceError(f"the indexer {self.name} serves another pool or chain: check its address")
            while (frame := self._next_frame(items)) is not None:
                if expected is not None and frame.first_block != expected:
                    raise SourceError(f"the indexer {self.name} leaves blocks out: use another one")
                expected = frame.last.number + 1
                yield _page(frame)
        except BrokenOffError:
            raise _InterruptedError("breaks its answer off") from None

    def _next_frame(self, items: Iterator[Any]) -> Frame | None:
        self._frame_deadline = time.monotonic() + FRAME_SECONDS
        frame: Frame | None = next(items, None)
        return frame

    def _chunks(self, response: requests.Response) -> Iterator[bytes]:
        self._frame_deadline = time.monotonic() + FRAME_SECONDS
        while True:
            try:
                chunk = response.raw.read1(1 << 16, decode_content=True)
            except (OSError, HTTPError) as error:
                raise _InterruptedError(f"breaks its answer off ({type(error).__name__})") from None
            if not chunk:
                return
            if time.monotonic() > self._frame_deadline:
                raise _InterruptedError(f"takes more than {FRAME_SECONDS:.0f} s for a part of its answer")
            yield chunk

    def _get(self, path: str, query: dict[str, str], media_type: str) -> requests.Response:
        try:
            return self._session.get(
                self._url + path,
                params=query,
                headers={"Accept": media_type},
                timeout=self._timeout,
                stream=True,
                allow_redirects=False,
            )
        except requests.exceptions.SSLError:
            raise SourceError(
                f"the certificate of the indexer {self.name} cannot be verified: name its authority's file, or check "
                "the address"
            ) from None
        except requests.RequestException as error:
            # The exception's own message holds the URL.
            raise _InterruptedError(f"does not answer ({type(error).__name__})") from None
        except (OSError, ValueError, HTTPError) as error:
            raise SourceError(f"the indexer {self.name} cannot be asked ({type(error).__name__})") from None

    def _refusal(self, response: requests.Response) -> Exception:
        code = response.status_code
        if code == 429 or code >= 500:
            return _InterruptedError(f"answers with HTTP status {code}", retry_after(response))
        if code == 404:
            return SourceError(f"{self.name} is no indexer of chain {self._served[0]}: check its address")
        return SourceError(f"{self.name} answers with HTTP status {code}: is it an indexer's address?")

    def _given_up(self, reason: Exception) -> SourceError:
        return SourceError(f"the indexer {self.name} {reason}: try another one, or read from a node")

    def _require_behind(self, block: int) -> None:
        """The indexer does not know the block `block`: because it has not come so far, or because it has another."""
        tip = self.tip()
        if tip is None or tip.number < block:
            return
        raise ReorgError(f"the indexer {self.name} has another block {block}: start from an older one")


class _InterruptedError(Exception):
    """Asking again may help, after `wait_seconds` if the indexer said so."""

    def __init__(self, reason: str, wait_seconds: float = 0.0) -> None:
        super().__init__(reason)
        self.wait_seconds = wait_seconds


def _block_id(document: dict[str, Any]) -> BlockId:
    block = BlockId(int(document["number"]), bytes.fromhex(document["hash"][2:]), int(document["timestamp"]))
    if len(block.hash) != 32:
        raise ValueError("no hash")
    return block


def _page(frame: Frame) -> EventPage:
    blocks = {block.number: block for block in frame.blocks}
    return EventPage(
        frame.first_block,
        frame.last.number,
        "0x" + frame.last.hash.hex(),
        tuple(_event(event, blocks[event.block_number]) for event in frame.events),
    )


def _event(event: Event, block: BlockId) -> PoolEvent:
    origin = Origin(
        block_number=block.number,
        block_hash="0x" + block.hash.hex(),
        transaction_hash="0x" + event.transaction_hash.hex(),
        log_index=event.log_index,
        timestamp=block.timestamp,
    )
    if isinstance(event, Queued):
        return CommitmentQueued(event.position, int.from_bytes(event.commitment, "big"), event.memo, origin)
    if isinstance(event, Nullified):
        return NullifierUsed(int.from_bytes(event.nullifier, "big"), origin)
    if isinstance(event, Inserted):
        return AccountUpdated(int.from_bytes(event.root, "big"), event.start_index, event.size, origin)
    return WithdrawExecuted(to_checksum_address(event.receiver), to_checksum_address(event.token), event.amount, origin)
