"""The description of the API: OpenAPI 3.1, from the table of operations that also makes the routes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

ABOUT = (
    "The events of Gelap pools, one a chain, in the order of the chain. Everything is paged by position, leaf index or "
    "running number, never by user: there is no way to ask about a note, and a wallet reads it all. Nothing here has "
    "to be believed: rebuild the root from the leaves and compare it with the contract. Failures are Problem Details "
    "(RFC 9457)."
)


@dataclass(frozen=True)
class Parameter:
    """A number, a hash or a chain's name, in the query or, for a name in the path's braces, in the path."""

    name: str
    description: str
    place: str = "query"
    kind: str = "integer"
    default: int | None = None
    maximum: int | None = None

    def schema(self) -> dict[str, Any]:
        if self.kind == "chain":
            return {"type": "string"}
        if self.kind == "hash":
            return {"type": "string", "pattern": "^0x[0-9a-fA-F]{64}$"}
        found: dict[str, Any] = {"type": "integer", "minimum": 0}
        if self.default is not None:
            found["default"] = self.default
        if self.maximum is not None:
            found["maximum"] = self.maximum
        return found


@dataclass(frozen=True)
class Operation:
    """`path` follows that of the chain."""

    name: str
    path: str
    summary: str
    parameters: Sequence[Parameter] = ()
    media_type: str = "application/json"
    schema: str | None = None
    # Answers have an entity tag, and status 304 for whoever has them already.
    tagged: bool = False


_INTEGER: dict[str, Any] = {"type": "integer"}
_WORD = {"type": "string", "pattern": "^0x[0-9a-f]{64}$"}
_ADDRESS = {"type": "string", "pattern": "^0x[0-9a-f]{40}$"}
_PLACE = {"block_number": _INTEGER, "transaction_hash": _WORD, "log_index": _INTEGER}
_COMMITMENT = {
    "position": _INTEGER,
    "commitment": _WORD,
    "memo": {"type": "string", "description": "224 bytes, hexadecimal."},
    **_PLACE,
}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _page(name: str, **properties: Any) -> dict[str, Any]:
    following = {"type": "integer", "description": "Where the next page begins."}
    return _object(**{name: {"type": "array", "items": _object(**properties)}, "next": following})


_TIP = _object(number=_INTEGER, hash=_WORD, timestamp=_INTEGER)
_LEAVES = _page("leaves", leaf_index=_INTEGER, **_COMMITMENT)
_LEAVES["properties"]["next_leaf_index"] = {
    "type": "integer",
    "description": "Leaves in use when the page was made, which can be long ago: the status has today's number.",
}

SCHEMAS: dict[str, dict[str, Any]] = {
    "Chains": _object(
        chains={
            "type": "array",
            "items": _object(
                name={"type": "string"},
                chain_id=_INTEGER,
                pool={"oneOf": [_ADDRESS, {"type": "null"}]},
                tip={"oneOf": [_TIP, {"type": "null"}]},
            ),
        }
    ),
    "Status": _object(
        version={"type": "string"},
        chain_id=_INTEGER,
        pool=_ADDRESS,
        first_block=_INTEGER,
        tip={"oneOf": [_TIP, {"type": "null"}]},
        root=_WORD,
        commitments=_INTEGER,
        pending=_INTEGER,
        batches=_INTEGER,
        next_leaf_index=_INTEGER,
        tree_used_ratio={"type": "number"},
        nullifiers=_INTEGER,
        withdrawals=_INTEGER,
    ),
    "Leaves": _LEAVES,
    "Queue": _page("commitments", **_COMMITMENT),
    "Nullifiers": _page("nullifiers", number=_INTEGER, nullifier=_WORD, **_PLACE),
    "Withdrawals": _page(
        "withdrawals",
        number=_INTEGER,
        receiver=_ADDRESS,
        token=_ADDRESS,
        amount={"type": "string", "pattern": "^[0-9]+$"},
        **_PLACE,
    ),
    "Roots": _page(
        "roots",
        number=_INTEGER,
        root=_WORD,
        start_index=_INTEGER,
        count=_INTEGER,
        first_position=_INTEGER,
        **_PLACE,
    ),
    "Blocks": _object(
        blocks={
            "type": "array",
            "items": _object(number=_INTEGER, hash=_WORD, timestamp=_INTEGER, commitments=_INTEGER),
        }
    ),
    "Path": _object(leaf_index=_INTEGER, leaf=_WORD, siblings={"type": "array", "items": _WORD}, root=_WORD),
    "Problem": _object(type={"type": "string"}, title={"type": "string"}, status=_INTEGER, detail={"type": "string"}),
}


_CHAIN = Parameter("chain", "The chain's name, or its id in decimal digits.", "path", kind="chain")
_CHAINS = Operation("chains", "/v1/chains", "The chains that are served", schema="Chains")


def describe(operations: Sequence[Operation], one_chain: bool) -> dict[str, Any]:
    """Return the OpenAPI document. Each operation is there for a chain by name and, if `one_chain`, without one too."""
    paths = {_CHAINS.path: {"get": _operation(_CHAINS)}}
    for operation in operations:
        if one_chain:
            paths[f"/v1{operation.path}"] = {"get": _operation(operation)}
        of_chain = replace(operation, name=f"chain_{operation.name}", parameters=(_CHAIN, *operation.parameters))
        paths[f"/v1/chains/{{chain}}{operation.path}"] = {"get": _operation(of_chain)}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Gelap indexer", "version": version("gelap"), "description": ABOUT},
        "paths": paths,
        "components": {"schemas": SCHEMAS},
    }


def _operation(operation: Operation) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    if operation.schema is not None:
        schema = {"$ref": f"#/components/schemas/{operation.schema}"}
    elif operation.media_type != "text/event-stream":
        schema = {"type": "string", "format": "binary"}
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    responses: dict[str, Any] = {
        "200": {"description": operation.summary, "content": {operation.media_type: {"schema": schema}}},
    }
    if operation.tagged:
        responses["200"]["headers"] = {"ETag": {"schema": {"type": "string"}}}
        responses["304"] = {"description": "The page is as the one with the tag in If-None-Match"}
    return {
        "operationId": operation.name,
        "summary": operation.summary,
        "parameters": [
            {
                "name": each.name,
                "in": each.place,
                "required": each.place == "path",
                "description": each.description,
                "schema": each.schema(),
            }
            for each in operation.parameters
        ],
        "responses": responses | {"default": {"description": "A failure", "content": problem}},
    }
