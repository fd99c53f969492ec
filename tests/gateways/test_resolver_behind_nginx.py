"""The resolver behind a real nginx: the API is told who it is, by headers only nginx can send."""

from collections.abc import Callable

import pytest
from worlds.gateways import SECRET, Gateway
from worlds.idp import IdpControl
from worlds.raw import RawAnswer, exchange
from worlds.tokens import AT
from worlds.waiting import until

from demo.browser import Browser
from demo.world import LocalWorld

pytestmark = pytest.mark.parametrize("gateway", ["nginx-resolver"], indirect=True)

VERSION = "token-handler-version: 1"
UNAVAILABLE = {"code": "temporarily_unavailable", "message": "Authorization is temporarily unavailable"}
NAMES = [
    "session-valid",
    "session-amr",
    "session-authenticated-at",
    "user-id",
    "user-anonymous",
    "user-verified",
    "user-can-reauthenticate",
    "user-roles",
]
SPOOFED = [f"{prefix}{name}: true" for name in NAMES for prefix in ("x-authgear-", "X-Authgear-")]
SPOOFED += [f"x_authgear_{name.replace('-', '_')}: true" for name in NAMES]
# The demo's API answers here without a token, and tells what it received.
OFFERS = "/api/public/offers"


def test_a_session_is_told(gateway: Gateway, new_browser: Callable[[], Browser], idp: IdpControl) -> None:
    """A valid session is `true`, and what its token says of the user comes along."""
    verified = {"amr": ["pwd", "otp"], "auth_time": 1_700_000_000, "email_verified": True, "roles": ["buyer", "clerk"]}
    idp.misbehave(jwt_overrides=verified)
    browser = new_browser()
    browser.log_in().raise_for_status()
    assert told(get(gateway, OFFERS, session(browser), *SPOOFED)) == {
        "session-valid": "true",
        "session-amr": "pwd otp",
        "session-authenticated-at": "1700000000",
        "user-id": "ada",
        "user-anonymous": "false",
        "user-verified": "true",
        "user-can-reauthenticate": "false",
        "user-roles": "buyer,clerk",
    }


def test_what_a_token_does_not_say_is_not_there(ada: Browser, gateway: Gateway) -> None:
    """Headers without a claim are missing, whatever the client sent in their place."""
    found = told(get(gateway, OFFERS, session(ada), *SPOOFED))
    assert found == {
        "session-valid": "true",
        "user-id": "ada",
        "user-anonymous": "false",
        "user-verified": "false",
        "user-can-reauthenticate": "false",
    }


def test_no_credentials_are_no_headers(gateway: Gateway) -> None:
    """Without a session nobody is told of, and a client that says otherwise is not believed."""
    assert told(get(gateway, OFFERS)) == {}
    assert told(get(gateway, OFFERS, *SPOOFED)) == {}


@pytest.mark.parametrize("value", ["rubbish", "v2.AAAA", '"'])
def test_a_bad_session_is_told(gateway: Gateway, value: str) -> None:
    """A cookie that does not open is `false`, and nothing else is said."""
    assert told(get(gateway, OFFERS, f"cookie: {AT}={value}", *SPOOFED)) == {"session-valid": "false"}


def test_a_request_another_site_may_have_made_is_nobodys(ada: Browser, gateway: Gateway) -> None:
    """Without the custom header, or from another origin, the session does not count."""
    for lines in ([], [VERSION, "origin: https://evil.example"]):
        found = told(exchange(gateway.place, "GET", OFFERS, host(gateway), session(ada), *lines, *SPOOFED))
        assert found == {"session-valid": "false"}


@pytest.mark.parametrize("line", ["x-original-method: GET", f"x-token-handler-secret: {SECRET}"])
def test_a_changing_request_needs_its_origin(world: LocalWorld, ada: Browser, gateway: Gateway, line: str) -> None:
    """Nginx alone tells the door the client's method, and a POST without Origin is nobody's."""
    said = ('"door": "resolve"', '"method": "POST"', '"decision": "anonymous"', '"waived": "origin_missing"')

    def times() -> int:
        return sum(all(word in logged for word in said) for logged in world.logs().splitlines())

    before = times()
    exchange(gateway.place, "POST", OFFERS, host(gateway), VERSION, "content-length: 0", session(ada), line)
    until(lambda: times() == before + 1)


def test_the_api_gets_no_credentials(ada: Browser, gateway: Gateway) -> None:
    """Neither cookies nor a client's Authorization, nor what the client said to the proxy."""
    for lines in ([], ["authorization: Bearer forged"], ["authorization: Basic Zm9yZ2Vk"]):
        answer = get(gateway, OFFERS, f"{session(ada)}; a=1", *lines)
        names = {name for name, _ in answer.json()["headers"]}
        assert names.isdisjoint({"authorization", "cookie", "token-handler-version", "x-token-handler-secret"})


@pytest.mark.parametrize("name", NAMES)
def test_no_second_spelling_arrives(gateway: Gateway, name: str) -> None:
    """A header that some server would take for one of ours does not arrive."""
    separators = "_.!#$%&'*+^`|~"
    lines = [f"x{one}authgear{one}{name.replace('-', one)}: true" for one in separators]
    answer = get(gateway, OFFERS, *lines)
    assert [header for header, _ in answer.json()["headers"] if "authgear" in header] == []


def test_trouble_is_503(ada: Browser, gateway: Gateway, idp: IdpControl) -> None:
    """While the authorization server fails, nobody is told of, and nothing reaches the API."""
    idp.misbehave(introspection_status=500)
    # By the path's extension nginx would call the answer an image.
    answer = get(gateway, "/api/public/picture.png", session(ada))
    assert (answer.status, answer.json(), answer.all("retry-after")) == (503, UNAVAILABLE, ["5"])
    assert (answer.all("content-type"), answer.all("cache-control")) == (["application/json"], ["no-store"])


def test_as_many_cookies_as_browsers_send_are_read(ada: Browser, gateway: Gateway) -> None:
    """12 KB of neighbours in one line hide no session."""
    neighbours = "; ".join(f"n{number}={'x' * 1000}" for number in range(12))
    assert told(get(gateway, OFFERS, f"{session(ada)}; {neighbours}"))["session-valid"] == "true"


def test_without_the_proxy_it_is_503(
    world: LocalWorld, gateway: Gateway, requests_at_the_api: Callable[[], int]
) -> None:
    """Without the proxy there is no answer, and so no access."""
    world.stop("extauthz")
    try:
        before = requests_at_the_api()
        assert get(gateway, OFFERS).status == 503
        assert requests_at_the_api() == before
    finally:
        world.start("extauthz")


@pytest.mark.parametrize("path", ["/resolve", "/token-handler", "/auth/nginx"])
def test_the_resolver_is_not_to_be_reached_from_outside(ada: Browser, gateway: Gateway, path: str) -> None:
    """Whoever asks through nginx is not told whose a cookie is."""
    answer = get(gateway, path, session(ada), f"x-token-handler-secret: {SECRET}")
    assert answer.status in (200, 404)
    assert "authgear" not in str(answer.headers)


def get(gateway: Gateway, path: str, *lines: str) -> RawAnswer:
    """GET with the custom header and these lines."""
    return exchange(gateway.place, "GET", path, host(gateway), VERSION, *lines)


def host(gateway: Gateway) -> str:
    """The line a browser sends."""
    return f"host: localhost:{gateway.place.rpartition(':')[2]}"


def session(browser: Browser) -> str:
    """The line with the browser's session alone."""
    return f"cookie: {AT}={browser.cookies()[AT]}"


def told(answer: RawAnswer) -> dict[str, str]:
    """What the API was told of the session, by names without their prefix."""
    assert answer.status == 200, answer.body
    found = [(name, value) for name, value in answer.json()["headers"] if "authgear" in name]
    assert len(found) == len(dict(found))
    return {name.removeprefix("x-authgear-"): value for name, value in found}
