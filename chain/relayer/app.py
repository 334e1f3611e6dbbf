"""The relayer's HTTP interface. It logs no request: neither addresses nor what was asked."""

import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass

import structlog
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from chain.errors import ChainError, RelayerError
from chain.relayer import metrics
from chain.relayer.journal import Submission
from chain.relayer.openapi import Operation, Parameter, describe
from chain.relayer.quote import KINDS
from chain.relayer.refusals import REFUSALS
from chain.relayer.service import Relayer
from chain.relayer.wire import ProblemModel, QuoteModel, SubmissionModel, SubmitModel, TermsModel, parse
from gelap.logs import where
from gelap.rate_limit import RateLimit, retry_after
from gelap.request_body import BodyError, read_body

MAX_BODY_BYTES = 64 << 10
_BODY_SECONDS = 20.0
_NODE_FAILED = "the relayer's node does not answer: try again later, or broadcast the payment yourself"

log = structlog.get_logger("gelap.relayer")

Handler = Callable[[Relayer, Request], Awaitable[BaseModel]]


@dataclass(frozen=True)
class Endpoint:
    operation: Operation
    handler: Handler


def relayer_app(relayer: Relayer, limit: RateLimit | None = None) -> Starlette:
    """The interface with its description (`/openapi.json`) and the probes `/livez` and `/readyz`.

    `limit` bounds how often one address may ask; None does not.
    """
    document = describe([each.operation for each in ENDPOINTS], MAX_BODY_BYTES)

    async def openapi(_: Request) -> Response:
        return JSONResponse(document)

    async def livez(_: Request) -> Response:
        return Response(status_code=204)

    async def readyz(_: Request) -> Response:
        health = relayer.health()
        return JSONResponse({"ready": health.ready, **asdict(health)}, 200 if health.ready else 503)

    routes = [
        Route(each.operation.path, _answering(relayer, each, limit), methods=[each.operation.method])
        for each in ENDPOINTS
    ]
    routes += [Route("/openapi.json", openapi), Route("/livez", livez), Route("/readyz", readyz)]
    return Starlette(routes=routes, exception_handlers={HTTPException: _no_such_path})


async def _terms(relayer: Relayer, _: Request) -> BaseModel:
    pool, fees = relayer.pool, relayer.note_fees
    return TermsModel(
        chain_id=pool.chain_id,
        pool=pool.address,
        relayer=relayer.address,
        tokens=relayer.tokens(),
        address=fees.address.encode() if fees else None,
    )


async def _quote(relayer: Relayer, request: Request) -> BaseModel:
    kind, token = request.query_params.get("kind"), request.query_params.get("token", "")
    if kind not in KINDS:
        raise RelayerError(f"kind: one of {', '.join(KINDS)}", "malformed")
    if len(token) != 42:
        raise RelayerError("token: an EVM address", "malformed")
    try:
        return QuoteModel.of(await run_in_threadpool(relayer.quote, token, kind))
    except ValueError:
        raise RelayerError("token: an EVM address", "malformed") from None


async def _submit(relayer: Relayer, request: Request) -> BaseModel:
    body = parse(SubmitModel, await _body(request))
    assert isinstance(body, SubmitModel)
    return _model(await run_in_threadpool(relayer.submit, body.quote.signed(), body.spend.spend()))


async def _status(relayer: Relayer, request: Request) -> BaseModel:
    return _model(await run_in_threadpool(relayer.find, request.path_params["id"]))


def _answering(
    relayer: Relayer, endpoint: Endpoint, limit: RateLimit | None
) -> Callable[[Request], Awaitable[Response]]:
    route = endpoint.operation.name

    async def answer(request: Request) -> Response:
        started = time.perf_counter()
        wait = limit.seconds_to_wait(request.client.host if request.client else "") if limit else 0.0
        response: Response
        try:
            if wait > 0:
                raise RelayerError("this address asks too often: wait and ask again", "too-often")
            model = await endpoint.handler(relayer, request)
            code, response = "ok", JSONResponse(model.model_dump(), headers={"Cache-Control": "no-store"})
        except ClientDisconnect:
            code, response = "gone", Response(status_code=499)
        except RelayerError as error:
            code, response = error.code, _problem(error.code, str(error), wait)
        except ChainError as error:
            log.warning("node failed", reason=type(error).__name__)
            code, response = "node", _problem("node", _NODE_FAILED)
        except Exception as error:
            # Without its message: it may hold what was sent.
            log.error("an endpoint failed", exception=type(error).__name__, where=where(error))
            code, response = "internal", _problem("internal", "this is an error of the relayer's: use another one")
        metrics.REQUESTS.labels(route, code).inc()
        metrics.REQUEST_SECONDS.labels(route).observe(time.perf_counter() - started)
        return response

    return answer


def _problem(code: str, detail: str, wait: float = 0.0) -> Response:
    status = REFUSALS[code].status
    model = ProblemModel(type="about:blank", title=code, status=status, detail=detail, code=code)
    headers = {"Retry-After": retry_after(wait)} if wait > 0 else {}
    return Response(json.dumps(model.model_dump()), status, headers, media_type="application/problem+json")


def _no_such_path(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    body = {"type": "about:blank", "title": "Not Found", "status": status, "detail": "see /openapi.json"}
    return Response(json.dumps(body), status, media_type="application/problem+json")


async def _body(request: Request) -> bytes:
    try:
        return await read_body(request, MAX_BODY_BYTES, _BODY_SECONDS)
    except BodyError as error:
        if error.too_long:
            raise RelayerError(f"a request has at most {MAX_BODY_BYTES} bytes", "too-large") from None
        raise RelayerError(f"the request did not arrive within {_BODY_SECONDS:.0f} s", "malformed") from None


def _model(item: Submission) -> BaseModel:
    return SubmissionModel(
        id=item.id,
        state=item.state,  # type: ignore[arg-type]
        transaction=item.hashes[-1],
        detail=item.detail,
        block=item.block_number,
    )


ENDPOINTS = (
    Endpoint(
        Operation("terms", "GET", "/v1/terms", "Chain, pool, the relayer's account, the tokens it takes", TermsModel),
        _terms,
    ),
    Endpoint(
        Operation(
            "quote",
            "GET",
            "/v1/quote",
            "A signed fee for one payment; everybody who asks within a minute gets the same one",
            QuoteModel,
            parameters=(
                Parameter("token", "The token of the payment and its fee.", pattern="^0x[0-9a-fA-F]{40}$"),
                Parameter("kind", "How the payment is settled and paid for.", choices=KINDS),
            ),
            refusals=("malformed", "token", "kind", "unfunded", "stopping", "node"),
        ),
        _quote,
    ),
    Endpoint(
        Operation(
            "submit",
            "POST",
            "/v1/submissions",
            "Hand a proved payment over; asking again sends nothing again",
            SubmissionModel,
            body=SubmitModel,
            refusals=(
                *("malformed", "too-large", "bad-quote", "expired", "underpaid", "deadline", "refused"),
                *("busy", "unfunded", "stopping", "node"),
            ),
        ),
        _submit,
    ),
    Endpoint(
        Operation(
            "status",
            "GET",
            "/v1/submissions/{id}",
            "What has become of a payment",
            SubmissionModel,
            parameters=(Parameter("id", "As the submission's answer says.", place="path", pattern="^[0-9a-f]{64}$"),),
            refusals=("unknown",),
        ),
        _status,
    ),
)
