"""The OpenAPI 3.1 document, made from the very structs that check what comes in."""

import re
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import TypeAlias

import msgspec
from aiohttp import web

from daemon.web.auth import Access
from daemon.web.decoding import Nothing
from daemon.web.endpoint import ID_PATTERNS, Call, Endpoint
from daemon.web.idempotency import HEADER
from daemon.web.refusal import ErrorDocument
from ledger.task import Json

Object: TypeAlias = dict[str, Json]

_REF = "#/components/schemas/{name}"
_SECURED: list[Json] = [{"token": []}]
#: What any path may refuse, by status.
_REFUSALS = {
    "400": "What was sent is wrong; each problem is named.",
    "401": "The token is missing or wrong.",
    "403": "The page that asks is of a foreign origin.",
    "404": "There is nothing of this id.",
    "421": "The door is not to be asked under this host name.",
    "429": "Too many requests; see Retry-After.",
    "503": "Not possible now; the reason is given.",
}
_REFUSED_CHANGES = {
    "408": "The body came too slowly.",
    "409": "The record is not in a state that allows this.",
    "413": "The body is too large.",
    "415": "The body is of a kind that is not taken.",
}


async def show(call: Call[Nothing, Nothing]) -> web.StreamResponse:
    """Answer the document."""
    return web.Response(body=call.room.openapi, content_type="application/json")


def document(endpoints: Sequence[Endpoint]) -> Object:
    """Return the OpenAPI document of *endpoints*."""
    kinds: set[type[msgspec.Struct]] = {ErrorDocument}
    for each in endpoints:
        kinds |= {kind for kind in (each.query, each.body, each.answer) if kind is not None}
    kinds.discard(Nothing)
    ordered = sorted(kinds, key=lambda kind: kind.__name__)
    schemas, components = msgspec.json.schema_components(ordered, ref_template=_REF)
    by_kind = dict(zip(ordered, schemas, strict=True))
    paths: dict[str, Object] = {}
    for each in endpoints:
        operation = _operation(each, by_kind, components)
        paths.setdefault(each.path, {})[each.method.lower()] = operation
        if "HEAD" in each.methods:
            paths[each.path]["head"] = _without_bodies(operation)
    queries = {each.query.__name__ for each in endpoints}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "rowkeeper",
            "version": version("rowkeeper"),
            "description": "Rows become pictures and videos on ComfyUI.",
        },
        "paths": dict(paths),
        "components": {
            "schemas": {k: v for k, v in components.items() if k not in queries},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(
    endpoint: Endpoint,
    by_kind: Mapping[type[msgspec.Struct], Object],
    components: Mapping[str, Object],
) -> Object:
    operation: Object = {
        "summary": endpoint.summary,
        "operationId": _name(endpoint),
        "parameters": [*_ids(endpoint), *_query(endpoint, components), *_key(endpoint)],
        "responses": _responses(endpoint, by_kind),
    }
    if endpoint.access is Access.CHANGE:
        operation["security"] = list(_SECURED)
    if endpoint.body is not None:
        operation["requestBody"] = _body(endpoint, by_kind[endpoint.body])
    return operation


def _without_bodies(operation: Object) -> Object:
    """Return what HEAD answers where *operation* is GET's."""
    responses = operation["responses"]
    assert isinstance(responses, dict)  # noqa: S101 - see ``_responses``
    told: Object = {
        status: {"description": response["description"]}
        for status, response in responses.items()
        if isinstance(response, dict)
    }
    name = str(operation["operationId"]).replace("get", "head", 1)
    summary = f"{operation['summary']} The headers alone."
    return operation | {"summary": summary, "operationId": name, "responses": told}


def _name(endpoint: Endpoint) -> str:
    words = re.findall(r"[a-z]+", endpoint.path.removeprefix("/api"))
    return "_".join([endpoint.method.lower(), *words])


def _ids(endpoint: Endpoint) -> list[Json]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "pattern": f"^{ID_PATTERNS[name]}$"},
        }
        for name in re.findall(r"\{(\w+)\}", endpoint.path)
    ]


def _query(endpoint: Endpoint, components: Mapping[str, Object]) -> list[Json]:
    if endpoint.query is Nothing:
        return []
    properties = components[endpoint.query.__name__]["properties"]
    assert isinstance(properties, dict)  # noqa: S101 - msgspec describes a struct so
    return [
        {"name": name, "in": "query", "required": False, "schema": _without_null(schema)}
        for name, schema in properties.items()
    ]


def _without_null(schema: Json) -> Json:
    """Return the schema of a value that stands in a URL: it may be left out, never null."""
    if not isinstance(schema, dict) or "anyOf" not in schema:
        return schema
    kinds = schema["anyOf"]
    assert isinstance(kinds, list)  # noqa: S101 - as JSON Schema has it
    left = [kind for kind in kinds if kind != {"type": "null"}]
    return left[0] if len(left) == 1 else {"anyOf": left}


def _key(endpoint: Endpoint) -> list[Json]:
    if not endpoint.takes_key:
        return []
    return [
        {
            "name": HEADER,
            "in": "header",
            "required": False,
            "description": "The same key with the same request is carried out once.",
            "schema": {"type": "string", "pattern": "^[!-~]{1,200}$"},
        }
    ]


def _body(endpoint: Endpoint, schema: Object) -> Object:
    content: Object = {"application/json": {"schema": schema}}
    if endpoint.streams:
        row: Object = {"type": "object", "minProperties": 1, "not": {"required": ["rows"]}}
        rows: Object = {"type": "array", "items": {"type": "object"}}
        alone: list[Json] = [
            rows | {"description": "The rows alone."},
            row | {"description": "One row alone, its values by column."},
        ]
        content["application/json"] = {"schema": {"anyOf": [schema, *alone]}}
        content["multipart/form-data"] = {
            "schema": {
                "type": "object",
                "required": ["job"],
                "properties": {"job": {"type": "string", "contentMediaType": "text/csv"}},
                "description": "A job file, and the pictures it names, each as a file.",
            }
        }
    return {"required": endpoint.streams, "content": content}


def _responses(endpoint: Endpoint, by_kind: Mapping[type[msgspec.Struct], Object]) -> Object:
    answer: Object = {}
    if endpoint.answer is not None:
        answer = {"schema": by_kind[endpoint.answer]}
    refusal: Object = {"application/json": {"schema": by_kind[ErrorDocument]}}
    told = _REFUSALS | (_REFUSED_CHANGES if endpoint.method == "POST" else {})
    responses: Object = {"200": {"description": "Done.", "content": {endpoint.media: answer}}}
    for status, meaning in sorted(told.items()):
        responses[status] = {"description": meaning, "content": refusal}
    if endpoint.path == "/readyz":
        responses["503"] = {"description": "Not ready.", "content": {endpoint.media: answer}}
    if endpoint.media == "application/octet-stream":
        responses["200"] = {"description": "The file.", "content": {"*/*": {}}}
        responses["206"] = {"description": "A part of it.", "content": {"*/*": {}}}
        responses["416"] = {"description": "There is no such part."}
    return responses
