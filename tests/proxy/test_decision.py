"""The decision table: what each request is answered, as rows of a table."""

import dataclasses
import json

import pytest
from proxy_world.asking import BANK, COOKIE, ORIGIN, OURS, SHOP, SOLE, ask

from extauthz.cookies.envelope import Defect
from extauthz.decision import Allow, Credential, Deny, conclude, examine
from extauthz.oauth.errors import Trouble
from extauthz.outcome import Bearer, Fault, Outcome, Refused, UpstreamToken
from extauthz.policy import Policy
from extauthz.reason import Reason
from extauthz.request import Request
from extauthz.rules.csrf import CSRF_HEADER

NOW = 1_000_000.0
GOOD = UpstreamToken(bearer=Bearer("h.p.s"), expires_at=NOW + 300, scopes=frozenset({"orders", "profile"}))

# The documented table: status and body code of each reason.
DOCUMENTED = {
    Reason.NO_CREDENTIALS: (401, "unauthorized"),
    Reason.AMBIGUOUS_COOKIE: (401, "unauthorized"),
    Reason.MALFORMED_COOKIE: (401, "unauthorized"),
    Reason.UNKNOWN_COOKIE_KEY: (401, "unauthorized"),
    Reason.UNDECRYPTABLE_COOKIE: (401, "unauthorized"),
    Reason.TOKEN_INACTIVE: (401, "unauthorized"),
    Reason.TOKEN_EXPIRED: (401, "unauthorized"),
    Reason.TOKEN_INVALID: (401, "unauthorized"),
    Reason.MALFORMED_BEARER: (400, "bad_request"),
    Reason.CSRF_HEADER: (403, "forbidden"),
    Reason.CSRF_COOKIE: (403, "forbidden"),
    Reason.CSRF_MISMATCH: (403, "forbidden"),
    Reason.ORIGIN_MISSING: (403, "forbidden"),
    Reason.ORIGIN_UNTRUSTED: (403, "forbidden"),
    Reason.CROSS_SITE: (403, "forbidden"),
    Reason.UNKNOWN_APP: (403, "forbidden"),
    Reason.INSUFFICIENT_SCOPE: (403, "insufficient_scope"),
    Reason.WRONG_AUDIENCE: (403, "forbidden"),
    Reason.AMBIGUOUS_PATH: (400, "bad_request"),
    Reason.DOOR_SECRET: (403, "forbidden"),
    Reason.MALFORMED_REQUEST: (400, "bad_request"),
    Reason.TWO_CREDENTIALS: (400, "bad_request"),
    Reason.AS_UNREACHABLE: (503, "temporarily_unavailable"),
    Reason.AS_TIMEOUT: (503, "temporarily_unavailable"),
    Reason.AS_ERROR: (503, "temporarily_unavailable"),
    Reason.AS_BAD_ANSWER: (503, "temporarily_unavailable"),
    Reason.AS_REFUSED_US: (503, "temporarily_unavailable"),
    Reason.ROUTE_SETTING: (500, "server_error"),
    Reason.INTERNAL_ERROR: (500, "server_error"),
}

BOTH, SHOP_ONLY, HOSTLESS = (SHOP, BANK), (SHOP,), (SOLE,)
UNSAFE = ("POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "BREW", "get", "Get", "options")
NO_ORIGIN = [
    (f"{method} without an Origin is refused", BOTH, ask(method=method, origin=None), Reason.ORIGIN_MISSING)
    for method in UNSAFE
]
BAD_ORIGINS = {
    "the null origin": "null",
    "an empty origin": "",
    "a trusted origin as the prefix of another host": f"{ORIGIN}.evil.example",
    "a trusted origin as the suffix of another host": "https://evilwww.shop.example",
    "a trusted origin behind a user name": "https://www.shop.example@evil.example",
    "a trusted origin with another port": f"{ORIGIN}:8443",
    "a trusted origin with its own port spelt out": f"{ORIGIN}:443",
    "a trusted origin over plain http": "http://www.shop.example",
    "a trusted origin in upper case": ORIGIN.upper(),
    "a trusted origin with a slash": f"{ORIGIN}/",
    "a trusted origin with a trailing dot": f"{ORIGIN}.",
    "the API's own origin": "https://api.shop.example",
    "a trusted origin twice": f"{ORIGIN},{ORIGIN}",
    "a trusted origin and a foreign one": f"{ORIGIN},https://evil.example",
    "the origin of another app": "https://www.bank.example",
}
FOREIGN = [
    (f"{sentence} is not trusted", BOTH, ask(origin=value), Reason.ORIGIN_UNTRUSTED)
    for sentence, value in BAD_ORIGINS.items()
]

REFUSALS: list[tuple[str, tuple[Policy, ...], Request, Reason]] = [
    # 1: the app, and a request that is whole
    ("no app has this host", BOTH, ask(host="api.other.example"), Reason.UNKNOWN_APP),
    ("the only app is on another host", SHOP_ONLY, ask(host="api.other.example"), Reason.UNKNOWN_APP),
    ("a sub-domain is another host", BOTH, ask(host="x.api.shop.example"), Reason.UNKNOWN_APP),
    ("a host with a trailing dot is another host", BOTH, ask(host="api.shop.example."), Reason.UNKNOWN_APP),
    ("the route names an app nobody configured", BOTH, ask(context={"app": "mall"}), Reason.UNKNOWN_APP),
    ("the route names no app by an empty name", BOTH, ask(context={"app": ""}), Reason.UNKNOWN_APP),
    ("the route names the app of another host", BOTH, ask(context={"app": "bank"}), Reason.UNKNOWN_APP),
    (
        "the route names an app that lives on other hosts than this unowned one",
        BOTH,
        ask(host="gateway.example", context={"app": "bank"}),
        Reason.UNKNOWN_APP,
    ),
    (
        "the route names an app without hosts on the host of another",
        (SHOP, dataclasses.replace(BANK, hosts=frozenset())),
        ask(context={"app": "bank"}),
        Reason.UNKNOWN_APP,
    ),
    (
        "two apps without hosts cannot be told apart",
        (SOLE, dataclasses.replace(BANK, hosts=frozenset())),
        ask(),
        Reason.UNKNOWN_APP,
    ),
    ("there is no app at all", (), ask(), Reason.UNKNOWN_APP),
    ("a host that came twice is malformed", HOSTLESS, ask(host="a.example,b.example"), Reason.MALFORMED_REQUEST),
    ("ours and another host is malformed", BOTH, ask(host="api.shop.example,evil"), Reason.MALFORMED_REQUEST),
    ("a request without a method is malformed", BOTH, ask(method=""), Reason.MALFORMED_REQUEST),
    ("a request without a path is malformed", BOTH, ask(path=""), Reason.MALFORMED_REQUEST),
    ("an unknown route setting is our fault", BOTH, ask(context={"auht": "off"}), Reason.ROUTE_SETTING),
    ("a mistyped route setting is our fault", BOTH, ask(context={"App": "shop"}), Reason.ROUTE_SETTING),
    (
        "an unknown route setting is not passed over for a preflight",
        BOTH,
        ask(method="OPTIONS", access_control_request_method="PUT", context={"role": "x"}),
        Reason.ROUTE_SETTING,
    ),
    # 2: what is no preflight is an ordinary request
    ("OPTIONS without credentials", BOTH, ask(method="OPTIONS", cookies=()), Reason.NO_CREDENTIALS),
    (
        "OPTIONS with a requested method but no Origin is no preflight",
        BOTH,
        ask(method="OPTIONS", origin=None, access_control_request_method="PUT", token_handler_version=None),
        Reason.CSRF_HEADER,
    ),
    (
        "GET dressed as a preflight is none",
        BOTH,
        ask(method="GET", access_control_request_method="PUT", token_handler_version=None),
        Reason.CSRF_HEADER,
    ),
    (
        "options in lower case is no preflight",
        BOTH,
        ask(method="options", access_control_request_method="PUT", token_handler_version=None),
        Reason.CSRF_HEADER,
    ),
    # 5: forgery, before any cookie is looked at
    ("no CSRF header on GET", BOTH, ask(token_handler_version=None), Reason.CSRF_HEADER),
    ("no CSRF header, no cookie", BOTH, ask(token_handler_version=None, cookies=()), Reason.CSRF_HEADER),
    ("the CSRF header twice", BOTH, ask(token_handler_version="1,1"), Reason.CSRF_HEADER),
    ("an empty CSRF header", BOTH, ask(token_handler_version=""), Reason.CSRF_HEADER),
    ("another value in the CSRF header", BOTH, ask(token_handler_version="2"), Reason.CSRF_HEADER),
    *NO_ORIGIN,
    *FOREIGN,
    (
        "a Referer does not replace Origin",
        BOTH,
        ask(method="POST", origin=None, referer=f"{ORIGIN}/"),
        Reason.ORIGIN_MISSING,
    ),
    (
        "a method override does not make POST safe",
        BOTH,
        ask(method="POST", origin=None, x_http_method_override="GET"),
        Reason.ORIGIN_MISSING,
    ),
    ("the browser says cross-site", BOTH, ask(origin=None, sec_fetch_site="cross-site"), Reason.CROSS_SITE),
    ("cross-site, whatever the Origin says", BOTH, ask(sec_fetch_site="cross-site"), Reason.CROSS_SITE),
    # 4 and 6: one credential, ours
    ("no cookie", BOTH, ask(cookies=()), Reason.NO_CREDENTIALS),
    ("only foreign cookies", BOTH, ask(cookies=("a=1; b=2",)), Reason.NO_CREDENTIALS),
    ("an empty cookie", BOTH, ask(cookies=(f"{COOKIE}=",)), Reason.NO_CREDENTIALS),
    ("the cookie of another app", BOTH, ask(cookies=("__Host-Http-bank-at=x",)), Reason.NO_CREDENTIALS),
    ("a bearer token and no cookie", BOTH, ask(cookies=(), authorization="Bearer x"), Reason.NO_CREDENTIALS),
    ("two values of our cookie", BOTH, ask(cookies=(f"{OURS}; {COOKIE}=other",)), Reason.AMBIGUOUS_COOKIE),
    ("two lines with our cookie", BOTH, ask(cookies=(OURS, f"{COOKIE}=other")), Reason.AMBIGUOUS_COOKIE),
    ("Authorization beside our cookie", BOTH, ask(authorization="Bearer x"), Reason.TWO_CREDENTIALS),
    ("an empty Authorization beside our cookie", BOTH, ask(authorization=""), Reason.TWO_CREDENTIALS),
    # what must not exempt from anything
    ("a health path is a path", BOTH, ask(path="/healthz", cookies=()), Reason.NO_CREDENTIALS),
    ("a static suffix is a path", BOTH, ask(path="/orders?x=.css", cookies=()), Reason.NO_CREDENTIALS),
    ("dot segments are a path", BOTH, ask(path="/public/../orders", cookies=()), Reason.NO_CREDENTIALS),
    ("the kubelet is a client", BOTH, ask(user_agent="kube-probe/1.31", cookies=()), Reason.NO_CREDENTIALS),
]


@pytest.mark.parametrize(("policies", "request_", "reason"), [pytest.param(*row[1:], id=row[0]) for row in REFUSALS])
def test_refused_by_the_request_alone(policies: tuple[Policy, ...], request_: Request, reason: Reason) -> None:
    """What the request alone condemns is refused with the documented reason, status and body."""
    decision = examine(request_, policies)
    assert isinstance(decision, Deny)
    assert decision.reason is reason
    status, code = DOCUMENTED[reason]
    assert decision.status == status
    assert json.loads(decision.body)["code"] == code


ACCEPTED: list[tuple[str, tuple[Policy, ...], Request]] = [
    ("the app of this host", BOTH, ask()),
    ("the host with a port", BOTH, ask(host="api.shop.example:8443")),
    ("the host in upper case", BOTH, ask(host="API.Shop.Example")),
    ("the route and the host agree", BOTH, ask(context={"app": "shop"})),
    ("the only app, which has no hosts", HOSTLESS, ask(host="anything.example")),
    ("the route tells apart two apps without hosts", (SOLE, BANK), ask(host="x.example", context={"app": "shop"})),
    ("GET without an Origin, as browsers send it to their own site", BOTH, ask(origin=None)),
    ("HEAD without an Origin", BOTH, ask(method="HEAD", origin=None)),
    ("OPTIONS that is no preflight", BOTH, ask(method="OPTIONS")),
    ("POST from the trusted origin", BOTH, ask(method="POST")),
    ("same-site, as from a sibling host", BOTH, ask(sec_fetch_site="same-site")),
    ("the cookie twice with one value", BOTH, ask(cookies=(f"{OURS}; a=1", OURS))),
    ("a path that only Envoy could normalise", BOTH, ask(path="//a/%2e%2e/..;/orders%00?x=/healthz")),
]


@pytest.mark.parametrize(("policies", "request_"), [pytest.param(*row[1:], id=row[0]) for row in ACCEPTED])
def test_stands_or_falls_with_the_cookie(policies: tuple[Policy, ...], request_: Request) -> None:
    """What is in order comes down to the shop's sealed cookie."""
    found = examine(request_, policies)
    assert isinstance(found, Credential)
    assert (found.policy.app, found.value, found.is_bearer) == ("shop", "sealed", False)


@pytest.mark.parametrize("cookies", [(), ("a=1",), (f"a=1; {OURS}",)], ids=["no cookie", "foreign", "foreign and ours"])
def test_preflight_passes_without_any_credential(cookies: tuple[str, ...]) -> None:
    """A CORS preflight goes through without the CSRF header, and without whatever credential it carries."""
    request = ask(
        method="OPTIONS",
        cookies=cookies,
        token_handler_version=None,
        authorization="Bearer x",
        access_control_request_method="PUT",
    )
    decision = examine(request, BOTH)
    assert isinstance(decision, Allow)
    assert not decision.authenticated
    assert "authorization" in decision.remove_headers
    assert decision.set_headers == ((("cookie", "a=1"),) if "a=1" in str(cookies) else ())
    assert ("cookie" in decision.remove_headers) is (not decision.set_headers)


@pytest.mark.parametrize(
    ("cookies", "set_cookie"),
    [
        pytest.param((OURS,), None, id="our cookie alone: no cookie is left"),
        pytest.param((f"a=1; {OURS}; b=2",), "a=1; b=2", id="ours among others: the others stay"),
        pytest.param((f"{OURS}; __Secure-shop-rt=x; __Host-Http-shop-login-7=y",), None, id="the agent's go as well"),
        pytest.param((f"{OURS}; __Host-bank-at=z",), "__Host-bank-at=z", id="no more than our own"),
    ],
)
def test_let_through_with_one_jwt_and_without_what_is_ours(cookies: tuple[str, ...], set_cookie: str | None) -> None:
    """A good token goes upstream as the one Authorization, our cookies and the CSRF header do not."""
    decision = conclude(credential(ask(cookies=cookies)), GOOD, NOW)
    assert isinstance(decision, Allow)
    assert decision.authenticated
    assert decision.app == "shop"
    expected = (("authorization", "Bearer h.p.s"),)
    assert decision.set_headers == (expected if set_cookie is None else (*expected, ("cookie", set_cookie)))
    removed = {CSRF_HEADER} if set_cookie else {CSRF_HEADER, "cookie"}
    assert set(decision.remove_headers) == removed  # and so never authorization, which would undo the setting


OUTCOMES: list[tuple[str, Outcome, Reason]] = [
    (
        "a token that runs out now",
        UpstreamToken(bearer=Bearer("h.p.s"), expires_at=NOW, scopes=GOOD.scopes),
        Reason.TOKEN_EXPIRED,
    ),
    (
        "an expired token that lacks a scope too",
        UpstreamToken(bearer=Bearer("h.p.s"), expires_at=NOW - 1),
        Reason.TOKEN_EXPIRED,
    ),
    ("a token without scopes", UpstreamToken(bearer=Bearer("h.p.s"), expires_at=NOW + 1), Reason.INSUFFICIENT_SCOPE),
    (
        "a token with a longer scope of the same beginning",
        UpstreamToken(bearer=Bearer("h.p.s"), expires_at=NOW + 1, scopes=frozenset({"orders_read"})),
        Reason.INSUFFICIENT_SCOPE,
    ),
    *((f"refused as {reason}", Refused(reason), reason) for reason in map(Reason, Defect)),
    ("an inactive token", Refused(Reason.TOKEN_INACTIVE), Reason.TOKEN_INACTIVE),
    *((f"trouble {reason}", Fault(reason), reason) for reason in map(Reason, Trouble)),
    ("a fault of ours", Fault(Reason.INTERNAL_ERROR), Reason.INTERNAL_ERROR),
]


@pytest.mark.parametrize(("outcome", "reason"), [pytest.param(*row[1:], id=row[0]) for row in OUTCOMES])
def test_refused_for_what_became_of_the_token(outcome: Outcome, reason: Reason) -> None:
    """A token that does not serve is refused with its reason and the documented status and code."""
    decision = conclude(credential(ask()), outcome, NOW)
    assert isinstance(decision, Deny)
    assert (decision.reason, decision.status) == (reason, DOCUMENTED[reason][0])
    assert json.loads(decision.body)["code"] == DOCUMENTED[reason][1]


def test_every_scope_a_route_requires_is_needed() -> None:
    """A token with one of two required scopes does not get its user in."""
    decision = conclude(credential(ask(context={"scope": "orders admin"})), GOOD, NOW)
    assert isinstance(decision, Deny)
    assert decision.reason is Reason.INSUFFICIENT_SCOPE


def credential(request: Request) -> Credential:
    """What `examine` makes of a good request."""
    found = examine(request, BOTH)
    assert isinstance(found, Credential)
    return found
