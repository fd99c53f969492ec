"""The HTTP doors behind real gateways, each with its configuration as the documentation gives it."""

from collections.abc import Callable

import pytest
from worlds.gateways import SECRET, Gateway
from worlds.idp import IdpControl
from worlds.raw import RawAnswer, exchange, identity, received
from worlds.tokens import AT
from worlds.waiting import until

from demo.browser import Browser
from demo.settings import APP
from demo.world import LocalWorld

Count = Callable[[], int]

VERSION = "token-handler-version: 1"
MISSING = {"code": "unauthorized", "message": "Access denied due to missing or invalid credentials"}
FORBIDDEN = {"code": "forbidden", "message": "Access denied due to invalid request details"}
UNAVAILABLE = {"code": "temporarily_unavailable", "message": "Authorization is temporarily unavailable"}
REALM = f'Bearer realm="{APP}"'
# All a header's name may consist of besides letters, digits and hyphens (RFC 9110 section 5.6.2).
SEPARATORS = "_.!#$%&'*+^`|~"
EVIL = "https://evil.example"


def test_the_api_receives_one_jwt_and_no_cookie_of_ours(ada: Browser, gateway: Gateway) -> None:
    """After a login through the gateway the API gets one Authorization, who it is, and the neighbours' cookies."""
    neighbours = 'a="quoted, with comma"; theme=d%20ark=='
    answer = get(gateway, "/api/orders?a=b%2Fc", f"cookie: {neighbours}; {AT}={ada.cookies()[AT]}; __Secure-{APP}-rt=x")
    assert answer.status == 200, answer.body
    assert received(answer, "cookie") == [neighbours]
    [authorization] = received(answer, "authorization")
    assert authorization.startswith("Bearer eyJ")
    assert received(answer, "x-user-id") == ["ada"]
    assert received(answer, "x-user-roles") == []
    assert received(answer, "token-handler-version") == []
    echo = answer.json()
    assert (echo["method"], echo["path"], echo["query"]) == ("GET", "/api/orders", "a=b%2Fc")
    assert echo["claims"]["sub"] == "ada"
    assert SECRET not in str(echo)


def test_the_cookie_header_is_gone_when_nothing_is_left(ada: Browser, gateway: Gateway) -> None:
    """With only our cookie in the request, the API receives no Cookie header at all."""
    assert received(get(gateway, "/api/orders", cookie(ada)), "cookie") == []


def test_bytes_that_are_not_ascii_arrive(ada: Browser, gateway: Gateway) -> None:
    """A neighbour's cookie in UTF-8 arrives byte for byte."""
    line = b"cookie: a=\xc3\xbc; " + f"{AT}={ada.cookies()[AT]}".encode()
    assert received(get(gateway, "/api/orders", line), "cookie") == ["a=\xc3\xbc"]


def test_an_identity_header_comes_when_there_is_a_claim(
    gateway: Gateway, new_browser: Callable[[], Browser], idp: IdpControl
) -> None:
    """A claim that some users have reaches the API for those."""
    idp.misbehave(jwt_overrides={"roles": ["buyer", "seller"]})
    browser = new_browser()
    browser.log_in().raise_for_status()
    assert received(get(gateway, "/api/orders", cookie(browser)), "x-user-roles") == ["buyer,seller"]


def test_without_a_cookie_it_is_401(gateway: Gateway) -> None:
    """Status, challenge and body are those of the documentation."""
    answer = get(gateway, "/api/orders")
    assert (answer.status, answer.json()) == (401, MISSING)
    assert answer.all("www-authenticate") == [REALM]


def test_a_cookie_of_rubbish_is_401(gateway: Gateway) -> None:
    """A cookie that does not open is no session."""
    answer = get(gateway, "/api/orders", f"cookie: {AT}=rubbish")
    assert (answer.status, answer.json()) == (401, MISSING)
    assert answer.all("www-authenticate") == [f'{REALM}, error="invalid_token"']


def test_without_the_custom_header_it_is_403(ada: Browser, gateway: Gateway) -> None:
    """Another site cannot send the custom header, and without it there is no access."""
    answer = exchange(gateway.place, "GET", "/api/orders", host(gateway), cookie(ada))
    assert (answer.status, answer.json()) == (403, FORBIDDEN)
    assert answer.all("www-authenticate") == []


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_changing_request_needs_its_origin(
    ada: Browser, gateway: Gateway, requests_at_the_api: Count, method: str
) -> None:
    """Without Origin, or with another site's, it is 403; with the app's own it reaches the API with its method."""
    before = requests_at_the_api()
    for origin in ([], [f"origin: {EVIL}"], [f"origin: {ada.origin}", f"origin: {EVIL}"]):
        assert send(gateway, method, "/api/orders", cookie(ada), *origin).status == 403
    assert requests_at_the_api() == before
    answer = send(gateway, method, "/api/orders", cookie(ada), f"origin: {ada.origin}")
    assert (answer.status, answer.json()["method"]) == (200, method)


def test_insufficient_scope_is_told(ada: Browser, gateway: Gateway) -> None:
    """A token without the scope a route requires is 403, and the challenge names the scope."""
    answer = get(gateway, "/api/admin/users", cookie(ada))
    assert (answer.status, answer.json()["code"]) == (403, "insufficient_scope")
    assert answer.all("www-authenticate") == [f'{REALM}, error="insufficient_scope", scope="admin"']


def test_a_token_for_another_api_is_403(ada: Browser, gateway: Gateway) -> None:
    """A route that requires another audience is closed."""
    answer = get(gateway, "/api/elsewhere", cookie(ada))
    assert (answer.status, answer.json()["code"]) == (403, "forbidden")


def test_the_app_may_read_a_refusal(ada: Browser, gateway: Gateway, idp: IdpControl) -> None:
    """Whatever is refused, and by whomever: pages of the app's origins may read why, nobody may keep it for later."""
    idp.misbehave(introspection_status=500)
    host_and_origin, old = (host(gateway), f"origin: {ada.origin}"), "token-handler-version: 2"
    for lines, status in (([VERSION], 401), ([old], 403), ([VERSION, cookie(ada)], 503)):
        # By a path's extension some servers would call the answer an image.
        for path in ("/api/orders", "/api/picture.png"):
            answer = exchange(gateway.place, "GET", path, *host_and_origin, *lines)
            assert answer.status == status
            assert answer.all("content-type") == ["application/json"]
            assert answer.all("cache-control") == ["no-store"]
            assert answer.all("access-control-allow-origin") == [ada.origin]
            assert answer.all("access-control-allow-credentials") == ["true"]
            assert answer.all("vary") == ["Origin"]


def test_a_stranger_may_not_read_a_refusal(ada: Browser, gateway: Gateway) -> None:
    """Pages of another origin learn nothing."""
    answer = get(gateway, "/api/orders", cookie(ada), f"origin: {EVIL}")
    assert (answer.status, answer.all("access-control-allow-origin")) == (403, [])


FORGED = {
    "one": ["authorization: Bearer forged"],
    "two lines": ["authorization: Bearer forged", "authorization: Bearer forged-too"],
    "Basic": ["Authorization: Basic Zm9yZ2Vk"],
    "comma": ["authorization: Bearer forged,Bearer forged-too"],
    "another spelling": ["AUTHORIZATION: Bearer forged"],
}


@pytest.mark.parametrize("lines", FORGED.values(), ids=FORGED.keys())
def test_a_forged_authorization_never_arrives(
    ada: Browser, gateway: Gateway, requests_at_the_api: Count, lines: list[str]
) -> None:
    """Beside our cookie it is refused; without it, it counts for nothing, and on an optional route it is taken off."""
    before = requests_at_the_api()
    beside, alone = get(gateway, "/api/orders", cookie(ada), *lines), get(gateway, "/api/orders", *lines)
    public = get(gateway, "/api/public/offers", *lines)
    if gateway.kind.door == "nginx" and len(lines) == 2:
        # nginx itself refuses this header twice.
        assert (beside.status, alone.status, public.status) == (400, 400, 400)
        assert requests_at_the_api() == before
        return
    # nginx knows no refusal of a door but 401 and 403.
    assert beside.status == (403 if gateway.kind.door == "nginx" else 400)
    assert beside.all("www-authenticate") == [f'{REALM}, error="invalid_request"']
    assert alone.status == 401
    assert (public.status, received(public, "authorization")) == (200, [])
    assert requests_at_the_api() == before + 1


@pytest.mark.parametrize("path", ["/api/orders", "/api/public/offers"])
def test_a_client_cannot_say_who_it_is(ada: Browser, gateway: Gateway, path: str) -> None:
    """No spelling of an identity header that some server might understand arrives, session or not."""
    names = ["x-user-id", "X-USER-ID", "x-user-roles", "X-User-Roles"]
    names += [f"x{one}user{other}id" for one in f"{SEPARATORS}-" for other in (one, "-")]
    names += [f"X{one}User{one}Roles" for one in SEPARATORS]
    spoofed = [f"{name}: root" for name in names]
    assert identity(get(gateway, path, cookie(ada), *spoofed)) == [["x-user-id", "ada"]]
    if path == "/api/public/offers":
        assert identity(get(gateway, path, *spoofed)) == []


SPOOFED = [
    "x-original-method: GET",
    "x-original-url: http://localhost/api/public/offers",
    "x-original-uri: /api/public/offers",
    "x-forwarded-method: GET",
    "x-forwarded-uri: /api/public/offers",
    "x-forwarded-host: evil.example",
    "x-http-method-override: GET",
    "forwarded: host=evil.example",
    "x-token-handler-secret: guessed",
]


@pytest.mark.parametrize("line", [*SPOOFED, f"x-token-handler-secret: {SECRET}"])
def test_a_client_cannot_speak_for_the_gateway(
    ada: Browser, gateway: Gateway, requests_at_the_api: Count, line: str
) -> None:
    """What the door reads of the gateway's own, the client sends in vain: yes stays yes, and no stays no."""
    assert get(gateway, "/api/orders", cookie(ada), line).status == 200
    before = requests_at_the_api()
    assert get(gateway, "/api/orders", line).status == 401
    assert send(gateway, "POST", "/api/orders", cookie(ada), line).status == 403
    assert requests_at_the_api() == before


def test_a_client_cannot_take_off_what_the_door_is_told(
    ada: Browser, gateway: Gateway, requests_at_the_api: Count
) -> None:
    """Naming the gateway's headers in Connection (RFC 9110 section 7.6.1) leaves them where they are."""
    told = "x-forwarded-method, x-forwarded-host, x-forwarded-uri, x-original-method, x-original-url"
    named = f"connection: {told}, x-token-handler-secret"
    before = requests_at_the_api()
    assert send(gateway, "POST", "/api/orders", named, cookie(ada)).status == 403
    assert requests_at_the_api() == before
    assert get(gateway, "/api/orders", named, cookie(ada)).status == 200


def test_two_cookie_lines_are_read_as_one_header(ada: Browser, gateway: Gateway) -> None:
    """Our cookie may stand in the second line, and the first line reaches the API."""
    answer = get(gateway, "/api/orders", "cookie: a=1", f"cookie: {AT}={ada.cookies()[AT]}; b=2")
    assert (answer.status, received(answer, "cookie")) == (200, ["a=1; b=2"])


def test_our_cookie_twice_is_refused_when_the_values_differ(ada: Browser, gateway: Gateway) -> None:
    """In one line or in two, no value is silently chosen."""
    assert get(gateway, "/api/orders", f"{cookie(ada)}; {AT}=another").status == 401
    assert get(gateway, "/api/orders", cookie(ada), f"cookie: {AT}=another").status == 401
    assert get(gateway, "/api/orders", f"cookie: {AT}=another", cookie(ada)).status == 401


def test_as_many_cookies_as_browsers_send_arrive(ada: Browser, gateway: Gateway) -> None:
    """12 KB of neighbours pass, both to the door and back from it."""
    neighbours = "; ".join(f"n{number}={'x' * 1000}" for number in range(12))
    answer = get(gateway, "/api/orders", f"cookie: {neighbours}; {AT}={ada.cookies()[AT]}")
    assert answer.status == 200, answer.body
    assert received(answer, "cookie") == [neighbours]


def test_a_cookie_of_60_kb_is_refused(ada: Browser, gateway: Gateway, requests_at_the_api: Count) -> None:
    """More than any browser sends is refused, by the gateway or by the door, and harms nobody else."""
    before = requests_at_the_api()
    assert get(gateway, "/api/orders", f"cookie: big={'x' * 60_000}; {AT}={ada.cookies()[AT]}").status in (400, 431)
    assert requests_at_the_api() == before
    assert get(gateway, "/api/orders", cookie(ada)).status == 200


@pytest.mark.parametrize("chunked", [False, True], ids=["with a length", "chunked"])
def test_a_body_of_1_mb_arrives(ada: Browser, chunked: bool) -> None:
    """What the client sends goes to the API, all of it."""
    body = b"x" * 1_000_000
    answer = ada.request("POST", "/api/orders", content=iter([body[:7], body[7:]]) if chunked else body)
    assert (answer.status_code, answer.json()["method"], answer.json()["body_bytes"]) == (200, "POST", len(body))


def test_a_refused_body_is_no_trouble(new_browser: Callable[[], Browser]) -> None:
    """A refusal reaches the client although nobody has read its body, and the connection goes on."""
    browser = new_browser()
    for _ in range(2):
        assert browser.request("POST", "/api/orders", content=b"x" * 1_000_000).status_code == 401


def test_head_is_like_get(ada: Browser, gateway: Gateway) -> None:
    """HEAD passes with a session and is refused without one, and no answer has a body."""
    good, bad = send(gateway, "HEAD", "/api/orders", cookie(ada)), send(gateway, "HEAD", "/api/orders")
    assert (good.status, good.body, bad.status, bad.body) == (200, b"", 401, b"")


def test_the_door_sees_method_host_and_path(world: LocalWorld, ada: Browser, gateway: Gateway) -> None:
    """What the client asked for is what the proxy decides about, escapes and all."""
    path = f"/api/orders/a%2Fb%20c/{gateway.kind.file}"
    answer = send(gateway, "DELETE", f"{path}?d=%2F", cookie(ada), f"origin: {ada.origin}")
    assert (answer.status, answer.json()["path"], answer.json()["query"]) == (200, path, "d=%2F")
    line = f'"door": "{gateway.kind.door}"'
    told = (line, '"method": "DELETE"', '"host": "localhost', f'"path": "{path}"')
    until(lambda: any(all(word in line for word in told) for line in world.logs().splitlines()))


UNSETTLED = [
    "/api/../api/orders",
    "/x/../api/orders",
    "//api//orders",
    "/./api/orders",
    "/api%2Forders",
    "/x/..%2Fapi/orders",
    "/%61pi/orders",
    "/api/public/../orders",
    "/api/public/..%2Forders",
    "/api/public/%2e%2e/orders",
    "/oauth-agent/../api/orders",
    "/oauth-agent/..%2Fapi/orders",
    "/API/orders",
    "/api;x/orders",
    "/api\\orders",
]


@pytest.mark.parametrize("path", UNSETTLED)
def test_no_spelling_of_a_path_goes_around_the_door(gateway: Gateway, requests_at_the_api: Count, path: str) -> None:
    """However the path is written, no request without a session reaches the API."""
    before = requests_at_the_api()
    send(gateway, "GET", path)
    assert requests_at_the_api() == before


@pytest.mark.parametrize(
    "path", ["/auth/nginx", "/auth/forward", "/auth/envoy/api/orders", "/resolve", "/token-handler"]
)
def test_the_door_is_not_to_be_reached_from_outside(ada: Browser, gateway: Gateway, path: str) -> None:
    """Whoever asks through the gateway gets the app's pages, or nothing, and never a JWT."""
    told = [f"x-token-handler-secret: {SECRET}", "x-original-method: GET", "x-original-url: http://localhost/api/x"]
    answer = get(gateway, path, cookie(ada), *told, "x-forwarded-method: GET", "x-forwarded-uri: /api/x")
    assert answer.status in (200, 404)
    if answer.status == 200:
        assert answer.all("content-type") == ["text/html; charset=utf-8"]
    assert answer.all("authorization") == []
    assert "eyJ" not in str(answer.headers)
    assert "x-authgear" not in str(answer.headers)


def test_the_agent_guards_itself(ada: Browser) -> None:
    """The agent's paths need no session; it answers all its calls through the gateway."""
    assert ada.agent("refresh").status_code == 200
    assert ada.agent("session").json()["is_logged_in"] is True
    assert ada.agent("logout").status_code == 200
    assert ada.agent("session").json() == {"is_logged_in": False}
    assert ada.request("GET", "/api/orders").status_code == 401


def test_the_apis_own_errors_arrive(ada: Browser, gateway: Gateway) -> None:
    """What the API answers is not taken for an answer of the door."""
    answer = send(gateway, "POST", "/api/public/offers", f"origin: {ada.origin}")
    assert answer.status == 401
    assert answer.json() == {"code": "unauthorized", "message": "exactly one Authorization header is needed"}
    assert answer.all("www-authenticate") == ['Bearer error="invalid_token"']


def test_a_preflight_goes_to_the_api_without_credentials(ada: Browser, gateway: Gateway) -> None:
    """Who does CORS stands behind these gateways: the API. It gets the app's preflights, and nothing with them."""
    preflight = ["access-control-request-method: PUT", "access-control-request-headers: token-handler-version"]
    answer = exchange(
        gateway.place, "OPTIONS", "/api/orders", host(gateway), f"origin: {ada.origin}", *preflight, cookie(ada)
    )
    # The demo's API knows nothing of CORS.
    assert answer.json() == {"code": "unauthorized", "message": "exactly one Authorization header is needed"}


@pytest.mark.parametrize("origin", [[], ["origin: "], [f"origin: {EVIL}"], ["origin: a", "origin: b"]])
@pytest.mark.parametrize("asked", [[], ["access-control-request-method: "], ["access-control-request-method: PUT"]])
def test_no_preflight_of_a_stranger_reaches_the_api(
    gateway: Gateway, requests_at_the_api: Count, origin: list[str], asked: list[str]
) -> None:
    """Whatever looks a little like a preflight ends before the API."""
    before = requests_at_the_api()
    exchange(gateway.place, "OPTIONS", "/api/orders", host(gateway), *origin, *asked)
    assert requests_at_the_api() == before


def test_trouble_is_503(ada: Browser, gateway: Gateway, idp: IdpControl) -> None:
    """An authorization server that fails is 503 with Retry-After, logs nobody out, and is forgotten when it is over."""
    idp.misbehave(introspection_status=500)
    answer = get(gateway, "/api/orders", cookie(ada))
    assert (answer.status, answer.json()) == (503, UNAVAILABLE)
    assert answer.all("retry-after") == ["5"]
    assert answer.all("www-authenticate") == []
    idp.reset()
    assert get(gateway, "/api/orders", cookie(ada)).status == 200


def test_a_slow_authorization_server_is_503(ada: Browser, gateway: Gateway, idp: IdpControl) -> None:
    """The proxy answers before the gateway stops waiting."""
    idp.misbehave(introspection_delay=4)
    answer = get(gateway, "/api/orders", cookie(ada))
    assert (answer.status, answer.json()) == (503, UNAVAILABLE)


def test_the_authorization_server_being_away_is_503(
    world: LocalWorld, ada: Browser, gateway: Gateway, new_browser: Callable[[], Browser]
) -> None:
    """With the identity provider stopped it is 503 as well, and heals by itself."""
    world.stop("idp")
    try:
        answer = get(gateway, "/api/orders", cookie(ada))
        assert (answer.status, answer.json(), answer.all("retry-after")) == (503, UNAVAILABLE, ["5"])
    finally:
        world.start("idp")
    # It is back with a new key, and the proxy asks for keys at most every ten seconds.
    after = new_browser()
    until(lambda: after.log_in().status_code == 200 and after.request("GET", "/api/orders").status_code == 200)


def test_without_the_proxy_nobody_gets_in(
    world: LocalWorld, ada: Browser, gateway: Gateway, requests_at_the_api: Count
) -> None:
    """With no door to ask, the API is closed; everything else goes on."""
    before = requests_at_the_api()
    world.stop("extauthz")
    try:
        answer = get(gateway, "/api/orders", cookie(ada))
        # nginx is told what to say; Caddy and Traefik say what they always do when somebody does not answer.
        expected = {"nginx.conf": 503, "Caddyfile": 502, "traefik.yaml": 500}
        assert answer.status == expected[gateway.kind.file]
        assert requests_at_the_api() == before
        assert ada.agent("session").status_code == 200
    finally:
        world.start("extauthz")
    until(lambda: get(gateway, "/api/orders", cookie(ada)).status == 200)


def test_no_log_holds_a_secret(world: LocalWorld, ada: Browser, gateway: Gateway, idp: IdpControl) -> None:
    """Neither yes nor no, nor trouble with the door, puts a cookie, a token or the secret into anybody's log."""
    forged = "authorization: Bearer canary-in-a-header"
    assert get(gateway, "/api/orders", cookie(ada)).status == 200
    get(gateway, "/api/orders", cookie(ada), forged)
    get(gateway, "/api/orders", f"cookie: {AT}=canary-in-a-cookie")
    secrets = {*idp.secrets(), *ada.cookies().values(), SECRET, "canary-in-a-header", "canary-in-a-cookie"}
    world.stop("extauthz")
    try:
        assert get(gateway, "/api/while-it-is-away", cookie(ada), forged).status >= 500
    finally:
        world.start("extauthz")
    assert len(secrets) > 5
    assert [value[:6] for value in secrets if len(value) > 8 and value in world.logs()] == []


def get(gateway: Gateway, path: str, *lines: str | bytes) -> RawAnswer:
    """GET with the custom header and these lines."""
    return send(gateway, "GET", path, *lines)


def send(gateway: Gateway, method: str, path: str, *lines: str | bytes) -> RawAnswer:
    """The same with another method, and no body."""
    length = ["content-length: 0"] if method in ("POST", "PUT", "PATCH") else []
    return exchange(gateway.place, method, path, host(gateway), VERSION, *length, *lines)


def host(gateway: Gateway) -> str:
    """The line a browser sends."""
    return f"host: localhost:{gateway.place.rpartition(':')[2]}"


def cookie(browser: Browser) -> str:
    """The line with the browser's session alone."""
    return f"cookie: {AT}={browser.cookies()[AT]}"
