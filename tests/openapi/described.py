"""The descriptions in docs/openapi, as they read for one app, and how answers are held against them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import schemathesis
import yaml
from agent_world import HOME, ORIGIN
from schemathesis import Case, CheckContext, Response
from schemathesis.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.schemas import OpenApiSchema
from starlette.types import ASGIApp

FOLDER = Path(__file__).parent.parent.parent / "docs" / "openapi"
METHODS = ("get", "post")
CSRF = "c" * 64
Document = dict[str, Any]

# What a description for every app leaves open, and one app does not.
ORIGINS = {"Origin": {"const": ORIGIN}, "OriginIfAny": {"const": ORIGIN}}
OURS: dict[str, Document] = {
    "v1": {
        "ExtraParameters": {"maxItems": 1},
        "ExtraParameter": {"properties": {"key": {"const": "scope"}, "value": {"type": "string"}}},
        "PageUrl": {"const": HOME},
        "CsrfToken": {"const": CSRF},
    },
    "v2": {"LoginParameters": {"additionalProperties": False}, "RefreshParameters": {"additionalProperties": False}},
}


def document(version: str) -> Document:
    """The description of one version, as it stands in the file."""
    read: Document = yaml.safe_load((FOLDER / f"agent-{version}.yaml").read_text())
    return read


def for_the_shop(version: str) -> Document:
    """The description for an app of which is known where it lives, and that it sends no parameters but `scope`."""
    read = document(version)
    for name, schema in ORIGINS.items():
        read["components"]["parameters"][name]["schema"] = schema
    for name, changes in OURS[version].items():
        read["components"]["schemas"][name].update(changes)
    return read


def loaded(read: Document, app: ASGIApp | None = None, **settings: object) -> OpenApiSchema:
    """A description to hold answers against, or to try an app in this process by."""
    schema = schemathesis.openapi.from_dict(read, config=SchemathesisConfig.from_dict(settings))
    schema.app = app
    return schema


def check(schema: OpenApiSchema, call: str, response: httpx2.Response) -> None:
    """The answer is one that the description of the call has."""
    method, path = call.split()
    schema[path][method.lower()].Case().validate_response(response, checks=CHECKS)


def in_our_form(_context: CheckContext, response: Response, _case: Case[Any]) -> None:
    """Not stored, and exactly JSON where there is a body; an error says the same to old and new clients."""
    assert response.headers["cache-control"] == ["no-store"]
    assert response.headers.get("content-type") == (None if response.status_code == 204 else ["application/json"])
    if response.status_code >= 400 and response.request.method != "HEAD":
        members = response.json()
        assert {members["code"]} == {members.get(name) for name in ("code", "error_code") if name in members}
        assert {members["message"]} == {members.get(name) for name in ("message", "detailed_error") if name in members}


CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    in_our_form,
]


def operations(read: Document) -> Iterator[tuple[str, str, Document]]:
    """Path, method and description of every call."""
    for path, item in read["paths"].items():
        yield from ((path, method, item[method]) for method in METHODS if method in item)


def answers(read: Document) -> Iterator[tuple[str, str]]:
    """Each call with each status, and with each error code that is listed there."""
    for path, method, operation in operations(read):
        for status, answer in operation["responses"].items():
            found = list(words(resolved(read, answer)["content"])) if int(status) >= 400 else []
            yield from ((f"{method.upper()} {path}", f"{status} {word}") for word in found)
            if not found:
                yield f"{method.upper()} {path}", status


def codes(read: Document) -> Iterator[str]:
    """Every error code that is listed, for a call or for what is none."""
    yield from (answer.split()[1] for _, answer in answers(read) if " " in answer)
    for response in read["components"]["responses"].values():
        yield from words(response["content"])


def words(schema: object) -> Iterator[str]:
    """The error codes a schema allows one by one."""
    match schema:
        case {"const": str() as word}:
            yield word
        case {"enum": list() as several}:
            yield from several
        case dict():
            for value in schema.values():
                yield from words(value)
        case list():
            for value in schema:
                yield from words(value)


def resolved(read: Document, node: Document) -> Document:
    """What `$ref` points to, or the node itself."""
    if "$ref" not in node:
        return node
    found = read
    for step in node["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    return found
