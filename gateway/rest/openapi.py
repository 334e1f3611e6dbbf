"""The description of the REST interface: OpenAPI 3.1 from the table of operations, and a page that shows it."""

import html
import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from pydantic.json_schema import models_json_schema

from gateway.rest import models
from gateway.rest.operations import Operation
from gateway.status import STATUS

_ABOUT = (
    "Proves statements on a cluster. Every call needs an API key (`Authorization: Bearer <key>`). Inputs travel sealed "
    "to the cluster's key, so that neither the gateway nor its job store can read them: `gelap seal` makes a request's "
    "body. Bytes are hexadecimal. Failures are Problem Details (RFC 9457) with a stable `name`."
)
_SECURITY = "apiKey"


def describe(operations: Sequence[Operation]) -> dict[str, Any]:
    """Return the OpenAPI document."""
    schemas = _schemas(operations)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    names = sorted(kind.name for kind in STATUS)
    schemas["Problem"]["properties"]["name"]["enum"] = names
    return {
        "openapi": "3.1.0",
        "info": {"title": "Gelap proving cluster", "version": version("gelap"), "description": _ABOUT},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {_SECURITY: {"type": "http", "scheme": "bearer"}},
        },
        "security": [{_SECURITY: []}],
    }


def page(document: Mapping[str, Any]) -> str:
    """Return the document as one HTML text without scripts."""
    parts = [_HEAD, f"<h1>{html.escape(document['info']['title'])}</h1><p>{_text(document['info']['description'])}</p>"]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            parts.append(f"<h2><code>{method.upper()} {html.escape(path)}</code></h2>")
            parts.append(f"<p>{_text(operation['summary'])}.</p>")
            parts += [
                f"<p><code>{html.escape(each['name'])}</code> ({each['in']}): {_text(each['description'])}</p>"
                for each in operation.get("parameters", ())
            ]
            if "requestBody" in operation:
                parts.append(f"<p>Takes {_link(operation['requestBody']['content'])}.</p>")
            answer = next(iter(operation["responses"].values()))
            parts.append(f"<p>Gives {_link(answer['content'])}; failures are {_named('Problem')}.</p>")
    parts.append("<h2>Schemas</h2>")
    for name, schema in document["components"]["schemas"].items():
        parts.append(f'<h3 id="{html.escape(name)}">{html.escape(name)}</h3>')
        parts.append(f"<pre>{html.escape(json.dumps(schema, indent=2))}</pre>")
    parts.append('<p><a href="openapi.json">openapi.json</a></p></html>')
    return "\n".join(parts)


def _schemas(operations: Sequence[Operation]) -> dict[str, Any]:
    wanted: list[tuple[Any, Any]] = [(models.Problem, "serialization")]
    wanted += [(operation.body, "validation") for operation in operations if operation.body]
    wanted += [(operation.answer, "serialization") for operation in operations if operation.answer]
    _, document = models_json_schema(list(dict.fromkeys(wanted)), ref_template="#/components/schemas/{model}")
    return dict(document["$defs"])


def _operation(operation: Operation) -> dict[str, Any]:
    content: dict[str, Any] = {operation.media: {}}
    if operation.answer:
        content = {operation.media: {"schema": _ref(operation.answer.__name__)}}
    status = "202" if operation.name == "Submit" else "200"
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "responses": {
            status: {"description": operation.summary, "content": content},
            "default": {"description": "Failure", "content": {"application/problem+json": {"schema": _ref("Problem")}}},
        },
    }
    if operation.parameters:
        described["parameters"] = [
            {
                "name": each.name,
                "in": "path" if f"{{{each.name}}}" in operation.path else "query",
                "required": f"{{{each.name}}}" in operation.path,
                "description": each.description,
                "schema": {"type": each.kind},
            }
            for each in operation.parameters
        ]
    if operation.body:
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _ref(operation.body.__name__)}},
        }
    return described


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _link(content: Mapping[str, Any]) -> str:
    media, described = next(iter(content.items()))
    schema = described.get("schema")
    return _named(schema["$ref"].rpartition("/")[2]) if schema else f"<code>{html.escape(media)}</code>"


def _named(name: str) -> str:
    return f'<a href="#{html.escape(name)}">{html.escape(name)}</a>'


def _text(markdown: str) -> str:
    """Text with `code` in it."""
    pieces = html.escape(markdown).split("`")
    return "".join(f"<code>{piece}</code>" if place % 2 else piece for place, piece in enumerate(pieces))


_HEAD = """<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>Gelap proving cluster</title>
<meta name="viewport" content="width=device-width">
<style>body{font:16px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
pre{background:#f4f4f4;padding:.7rem;overflow:auto}code{background:#f4f4f4}h2{margin-top:2rem}</style>"""
