"""GraphQL over HTTP: one query in the body of a POST, as the draft "GraphQL over HTTP" says. No query is logged."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, NamedTuple

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    execute_sync,
    get_operation_ast,
    get_variable_values,
    parse,
    validate,
)
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from gelap.request_body import BodyError, read_body
from indexer.analytics import TooSlowError
from indexer.api.graphql.cost import Cost, measure
from indexer.api.graphql.resolvers import Context, attach
from indexer.api.graphql.schema import make_schema
from indexer.api.http import RefusedError, take_from_limit
from indexer.api.served import Api

MAX_BODY_BYTES = 16 << 10
MAX_TOKENS = 1_000
_BODY_SECONDS = 10.0
_MAX_ERRORS = 5
_MEDIA_TYPE = "application/graphql-response+json"
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "POST",
    "Access-Control-Allow-Headers": "Content-Type",
    "Access-Control-Max-Age": "86400",
}


def answering_queries(api: Api) -> Callable[[Request], Any]:
    """The endpoint."""
    schema, seconds = attach(make_schema()), api.query_seconds

    async def answer(request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=_PREFLIGHT)
        asked = _read(await _body(request))
        try:
            async with asyncio.timeout(seconds):
                await api.queries.acquire()
        except TimeoutError:
            raise RefusedError(503, "too many queries at once: try again later", {"Retry-After": "5"}) from None
        try:
            try:
                query = await asyncio.to_thread(_prepare, schema, asked, len(api.chains))
            except _InvalidError as invalid:
                return _response(request, {"errors": [error.formatted for error in invalid.errors]})
            # One request was taken from the limit before the body was read.
            take_from_limit(api, request, query.cost.requests - 1)
            return _response(request, await asyncio.to_thread(_run, api, schema, query, seconds))
        except TooSlowError:
            raise RefusedError(
                503, f"the query takes longer than {seconds:g} s: ask for shorter pages or later times"
            ) from None
        finally:
            api.queries.release()

    return answer


class _Asked(NamedTuple):
    """What a body holds."""

    query: str
    variables: dict[str, Any]
    operation: str | None


class _Query(NamedTuple):
    """A valid query that may run."""

    document: DocumentNode
    asked: _Asked
    cost: Cost


class _InvalidError(Exception):
    def __init__(self, *errors: GraphQLError) -> None:
        super().__init__()
        self.errors = errors


def _prepare(schema: GraphQLSchema, asked: _Asked, chains: int) -> _Query:
    """Raises _InvalidError."""
    try:
        document = parse(asked.query, max_tokens=MAX_TOKENS)
        errors = validate(schema, document, max_errors=_MAX_ERRORS)
        if errors:
            raise _InvalidError(*errors)
        operation = get_operation_ast(document, asked.operation)
        if operation is None:
            raise GraphQLError("operationName says which of several operations to run")
        variables = get_variable_values(
            schema, operation.variable_definitions or (), asked.variables, max_errors=_MAX_ERRORS
        )
        if isinstance(variables, list):
            raise _InvalidError(*variables)
        return _Query(document, asked, measure(schema, document, operation, variables, chains))
    except GraphQLError as error:
        raise _InvalidError(error) from None
    except RecursionError:
        raise _InvalidError(GraphQLError("the query is nested too deeply")) from None


def _run(api: Api, schema: GraphQLSchema, query: _Query, seconds: float) -> dict[str, Any]:
    """The result, with `data`. Raises TooSlowError, StoreError."""
    with Context(api, seconds) as context:
        asked = query.asked
        result = execute_sync(schema, query.document, None, context, asked.variables, asked.operation)
    for error in result.errors or ():
        # What a resolver did not mean to say ends the request: it is the server's fault, or its database's.
        if error.original_error is not None and not isinstance(error.original_error, GraphQLError):
            raise error.original_error
    return result.formatted  # type: ignore[return-value]


async def _body(request: Request) -> bytes:
    if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/json":
        raise RefusedError(415, 'send {"query": "..."} as application/json')
    try:
        return await read_body(request, MAX_BODY_BYTES, _BODY_SECONDS)
    except BodyError as error:
        if error.too_long:
            raise RefusedError(413, f"a query has at most {MAX_BODY_BYTES} bytes, variables included") from None
        raise RefusedError(400, f"the query did not arrive within {_BODY_SECONDS:.0f} s") from None
    except ClientDisconnect:
        raise RefusedError(400, "the caller has gone") from None


def _read(body: bytes) -> _Asked:
    """Raises RefusedError."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise RefusedError(400, "the body is no JSON") from None
    if not isinstance(document, dict):
        raise RefusedError(400, 'the body is one JSON object: {"query": "...", "variables": {...}}')
    query, variables, name = document.get("query"), document.get("variables"), document.get("operationName")
    if not isinstance(query, str):
        raise RefusedError(400, "query is a text in GraphQL")
    if not isinstance(variables, dict | None) or not isinstance(name, str | None):
        raise RefusedError(400, "variables is an object, operationName a text")
    return _Asked(query, variables or {}, name)


def _response(request: Request, result: dict[str, Any]) -> Response:
    """Clients that do not know the media type of GraphQL take a status other than 200 for a failure of the server."""
    knows = _MEDIA_TYPE in request.headers.get("Accept", "")
    status = 400 if knows and "data" not in result else 200
    body = json.dumps(result, separators=(",", ":")).encode()
    return Response(
        body, status, {"Cache-Control": "no-store"}, media_type=_MEDIA_TYPE if knows else "application/json"
    )
