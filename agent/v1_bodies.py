"""The JSON that pages of version 1 send: what they add to a login, and the URL they were opened with."""

import json
from collections.abc import Mapping, Set
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request

from agent import flow
from agent.errors import invalid_request
from agent.flow import ResponseMode
from agent.forms import MAX_FIELDS, read_body
from extauthz.config.values import origin_of

JSON = "application/json"
SIGNED = "response"  # the one parameter of a signed authorization response (JARM section 2.3.1)


async def read_json(request: Request) -> Mapping[str, Any]:
    """The members of the object in the body; none where there is no body. Raises AgentError."""
    body = await read_body(request, JSON)
    try:
        members = json.loads(body) if body else {}
    except (ValueError, RecursionError) as error:
        raise invalid_request("the body is not well-formed JSON") from error
    if not isinstance(members, dict):
        raise invalid_request("the body is not a JSON object")
    return members


def extra_parameters(members: Mapping[str, Any]) -> Mapping[str, str]:
    """What `extraParams` adds to a login. Raises AgentError."""
    extras = members.get("extraParams")
    if extras is None:
        return {}
    if not isinstance(extras, list):
        raise invalid_request("extraParams is not a list")
    pairs = [_pair(extra) for extra in extras]
    if len(dict(pairs)) != len(pairs):
        # Which of two values the authorization server would take is not ours to guess (RFC 6749 section 3.1).
        raise invalid_request("a parameter is there twice")
    return dict(pairs)


def authorization_response(
    members: Mapping[str, Any], origins: Set[str], mode: ResponseMode
) -> Mapping[str, str] | None:
    """The authorization response in `pageUrl`, None where it is the URL of an ordinary page. Raises AgentError."""
    pairs = _query(_text(members.get("pageUrl"), "pageUrl"), origins)
    names = [name for name, _ in pairs if name in flow.RESPONSE or name == SIGNED]
    if not _is_response(names, mode):
        return None
    if len(set(names)) != len(names):
        raise invalid_request("a parameter is there twice")
    return dict(pairs)


def _pair(extra: object) -> tuple[str, str]:
    if not isinstance(extra, dict) or extra.keys() != {"key", "value"}:
        raise invalid_request("each of extraParams has key and value, and nothing else")
    return _text(extra["key"], "key"), _text(extra["value"], "value")


def _text(value: object, name: str) -> str:
    # JSON can spell halves of characters (\ud800), which no URL can hold.
    if not isinstance(value, str) or any("\ud800" <= character <= "\udfff" for character in value):
        raise invalid_request(f"{name} is not a text")
    return value


def _query(url: str, origins: Set[str]) -> list[tuple[str, str]]:
    try:
        parts = urlsplit(url)
        origin = origin_of(f"{parts.scheme}://{parts.netloc}")
        pairs = parse_qsl(parts.query, keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise invalid_request("pageUrl is not the URL of a page") from error
    if origin not in origins:
        raise invalid_request("pageUrl is not a page of the app")
    return pairs


def _is_response(names: list[str], mode: ResponseMode) -> bool:
    """Whether these are the parameters of one; a page may have a `code` or a `state` of its own."""
    return ("state" in names and ("code" in names or "error" in names)) or (mode == "jwt" and SIGNED in names)
