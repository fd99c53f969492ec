"""Every reason a request can be refused for, and what client and operator are told about it.

One word serves the log, Envoy's access log and the docs. The client sees less: one
status and one body for a whole class of reasons, so that it learns nothing about a cookie it forged.
"""

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Why a request was refused. The words are stable."""

    NO_CREDENTIALS = "no_credentials"
    AMBIGUOUS_COOKIE = "ambiguous_cookie"
    MALFORMED_COOKIE = "malformed_cookie"
    UNKNOWN_COOKIE_KEY = "unknown_cookie_key"
    UNDECRYPTABLE_COOKIE = "undecryptable_cookie"
    SESSION_REVOKED = "session_revoked"
    TOKEN_INACTIVE = "token_inactive"  # noqa: S105  # a reason, not a password; so below
    TOKEN_EXPIRED = "token_expired"  # noqa: S105
    TOKEN_INVALID = "token_invalid"  # noqa: S105
    MALFORMED_BEARER = "malformed_bearer"
    CSRF_HEADER = "csrf_header"
    CSRF_COOKIE = "csrf_cookie"
    CSRF_MISMATCH = "csrf_mismatch"
    ORIGIN_MISSING = "origin_missing"
    ORIGIN_UNTRUSTED = "origin_untrusted"
    CROSS_SITE = "cross_site"
    INSUFFICIENT_SCOPE = "insufficient_scope"
    WRONG_AUDIENCE = "wrong_audience"
    AMBIGUOUS_PATH = "ambiguous_path"
    MALFORMED_REQUEST = "malformed_request"
    TWO_CREDENTIALS = "two_credentials"
    UNKNOWN_APP = "unknown_app"
    DOOR_SECRET = "door_secret"  # noqa: S105
    AS_UNREACHABLE = "as_unreachable"
    AS_TIMEOUT = "as_timeout"
    AS_ERROR = "as_error"
    AS_BAD_ANSWER = "as_bad_answer"
    AS_REFUSED_US = "as_refused_us"
    ROUTE_SETTING = "route_setting"
    INTERNAL_ERROR = "internal_error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the client is told: HTTP status, body members, and the RFC 6750 challenge."""

    status: int
    code: str
    message: str
    # Parameters after `Bearer realm="..."`; None for no WWW-Authenticate at all (RFC 6750 section 3).
    challenge: str | None = None
    retry_after: int | None = None  # seconds


_MISSING = "Access denied due to missing or invalid credentials"
_NO_CREDENTIALS = Answer(status=401, code="unauthorized", message=_MISSING, challenge="")
# A request with a credential that does not serve is told so (RFC 6750 section 3.1); which defect it was, it is not.
_BAD_CREDENTIALS = Answer(status=401, code="unauthorized", message=_MISSING, challenge=', error="invalid_token"')
# 403 and not 401: a single-page app answers 401 with a refresh, which would not help here.
_FORBIDDEN = Answer(status=403, code="forbidden", message="Access denied due to invalid request details")
_AUDIENCE = Answer(status=403, code="forbidden", message="The token is not meant for this API")
_SCOPE = Answer(
    status=403,
    code="insufficient_scope",
    message="The token does not contain the required scope",
    challenge=', error="insufficient_scope"',
)
_BAD_REQUEST = Answer(
    status=400,
    code="bad_request",
    message="Access denied due to invalid request details",
    challenge=', error="invalid_request"',
)
_UNAVAILABLE = Answer(
    status=503,
    code="temporarily_unavailable",
    message="Authorization is temporarily unavailable",
    retry_after=5,
)
_OUR_FAULT = Answer(status=500, code="server_error", message="Problem encountered processing the request")

ANSWERS: dict[Reason, Answer] = {
    Reason.NO_CREDENTIALS: _NO_CREDENTIALS,
    Reason.AMBIGUOUS_COOKIE: _BAD_CREDENTIALS,
    Reason.MALFORMED_COOKIE: _BAD_CREDENTIALS,
    Reason.UNKNOWN_COOKIE_KEY: _BAD_CREDENTIALS,
    Reason.UNDECRYPTABLE_COOKIE: _BAD_CREDENTIALS,
    Reason.SESSION_REVOKED: _BAD_CREDENTIALS,
    Reason.TOKEN_INACTIVE: _BAD_CREDENTIALS,
    Reason.TOKEN_EXPIRED: _BAD_CREDENTIALS,
    Reason.TOKEN_INVALID: _BAD_CREDENTIALS,
    Reason.MALFORMED_BEARER: _BAD_REQUEST,
    Reason.CSRF_HEADER: _FORBIDDEN,
    Reason.CSRF_COOKIE: _FORBIDDEN,
    Reason.CSRF_MISMATCH: _FORBIDDEN,
    Reason.ORIGIN_MISSING: _FORBIDDEN,
    Reason.ORIGIN_UNTRUSTED: _FORBIDDEN,
    Reason.CROSS_SITE: _FORBIDDEN,
    Reason.UNKNOWN_APP: _FORBIDDEN,
    Reason.DOOR_SECRET: _FORBIDDEN,
    Reason.INSUFFICIENT_SCOPE: _SCOPE,
    Reason.WRONG_AUDIENCE: _AUDIENCE,
    Reason.AMBIGUOUS_PATH: _BAD_REQUEST,
    Reason.MALFORMED_REQUEST: _BAD_REQUEST,
    Reason.TWO_CREDENTIALS: _BAD_REQUEST,
    Reason.AS_UNREACHABLE: _UNAVAILABLE,
    Reason.AS_TIMEOUT: _UNAVAILABLE,
    Reason.AS_ERROR: _UNAVAILABLE,
    Reason.AS_BAD_ANSWER: _UNAVAILABLE,
    Reason.AS_REFUSED_US: _UNAVAILABLE,
    Reason.ROUTE_SETTING: _OUR_FAULT,
    Reason.INTERNAL_ERROR: _OUR_FAULT,
}

# What the earlier, open-source token handlers answer, and their apps expect: one 401 for whatever is wrong with a
# request. A scope or an audience they did not check.
_NOT_IN_V1 = {Reason.INSUFFICIENT_SCOPE, Reason.WRONG_AUDIENCE}
V1_ANSWERS: dict[Reason, Answer] = ANSWERS | {
    reason: _NO_CREDENTIALS
    for reason, answer in ANSWERS.items()
    if answer.status in (400, 403) and reason not in _NOT_IN_V1
}

# What the operator should do; the table in the README says the same.
ADVICE: dict[Reason, str] = {
    Reason.NO_CREDENTIALS: "The user is not logged in, or the browser withheld the cookie: check path and domain.",
    Reason.AMBIGUOUS_COOKIE: "The cookie came twice with different values; look for another app setting it.",
    Reason.MALFORMED_COOKIE: "The value was not made by our agent: check that agent and proxy run matching versions.",
    Reason.UNKNOWN_COOKIE_KEY: "Sealed with a key the proxy does not hold: add its private key, or log in again.",
    Reason.UNDECRYPTABLE_COOKIE: "Tampered with, or sealed for another app or cookie name: compare the configurations.",
    Reason.SESSION_REVOKED: "The session was ended: by a logout, here or at the identity provider.",
    Reason.TOKEN_INACTIVE: "The authorization server says the token is not active: expired or revoked.",
    Reason.TOKEN_EXPIRED: "The JWT has run out; the app should call refresh.",
    Reason.TOKEN_INVALID: "The JWT does not verify, or is no access token of this issuer; the log says why.",
    Reason.MALFORMED_BEARER: "The client must send one `Authorization: Bearer` header with one token.",
    Reason.CSRF_HEADER: "The app must send `token-handler-version: 1`, or the CSRF token, with the request.",
    Reason.CSRF_COOKIE: "The CSRF cookie is missing or does not open: check key and prefix, or log in again.",
    Reason.CSRF_MISMATCH: "The CSRF header is not what the CSRF cookie holds; it is of another session.",
    Reason.ORIGIN_MISSING: "No Origin where one is needed: on changing methods, or with `csrf: origin`.",
    Reason.ORIGIN_UNTRUSTED: "The Origin is not the app's own; add it to trusted_origins if it should be.",
    Reason.CROSS_SITE: "The browser says another site made this request.",
    Reason.UNKNOWN_APP: "No app has this host, or the route names an app that is not configured.",
    Reason.INSUFFICIENT_SCOPE: "The token lacks a scope this route requires; ask for it at login.",
    Reason.WRONG_AUDIENCE: "The token is not meant for this API: compare audience with the token's `aud`.",
    Reason.AMBIGUOUS_PATH: "Servers read this path in two ways, of different routes: send it without escapes.",
    Reason.MALFORMED_REQUEST: "No method or path, two Host headers, or more than 16 KiB or 200 pairs of cookies.",
    Reason.DOOR_SECRET: "The HTTP door has a shared secret, and whoever asked did not send it.",
    Reason.TWO_CREDENTIALS: "The request carries both our cookie and an Authorization header.",
    Reason.AS_UNREACHABLE: "No connection to the authorization server: network, DNS or TLS.",
    Reason.AS_TIMEOUT: "The authorization server did not answer in time.",
    Reason.AS_ERROR: "The authorization server answered with an error status.",
    Reason.AS_BAD_ANSWER: "Not what was asked for; the log says what. Is the access token a JWT already (`way: jwt`)?",
    Reason.AS_REFUSED_US: "Our client was refused, or what it asked for; the log says which: fix client or settings.",
    Reason.ROUTE_SETTING: "The route holds a setting we do not know or cannot serve.",
    Reason.INTERNAL_ERROR: "A fault of ours; the log has the details.",
}
