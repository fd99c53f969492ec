"""The pure core: the values of one request in, a decision out.

No I/O, clock, randomness, logging, await or protobuf. `examine` decides all that can be decided from the request
alone; `conclude` turns what became of the token into the decision. Both fail closed: what is not understood is
refused, and there is no decision that lets a request through with credentials of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import assert_never

from extauthz.cookies.header import AmbiguousCookie
from extauthz.outcome import Basis, Fault, Outcome, Refused, UpstreamToken
from extauthz.policy import JWT, OPAQUE, Auth, BearerMode, Policy, Rule
from extauthz.reason import ANSWERS, Reason
from extauthz.request import Request
from extauthz.rules import apps, cors, routes
from extauthz.rules.bearer import bearer_token
from extauthz.rules.csrf import CSRF_HEADER, forgery

Headers = tuple[tuple[str, str], ...]

# The way of a JWT a client sent itself: it is verified here, whatever way the tokens in cookies go.
BEARER_JWT = "bearer-jwt"


class Passage(StrEnum):
    """How a request got through. The words are stable, and stand in the log where reasons stand."""

    AUTHENTICATED = "allow"
    ANONYMOUS = "anonymous"  # authentication is optional, and there was nothing to go by
    AUTH_OFF = "auth_off"
    PREFLIGHT = "preflight"
    DRY_RUN = "dry_run"  # it would have been refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Allow:
    """Let it through, with these request headers overwritten, then these removed.

    `waived` is the reason that did not count, or did not count yet; `claims` are for doors that tell who the user is.
    With a `basis`, it is the decision for all who ask the same while that holds.
    """

    app: str
    passage: Passage
    set_headers: Headers = field(repr=False)
    remove_headers: tuple[str, ...]
    response_headers: Headers = ()
    waived: Reason | None = None
    claims: Mapping[str, object] = field(default_factory=dict, repr=False)
    basis: Basis | None = field(default=None, repr=False, compare=False)

    @property
    def authenticated(self) -> bool:
        """Whether it carries a token of ours."""
        return self.passage is Passage.AUTHENTICATED


@dataclass(frozen=True, slots=True, kw_only=True)
class Preflight:
    """Answer a CORS preflight in the API's place, with status 204."""

    app: str
    headers: Headers


@dataclass(frozen=True, slots=True, kw_only=True)
class Deny:
    """Answer the client in the API's place. `detail` is for the log alone."""

    app: str | None
    reason: Reason
    status: int
    headers: Headers
    body: str
    detail: str = ""


Decision = Allow | Preflight | Deny


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A request that stands or falls with what it brought: a sealed cookie, or a bearer token if `is_bearer`."""

    request: Request
    policy: Policy
    rule: Rule
    value: str = field(repr=False)
    is_bearer: bool = False

    @property
    def way(self) -> str:
        """The way its token goes."""
        if self.is_bearer and (self.policy.bearer is BearerMode.JWT or self.rule.way == JWT):
            return BEARER_JWT
        return self.rule.way


def examine(request: Request, policies: Sequence[Policy]) -> Decision | Credential:
    """Everything the request alone decides, in the order of the documented decision."""
    if not request.method or not request.path or "," in request.host or request.cookies.excessive:
        return refuse(Reason.MALFORMED_REQUEST, request)
    policy = apps.select(request, policies)
    if isinstance(policy, Reason):
        return refuse(policy, request)
    rule = routes.rule_for(request, policy)
    if isinstance(rule, Reason):
        return refuse(rule, request, policy)
    if cors.is_preflight(request) and (policy.cors or request.headers["origin"] in policy.trusted_origins):
        return preflight(request, policy)
    if rule.auth is Auth.OFF:
        return pass_on(request, policy, Passage.AUTH_OFF)
    found = find_credential(request, policy, rule)
    if isinstance(found, Credential):
        return found
    if rule.auth is Auth.OPTIONAL and found in HARMLESS:
        # Nobody's authority is used, so there is nothing to forge; but a cookie that did not count is worth a word.
        waived = found if request.cookies.mentions(policy.cookie_name) else None
        return pass_on(request, policy, Passage.ANONYMOUS, waived)
    return refuse(found, request, policy, rule)


def conclude(credential: Credential, outcome: Outcome, now: float) -> Decision:
    """The decision, once it is known what became of the token. `now`: seconds since the epoch."""
    request, policy, rule = credential.request, credential.policy, credential.rule
    match outcome:
        case UpstreamToken():
            reason = unfit(credential, outcome, now)
            return allow(request, policy, outcome) if reason is None else refuse(reason, request, policy, rule)
        case Refused() | Fault():
            return refuse(outcome.reason, request, policy, rule, detail=outcome.detail)
        case _:
            assert_never(outcome)


# What is missing rather than wrong: where authentication is optional, such a request is nobody's.
HARMLESS = frozenset(
    {
        Reason.NO_CREDENTIALS,
        Reason.CSRF_HEADER,
        Reason.CSRF_COOKIE,
        Reason.CSRF_MISMATCH,
        Reason.ORIGIN_MISSING,
        Reason.ORIGIN_UNTRUSTED,
        Reason.CROSS_SITE,
    }
)


def find_credential(request: Request, policy: Policy, rule: Rule) -> Reason | Credential:
    """The client's own token where those are taken, else our cookie, exactly once; never one beside the other."""
    if "authorization" in request.headers and request.cookies.mentions(policy.cookie_name):
        return Reason.TWO_CREDENTIALS
    # Where nobody looks into tokens, a client's own would go on as it came.
    if policy.bearer is BearerMode.JWT or (policy.bearer is BearerMode.INTROSPECT and rule.way != OPAQUE):
        token = bearer_token(request)
        if isinstance(token, Reason):
            return token
        if token is not None:
            # No forgery check: browsers do not send this header of their own accord.
            return Credential(request=request, policy=policy, rule=rule, value=token, is_bearer=True)
    reason = forgery(request, policy, rule.csrf)
    if reason is not None:
        return reason
    try:
        sealed = request.cookies.find(policy.cookie_name)
    except AmbiguousCookie:
        return Reason.AMBIGUOUS_COOKIE
    if not sealed:
        return Reason.NO_CREDENTIALS
    return Credential(request=request, policy=policy, rule=rule, value=sealed)


def unfit(credential: Credential, token: UpstreamToken, now: float) -> Reason | None:
    """Why a good token does not serve this request."""
    rule = credential.rule
    if token.expires_at <= now:
        return Reason.TOKEN_EXPIRED
    if credential.way == OPAQUE:
        return None
    if rule.audience is not None and rule.audience not in token.audiences:
        return Reason.WRONG_AUDIENCE
    return None if rule.scopes <= token.scopes else Reason.INSUFFICIENT_SCOPE


def allow(request: Request, policy: Policy, token: UpstreamToken) -> Allow:
    """Through, with the token and what it says of the user, and without what is ours."""
    cookie, removed = _without_ours(request, policy)
    identity = policy.identity.from_claims(token.claims)
    return Allow(
        app=policy.app,
        passage=Passage.AUTHENTICATED,
        set_headers=(("authorization", f"Bearer {token.bearer}"), *cookie, *identity),
        remove_headers=(*removed, *policy.identity.to_remove(request.headers, identity)),
        response_headers=cors.response_headers(request, policy),
        claims=token.claims,
    )


def pass_on(request: Request, policy: Policy, passage: Passage, waived: Reason | None = None) -> Allow:
    """Through, but with no credential at all: neither ours nor one the client brought."""
    cookie, removed = _without_ours(request, policy)
    return Allow(
        app=policy.app,
        passage=passage,
        set_headers=cookie,
        remove_headers=("authorization", *removed, *policy.identity.to_remove(request.headers)),
        response_headers=() if passage is Passage.PREFLIGHT else cors.response_headers(request, policy),
        waived=waived,
    )


def preflight(request: Request, policy: Policy) -> Allow | Preflight:
    """Answered by us where CORS is ours, else by the API, which gets it without any credential."""
    if policy.cors is None:
        return pass_on(request, policy, Passage.PREFLIGHT)
    return Preflight(app=policy.app, headers=cors.preflight_headers(request, policy, policy.cors))


def refuse(
    reason: Reason, request: Request, policy: Policy | None = None, rule: Rule | None = None, *, detail: str = ""
) -> Deny:
    """The answer to the client for `reason`, with the CORS headers without which the app cannot read it."""
    answer = (policy.answers if policy else ANSWERS)[reason]
    headers = [("content-type", "application/json"), ("cache-control", "no-store"), ("vary", "Origin")]
    if answer.challenge is not None and policy is not None:
        scope = f', scope="{" ".join(sorted(rule.scopes))}"' if rule and reason is Reason.INSUFFICIENT_SCOPE else ""
        headers.append(("www-authenticate", f'Bearer realm="{policy.app}"{answer.challenge}{scope}'))
    if answer.retry_after is not None:
        headers.append(("retry-after", str(answer.retry_after)))
    if policy is not None:
        headers += cors.error_headers(request, policy)
    body = "" if request.method == "HEAD" else f'{{"code":"{answer.code}","message":"{answer.message}"}}'
    app = policy.app if policy is not None else None
    return Deny(app=app, reason=reason, status=answer.status, headers=tuple(headers), body=body, detail=detail)


def let_through(denied: Deny, request: Request, policy: Policy) -> Decision:
    """In a dry run, what would be refused passes without credentials."""
    return pass_on(request, policy, Passage.DRY_RUN, denied.reason) if policy.dry_run else denied


def _without_ours(request: Request, policy: Policy) -> tuple[Headers, tuple[str, ...]]:
    """The Cookie header to overwrite, if any is left, and the headers to remove."""
    csrf = (CSRF_HEADER,) if policy.double_submit is None else (CSRF_HEADER, policy.double_submit.header)
    cookie = request.cookies.without(policy.is_ours)
    return ((("cookie", cookie),), csrf) if cookie is not None else ((), (*csrf, "cookie"))
