"""The relayer's HTTP interface. It logs no request: neither addresses nor what was asked."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import structlog
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from chain.errors import ChainError, RelayerError
from chain.relayer.journal import Submission
from chain.relayer.quote import KINDS
from chain.relayer.service import Relayer
from chain.relayer.wire import QuoteModel, SubmissionModel, SubmitModel, TermsModel, parse

MAX_BODY_BYTES = 64 << 10
_BODY_SECONDS = 20.0
STATUS = {
    "malformed": 400,
    "too-large": 413,
    "token": 404,
    "kind": 404,
    "unknown": 404,
    "bad-quote": 400,
    "expired": 410,
    "deadline": 400,
    "underpaid": 402,
    "refused": 422,
    "busy": 503,
    "node": 502,
}
_NODE_FAILED = "the relayer's node does not answer: try again later, or broadcast the payment yourself"

log = structlog.get_logger("gelap.relayer")


def relayer_app(relayer: Relayer) -> Starlette:
    """Routes: GET /v1/terms, /v1/quote, /v1/submissions/{id}, POST /v1/submissions, GET /livez."""

    async def terms(_: Request) -> BaseModel:
        pool = relayer.pool
        return TermsModel(
            chain_id=pool.chain_id,
            pool=pool.address,
            relayer=relayer.address,
            tokens=relayer.tokens(),
            address=relayer.note_fees.address.encode() if relayer.note_fees else None,
        )

    async def quote(request: Request) -> BaseModel:
        kind, token = request.query_params.get("kind"), request.query_params.get("token", "")
        if kind not in KINDS:
            raise RelayerError(f"kind: one of {', '.join(KINDS)}", "malformed")
        if len(token) != 42:
            raise RelayerError("token: an EVM address", "malformed")
        try:
            return QuoteModel.of(await run_in_threadpool(relayer.quote, token, kind))
        except ValueError:
            raise RelayerError("token: an EVM address", "malformed") from None

    async def submit(request: Request) -> BaseModel:
        body = parse(SubmitModel, await _body(request))
        assert isinstance(body, SubmitModel)
        return _model(await run_in_threadpool(relayer.submit, body.quote.signed(), body.spend.spend()))

    async def status(request: Request) -> BaseModel:
        return _model(await run_in_threadpool(relayer.find, request.path_params["id"]))

    async def live(_: Request) -> Response:
        return Response(status_code=204)

    return Starlette(
        routes=[
            Route("/v1/terms", _answering(terms), methods=["GET"]),
            Route("/v1/quote", _answering(quote), methods=["GET"]),
            Route("/v1/submissions", _answering(submit), methods=["POST"]),
            Route("/v1/submissions/{id}", _answering(status), methods=["GET"]),
            Route("/livez", live, methods=["GET"]),
        ]
    )


def _answering(handler: Callable[[Request], Awaitable[BaseModel]]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            model = await handler(request)
            return JSONResponse(model.model_dump(), headers={"Cache-Control": "no-store"})
        except ClientDisconnect:
            return Response(status_code=499)
        except RelayerError as error:
            return _problem(error.code, str(error))
        except ChainError as error:
            log.warning("node failed", reason=type(error).__name__)
            return _problem("node", _NODE_FAILED)

    return answer


def _problem(code: str, detail: str) -> Response:
    status = STATUS[code]
    body = {"type": "about:blank", "title": code, "status": status, "detail": detail, "code": code}
    return Response(json.dumps(body), status, media_type="application/problem+json")


async def _body(request: Request) -> bytes:
    read = bytearray()
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for part in request.stream():
                read += part
                if len(read) > MAX_BODY_BYTES:
                    raise RelayerError(f"a request has at most {MAX_BODY_BYTES} bytes", "too-large")
    except TimeoutError:
        raise RelayerError(f"the request did not arrive within {_BODY_SECONDS:.0f} s", "malformed") from None
    return bytes(read)


def _model(item: Submission) -> BaseModel:
    return SubmissionModel(id=item.id, state=item.state, transaction=item.hashes[-1], detail=item.detail)  # type: ignore[arg-type]
