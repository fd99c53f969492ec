"""Which rule holds for a request: by path, by the route's own settings, and never less than any server would say."""

from dataclasses import replace

import pytest
from proxy_world.asking import COOKIE, OURS, SHOP, ask, with_headers

from extauthz.decision import Allow, Credential, Deny, Passage, conclude, examine
from extauthz.outcome import Bearer, UpstreamToken
from extauthz.paths import AmbiguousPath, PathPrefixes
from extauthz.policy import Auth, BearerMode, Csrf, Policy, Route, Rule
from extauthz.reason import Reason
from extauthz.request import Request
from extauthz.rules.routes import rule_for

PREFIXES = ("/", "/api/public", "/api/admin", "/api/admin/open")
ROUTED = replace(
    SHOP,
    ways=frozenset({"phantom", "opaque", "jwt"}),
    routes=(
        Route(path="/api/public", rule=Rule(auth=Auth.OFF)),
        Route(path="/api/feed", rule=Rule(auth=Auth.OPTIONAL)),
        Route(path="/api/admin", rule=Rule(scopes=frozenset({"admin"}))),
        Route(path="/api/events", rule=Rule(csrf=Csrf.ORIGIN)),
        Route(path="/me", rule=Rule(way="opaque", scopes=frozenset({"orders"}))),
    ),
)
BY_ROUTE = replace(SHOP, ways=frozenset({"phantom", "opaque", "exchange"}))
URI = "https://api.example/orders?x=1"
GOOD = UpstreamToken(bearer=Bearer("h.p.s"), expires_at=2.0, scopes=frozenset({"orders"}))


@pytest.mark.parametrize(
    ("path", "prefix"),
    [
        ("/api/public", "/api/public"),
        ("/api/public/", "/api/public"),
        ("/api/public/x?next=/api/admin", "/api/public"),
        ("/api/public?x", "/api/public"),
        ("/api/publications", "/"),
        ("/api/admin/users", "/api/admin"),
        ("/api/admin/open", "/api/admin/open"),
        ("/api/admin/open/x", "/api/admin/open"),
        ("/api/admin/opener", "/api/admin"),
        ("/api", "/"),
        ("/api/", "/"),
        ("/", "/"),
        ("/api/public/J%C3%BCrgen", "/api/public"),
        ("/api/public/a%20b", "/api/public"),
        ("/api/orders/ada%40example.com", "/"),
        ("/api/orders/a%2Fb", "/"),
        ("/api/orders/x;v=1", "/"),
        ("/api/public/x.json", "/api/public"),
        ("/api/public/a...b", "/api/public"),
        ("/api/administrator.json", "/"),
        ("/api/admin.json/x", "/"),
        ("/api/admin/open.x/y", "/api/admin"),
        ("/orders//x", "/"),
    ],
)
def test_a_path_every_server_reads_alike(path: str, prefix: str) -> None:
    """Whole segments decide, the longest prefix wins, and escapes that no reading turns into another route are fine."""
    assert PathPrefixes(PREFIXES).longest_match(path) == prefix


@pytest.mark.parametrize(
    "path",
    [
        "/api/public/../admin",
        "/api/public/./../admin",
        "/api/public/%2e%2e/admin",
        "/api/public/.%2E/admin",
        "/api/public/%252e%252e/admin",
        "/api/public/..%2fadmin",
        "/api/public/..%5cadmin",
        "/api/public/..\\admin",
        "/api/public/..;/admin",
        "/api/public/..;x=1/admin",
        "/api/public/%2e%2e%3b/admin",
        "/api/public/..%00/admin",
        "/api/public/%c0%ae%c0%ae/admin",
        "/api/public/%u002e%u002e/admin",
        "/api/public/\uff0e\uff0e/admin",
        "/api/public/%EF%BC%8E%EF%BC%8E/admin",
        "/api/%61dmin",
        "/api/%2561dmin",
        "/api/ADMIN",
        "/api/Public/x",
        "/api/admin;x/users",
        "/api;x/admin",
        "/api/admin%00",
        "/api/admin%20",
        "/api/admin.",
        "/api//admin",
        "//api/admin",
        "/./api/admin",
        "/api/.//admin",
        "/api%2Fadmin",
        "/api%2fpublic",
        "/api\\admin",
        "/api/adm%E4n",
        "/api/%EF%BD%81dmin",
        "/api/ad%",
        "/api/ad%zz",
        "/api/admin%3Fx",
        "/api/admin%23x",
        "/api/admin#x",
        "/api/admin.json",
        "/api/Admin.json",
        "/api/admin.tar.gz",
        "/api/admin.json/",
        "https://api.example/api/public",
        "*",
        "api/public",
    ],
)
def test_a_path_that_servers_read_differently(path: str) -> None:
    """Where one server would see another route than the next, there is no match to go by."""
    with pytest.raises(AmbiguousPath):
        PathPrefixes([prefix for prefix in PREFIXES if prefix != "/"]).longest_match(path)


def test_without_routes_a_path_is_never_looked_at() -> None:
    """An app without routes takes any path: nothing hangs on it."""
    found = examine(ask(path="/api/public/../%2e%2e/..;/x"), [SHOP])
    assert isinstance(found, Credential)


def test_an_ambiguous_path_is_refused() -> None:
    """It is the client's to spell it plainly."""
    decision = examine(ask(path="/api/public/../admin"), [ROUTED])
    assert isinstance(decision, Deny)
    assert (decision.reason, decision.status) == (Reason.AMBIGUOUS_PATH, 400)


@pytest.mark.parametrize(
    ("path", "passage"), [("/api/public", Passage.AUTH_OFF), ("/api/public/x?y", Passage.AUTH_OFF)]
)
@pytest.mark.parametrize("cookies", [(), (OURS,), (f"{OURS}; {COOKIE}=other",), ("a=1",)], ids=str)
def test_auth_off_passes_whatever_comes_without_any_of_it(
    path: str, passage: Passage, cookies: tuple[str, ...]
) -> None:
    """A public path needs nothing, and gives the API none of the credentials that came."""
    request = ask(path=path, cookies=cookies, method="POST", origin="https://evil.example", authorization="Bearer x")
    decision = examine(with_headers(request, {"token-handler-version": None}), [ROUTED])
    assert isinstance(decision, Allow)
    assert decision.passage is passage
    assert "authorization" in decision.remove_headers
    assert COOKIE not in str(decision.set_headers)


@pytest.mark.parametrize(
    ("request_", "waived"),
    [
        pytest.param(ask(path="/api/feed", cookies=()), None, id="nothing"),
        pytest.param(ask(path="/api/feed", cookies=(), token_handler_version=None), None, id="not even the header"),
        pytest.param(ask(path="/api/feed", cookies=("a=1",), origin="null"), None, id="a foreign cookie"),
        pytest.param(ask(path="/api/feed", cookies=(), authorization="Bearer x"), None, id="a forged token"),
        pytest.param(ask(path="/api/feed", token_handler_version=None), Reason.CSRF_HEADER, id="no custom header"),
        pytest.param(ask(path="/api/feed", origin="null"), Reason.ORIGIN_UNTRUSTED, id="another origin"),
        pytest.param(ask(path="/api/feed", sec_fetch_site="cross-site"), Reason.CROSS_SITE, id="another site"),
    ],
)
def test_auth_optional_passes_as_nobody(request_: Request, waived: Reason | None) -> None:
    """Without credentials that count a request is nobody's; a cookie that did not count is mentioned in the log."""
    decision = examine(request_, [ROUTED])
    assert isinstance(decision, Allow)
    assert (decision.passage, decision.waived) == (Passage.ANONYMOUS, waived)
    assert "authorization" in decision.remove_headers
    assert decision.set_headers in ((), (("cookie", "a=1"),))


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        pytest.param(ask(path="/api/feed", cookies=(OURS, f"{COOKIE}=x")), Reason.AMBIGUOUS_COOKIE, id="two cookies"),
        pytest.param(ask(path="/api/feed", authorization="Bearer x"), Reason.TWO_CREDENTIALS, id="two credentials"),
    ],
)
def test_auth_optional_refuses_what_contradicts_itself(request_: Request, reason: Reason) -> None:
    """Optional means that credentials may be missing, not that bad ones are good."""
    decision = examine(request_, [ROUTED])
    assert isinstance(decision, Deny)
    assert decision.reason is reason


def test_auth_optional_with_a_session_is_the_users() -> None:
    """A cookie that counts is opened and exchanged as anywhere."""
    found = examine(ask(path="/api/feed"), [ROUTED])
    assert isinstance(found, Credential)
    decision = conclude(found, GOOD, 1.0)
    assert isinstance(decision, Allow)
    assert decision.authenticated


def test_a_path_may_require_more_scope() -> None:
    """The scope of the path is required in place of the app's, and named in the challenge."""
    found = examine(ask(path="/api/admin/users"), [ROUTED])
    assert isinstance(found, Credential)
    decision = conclude(found, GOOD, 1.0)
    assert isinstance(decision, Deny)
    assert decision.reason is Reason.INSUFFICIENT_SCOPE
    assert dict(decision.headers)["www-authenticate"].endswith('scope="admin"')


def test_an_opaque_way_requires_nothing_of_the_token() -> None:
    """A token nobody looks into has neither scope nor audience, whatever the app requires elsewhere."""
    policy = replace(ROUTED, rule=Rule(scopes=frozenset({"orders"}), audience="api"))
    found = examine(ask(path="/me"), [policy])
    assert isinstance(found, Credential)
    assert found.way == "opaque"
    assert isinstance(conclude(found, replace(GOOD, scopes=frozenset()), 1.0), Allow)


SETTINGS: list[tuple[dict[str, str], Rule | Reason]] = [
    ({}, SHOP.rule),
    ({"app": "shop"}, SHOP.rule),
    ({"auth": "off"}, replace(SHOP.rule, auth=Auth.OFF)),
    ({"auth": "optional", "app": "shop"}, replace(SHOP.rule, auth=Auth.OPTIONAL)),
    ({"csrf": "origin"}, replace(SHOP.rule, csrf=Csrf.ORIGIN)),
    ({"scope": ""}, replace(SHOP.rule, scopes=frozenset())),
    ({"scope": "a  b"}, replace(SHOP.rule, scopes=frozenset({"a", "b"}))),
    ({"audience": "api"}, replace(SHOP.rule, audience="api")),
    ({"upstream": "opaque"}, replace(SHOP.rule, way="opaque")),
    ({"upstream": "opaque", "scope": ""}, replace(SHOP.rule, way="opaque", scopes=frozenset())),
    ({"upstream": "opaque", "scope": "a"}, Reason.ROUTE_SETTING),
    ({"upstream": "opaque", "audience": "api"}, Reason.ROUTE_SETTING),
    ({"upstream": "exchange"}, replace(SHOP.rule, way="exchange")),
    ({"upstream": "exchange", "resource": URI}, replace(SHOP.rule, way="exchange", resource=URI)),
    ({"resource": "urn:x:y", "upstream": "exchange"}, replace(SHOP.rule, way="exchange", resource="urn:x:y")),
    *(
        ({"upstream": "exchange", "resource": resource}, Reason.ROUTE_SETTING)
        for resource in ("", "/orders", "api.example", f"{URI}#x", f"{URI} x", f"{URI}\n", "http:", "é:x", "urn:é")
    ),
    ({"resource": URI}, Reason.ROUTE_SETTING),
    ({"upstream": "phantom", "resource": URI}, Reason.ROUTE_SETTING),
    ({"upstream": "opaque", "resource": URI}, Reason.ROUTE_SETTING),
    ({"upstream": "jwt"}, Reason.ROUTE_SETTING),
    ({"upstream": "bearer-jwt"}, Reason.ROUTE_SETTING),
    ({"upstream": ""}, Reason.ROUTE_SETTING),
    ({"auth": ""}, Reason.ROUTE_SETTING),
    ({"auth": "Off"}, Reason.ROUTE_SETTING),
    ({"auth": "none"}, Reason.ROUTE_SETTING),
    ({"csrf": "off"}, Reason.ROUTE_SETTING),
    ({"csrf": "double-submit"}, Reason.ROUTE_SETTING),
    ({"audience": ""}, Reason.ROUTE_SETTING),
    ({"Auth": "off"}, Reason.ROUTE_SETTING),
    ({"scopes": "a"}, Reason.ROUTE_SETTING),
]


@pytest.mark.parametrize(("context", "expected"), SETTINGS, ids=[str(row[0]) for row in SETTINGS])
def test_settings_of_a_route(context: dict[str, str], expected: Rule | Reason) -> None:
    """Each setting changes its part of the rule; one that is not known, or cannot be served, refuses the route."""
    assert rule_for(ask(context=context), BY_ROUTE) == expected


def test_a_resource_of_the_app_is_no_fault_of_a_route_of_another_way() -> None:
    """Only what the route itself says must make sense there."""
    policy = replace(BY_ROUTE, rule=Rule(way="exchange", resource=URI))
    assert rule_for(ask(context={"upstream": "phantom"}), policy) == replace(policy.rule, way="phantom")
    assert rule_for(ask(context={"resource": "urn:x"}), policy) == replace(policy.rule, resource="urn:x")


def test_the_route_speaks_after_the_path() -> None:
    """What the gateway's route says counts before what the path says, setting by setting."""
    rule = rule_for(ask(path="/api/admin/x", context={"auth": "optional"}), ROUTED)
    assert rule == Rule(auth=Auth.OPTIONAL, scopes=frozenset({"admin"}))


def test_an_ambiguous_path_is_refused_even_when_the_route_speaks() -> None:
    """Settings the route leaves out would still hang on the path."""
    policy: Policy = ROUTED
    assert rule_for(ask(path="/api/%61dmin", context={"auth": "off"}), policy) is Reason.AMBIGUOUS_PATH


CLIMBING = ["/public/../orders", "/public/..;/orders", "/public/%2e%2e/orders", "/public/x/..%2f..%2forders"]


@pytest.mark.parametrize("path", CLIMBING)
def test_a_path_that_climbs_does_not_choose_the_settings_of_a_route(path: str) -> None:
    """The gateway may have matched its public route by a path that leads out of it."""
    assert rule_for(ask(path=path, context={"auth": "off"}), BY_ROUTE) is Reason.AMBIGUOUS_PATH
    # Where the route says no more than which app it is, nothing hangs on the path.
    assert rule_for(ask(path=path, context={"app": "shop"}), BY_ROUTE) == BY_ROUTE.rule


def test_a_route_of_jwts_needs_an_audience_where_clients_bring_their_own() -> None:
    """Without one, any API's token would do (RFC 9068 section 4)."""
    policy = replace(ROUTED, bearer=BearerMode.INTROSPECT)
    assert rule_for(ask(context={"upstream": "jwt"}), policy) is Reason.ROUTE_SETTING
    assert rule_for(ask(context={"upstream": "jwt", "audience": "api"}), policy) == replace(
        policy.rule, way="jwt", audience="api"
    )
    assert rule_for(ask(context={"upstream": "jwt"}), ROUTED) == replace(ROUTED.rule, way="jwt")
