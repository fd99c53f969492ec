"""Every refusal of the decision table as a client sees it through a real Envoy, and how it gets over it."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from worlds.idp import IdpControl
from worlds.raw import RawAnswer, exchange
from worlds.waiting import until

from demo.browser import CUSTOM_HEADER, Browser
from demo.settings import APP
from extauthz.cookies.hpke import Sealer
from extauthz.cookies.purpose import Purpose

if TYPE_CHECKING:
    from worlds.kinds import World

AT = f"__Host-Http-{APP}-at"
MISSING = {"code": "unauthorized", "message": "Access denied due to missing or invalid credentials"}
DETAILS = "Access denied due to invalid request details"
FORBIDDEN = {"code": "forbidden", "message": DETAILS}
WRONG_AUDIENCE = {"code": "forbidden", "message": "The token is not meant for this API"}
BAD_REQUEST = {"code": "bad_request", "message": DETAILS}
UNAVAILABLE = {"code": "temporarily_unavailable", "message": "Authorization is temporarily unavailable"}
SERVER_ERROR = {"code": "server_error", "message": "Problem encountered processing the request"}
REALM = f'Bearer realm="{APP}"'
INVALID = f'{REALM}, error="invalid_token"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One request and what the client is told. `cookie` makes the Cookie header from a good value."""

    cookie: Callable[[str], str | None] = lambda good: f"{AT}={good}"
    headers: Mapping[str, str] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    method: str = "GET"
    path: str = "/api/"
    idp: Mapping[str, Any] = field(default_factory=dict)
    status: int
    body: Mapping[str, str]
    challenge: str | None = None
    reason: str


def sealed_by_a_stranger(_good: str) -> str:
    """A cookie sealed to a key the proxy does not hold."""
    sealer = Sealer(X25519PrivateKey.generate().public_key(), Purpose(APP, AT))
    return f"{AT}={sealer.seal(b'{}')}"


def flipped(good: str) -> str:
    """One character of the ciphertext changed."""
    return f"{AT}={good[:60]}{'A' if good[60] != 'A' else 'B'}{good[61:]}"


CASES = {
    "no cookie": Case(cookie=lambda _: None, status=401, body=MISSING, challenge=REALM, reason="no_credentials"),
    "two different cookies": Case(
        cookie=lambda good: f"{AT}={good}; {AT}=other",
        status=401,
        body=MISSING,
        challenge=INVALID,
        reason="ambiguous_cookie",
    ),
    "a cookie of rubbish": Case(
        cookie=lambda _: f"{AT}=rubbish", status=401, body=MISSING, challenge=INVALID, reason="malformed_cookie"
    ),
    "a cookie sealed by a stranger": Case(
        cookie=sealed_by_a_stranger, status=401, body=MISSING, challenge=INVALID, reason="unknown_cookie_key"
    ),
    "a cookie with one character changed": Case(
        cookie=flipped, status=401, body=MISSING, challenge=INVALID, reason="undecryptable_cookie"
    ),
    "an inactive token": Case(
        idp={"introspection_status": 204}, status=401, body=MISSING, challenge=INVALID, reason="token_inactive"
    ),
    "no custom header": Case(without=("token-handler-version",), status=403, body=FORBIDDEN, reason="csrf_header"),
    "a changing request without Origin": Case(
        method="POST", without=("origin",), status=403, body=FORBIDDEN, reason="origin_missing"
    ),
    "another origin": Case(
        headers={"origin": "https://evil.example"}, status=403, body=FORBIDDEN, reason="origin_untrusted"
    ),
    "a request another site made": Case(
        headers={"sec-fetch-site": "cross-site"}, status=403, body=FORBIDDEN, reason="cross_site"
    ),
    "a host of no app": Case(headers={"host": "other.example"}, status=403, body=FORBIDDEN, reason="unknown_app"),
    "a route that names another app": Case(path="/another-app", status=403, body=FORBIDDEN, reason="unknown_app"),
    "a forged Authorization beside the cookie": Case(
        headers={"authorization": "Bearer forged"},
        status=400,
        body=BAD_REQUEST,
        challenge=f'{REALM}, error="invalid_request"',
        reason="two_credentials",
    ),
    "more cookies than any browser sends": Case(
        cookie=lambda good: "a=1; " * 300 + f"{AT}={good}", status=400, body=BAD_REQUEST, reason="malformed_request"
    ),
    "a route setting nobody knows": Case(
        path="/strange-setting", status=500, body=SERVER_ERROR, reason="route_setting"
    ),
    "an AS that answers 500": Case(idp={"introspection_status": 500}, status=503, body=UNAVAILABLE, reason="as_error"),
    "an AS that refuses our client": Case(
        idp={"introspection_status": 401}, status=503, body=UNAVAILABLE, reason="as_refused_us"
    ),
    "an AS that answers without a JWT": Case(
        idp={"introspection": "plain"}, status=503, body=UNAVAILABLE, reason="as_bad_answer"
    ),
    "a JWT for another audience": Case(
        idp={"jwt_overrides": {"aud": "another-api"}}, status=403, body=WRONG_AUDIENCE, reason="wrong_audience"
    ),
    "an AS that does not answer in time": Case(
        idp={"introspection_delay": 4}, status=503, body=UNAVAILABLE, reason="as_timeout"
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_refusal(case: Case, ada: Browser, envoy: str, idp: IdpControl, world: "World") -> None:
    """Status, body, challenge and CORS headers are those of the table, and Envoy's access log has the reason."""
    idp.misbehave(**case.idp)
    path = f"{case.path}{secrets.token_hex(4)}"
    answer = send(case, path, ada, envoy)
    assert answer.status == case.status, answer.body
    assert answer.json() == case.body
    assert answer.all("www-authenticate") == ([] if case.challenge is None else [case.challenge])
    assert answer.all("content-type") == ["application/json"]
    assert answer.all("cache-control") == ["no-store"]
    assert answer.all("vary") == ["Origin"]
    assert answer.all("retry-after") == (["5"] if case.status == 503 else [])
    assert answer.all("access-control-allow-origin") == readable_by(case, ada)
    until(lambda: any(path in line and f'"reason":"{case.reason}"' in line for line in world.logs().splitlines()))


def test_insufficient_scope(new_browser: Callable[..., Browser]) -> None:
    """A token without the scope the API needs is 403, and the challenge names the scope."""
    browser = new_browser()
    response = browser.authorize(browser.start_login({"scope": "openid profile"}))
    browser.agent("login/end", response).raise_for_status()
    answer = browser.request("GET", "/api/orders")
    assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")
    assert answer.headers["www-authenticate"] == f'{REALM}, error="insufficient_scope", scope="orders"'


def test_head_has_no_body(browser: Browser) -> None:
    """A refused HEAD request is answered without a body."""
    answer = browser.request("HEAD", "/api/orders")
    assert (answer.status_code, answer.content) == (401, b"")


def test_a_good_session_outlives_trouble_at_the_as(ada: Browser, idp: IdpControl) -> None:
    """Trouble is not remembered: the call after it succeeds, with the same cookie."""
    idp.misbehave(introspection_status=503)
    assert ada.request("GET", "/api/orders").status_code == 503
    idp.reset()
    assert ada.request("GET", "/api/orders").status_code == 200


def test_the_as_being_away_is_503_and_heals_by_itself(world: "World", new_browser: Callable[..., Browser]) -> None:
    """With the identity provider stopped a first call is 503, and agent and proxy find it again when it is back."""
    browser = new_browser()
    browser.log_in().raise_for_status()
    world.stop("idp")
    try:
        api, agent = browser.request("GET", "/api/while-it-is-away"), browser.agent("refresh")
        assert (api.status_code, api.headers["retry-after"], api.json()) == (503, "5", UNAVAILABLE)
        told = ('"path":"/api/while-it-is-away"', '"reason":"as_unreachable"')
        until(lambda: any(all(word in line for word in told) for line in world.logs().splitlines()))
        assert (agent.status_code, agent.json()["error_code"]) == (503, "temporarily_unavailable")
        assert AT in browser.cookies()  # an outage logs nobody out
    finally:
        world.start("idp")
    # It is back with a new key, and the proxy asks for keys at most every ten seconds.
    after = new_browser()
    until(lambda: after.log_in().status_code == 200 and after.request("GET", "/api/orders").status_code == 200)


def send(case: Case, path: str, browser: Browser, envoy: str) -> RawAnswer:
    """Send the request of `case` by hand."""
    lines = [f"{name}: {value}" for name, value in sent_headers(case, browser).items()]
    return exchange(envoy, case.method, path, *lines)


def sent_headers(case: Case, browser: Browser) -> dict[str, str]:
    """The headers of a good request, with what the case changes."""
    host = browser.origin.removeprefix("http://")
    headers = {"host": host, "origin": browser.origin, **CUSTOM_HEADER, **case.headers}
    cookie = case.cookie(browser.cookies()[AT])
    headers |= {} if cookie is None else {"cookie": cookie}
    return {name: value for name, value in headers.items() if name not in case.without}


def readable_by(case: Case, browser: Browser) -> list[str]:
    """The origin whose pages may read the answer: the app's own, on every answer; nobody else's on any."""
    return [browser.origin] if sent_headers(case, browser).get("origin") == browser.origin else []
