"""Apps, routes, CORS, bearer clients, identity headers and dry runs, as the API behind a real Envoy sees them."""

import base64
import json
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from worlds.idp import IdpControl
from worlds.raw import RawAnswer, exchange, received
from worlds.tokens import AT, opaque_token, phantom_of, sealed_for
from worlds.waiting import until

from demo.browser import Browser
from demo.settings import APP

if TYPE_CHECKING:
    from worlds.kinds import World

VERSION = "token-handler-version: 1"
SPOOFED = ("x-user-id: root", "X-USER-ID: admin")
SPOOFED_ELSEHOW = ("x.user.id: root", "x-user.id: root", "x~user~id: root")


def test_the_api_is_told_who_it_is(ada: Browser, envoy: str) -> None:
    """The user's id comes from the token, once, whatever the client sent under that name."""
    answer = get(envoy, "/api/orders", *cookie(ada), *SPOOFED, *SPOOFED_ELSEHOW)
    assert (answer.status, received(answer, "x-user-id")) == (200, ["ada"])
    assert not [name for name, _ in answer.json()["headers"] if name in ("x.user.id", "x-user.id", "x~user~id")]


@pytest.mark.parametrize("path", ["/api/public/x", "/public/feed/x", "/public/by-route/x"])
@pytest.mark.parametrize("session", [False, True])
def test_nobody_can_say_who_they_are(ada: Browser, envoy: str, path: str, session: bool) -> None:
    """On routes without authentication, or with an optional one, a client's own identity never arrives."""
    answer = get(envoy, path, *(cookie(ada) if session else ()), *SPOOFED, "authorization: Basic Zm9yZ2Vk", app=False)
    if session and path == "/public/feed/x":
        assert answer.status == 400  # two credentials
        answer = get(envoy, path, *cookie(ada), *SPOOFED)
        assert received(answer, "x-user-id") == ["ada"]
    else:
        assert answer.status == 200
        assert received(answer, "x-user-id") == []
        assert received(answer, "authorization") == []
        assert received(answer, "cookie") == []


def test_an_optional_route_knows_the_user_who_has_a_session(ada: Browser, envoy: str) -> None:
    """With a session the JWT arrives, without one nothing does, and a bad cookie is refused."""
    assert get(envoy, "/public/feed", *cookie(ada)).json()["headers"]
    assert len(received(get(envoy, "/public/feed", *cookie(ada)), "authorization")) == 1
    assert received(get(envoy, "/public/feed"), "authorization") == []
    assert get(envoy, "/public/feed", f"cookie: {AT}=rubbish").status == 401


@pytest.mark.parametrize("path", ["/api/admin/users", "/api/by-route/users"])
def test_a_route_may_require_more_scope(ada: Browser, envoy: str, path: str) -> None:
    """A session without the scope is refused there, and served elsewhere."""
    answer = get(envoy, path, *cookie(ada))
    assert (answer.status, answer.json()["code"]) == (403, "insufficient_scope")
    assert answer.all("www-authenticate") == [f'Bearer realm="{APP}", error="insufficient_scope", scope="admin"']
    assert get(envoy, "/api/orders", *cookie(ada)).status == 200


def test_an_opaque_route_is_not_introspected(world: "World", ada: Browser, envoy: str, idp: IdpControl) -> None:
    """The token from the cookie goes on as it is, and nobody is asked about it."""
    token = opaque_token(world.settings.folder, ada)
    answer = get(envoy, "/public/me", *cookie(ada))
    [authorization] = received(answer, "authorization")
    assert authorization.startswith("Bearer ")
    assert token.startswith(authorization.removeprefix("Bearer ")[:8])
    assert idp.count("introspect") == 0


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (["origin: ORIGIN"], 200),
        (["sec-fetch-site: same-origin"], 200),
        ([], 403),
        (["origin: https://evil.example"], 403),
        (["sec-fetch-site: same-site"], 403),
        (["origin: ORIGIN", "sec-fetch-site: cross-site"], 403),
    ],
)
def test_where_no_header_can_be_sent_origin_decides(ada: Browser, envoy: str, lines: list[str], status: int) -> None:
    """An EventSource or WebSocket needs no custom header, but comes from a trusted page."""
    sent = [line.replace("ORIGIN", ada.origin) for line in lines]
    assert get(envoy, "/api/events/all", *cookie(ada), *sent, app=False).status == status


@pytest.mark.parametrize("path", ["/api/ADMIN/x", "/api/public;/x", "/api/admin%20/x"])
def test_a_second_spelling_of_a_path_is_refused(ada: Browser, envoy: str, path: str) -> None:
    """What Envoy lets by and servers read differently, the proxy refuses where routes differ."""
    assert get(envoy, path, *cookie(ada)).status == 400


def test_a_mobile_client_gets_the_phantom_token(world: "World", ada: Browser, envoy: str, idp: IdpControl) -> None:
    """An opaque token becomes the JWT, for reading and for changing, without cookie, CSRF header or Origin."""
    token = opaque_token(world.settings.folder, ada)
    for method in ("GET", "POST"):
        answer = send(envoy, method, "mobile.example", "/api/orders", f"authorization: Bearer {token}")
        assert answer.status == 200
        [authorization] = received(answer, "authorization")
        assert authorization.startswith("Bearer eyJ")
        assert answer.json()["claims"]["sub"] == "ada"
    assert idp.count("introspect") == 1


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (["authorization: Bearer 0paque-and-unknown"], 401),
        (["authorization: Bearer a b"], 400),
        (["authorization: Bearer a", "authorization: Bearer b"], 400),
        (["authorization: Basic Zm9yZ2Vk"], 403),
        (["authorization: Basic Zm9yZ2Vk", VERSION], 401),
        ([VERSION], 401),
    ],
)
def test_what_a_mobile_client_is_refused_for(envoy: str, lines: list[str], status: int) -> None:
    """A worthless token is 401, a malformed header 400; another scheme is no credential."""
    assert send(envoy, "GET", "mobile.example", "/api/orders", *lines).status == status


def test_a_client_with_a_jwt_of_its_own(world: "World", ada: Browser, envoy: str, idp: IdpControl) -> None:
    """A JWT access token is verified without asking about it; a changed one is refused."""
    jwt = phantom_of(
        f"http://{world.resolve.get('idp:9000') or world.issuer.removeprefix('http://')}",
        world.settings.folder,
        opaque_token(world.settings.folder, ada),
    )
    idp.reset()
    good = send(envoy, "DELETE", "native.example", "/api/orders", f"authorization: Bearer {jwt}")
    assert (good.status, len(received(good, "authorization"))) == (200, 1)
    head, payload, signature = jwt.split(".")
    for forged in (f"{head}.{payload}.{signature[::-1]}", f"{head}.{payload}.", f"{head}.{payload}", "0paque"):
        refused = send(envoy, "GET", "native.example", "/api/orders", f"authorization: Bearer {forged}")
        assert refused.status == 401
    assert idp.count("introspect") == 0


def test_apps_do_not_know_each_others_sessions(world: "World", ada: Browser, envoy: str) -> None:
    """One app's cookie means nothing at another app's host, under its own name or the other's."""
    value = ada.cookies()[AT]
    token = opaque_token(world.settings.folder, ada)
    own = sealed_for(world.settings.folder, "mobile", token)
    assert send(envoy, "GET", "mobile.example", "/api/orders", VERSION, f"cookie: {own}").status == 200
    for foreign in (f"{AT}={value}", f"__Host-Http-mobile-at={value}"):
        assert send(envoy, "GET", "mobile.example", "/api/orders", VERSION, f"cookie: {foreign}").status == 401
    # The API of one app never sees the sessions of another, which a cookie of both hosts would bring.
    answer = get(envoy, "/api/orders", f"cookie: a=1; {AT}={value}; {own}")
    assert received(answer, "cookie") == ["a=1"]


def test_each_api_gets_a_token_of_its_own(world: "World", ada: Browser, envoy: str, idp: IdpControl) -> None:
    """Routes of different audience get different tokens for one session, each asked for once."""
    session = of_app(world, "exchange", ada)
    routes = {"/api/orders": ("api", "orders"), "/public/books": ("books", "profile")}
    for path, (audience, scope) in [*routes.items()] * 3:
        answer = send(envoy, "GET", "exchange.example", path, VERSION, session)
        assert (answer.status, received(answer, "x-user-id")) == (200, ["ada"])
        claims = claims_of(answer)
        assert (claims["aud"], claims["scope"], claims["client_id"]) == (audience, scope, "gateway")
    assert (idp.count("token"), idp.count("introspect")) == (2, 0)


def test_a_route_of_envoy_may_exchange(ada: Browser, envoy: str, idp: IdpControl) -> None:
    """One route of an app goes the way exchange, with a resource, and the app's others go their own."""
    for _ in range(2):
        answer = get(envoy, "/public/reports", *cookie(ada))
        assert claims_of(answer)["aud"] == ["books", "https://reports.example/"]
        assert get(envoy, "/api/orders", *cookie(ada)).json()["claims"]["aud"] == "api"
    assert (idp.count("token"), idp.count("introspect")) == (1, 1)


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [("/public/bank", 503, "temporarily_unavailable"), ("/public/admin", 403, "insufficient_scope")],
)
def test_what_is_not_exchanged_logs_nobody_out(
    world: "World", ada: Browser, envoy: str, path: str, status: int, code: str
) -> None:
    """An audience the proxy may not ask for is the operator's to mend; a scope the user has not is told."""
    session = of_app(world, "exchange", ada)
    answer = send(envoy, "GET", "exchange.example", path, VERSION, session)
    assert (answer.status, answer.json()["code"]) == (status, code)


def test_a_session_that_is_over_is_not_exchanged(world: "World", ada: Browser, envoy: str, idp: IdpControl) -> None:
    """A token that is no longer active is the user's to renew."""
    session = of_app(world, "exchange", ada)
    idp.expire_access_tokens()
    assert send(envoy, "GET", "exchange.example", "/api/orders", VERSION, session).status == 401


def test_cors_by_the_proxy(world: "World", ada: Browser, envoy: str) -> None:
    """Preflights are answered by us, the API's answers can be read by the app, and strangers get nothing."""
    origin, host = "https://www.cors.example", "cors.example"
    asked = ("access-control-request-method: PUT", "access-control-request-headers: token-handler-version,x-a")
    before = requests(world)
    answer = send(envoy, "OPTIONS", host, "/api/orders", f"origin: {origin}", *asked)
    assert (answer.status, answer.body) == (204, b"")
    assert answer.all("access-control-allow-origin") == [origin]
    assert answer.all("access-control-allow-credentials") == ["true"]
    assert answer.all("access-control-allow-headers") == ["token-handler-version,x-a"]
    assert "PUT" in answer.all("access-control-allow-methods")[0]
    assert answer.all("vary") == ["Origin, Access-Control-Request-Headers"]
    stranger = send(envoy, "OPTIONS", host, "/api/orders", "origin: https://evil.example", *asked)
    assert stranger.status == 204
    assert not [name for name, _ in stranger.headers if name.lower().startswith("access-control")]
    assert requests(world) == before
    session = sealed_for(world.settings.folder, "cors", opaque_token(world.settings.folder, ada))
    good = send(envoy, "POST", host, "/api/orders", VERSION, f"origin: {origin}", f"cookie: {session}")
    assert good.status == 200
    assert good.all("access-control-allow-origin") == [origin]
    assert good.all("access-control-expose-headers") == ["x-total"]
    assert "Origin" in good.all("vary")
    refused = send(envoy, "GET", host, "/api/orders", VERSION, f"origin: {origin}")
    assert (refused.status, refused.all("access-control-allow-origin")) == (401, [origin])
    evil = send(envoy, "GET", host, "/api/orders", VERSION, "origin: https://evil.example", f"cookie: {session}")
    assert (evil.status, evil.all("access-control-allow-origin")) == (403, [])


def test_a_dry_run_refuses_nobody(world: "World", ada: Browser, envoy: str) -> None:
    """Without a session the API is asked without any credential, and the access log says what would have been."""
    answer = send(envoy, "GET", "dry.example", "/public/dry-run", "authorization: Bearer forged", *SPOOFED)
    assert answer.status == 200
    assert [received(answer, name) for name in ("authorization", "cookie", "x-user-id")] == [[], [], []]
    told = ('"path":"/public/dry-run"', '"reason":"dry_run: csrf_header"')
    until(lambda: any(all(word in line for word in told) for line in world.logs().splitlines()))
    session = sealed_for(world.settings.folder, "dry", opaque_token(world.settings.folder, ada))
    good = send(envoy, "GET", "dry.example", "/api/orders", VERSION, f"cookie: {session}")
    assert (good.status, received(good, "x-user-id")) == (200, ["ada"])


def get(envoy: str, path: str, *lines: str, app: bool = True) -> RawAnswer:
    """GET at the demo's own host; `app` adds the custom header."""
    return exchange(envoy, "GET", path, "host: localhost:10000", *((VERSION,) if app else ()), *lines)


def send(envoy: str, method: str, host: str, path: str, *lines: str) -> RawAnswer:
    """A request at the host of another app."""
    return exchange(envoy, method, path, f"host: {host}", *lines)


def cookie(browser: Browser) -> tuple[str, ...]:
    """The session as a header line."""
    return (f"cookie: {AT}={browser.cookies()[AT]}",)


def of_app(world: "World", app: str, browser: Browser) -> str:
    """The session as a header line for another app."""
    folder = world.settings.folder
    return f"cookie: {sealed_for(folder, app, opaque_token(folder, browser))}"


def claims_of(answer: RawAnswer) -> dict[str, Any]:
    """What the JWT that the API received says; its signature was not passed on."""
    [authorization] = received(answer, "authorization")
    payload = authorization.removeprefix("Bearer ").split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


def requests(world: "World") -> int:
    """How many requests the API has received."""
    count: int = httpx2.get(f"{world.control('api')}/requests").json()["count"]
    return count
