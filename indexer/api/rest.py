"""The REST endpoints: JSON pages, the binary stream for wallets, and new blocks as server-sent events."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from chain.stream.format import MEDIA_TYPE, Frame, encode_frame, encode_header
from indexer.api import answers
from indexer.api.answers import Listing
from indexer.api.http import MAX_NUMBER, RefusedError, chain_of, is_known, number_of, page_of
from indexer.api.openapi import Operation, Parameter
from indexer.api.pages import MAX_PAGE, Page, find_page, read_page
from indexer.api.served import Api, Served
from indexer.api.tips import MAX_STREAMS
from protocol.merkle import CAPACITY

# A year, the longest that RFC 9111 suggests.
_FINISHED = "public, max-age=31536000, immutable"

Handler = Callable[[Api, Served, Request], Awaitable[Response]]


@dataclass(frozen=True)
class Endpoint:
    operation: Operation
    handler: Handler


def answering(api: Api, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint for any chain, or for the only one."""
    known = {each.name for each in endpoint.operation.parameters if each.place == "query"}

    async def answer(request: Request) -> Response:
        for name in request.query_params:
            if name not in known:
                raise RefusedError(400, f"there is no parameter {name[:40]!r} here: see /openapi.json")
        return await endpoint.handler(api, chain_of(api, request), request)

    return answer


async def chains(api: Api) -> Response:
    """Every chain that is served and how far it is."""
    found = []
    for chain in api.chains.values():
        newest = chain.tips.newest
        known = None if newest is None else answers.status(newest, version("gelap"))
        tip = None if known is None else known["tip"]
        pool = None if known is None else known["pool"]
        found.append({"name": chain.name, "chain_id": chain.reader.chain_id, "pool": pool, "tip": tip})
    return JSONResponse({"chains": found})


async def _status(_: Api, chain: Served, __: Request) -> Response:
    return JSONResponse(answers.status(await asyncio.to_thread(chain.reader.summary), version("gelap")))


def _pages(listing: Listing | None) -> Handler:
    async def handler(api: Api, chain: Served, request: Request) -> Response:
        first, limit = page_of(request)

        def find(read: bool) -> tuple[Page, bytes | None]:
            """The page; its JSON too, unless the client has it, or Redis, which is asked first, may have it."""
            with chain.reader.view() as view:
                page = find_page(view, listing, first, limit, api.finality)
                if is_known(request, page.tag):
                    return page, None
                body = api.kept.get(page.key) if api.kept and page.key else None
                if body is None and (read or api.cache is None or page.key is None):
                    body = read_page(view, page)
                    if api.kept and page.key:
                        api.kept.put(page.key, body)
                return page, body

        async with api.page_readers:
            page, body = await asyncio.to_thread(find, False)
        if body is None and api.cache and page.key and not is_known(request, page.tag):
            # Outside of the transaction: a Redis that hangs must not keep connections to the database.
            body = await asyncio.to_thread(api.cache.get, page.key)
            if body is not None and api.kept:
                api.kept.put(page.key, body)
            if body is None:
                async with api.page_readers:
                    page, body = await asyncio.to_thread(find, True)
                if page.key and body is not None:
                    await asyncio.to_thread(api.cache.put, page.key, body)
        headers = {"ETag": page.tag, "Cache-Control": _FINISHED if page.finished else "no-cache"}
        if body is None:
            return Response(None, 304, headers)
        return Response(body, 200, headers, media_type="application/json")

    return handler


async def _blocks(_: Api, chain: Served, request: Request) -> Response:
    below = number_of(request.query_params.get("below", str(MAX_NUMBER)), "below")
    limit = page_of(request)[1]
    rows = await asyncio.to_thread(chain.reader.blocks, below, limit)
    return JSONResponse({"blocks": [answers.block(row) for row in rows]})


async def _path(_: Api, chain: Served, request: Request) -> Response:
    leaf_index = number_of(request.path_params["leaf_index"], "a leaf index")
    if leaf_index >= CAPACITY:
        raise RefusedError(400, "a leaf index is below 2^32")
    found = await asyncio.to_thread(chain.reader.path, leaf_index)
    if found is None:
        raise RefusedError(404, "no batch holds this leaf yet")
    return JSONResponse(answers.path(leaf_index, *found), headers={"Cache-Control": "no-store"})


async def _events(api: Api, chain: Served, request: Request) -> Response:
    query = request.query_params
    after = number_of(query["after"], "after") if "after" in query else None
    block_hash: bytes | None = None
    if "hash" in query:
        try:
            block_hash = bytes.fromhex(query["hash"].removeprefix("0x"))
        except ValueError:
            block_hash = b""
        if len(block_hash) != 32 or after is None:
            raise RefusedError(400, "hash is that of the block `after`: 0x and 64 hexadecimal digits")
    frames = chain.reader.frames(after, block_hash)

    async def encoded() -> bytes | None:
        async with api.encoders:
            return await asyncio.to_thread(_next_frame, frames)

    summary = await asyncio.to_thread(chain.reader.summary)
    # Before the answer begins: a block that is not known any more is a failure, not an empty stream.
    first = await encoded()

    async def stream() -> AsyncIterator[bytes]:
        yield encode_header(summary.chain_id, summary.address)
        frame = first
        while frame is not None:
            yield frame
            frame = await encoded()

    return StreamingResponse(stream(), media_type=MEDIA_TYPE)


def _next_frame(frames: Iterator[Frame]) -> bytes | None:
    frame = next(frames, None)
    return None if frame is None else encode_frame(frame)


async def _tips(api: Api, chain: Served, _: Request) -> Response:
    if api.streams >= MAX_STREAMS:
        raise RefusedError(503, "too many streams are open: try again later", {"Retry-After": "30"})

    async def stream() -> AsyncIterator[str]:
        async for summary in chain.tips.follow():
            if summary is None:
                yield ": still here\n\n"
            elif summary.tip is not None:
                data = json.dumps(answers.status(summary, version("gelap")), separators=(",", ":"))
                yield f"event: tip\nid: {summary.tip.number}\ndata: {data}\n\n"

    return StreamingResponse(stream(), media_type="text/event-stream")


_LIMIT = Parameter("limit", "How many at most.", default=MAX_PAGE, maximum=MAX_PAGE)
_BY_NUMBER = (Parameter("from", "The first number of the page.", default=0), _LIMIT)

ENDPOINTS = (
    Endpoint(Operation("status", "/status", "How far the pool is indexed", schema="Status"), _status),
    Endpoint(
        Operation(
            "leaves",
            "/leaves",
            "Leaves of the tree with their memos; empty ones are left out",
            (Parameter("from", "The first leaf index of the page.", default=0), _LIMIT),
            schema="Leaves",
            tagged=True,
        ),
        _pages(None),
    ),
    Endpoint(
        Operation(
            "queue",
            "/queue",
            "Commitments by queue position, those that wait included",
            _BY_NUMBER,
            schema="Queue",
            tagged=True,
        ),
        _pages(answers.QUEUE),
    ),
    Endpoint(
        Operation(
            "nullifiers", "/nullifiers", "Nullifiers in chain order", _BY_NUMBER, schema="Nullifiers", tagged=True
        ),
        _pages(answers.NULLIFIERS),
    ),
    Endpoint(
        Operation(
            "withdrawals", "/withdrawals", "Withdrawals in chain order", _BY_NUMBER, schema="Withdrawals", tagged=True
        ),
        _pages(answers.WITHDRAWALS),
    ),
    Endpoint(
        Operation("roots", "/roots", "Tree updates with the root after each", _BY_NUMBER, schema="Roots", tagged=True),
        _pages(answers.ROOTS),
    ),
    Endpoint(
        Operation(
            "blocks",
            "/blocks",
            "Blocks that were read, newest first",
            (Parameter("below", "The newest of the page."), _LIMIT),
            schema="Blocks",
        ),
        _blocks,
    ),
    Endpoint(
        Operation(
            "path",
            "/paths/{leaf_index}",
            "A leaf's 32 siblings, for tools: whoever asks tells which leaf is theirs, so wallets keep their own tree",
            (Parameter("leaf_index", "The leaf's index.", "path"),),
            schema="Path",
        ),
        _path,
    ),
    Endpoint(
        Operation(
            "events",
            "/events",
            "All events after a block in binary, for wallets; without `after`, all there are",
            (
                Parameter("after", "The last block that was read."),
                Parameter("hash", "Its hash; status 409 when it was replaced.", kind="hash"),
            ),
            media_type=MEDIA_TYPE,
        ),
        _events,
    ),
    Endpoint(
        Operation(
            "tips",
            "/tips",
            "The status after every change, as server-sent events named tip",
            media_type="text/event-stream",
        ),
        _tips,
    ),
)
