"""CORS: what is a preflight, and the headers without which the app cannot read an answer.

https://fetch.spec.whatwg.org/#http-cors-protocol
"""

import re

from extauthz.policy import Cors, Policy
from extauthz.request import Request

Headers = tuple[tuple[str, str], ...]

ASKED_METHOD = "access-control-request-method"
ASKED_HEADERS = "access-control-request-headers"
_HEADER_LIST = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+(?: ?, ?[A-Za-z0-9!#$%&'*+.^_`|~-]+)*", re.ASCII)


def is_preflight(request: Request) -> bool:
    """Whether it has the form of a CORS preflight, which carries no credentials."""
    return (
        request.method == "OPTIONS" and "origin" in request.headers and request.headers.get(ASKED_METHOD, "").isalpha()
    )


def preflight_headers(request: Request, policy: Policy, cors: Cors) -> Headers:
    """What a preflight is answered with: nothing to a stranger, so that the browser goes no further."""
    headers = _readable(request, policy)
    if not headers:
        return ()
    allowed, vary = _allowed_headers(request, cors)
    return (
        *headers,
        ("access-control-allow-methods", ", ".join(cors.allow_methods)),
        *((("access-control-allow-headers", allowed),) if allowed else ()),
        *((("access-control-max-age", str(cors.max_age)),) if cors.max_age else ()),
        ("vary", vary),
    )


def response_headers(request: Request, policy: Policy) -> Headers:
    """What goes with the API's answer, where CORS is ours."""
    if policy.cors is None:
        return ()
    return (*_readable(request, policy), ("vary", "Origin"))


def error_headers(request: Request, policy: Policy) -> Headers:
    """What goes with our own answers, whoever does CORS: a refusal the app cannot read is a riddle."""
    return _readable(request, policy)


def _readable(request: Request, policy: Policy) -> Headers:
    origin = request.headers.get("origin")
    if origin is None or origin not in policy.trusted_origins:
        return ()
    exposed = ", ".join(policy.cors.expose_headers) if policy.cors else ""
    return (
        ("access-control-allow-origin", origin),
        ("access-control-allow-credentials", "true"),
        *((("access-control-expose-headers", exposed),) if exposed else ()),
    )


def _allowed_headers(request: Request, cors: Cors) -> tuple[str, str]:
    """The headers to allow, and what that answer varies by."""
    if cors.allow_headers:
        return ", ".join(cors.allow_headers), "Origin"
    asked = request.headers.get(ASKED_HEADERS, "")
    return (asked if _HEADER_LIST.fullmatch(asked) else ""), "Origin, Access-Control-Request-Headers"
