"""Whether another site may have made the browser send this request (RFC 10017 section 6.1.3.3).

No cryptography before the cheap checks, and the token of the double submit compared in constant time.
"""

import hmac
from typing import assert_never

from extauthz.cookies.envelope import InvalidCookie
from extauthz.cookies.header import AmbiguousCookie
from extauthz.policy import Csrf, DoubleSubmit, Policy
from extauthz.reason import Reason
from extauthz.request import Request

CSRF_HEADER = "token-handler-version"
CSRF_VALUE = "1"


def forgery(request: Request, policy: Policy, csrf: Csrf) -> Reason | None:
    """Why this may be a forgery; None when it is not."""
    match csrf:
        case Csrf.HEADER:
            reason = _custom_header(request) or _origin(request, policy, needed=not request.is_safe)
        case Csrf.DOUBLE_SUBMIT:
            # Where CORS is ours, pages of the app are on another origin, and browsers always say which.
            needed = policy.cors is not None or not request.is_safe
            reason = _origin(request, policy, needed=needed) or _double_submit(request, policy.double_submit)
        case Csrf.ORIGIN:
            # Browsers leave Origin out of a GET to the page's own origin; Sec-Fetch-Site, no script can set.
            own_read = request.is_safe and request.headers.get("sec-fetch-site") == "same-origin"
            reason = _origin(request, policy, needed=not own_read)
        case _:
            assert_never(csrf)
    if reason is None and "cross-site" in request.headers.get("sec-fetch-site", ""):
        return Reason.CROSS_SITE
    return reason


def _custom_header(request: Request) -> Reason | None:
    return None if request.headers.get(CSRF_HEADER) == CSRF_VALUE else Reason.CSRF_HEADER


def _origin(request: Request, policy: Policy, *, needed: bool) -> Reason | None:
    origin = request.headers.get("origin")
    if origin is None:
        return Reason.ORIGIN_MISSING if needed else None
    return None if origin in policy.trusted_origins else Reason.ORIGIN_UNTRUSTED


def _double_submit(request: Request, pair: DoubleSubmit | None) -> Reason | None:
    if request.is_safe:
        return None
    if pair is None:
        return Reason.ROUTE_SETTING
    try:
        cookie = request.cookies.find(pair.cookie)
        if not cookie:
            return Reason.CSRF_COOKIE
        sent = request.headers.get(pair.header)
        if not sent:
            return Reason.CSRF_HEADER
        held = pair.opener.open_text(cookie)
    except (AmbiguousCookie, InvalidCookie):
        return Reason.CSRF_COOKIE
    return None if hmac.compare_digest(_bytes(held), _bytes(sent)) else Reason.CSRF_MISMATCH


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
