"""The pure core: the values of one request in, a decision out.

No I/O, clock, randomness, logging, await or protobuf. `examine` decides all that can be decided from the request
alone; `conclude` turns what became of the token into the decision. Both fail closed: what is not understood is
refused, and there is no decision that lets a request through with credentials of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import assert_never

from extauthz.cookies.header import AmbiguousCookie, CookieHeader
from extauthz.outcome import Fault, Jwt, Outcome, Refused, UpstreamToken
from extauthz.reason import ANSWERS, Reason

CSRF_HEADER = "token-handler-version"
CSRF_VALUE = "1"
# RFC 9110 section 9.2.1; every other method, known or not, may change something.
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a door hands over. Header names in lower case, repeated headers joined by commas, no cookie among them."""

    method: str
    path: str
    host: str
    headers: Mapping[str, str] = field(repr=False)
    cookies: CookieHeader = field(default=CookieHeader(), repr=False)
    context: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The slice of one app's configuration that decisions need."""

    app: str
    cookie_name: str
    login_cookie_prefix: str
    agent_cookies: frozenset[str]
    trusted_origins: frozenset[str]
    hosts: frozenset[str] = frozenset()
    required_scopes: frozenset[str] = frozenset()

    def is_ours(self, cookie: str) -> bool:
        """Whether a cookie of this name is the token handler's own and must not reach the API."""
        return cookie == self.cookie_name or cookie in self.agent_cookies or cookie.startswith(self.login_cookie_prefix)


@dataclass(frozen=True, slots=True, kw_only=True)
class Allow:
    """Let it through, with these request headers overwritten, then these removed."""

    app: str
    set_headers: tuple[tuple[str, str], ...] = field(repr=False)
    remove_headers: tuple[str, ...]
    authenticated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Deny:
    """Answer the client in the API's place."""

    app: str | None
    reason: Reason
    status: int
    headers: tuple[tuple[str, str], ...]
    body: str


Decision = Allow | Deny


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A request that stands or falls with the sealed cookie it brought."""

    request: Request
    policy: Policy
    sealed: str = field(repr=False)


def examine(request: Request, policies: Sequence[Policy]) -> Decision | Credential:
    """Everything the request alone decides, in the order of the documented decision."""
    if not request.method or not request.path or "," in request.host or request.cookies.excessive:
        return refuse(Reason.MALFORMED_REQUEST, request)
    policy = select_policy(request, policies)
    if isinstance(policy, Reason):
        return refuse(policy, request)
    if request.context.keys() - {"app"}:
        # A route setting we do not know may have been meant to protect something.
        return refuse(Reason.ROUTE_SETTING, request, policy)
    if is_preflight(request, policy):
        return pass_without_credentials(request, policy)
    reason = forgery(request, policy)
    if reason is not None:
        return refuse(reason, request, policy)
    return find_credential(request, policy)


def conclude(credential: Credential, outcome: Outcome, now: float) -> Decision:
    """The decision, once it is known what became of the token. `now`: seconds since the epoch."""
    request, policy = credential.request, credential.policy
    match outcome:
        case UpstreamToken() if outcome.expires_at <= now:
            return refuse(Reason.TOKEN_EXPIRED, request, policy)
        case UpstreamToken() if not policy.required_scopes <= outcome.scopes:
            return refuse(Reason.INSUFFICIENT_SCOPE, request, policy)
        case UpstreamToken():
            return allow(request, policy, outcome.jwt)
        case Refused() | Fault():
            return refuse(outcome.reason, request, policy)
        case _:
            assert_never(outcome)


def select_policy(request: Request, policies: Sequence[Policy]) -> Policy | Reason:
    """The app the request belongs to: named by the route, else by its host, else the only one there is.

    A route that names one app on the host of another contradicts itself, and is refused.
    """
    host = _host_name(request.host)
    owners = [policy for policy in policies if host in policy.hosts]
    named = request.context.get("app")
    if named is not None:
        candidates = [policy for policy in owners or policies if policy.app == named]
    else:
        candidates = owners or list(policies)
    if len(candidates) != 1 or (candidates[0].hosts and not owners):
        return Reason.UNKNOWN_APP
    return candidates[0]


def is_preflight(request: Request, policy: Policy) -> bool:
    """A CORS preflight of a trusted origin, by the Fetch standard; it carries no credentials and is let by without any.

    A stranger's is an ordinary request, and so refused. https://fetch.spec.whatwg.org/#cors-preflight-request
    """
    asked = request.headers.get("access-control-request-method", "")
    return request.method == "OPTIONS" and asked.isalpha() and request.headers.get("origin") in policy.trusted_origins


def forgery(request: Request, policy: Policy) -> Reason | None:
    """Whether another site may have made the browser send this request (RFC 10017 section 6.1.3.3)."""
    if request.headers.get(CSRF_HEADER) != CSRF_VALUE:
        return Reason.CSRF_HEADER
    origin = request.headers.get("origin")
    if origin is None and request.method not in SAFE_METHODS:
        return Reason.ORIGIN_MISSING
    if origin is not None and origin not in policy.trusted_origins:
        return Reason.ORIGIN_UNTRUSTED
    if "cross-site" in request.headers.get("sec-fetch-site", ""):
        return Reason.CROSS_SITE
    return None


def find_credential(request: Request, policy: Policy) -> Deny | Credential:
    """Our cookie, exactly once, and no second credential beside it."""
    try:
        sealed = request.cookies.find(policy.cookie_name)
    except AmbiguousCookie:
        return refuse(Reason.AMBIGUOUS_COOKIE, request, policy)
    if not sealed:
        return refuse(Reason.NO_CREDENTIALS, request, policy)
    if "authorization" in request.headers:
        return refuse(Reason.TWO_CREDENTIALS, request, policy)
    return Credential(request=request, policy=policy, sealed=sealed)


def allow(request: Request, policy: Policy, jwt: Jwt) -> Allow:
    """Through, with the JWT and without what is ours."""
    cookie = request.cookies.without(policy.is_ours)
    authorization = ("authorization", f"Bearer {jwt}")
    if cookie is None:
        return Allow(
            app=policy.app,
            set_headers=(authorization,),
            remove_headers=(CSRF_HEADER, "cookie"),
            authenticated=True,
        )
    return Allow(
        app=policy.app,
        set_headers=(authorization, ("cookie", cookie)),
        remove_headers=(CSRF_HEADER,),
        authenticated=True,
    )


def pass_without_credentials(request: Request, policy: Policy) -> Allow:
    """Through, but with no credential at all: neither ours nor one the client brought."""
    cookie = request.cookies.without(policy.is_ours)
    return Allow(
        app=policy.app,
        set_headers=(("cookie", cookie),) if cookie else (),
        remove_headers=("authorization", CSRF_HEADER) + (() if cookie else ("cookie",)),
        authenticated=False,
    )


def refuse(reason: Reason, request: Request, policy: Policy | None = None) -> Deny:
    """The answer to the client for `reason`, with the CORS headers without which the app cannot read it."""
    answer = ANSWERS[reason]
    headers = [("content-type", "application/json"), ("cache-control", "no-store"), ("vary", "Origin")]
    if answer.challenge is not None and policy is not None:
        headers.append(
            (
                "www-authenticate",
                f'Bearer realm="{policy.app}"{_scope_hint(reason, policy, answer.challenge)}',
            )
        )
    if answer.retry_after is not None:
        headers.append(("retry-after", str(answer.retry_after)))
    origin = request.headers.get("origin")
    if policy is not None and origin in policy.trusted_origins:
        headers += [("access-control-allow-origin", origin), ("access-control-allow-credentials", "true")]
    body = "" if request.method == "HEAD" else f'{{"code":"{answer.code}","message":"{answer.message}"}}'
    app = policy.app if policy is not None else None
    return Deny(app=app, reason=reason, status=answer.status, headers=tuple(headers), body=body)


def _host_name(host: str) -> str:
    """The host without its port, in lower case. An IPv6 address keeps its brackets."""
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() else host).lower()


def _scope_hint(reason: Reason, policy: Policy, challenge: str) -> str:
    if reason is not Reason.INSUFFICIENT_SCOPE:
        return challenge
    return f'{challenge}, scope="{" ".join(sorted(policy.required_scopes))}"'
