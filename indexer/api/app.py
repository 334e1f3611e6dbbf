"""The HTTP API of an indexer: JSON pages, the binary stream for wallets, and new blocks as server-sent events."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import structlog
from sqlalchemy import Row, Table
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from chain.stream.format import MEDIA_TYPE, Frame, encode_frame, encode_header
from gelap.logs import where
from gelap.rate_limit import RateLimit, retry_after
from indexer import metrics, schema
from indexer.api import answers
from indexer.api.openapi import Operation, Parameter, describe
from indexer.api.tips import MAX_STREAMS, Tips
from indexer.errors import StoreError
from indexer.reader import Reader, UnknownBlockError
from protocol.merkle import CAPACITY

MAX_PAGE = 1_000
_MAX_NUMBER = 1 << 62
# A reader of the whole stream does not hold up others for long: that many streams are encoded at once.
_STREAMS_AT_ONCE = 4
_PROBLEM = "application/problem+json"

log = structlog.get_logger("gelap.indexer")

Handler = Callable[["Api", Request], Awaitable[Response]]


class Api:
    """What the endpoints share."""

    def __init__(self, reader: Reader, tips: Tips, limit: RateLimit) -> None:
        self.reader = reader
        self.tips = tips
        self.limit = limit
        self.encoders = asyncio.Semaphore(_STREAMS_AT_ONCE)


@dataclass(frozen=True)
class Endpoint:
    operation: Operation
    handler: Handler


def api_app(api: Api) -> Starlette:
    """The API with its description (`/openapi.json`), the probes `/healthz` and `/readyz`."""
    document = describe([each.operation for each in ENDPOINTS])

    async def openapi(_: Request) -> Response:
        return JSONResponse(document)

    async def healthz(_: Request) -> Response:
        return JSONResponse({"alive": True})

    async def readyz(_: Request) -> Response:
        ready = api.tips.database_up and api.tips.newest is not None and api.tips.newest.tip is not None
        return JSONResponse({"ready": ready, "database_up": api.tips.database_up}, 200 if ready else 503)

    routes = [Route(each.operation.path, _guarded(api, each), methods=["GET"]) for each in ENDPOINTS]
    routes += [Route("/openapi.json", openapi), Route("/healthz", healthz), Route("/readyz", readyz)]
    return Starlette(routes=routes, exception_handlers={HTTPException: _no_such_path})


def metrics_app() -> Starlette:
    """`/metrics`, for a listener that only operators reach."""

    async def read_metrics(_: Request) -> Response:
        return Response(metrics.exposition(), headers={"Content-Type": metrics.CONTENT_TYPE})

    return Starlette(routes=[Route("/metrics", read_metrics)])


class _BadRequestError(Exception):
    pass


def _guarded(api: Api, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        started = time.perf_counter()
        response = await _answer(api, endpoint, request)
        route = endpoint.operation.name
        metrics.CALLS.labels(route, str(response.status_code)).inc()
        metrics.CALL_SECONDS.labels(route).observe(time.perf_counter() - started)
        return response

    return answer


async def _answer(api: Api, endpoint: Endpoint, request: Request) -> Response:
    wait = api.limit.seconds_to_wait(request.client.host if request.client else "")
    if wait > 0:
        headers = {"Retry-After": retry_after(wait)}
        return _problem(429, "Too Many Requests", "this address asks too often: wait and ask again", headers)
    try:
        _refuse_unknown(request, endpoint.operation)
        response = await endpoint.handler(api, request)
    except _BadRequestError as error:
        return _problem(400, "Bad Request", str(error))
    except UnknownBlockError as error:
        return _problem(409, "Conflict", f"{error}: read on from an older block (see /v1/blocks)")
    except StoreError as error:
        log.error("the API cannot read the database", reason=str(error))
        return _problem(503, "Service Unavailable", "the indexer's database does not answer: try again later")
    except Exception as error:
        log.error("an endpoint failed", exception=type(error).__name__, where=where(error))
        return _problem(500, "Internal Server Error", "this is an error of the indexer's")
    response.headers.setdefault("Cache-Control", "no-cache")
    response.headers.setdefault("Access-Control-Allow-Origin", "*")
    return response


def _refuse_unknown(request: Request, operation: Operation) -> None:
    known = {each.name for each in operation.parameters if each.place == "query"}
    for name in request.query_params:
        if name not in known:
            raise _BadRequestError(f"there is no parameter {name[:40]!r} here: see /openapi.json")


def _number(text: str, name: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 19 or int(text) > _MAX_NUMBER:
        raise _BadRequestError(f"{name} is a number, 0 or more, in decimal digits")
    return int(text)


def _page_of(request: Request) -> tuple[int, int]:
    first = _number(request.query_params.get("from", "0"), "from")
    limit = _number(request.query_params.get("limit", str(MAX_PAGE)), "limit")
    if not 1 <= limit <= MAX_PAGE:
        raise _BadRequestError(f"limit is 1 to {MAX_PAGE}")
    return first, limit


async def _status(api: Api, _: Request) -> Response:
    return JSONResponse(answers.status(await asyncio.to_thread(api.reader.summary), version("gelap")))


async def _leaves(api: Api, request: Request) -> Response:
    first, limit = _page_of(request)

    def read() -> bytes:
        found, used = api.reader.leaves(first, limit)
        return _json(answers.leaves(found, max(first, min(first + limit, used)), used))

    return Response(await asyncio.to_thread(read), media_type="application/json")


def _rows(name: str, table: Table, key: str, form: Callable[[Row[Any]], dict[str, Any]]) -> Handler:
    async def handler(api: Api, request: Request) -> Response:
        first, limit = _page_of(request)

        def read() -> bytes:
            rows = api.reader.page(table, key, first, limit)
            return _json({name: [form(row) for row in rows], "next": first + len(rows)})

        return Response(await asyncio.to_thread(read), media_type="application/json")

    return handler


async def _blocks(api: Api, request: Request) -> Response:
    below = _number(request.query_params.get("below", str(_MAX_NUMBER)), "below")
    _, limit = _page_of(request)
    rows = await asyncio.to_thread(api.reader.blocks, below, limit)
    return JSONResponse({"blocks": [answers.block(row) for row in rows]})


async def _path(api: Api, request: Request) -> Response:
    leaf_index = _number(request.path_params["leaf_index"], "a leaf index")
    if leaf_index >= CAPACITY:
        raise _BadRequestError("a leaf index is below 2^32")
    found = await asyncio.to_thread(api.reader.path, leaf_index)
    if found is None:
        return _problem(404, "Not Found", "no batch holds this leaf yet")
    return JSONResponse(answers.path(leaf_index, *found))


async def _events(api: Api, request: Request) -> Response:
    query = request.query_params
    after = _number(query["after"], "after") if "after" in query else None
    block_hash: bytes | None = None
    if "hash" in query:
        try:
            block_hash = bytes.fromhex(query["hash"].removeprefix("0x"))
        except ValueError:
            block_hash = b""
        if len(block_hash) != 32 or after is None:
            raise _BadRequestError("hash is that of the block `after`: 0x and 64 hexadecimal digits")
    frames = api.reader.frames(after, block_hash)

    async def encoded() -> bytes | None:
        async with api.encoders:
            return await asyncio.to_thread(_next_frame, frames)

    summary = await asyncio.to_thread(api.reader.summary)
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


async def _tips(api: Api, _: Request) -> Response:
    if api.tips.streams >= MAX_STREAMS:
        return _problem(503, "Service Unavailable", "too many streams are open: try again later", {"Retry-After": "30"})

    async def stream() -> AsyncIterator[str]:
        async for summary in api.tips.follow():
            if summary is None:
                yield ": still here\n\n"
            elif summary.tip is not None:
                data = json.dumps(answers.status(summary, version("gelap")), separators=(",", ":"))
                yield f"event: tip\nid: {summary.tip.number}\ndata: {data}\n\n"

    return StreamingResponse(stream(), media_type="text/event-stream")


def _json(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def _problem(code: int, title: str, detail: str, headers: dict[str, str] | None = None) -> Response:
    return Response(json.dumps(answers.problem(code, title, detail)), code, headers, media_type=_PROBLEM)


async def _no_such_path(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _problem(error.status_code, error.detail, "there is nothing here: /openapi.json describes the API")


_LIMIT = Parameter("limit", "How many at most.", default=MAX_PAGE, maximum=MAX_PAGE)
_BY_NUMBER = (Parameter("from", "The first number of the page.", default=0), _LIMIT)

ENDPOINTS = (
    Endpoint(Operation("status", "/v1/status", "How far the pool is indexed", schema="Status"), _status),
    Endpoint(
        Operation(
            "leaves",
            "/v1/leaves",
            "Leaves of the tree with their memos; empty ones are left out",
            (Parameter("from", "The first leaf index of the page.", default=0), _LIMIT),
            schema="Leaves",
        ),
        _leaves,
    ),
    Endpoint(
        Operation(
            "queue", "/v1/queue", "Commitments by queue position, those that wait included", _BY_NUMBER, schema="Queue"
        ),
        _rows("commitments", schema.COMMITMENTS, "position", answers.commitment),
    ),
    Endpoint(
        Operation("nullifiers", "/v1/nullifiers", "Nullifiers in chain order", _BY_NUMBER, schema="Nullifiers"),
        _rows("nullifiers", schema.NULLIFIERS, "number", answers.nullifier),
    ),
    Endpoint(
        Operation("withdrawals", "/v1/withdrawals", "Withdrawals in chain order", _BY_NUMBER, schema="Withdrawals"),
        _rows("withdrawals", schema.WITHDRAWALS, "number", answers.withdrawal),
    ),
    Endpoint(
        Operation("roots", "/v1/roots", "Tree updates with the root after each", _BY_NUMBER, schema="Roots"),
        _rows("roots", schema.BATCHES, "number", answers.root),
    ),
    Endpoint(
        Operation(
            "blocks",
            "/v1/blocks",
            "Blocks that were read, newest first",
            (Parameter("below", "The newest of the page."), _LIMIT),
            schema="Blocks",
        ),
        _blocks,
    ),
    Endpoint(
        Operation(
            "path",
            "/v1/paths/{leaf_index}",
            "A leaf's 32 siblings, for tools: whoever asks tells which leaf is theirs, so wallets keep their own tree",
            (Parameter("leaf_index", "The leaf's index.", "path"),),
            schema="Path",
        ),
        _path,
    ),
    Endpoint(
        Operation(
            "events",
            "/v1/events",
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
            "/v1/tips",
            "The status after every change, as server-sent events named tip",
            media_type="text/event-stream",
        ),
        _tips,
    ),
)
