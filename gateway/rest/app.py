"""The REST interface: from HTTP to the calls of `calls.py`, and from what they raise to Problem Details."""

import json
import math
import time
from typing import Any

from grpc import StatusCode
from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from gateway import metrics
from gateway.calls import Calls
from gateway.failures import AboutJobError, failure_of
from gateway.health import Condition
from gateway.probes import probe_routes
from gateway.rest.openapi import describe, page
from gateway.rest.operations import OPERATIONS, Operation
from gateway.status import STATUS, problem_of
from gateway.tenants import api_key_of
from gelap.request_body import BodyError, read_body
from gelap.tracing import Traces
from worker.errors import InvalidRequestError, RequestTooLargeError

# Twice what gRPC takes: bytes are hexadecimal here.
MAX_BODY_BYTES = 2 << 20
_BODY_SECONDS = 30.0
_INTERFACE = "rest"
_PROBLEM = "application/problem+json"


def rest_app(calls: Calls, condition: Condition, traces: Traces | None = None) -> Starlette:
    """The interface with its description (`/openapi.json`, `/docs`) and the probes."""
    document = describe(OPERATIONS)
    html = page(document)

    async def openapi(_: Request) -> Response:
        return JSONResponse(document)

    async def docs(_: Request) -> Response:
        # It is one text: nothing is loaded from anywhere, and nothing in it runs.
        return HTMLResponse(html, headers={"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"})

    routes = [
        Route(operation.path, _endpoint(calls, operation, traces or Traces()), methods=[operation.method])
        for operation in OPERATIONS
    ]
    routes += [Route("/openapi.json", openapi), Route("/docs", docs), *probe_routes(condition)]
    return Starlette(routes=routes, exception_handlers={HTTPException: _no_such_path})


def _endpoint(calls: Calls, operation: Operation, traces: Traces) -> Any:
    async def answer(request: Request) -> Response:
        started = time.perf_counter()
        in_hand = metrics.CALLS_IN_HAND.labels(_INTERFACE, operation.name)
        in_hand.inc()
        code = StatusCode.CANCELLED
        with traces.call(f"{operation.method} {operation.path}", request.headers.get("traceparent", "")) as span:
            try:
                response = await _answer(calls, operation, request)
                code = StatusCode.OK
            except ClientDisconnect:
                # Nobody reads it.
                response = Response(status_code=499)
            except Exception as error:
                response, code = _problem(error)
            finally:
                in_hand.dec()
                span.end_as(code.name, code is not StatusCode.OK)
                metrics.CALLS.labels(_INTERFACE, operation.name, code.name).inc()
                # A stream's own time is that of its job.
                metrics.CALL_SECONDS.labels(_INTERFACE, operation.name).observe(time.perf_counter() - started)
        return response

    return answer


async def _answer(calls: Calls, operation: Operation, request: Request) -> Response:
    key = api_key_of(request.headers.getlist("authorization"))
    body = await _body(request, operation.body) if operation.body else None
    answer = await operation.handler(calls, key, request, body)
    if isinstance(answer, BaseModel):
        return JSONResponse(answer.model_dump())
    if not isinstance(answer, StreamingResponse):
        answer.headers.setdefault("Cache-Control", "no-store")
    return answer


async def _body(request: Request, model: type[BaseModel]) -> BaseModel:
    """Read the JSON of a request. Raises RequestTooLargeError and InvalidRequestError."""
    try:
        body = await read_body(request, MAX_BODY_BYTES, _BODY_SECONDS)
    except BodyError as error:
        if error.too_long:
            raise RequestTooLargeError(f"a request has {MAX_BODY_BYTES} bytes at most") from None
        raise InvalidRequestError(f"the request's body did not arrive within {_BODY_SECONDS:.0f} s") from None
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        # Without the values: they are the caller's.
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise InvalidRequestError(f"{place}: {message}"[:200] if place else message[:200]) from None


def _problem(error: Exception) -> tuple[Response, StatusCode]:
    failure, job_id = failure_of(error)
    code = STATUS[type(failure)].code
    if not isinstance(error, AboutJobError):
        metrics.REJECTIONS.labels(failure.name).inc()
    problem = problem_of(failure, job_id)
    headers = {}
    if "retry_after_ms" in problem:
        headers["Retry-After"] = str(math.ceil(problem["retry_after_ms"] / 1000))
    if problem["status"] == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if problem["status"] == 413:
        headers["Connection"] = "close"
    return Response(json.dumps(problem), problem["status"], headers, media_type=_PROBLEM), code


async def _no_such_path(_: Request, error: Exception) -> Response:
    """A path or method that is none of the interface's."""
    assert isinstance(error, HTTPException)
    problem = {
        "type": "about:blank",
        "title": error.detail,
        "status": error.status_code,
        "detail": "there is nothing at this path with this method: /docs describes the interface",
    }
    return Response(json.dumps(problem), error.status_code, error.headers, media_type=_PROBLEM)
