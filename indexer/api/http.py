"""How every endpoint takes a request and answers: limits, failures as Problem Details, numbers in the query."""

import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from gelap.logs import where
from gelap.rate_limit import retry_after
from indexer import metrics
from indexer.api import answers
from indexer.api.pages import MAX_PAGE
from indexer.api.served import Api, Served
from indexer.errors import StoreError
from indexer.reader import UnknownBlockError

MAX_NUMBER = 1 << 62
_PROBLEM = "application/problem+json"
_CORS = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "ETag, Retry-After"}

log = structlog.get_logger("gelap.indexer")

Answer = Callable[[Request], Awaitable[Response]]


class RefusedError(Exception):
    """A request that is not answered: the status, why, and more fields and headers of the answer."""

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None, **more: Any) -> None:
        super().__init__(detail)
        self.status, self.headers, self.more = status, headers, more


_TITLES = {
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


def guarded(api: Api, name: str, answer: Answer) -> Answer:
    """Count and limit requests, and turn what goes wrong into an answer."""

    async def guard(request: Request) -> Response:
        started = time.perf_counter()
        try:
            take_from_limit(api, request)
            response = await answer(request)
        except RefusedError as error:
            response = problem(error)
        except UnknownBlockError as error:
            response = problem(RefusedError(409, f"{error}: read on from an older block (see /v1/blocks)"))
        except StoreError as error:
            log.error("the API cannot read the database", reason=str(error))
            response = problem(RefusedError(503, "the indexer's database does not answer: try again later"))
        except Exception as error:
            log.error("an endpoint failed", exception=type(error).__name__, where=where(error))
            response = problem(RefusedError(500, "this is an error of the indexer's"))
        response.headers.setdefault("Cache-Control", "no-store" if response.status_code >= 400 else "no-cache")
        response.headers.update(_CORS)
        metrics.CALLS.labels(name, str(response.status_code)).inc()
        metrics.CALL_SECONDS.labels(name).observe(time.perf_counter() - started)
        return response

    return guard


def take_from_limit(api: Api, request: Request, cost: int = 1) -> None:
    """Take so many requests from what this address may ask. Raises RefusedError when it has no more."""
    wait = api.limit.seconds_to_wait(request.client.host if request.client else "", cost)
    if wait > 0:
        headers = {"Retry-After": retry_after(wait)}
        raise RefusedError(429, "this address asks too often: wait and ask again", headers)


def chain_of(api: Api, request: Request) -> Served:
    """The chain that a path names; without a name, the only one. Raises RefusedError."""
    if "chain" in request.path_params:
        found = api.find(request.path_params["chain"])
        if found is None:
            raise RefusedError(404, "this chain is not served here: see /v1/chains", chains=list(api.chains))
        return found
    if api.only_chain is None:
        raise RefusedError(
            400, "several chains are served here: ask /v1/chains/{chain}/... for one of them", chains=list(api.chains)
        )
    return api.only_chain


def number_of(text: str, name: str) -> int:
    """Raises RefusedError."""
    if not text.isascii() or not text.isdigit() or len(text) > 19 or int(text) > MAX_NUMBER:
        raise RefusedError(400, f"{name} is a number, 0 or more, in decimal digits")
    return int(text)


def page_of(request: Request) -> tuple[int, int]:
    """The first number of a page and how many follow. Raises RefusedError."""
    first = number_of(request.query_params.get("from", "0"), "from")
    limit = number_of(request.query_params.get("limit", str(MAX_PAGE)), "limit")
    if not 1 <= limit <= MAX_PAGE:
        raise RefusedError(400, f"limit is 1 to {MAX_PAGE}")
    return first, limit


def is_known(request: Request, tag: str) -> bool:
    """Whether the client has what this entity tag names (RFC 9110, If-None-Match, weak comparison)."""
    known = request.headers.get("If-None-Match", "")
    return known.strip() == "*" or tag.removeprefix("W/") in (
        each.strip().removeprefix("W/") for each in known.split(",")
    )


def problem(error: RefusedError) -> Response:
    body = answers.problem(error.status, _TITLES[error.status], str(error), **error.more)
    return Response(json.dumps(body), error.status, error.headers, media_type=_PROBLEM)


async def no_such_path(_: Request, error: Exception) -> Response:
    """For what the router refuses."""
    assert isinstance(error, HTTPException)
    body = answers.problem(error.status_code, error.detail, "this is not served here: /openapi.json describes the API")
    return Response(json.dumps(body), error.status_code, dict(error.headers or {}), media_type=_PROBLEM)
