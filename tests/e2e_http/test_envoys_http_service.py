"""What holds of Envoy's gRPC filter holds of its HTTP service, but for what is said here to be different."""

import secrets
from collections.abc import Callable

import pytest
from worlds.gateways import SECRET
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
BAD_REQUEST = {"code": "bad_request", "message": "Access denied due to invalid request details"}
REALM = f'Bearer realm="{APP}"'
EVIL = "https://evil.example"


@pytest.mark.parametrize("http2", [False, True], ids=["HTTP/1.1", "HTTP/2"])
def test_the_api_receives_one_jwt_and_no_cookie_of_ours(new_browser: Callable[..., Browser], http2: bool) -> None:
    """The API gets exactly one Authorization, who it is, and the neighbours' cookies byte for byte."""
    browser = new_browser(http2=http2)
    browser.log_in().raise_for_status()
    neighbours = 'a="quoted, with comma"; theme=d%20ark=='
    cookies = f"{neighbours}; {AT}={browser.cookies()[AT]}; __Secure-{APP}-rt=x"
    response = browser.request("GET", "/api/orders", headers={"token-handler-version": "1", "cookie": cookies})
    assert response.status_code == 200, response.text
    headers = response.json()["headers"]
    assert [value for name, value in headers if name == "cookie"] == [neighbours]
    [authorization] = [value for name, value in headers if name == "authorization"]
    assert authorization.startswith("Bearer eyJ")
    names = {name for name, _ in headers}
    assert "x-user-id" in names
    assert names.isdisjoint({"token-handler-version", "x-user-roles", "x-token-handler-secret"})
    assert names.isdisjoint({"x-envoy-auth-headers-to-remove"})


def test_the_cookie_header_is_gone_when_nothing_is_left(ada: Browser, envoy: str) -> None:
    """With only our cookie in the request, the API receives no Cookie header at all."""
    assert received(get(ada, envoy, "/api/orders", cookie(ada)), "cookie") == []


def test_two_cookie_lines_are_read_as_one_header(ada: Browser, envoy: str) -> None:
    """Our cookie may stand in either of two lines, and the other reaches the API."""
    own = f"cookie: {AT}={ada.cookies()[AT]}; b=2"
    for lines in (["cookie: a=1", own], [own, "cookie: a=1"]):
        answer = get(ada, envoy, "/api/orders", *lines)
        assert answer.status == 200, answer.body
        assert sorted(received(answer, "cookie")[0].split("; ")) == ["a=1", "b=2"]


def test_our_cookie_twice_is_refused_when_the_values_differ(ada: Browser, envoy: str) -> None:
    """In one line or in two, no value is silently chosen."""
    assert get(ada, envoy, "/api/orders", f"{cookie(ada)}; {AT}=another").status == 401
    assert get(ada, envoy, "/api/orders", cookie(ada), f"cookie: {AT}=another").status == 401


def test_a_comma_in_a_neighbour_hides_nothing(ada: Browser, envoy: str) -> None:
    """A cookie of ours behind a neighbour's comma may be a second line, joined; so it is refused, not chosen."""
    answer = get(ada, envoy, "/api/orders", f"cookie: x=1,{AT}=forged; {AT}={ada.cookies()[AT]}")
    assert answer.status == 401


@pytest.mark.parametrize(
    "lines",
    [
        ["authorization: Bearer forged"],
        ["authorization: Bearer forged", "authorization: Bearer forged-too"],
        ["Authorization: Basic Zm9yZ2Vk"],
        ["authorization: Bearer forged,Bearer forged-too"],
    ],
    ids=["one", "two lines", "Basic", "comma"],
)
def test_a_forged_authorization_never_arrives(ada: Browser, envoy: str, lines: list[str]) -> None:
    """Beside our cookie it is refused; without it, it counts for nothing, and on an optional route it is taken off."""
    beside = get(ada, envoy, "/api/orders", cookie(ada), *lines)
    assert (beside.status, beside.json()) == (400, BAD_REQUEST)
    assert get(ada, envoy, "/api/orders", *lines).status == 401
    public = get(ada, envoy, "/api/public/offers", *lines)
    assert (public.status, received(public, "authorization")) == (200, [])


@pytest.mark.parametrize("path", ["/api/orders", "/api/public/offers"])
def test_a_client_cannot_say_who_it_is(ada: Browser, envoy: str, path: str) -> None:
    """No spelling of an identity header that some server might understand arrives, session or not."""
    # With underscores, the reference lets no header by at all.
    names = ["x-user-id", "X-USER-ID", "x-user-roles", *(f"x{one}user{one}id" for one in ".!#$%&'*+^`|~")]
    spoofed = [f"{name}: root" for name in names]
    assert identity(get(ada, envoy, path, cookie(ada), *spoofed)) == [["x-user-id", "ada"]]
    if path == "/api/public/offers":
        assert identity(get(ada, envoy, path, *spoofed)) == []


def test_an_identity_header_comes_when_there_is_a_claim(
    envoy: str, new_browser: Callable[..., Browser], idp: IdpControl
) -> None:
    """A claim that some users have reaches the API for those, in place of the client's own."""
    idp.misbehave(jwt_overrides={"roles": ["buyer", "seller"]})
    browser = new_browser()
    browser.log_in().raise_for_status()
    answer = get(browser, envoy, "/api/orders", cookie(browser), "x-user-roles: admin", "x-user-roles: root")
    assert received(answer, "x-user-roles") == ["buyer,seller"]


@pytest.mark.parametrize(
    "line",
    [
        "x-original-method: GET",
        "x-forwarded-method: GET",
        "x-forwarded-uri: /api/public/offers",
        "x-envoy-original-path: /api/public/offers",
        "x-envoy-auth-headers-to-remove: origin, x-user-id, authorization",
        "x-token-handler-secret: guessed",
    ],
)
def test_a_client_cannot_speak_for_envoy(ada: Browser, envoy: str, line: str) -> None:
    """What Envoy tells the door, or the door Envoy, the client says in vain: yes stays yes, and no stays no."""
    answer = get(ada, envoy, "/api/orders", cookie(ada), line)
    assert (answer.status, identity(answer)) == (200, [["x-user-id", "ada"]])
    assert get(ada, envoy, "/api/orders", line).status == 401
    assert send(ada, envoy, "POST", "/api/orders", cookie(ada), line).status == 403


REFUSALS = {
    "no cookie": ("GET", [], 401, MISSING, REALM),
    "a cookie of rubbish": ("GET", [f"cookie: {AT}=rubbish"], 401, MISSING, f'{REALM}, error="invalid_token"'),
    "a changing request without Origin": ("POST", ["cookie"], 403, FORBIDDEN, None),
    "another origin": ("GET", ["cookie", f"origin: {EVIL}"], 403, FORBIDDEN, None),
    "a request another site made": ("GET", ["cookie", "sec-fetch-site: cross-site"], 403, FORBIDDEN, None),
    "two credentials": ("GET", ["cookie", "authorization: a"], 400, BAD_REQUEST, f'{REALM}, error="invalid_request"'),
}


@pytest.mark.parametrize(("method", "lines", "status", "body", "challenge"), REFUSALS.values(), ids=REFUSALS.keys())
def test_refusal(
    ada: Browser,
    envoy: str,
    world: LocalWorld,
    method: str,
    lines: list[str],
    status: int,
    body: dict[str, str],
    challenge: str | None,
) -> None:
    """Status, body, type and challenge are those of the documentation, and the proxy saw method and path as sent."""
    path = f"/api/{secrets.token_hex(4)}/a%20b"
    sent = [cookie(ada) if line == "cookie" else line for line in lines]
    answer = send(ada, envoy, method, f"{path}?c=%2F", *sent)
    assert (answer.status, answer.json()) == (status, body)
    assert answer.all("www-authenticate") == ([] if challenge is None else [challenge])
    assert answer.all("content-type") == ["application/json"]
    assert answer.all("cache-control") == ["no-store"]
    assert answer.all("vary") == ["Origin"]
    assert SECRET not in str(answer.headers)
    told = ('"door": "envoy"', f'"method": "{method}"', f'"path": "{path}"', '"host": "localhost')
    until(lambda: any(all(word in line for word in told) for line in world.logs().splitlines()))


def test_without_the_custom_header_it_is_403(ada: Browser, envoy: str) -> None:
    """Another site cannot send the custom header, and without it there is no access."""
    answer = exchange(envoy, "GET", "/api/orders", f"host: {envoy}", cookie(ada))
    assert (answer.status, answer.json()) == (403, FORBIDDEN)


def test_insufficient_scope_is_told(ada: Browser, envoy: str) -> None:
    """A token without the scope a route requires is 403, and the challenge names the scope."""
    answer = get(ada, envoy, "/api/admin/users", cookie(ada))
    assert (answer.status, answer.json()["code"]) == (403, "insufficient_scope")
    assert answer.all("www-authenticate") == [f'{REALM}, error="insufficient_scope", scope="admin"']


def test_the_app_may_read_a_refusal(ada: Browser, envoy: str) -> None:
    """Pages of the app's origin may read a refusal, and nobody else's."""
    assert get(ada, envoy, "/api/orders", f"origin: {ada.origin}").all("access-control-allow-origin") == [ada.origin]
    assert get(ada, envoy, "/api/orders", f"origin: {EVIL}").all("access-control-allow-origin") == []


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
def test_method_path_query_and_body_arrive(ada: Browser, method: str) -> None:
    """What the client asked for is what the API is asked, and the door takes nothing of the body."""
    path, content = "/api/orders/a%20b%C3%BC;c=d/~e", b"x" * 100_000
    body = {} if method in ("GET", "HEAD") else {"content": content}
    answer = ada.request(method, f"{path}?f=%2Fg&h", **body)
    assert answer.status_code == 200, answer.text
    if method == "HEAD":
        assert answer.content == b""
        return
    echo = answer.json()
    assert (echo["method"], echo["path"], echo["query"]) == (method, path, "f=%2Fg&h")
    assert echo["body_bytes"] == (len(content) if body else 0)


@pytest.mark.parametrize("escapes", ["a%0Ab", "%0A", "a%0D%0Ab", "a%C2%85b", "%FF"])
def test_an_escaped_line_break_is_a_path_like_any_other(
    world: LocalWorld, ada: Browser, envoy: str, escapes: str
) -> None:
    """The door decides about every path, also those that routers for web pages stumble over."""
    path = f"/api/{secrets.token_hex(4)}/{escapes}"
    answer = get(ada, envoy, path)
    assert (answer.status, answer.json()) == (401, MISSING)
    get(ada, envoy, path, cookie(ada))  # the demo's API has such a router
    told = ('"decision": "allow"', f'"path": "{path}"')
    until(lambda: any(all(word in line for word in told) for line in world.logs().splitlines()))


def test_an_escaped_slash_is_refused(ada: Browser, envoy: str) -> None:
    """%2F is read as a slash by some servers and not by others; the reference's Envoy answers 400."""
    assert get(ada, envoy, "/api/a%2Fb", cookie(ada)).status == 400


@pytest.mark.parametrize("path", ["/api/../api/orders", "//api//orders", "/./api/orders", "/api/public/../orders"])
def test_a_path_is_settled_before_it_is_routed(ada: Browser, envoy: str, path: str) -> None:
    """However the path is written, the API behind it stays behind the proxy."""
    assert get(ada, envoy, path).status == 401


def test_head_has_no_body(ada: Browser, envoy: str) -> None:
    """HEAD passes with a session and is refused without one."""
    good = send(ada, envoy, "HEAD", "/api/orders", cookie(ada))
    bad = send(ada, envoy, "HEAD", "/api/orders")
    assert (good.status, good.body, bad.status, bad.body) == (200, b"", 401, b"")


def test_trouble_is_503_without_more(ada: Browser, envoy: str, idp: IdpControl) -> None:
    """To Envoy's HTTP service a 503 of the proxy is a proxy that failed: body and Retry-After are lost."""
    idp.misbehave(introspection_status=500)
    answer = get(ada, envoy, "/api/orders", cookie(ada))
    assert (answer.status, answer.body, answer.all("retry-after")) == (503, b"", [])
    idp.reset()
    assert get(ada, envoy, "/api/orders", cookie(ada)).status == 200


def test_a_slow_authorization_server_is_503(ada: Browser, envoy: str, idp: IdpControl, world: LocalWorld) -> None:
    """The proxy gives up before Envoy does, and says so in its log."""
    idp.misbehave(introspection_delay=4)
    path = f"/api/{secrets.token_hex(4)}"
    assert get(ada, envoy, path, cookie(ada)).status == 503
    told = ('"decision": "as_timeout"', f'"path": "{path}"')
    until(lambda: any(all(word in line for word in told) for line in world.logs().splitlines()))


def test_without_the_proxy_nobody_gets_in(
    world: LocalWorld, ada: Browser, envoy: str, requests_at_the_api: Count
) -> None:
    """With no door to ask, the API is closed, with the status for trouble; everything else goes on."""
    before = requests_at_the_api()
    world.stop("extauthz")
    try:
        assert get(ada, envoy, "/api/orders", cookie(ada)).status == 503
        assert requests_at_the_api() == before
        assert ada.agent("session").status_code == 200
    finally:
        world.start("extauthz")
    until(lambda: get(ada, envoy, "/api/orders", cookie(ada)).status == 200)


@pytest.mark.parametrize("path", ["/auth/nginx", "/auth/forward", "/auth/envoy/api/orders", "/resolve"])
def test_the_door_is_not_to_be_reached_from_outside(ada: Browser, envoy: str, path: str) -> None:
    """Whoever asks through Envoy gets the app's pages, and never a JWT."""
    answer = get(ada, envoy, path, cookie(ada), f"x-token-handler-secret: {SECRET}", "x-forwarded-method: GET")
    assert answer.all("content-type") == ["text/html; charset=utf-8"]
    assert "eyJ" not in str(answer.headers)


@pytest.mark.parametrize("origin", [[], ["origin: "], [f"origin: {EVIL}"], ["origin: a", "origin: b"]])
@pytest.mark.parametrize("asked", [[], ["access-control-request-method: "], ["access-control-request-method: PUT"]])
def test_no_preflight_of_a_stranger_reaches_the_api(
    envoy: str, requests_at_the_api: Count, origin: list[str], asked: list[str]
) -> None:
    """Whatever looks a little like a preflight ends before the API, whoever does CORS, and is allowed nothing."""
    before = requests_at_the_api()
    lines = [f"host: {envoy}", "x-http-method-override: DELETE", *origin, *asked]
    answer = exchange(envoy, "OPTIONS", "/api/orders", *lines)
    assert requests_at_the_api() == before
    assert answer.all("access-control-allow-origin") == []


@pytest.mark.parametrize("world", ["cors by the proxy"], indirect=True)
def test_the_proxy_answers_a_preflight(ada: Browser, envoy: str, requests_at_the_api: Count) -> None:
    """Where CORS is the proxy's, the app's preflight is 204 from it, with what the browser asked to be allowed."""
    before = requests_at_the_api()
    asked = ["access-control-request-method: PUT", "access-control-request-headers: token-handler-version,x-a"]
    answer = exchange(envoy, "OPTIONS", "/api/orders", f"host: {envoy}", f"origin: {ada.origin}", *asked)
    assert (answer.status, answer.body) == (204, b"")
    assert answer.all("access-control-allow-origin") == [ada.origin]
    assert answer.all("access-control-allow-credentials") == ["true"]
    assert "PUT" in answer.all("access-control-allow-methods")[0]
    assert answer.all("access-control-allow-headers") == ["token-handler-version,x-a"]
    assert answer.all("access-control-max-age") == ["86400"]
    assert answer.all("vary") == ["Origin, Access-Control-Request-Headers"]
    assert requests_at_the_api() == before


@pytest.mark.parametrize("world", ["cors by the proxy"], indirect=True)
def test_the_proxy_lets_the_app_read_the_apis_answer(ada: Browser, envoy: str) -> None:
    """Where CORS is the proxy's, its headers go with the API's answer, to the app's origins and to nobody else's."""
    answer = get(ada, envoy, "/api/orders", cookie(ada), f"origin: {ada.origin}")
    assert answer.status == 200
    assert answer.all("access-control-allow-origin") == [ada.origin]
    assert answer.all("access-control-allow-credentials") == ["true"]
    assert answer.all("access-control-expose-headers") == ["x-total"]
    assert answer.all("vary") == ["Origin"]
    assert "authorization" not in {name.lower() for name, _ in answer.headers}
    stranger = get(ada, envoy, "/api/public/offers", f"origin: {EVIL}")
    assert (stranger.status, stranger.all("access-control-allow-origin")) == (200, [])


@pytest.mark.parametrize("world", ["cors by Envoy"], indirect=True)
def test_envoy_answers_a_preflight(ada: Browser, envoy: str) -> None:
    """Where CORS is Envoy's, nothing changes by asking over HTTP."""
    asked = ["access-control-request-method: PUT", "access-control-request-headers: token-handler-version"]
    answer = exchange(envoy, "OPTIONS", "/api/orders", f"host: {envoy}", f"origin: {ada.origin}", *asked)
    assert (answer.status, answer.all("access-control-allow-origin")) == (200, [ada.origin])


def get(browser: Browser, envoy: str, path: str, *lines: str | bytes) -> RawAnswer:
    """GET with the custom header and these lines."""
    return send(browser, envoy, "GET", path, *lines)


def send(browser: Browser, envoy: str, method: str, path: str, *lines: str | bytes) -> RawAnswer:
    """The same with another method, and no body."""
    return exchange(envoy, method, path, f"host: {browser.origin.removeprefix('http://')}", VERSION, *lines)


def cookie(browser: Browser) -> str:
    """The line with the browser's session alone."""
    return f"cookie: {AT}={browser.cookies()[AT]}"
