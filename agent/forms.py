"""Reading a request: the form in its body and the cookies beside it, both bounded, neither trusted."""

import asyncio
from collections.abc import Mapping
from urllib.parse import parse_qsl

from starlette.requests import Request

from agent.errors import AgentError, invalid_request
from extauthz.cookies.header import CookieHeader

MAX_BODY_BYTES = 64 * 1024  # a JARM response may be a few kilobytes; nothing else is near
MAX_FIELDS = 100
BODY_SECONDS = 10.0  # a form is one packet or two; who takes longer is holding a connection
FORM = "application/x-www-form-urlencoded"


async def read_form(request: Request) -> Mapping[str, str]:
    """The form's fields. Raises AgentError for another content type, a repeated field, or too much of anything."""
    return _fields(await read_body(request, FORM))


async def read_body(request: Request, content_type: str) -> bytes:
    """The body, which is of `content_type` or empty. Raises AgentError for another, or too much of anything."""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            body = await _body(request)
    except TimeoutError as error:
        raise AgentError(408, "request_timeout", "the body did not arrive in time") from error
    if body and request.headers.get("content-type", "").partition(";")[0].strip().lower() != content_type:
        raise invalid_request(f"the body must be {content_type}")
    return body


def cookies(request: Request) -> CookieHeader:
    """The request's cookies."""
    return CookieHeader(tuple(request.headers.getlist("cookie")))


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise invalid_request(f"the body exceeds {MAX_BODY_BYTES} bytes")
    return bytes(body)


def _fields(body: bytes) -> Mapping[str, str]:
    if not body:
        return {}
    try:
        pairs = parse_qsl(
            body.decode(), keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=MAX_FIELDS
        )
    except ValueError as error:
        raise invalid_request("the body is not a well-formed form") from error
    fields = dict(pairs)
    if len(fields) != len(pairs):
        # Which of two values the authorization server would take is not ours to guess (RFC 6749 section 3.1).
        raise invalid_request("a parameter is there twice")
    return fields
