"""How gateways ask over HTTP: one dialect a path, each a translation to a `Request` and of the decision back.

What the client sent and what the gateway adds arrive in one heap of headers. So a dialect reads only headers its
gateway always sets itself, and none is guessed from what happens to be there.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

from extauthz.cookies.header import CookieHeader
from extauthz.decision import Allow, Decision, Deny, Headers, Preflight
from extauthz.doors.header_lines import collect
from extauthz.request import Request

RawHeaders = Sequence[tuple[bytes, bytes]]
METHOD = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)  # one token: two joined by a comma are none
# Envoy's HTTP client takes these headers off the request it lets through.
REMOVE_HEADER = "x-envoy-auth-headers-to-remove"
NO_STORE = ("cache-control", "no-store")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """An authorization request as it came: `path` with its query, as bytes on the wire."""

    method: str
    path: str
    headers: Mapping[str, str]
    cookies: CookieHeader


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What to answer the gateway."""

    status: int
    headers: Headers = ()
    body: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One way to ask. `path` ends with a slash when it is for everything below."""

    name: str
    path: str
    read: Callable[[Asked], Request]
    write: Callable[[Decision], Reply]


def asked(method: str, path: bytes, headers: RawHeaders) -> Asked:
    """Headers joined as everywhere; bytes that are not UTF-8 become lone surrogates, which equal nothing."""
    lines = ((name.decode("latin-1").lower(), value.decode("utf-8", "surrogateescape")) for name, value in headers)
    joined, cookies = collect(lines, comma_joined=True)
    return Asked(method=method, path=path.decode("utf-8", "surrogateescape"), headers=joined, cookies=cookies)


def read_envoy(asked: Asked) -> Request:
    """Envoy's HTTP ext_authz: the method and Host of the client, its path behind our prefix."""
    path = asked.path.removeprefix(ENVOY_PREFIX)
    return request(asked, method=asked.method, host=asked.headers.get("host", ""), path=path)


def read_forwarded(asked: Asked) -> Request:
    """Traefik and Caddy: X-Forwarded-Method, -Host and -Uri, which both set, whatever the client sent."""
    headers = asked.headers
    return request(
        asked,
        method=headers.get("x-forwarded-method", ""),
        host=headers.get("x-forwarded-host", ""),
        path=headers.get("x-forwarded-uri", ""),
    )


def read_original(asked: Asked) -> Request:
    """nginx: X-Original-Method and X-Original-URL (absolute), as our configuration for it sets them."""
    url = asked.headers.get("x-original-url", "")
    scheme, separator, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    whole = scheme in ("http", "https") and separator and slash
    return request(
        asked,
        method=asked.headers.get("x-original-method", ""),
        host=host if whole else "",
        path=f"/{path}" if whole else "",
    )


def write_envoy(decision: Decision) -> Reply:
    """200 lets through, and so does nothing else: a preflight's 204 is an answer to the client."""
    match decision:
        case Allow():
            removed = ((REMOVE_HEADER, ", ".join(decision.remove_headers)),) if decision.remove_headers else ()
            return Reply(status=200, headers=(*decision.set_headers, *removed, *decision.response_headers))
        case Preflight():
            return Reply(status=204, headers=decision.headers)
        case Deny():
            return _refusal(decision)
        case _:
            assert_never(decision)


def write_forwarded(decision: Decision) -> Reply:
    """Any 2xx lets through; a refusal goes to the client as it is."""
    match decision:
        case Allow():
            return Reply(status=200, headers=(*decision.set_headers, NO_STORE))
        case Preflight():
            # Its answer cannot be given from here, so it goes on, without credentials, to whoever does CORS behind
            # us; but a stranger's, which we have no headers for, goes no further.
            return Reply(status=200 if decision.headers else 403, headers=(NO_STORE,))
        case Deny():
            return _refusal(decision)
        case _:
            assert_never(decision)


def write_nginx(decision: Decision) -> Reply:
    """2xx lets through, 401 and 403 refuse; nginx makes 500 of all else, which is right for trouble alone."""
    reply = write_forwarded(decision)
    if reply.status == 400:
        return Reply(status=403, headers=reply.headers, body=reply.body)
    return reply


ENVOY_PREFIX = "/auth/envoy"
ENVOY = Dialect(name="envoy", path=f"{ENVOY_PREFIX}/", read=read_envoy, write=write_envoy)
FORWARD = Dialect(name="forward", path="/auth/forward", read=read_forwarded, write=write_forwarded)
NGINX = Dialect(name="nginx", path="/auth/nginx", read=read_original, write=write_nginx)


def request(asked: Asked, *, method: str, host: str, path: str, context: Mapping[str, str] | None = None) -> Request:
    """The original request, as far as the gateway has told it."""
    # A method we cannot read is none, and a request without a method is refused.
    readable = METHOD.fullmatch(method) is not None
    return Request(
        method=method if readable else "",
        host=host,
        path=path,
        headers=asked.headers,
        cookies=asked.cookies,
        context=context or {},
    )


def _refusal(decision: Deny) -> Reply:
    return Reply(status=decision.status, headers=decision.headers, body=decision.body)
