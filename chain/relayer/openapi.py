"""The description of the relayer's interface: OpenAPI 3.1, from the table of operations that also makes the routes."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from chain.relayer.refusals import REFUSALS
from chain.relayer.wire import ProblemModel

ABOUT = (
    "Settles private payments from its own account, for a fee in the token of the payment. Nobody has to believe it: "
    "receiver, fee, relayer, deadline and memos are bound in the proof, and a wallet can broadcast the payment itself. "
    "Large integers are decimal text, bytes and addresses hexadecimal with 0x. Failures are Problem Details (RFC 9457) "
    "with a stable `code`."
)
_ANYWHERE = ("too-often", "internal")


@dataclass(frozen=True)
class Parameter:
    """Text in the query or, for a name in the path's braces, in the path; by a pattern or one of `choices`."""

    name: str
    description: str
    place: str = "query"
    pattern: str | None = None
    choices: Sequence[str] = ()

    def schema(self) -> dict[str, Any]:
        found: dict[str, Any] = {"type": "string"}
        if self.pattern:
            found["pattern"] = self.pattern
        if self.choices:
            found["enum"] = list(self.choices)
        return found


@dataclass(frozen=True)
class Operation:
    """`refusals` are the codes it can answer with, beside those that every operation can."""

    name: str
    method: str
    path: str
    summary: str
    answer: type[BaseModel]
    body: type[BaseModel] | None = None
    parameters: Sequence[Parameter] = ()
    refusals: Sequence[str] = ()


def describe(operations: Sequence[Operation], max_body_bytes: int) -> dict[str, Any]:
    """Return the OpenAPI document."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, max_body_bytes)
    schemas = _schemas(operations)
    schemas[ProblemModel.__name__]["properties"]["code"]["enum"] = list(REFUSALS)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Gelap relayer", "version": version("gelap"), "description": ABOUT},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _schemas(operations: Sequence[Operation]) -> dict[str, Any]:
    models: list[type[BaseModel]] = [ProblemModel, *(each.answer for each in operations)]
    models += [each.body for each in operations if each.body]
    wanted: list[tuple[Any, Any]] = [(model, "validation") for model in dict.fromkeys(models)]
    _, document = models_json_schema(wanted, ref_template="#/components/schemas/{model}")
    return dict(document["$defs"])


def _operation(operation: Operation, max_body_bytes: int) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "parameters": [
            {
                "name": each.name,
                "in": each.place,
                "required": True,
                "description": each.description,
                "schema": each.schema(),
            }
            for each in operation.parameters
        ],
        "responses": {
            "200": {"description": operation.summary, "content": {"application/json": _ref(operation.answer)}},
            **_refusals(operation),
        },
    }
    if operation.body:
        described["requestBody"] = {
            "required": True,
            "description": f"At most {max_body_bytes} bytes.",
            "content": {"application/json": _ref(operation.body)},
        }
    return described


def _refusals(operation: Operation) -> dict[str, Any]:
    """One answer for each status, with the codes that come with it."""
    by_status: dict[int, list[str]] = {}
    for code in (*operation.refusals, *_ANYWHERE):
        by_status.setdefault(REFUSALS[code].status, []).append(code)
    return {
        str(status): {
            "description": "; ".join(f"`{code}`: {REFUSALS[code].meaning}" for code in codes),
            "content": {"application/problem+json": _ref(ProblemModel)},
        }
        for status, codes in sorted(by_status.items())
    }


def _ref(model: type[BaseModel]) -> dict[str, Any]:
    return {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}
