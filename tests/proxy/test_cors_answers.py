"""CORS answered by the proxy: preflights, and the headers without which an app cannot read what it is answered."""

from dataclasses import replace

import pytest
from proxy_world.asking import COOKIE, ORIGIN, OURS, SHOP, ask, with_headers

from extauthz.decision import Allow, Credential, Deny, Passage, Preflight, conclude, examine
from extauthz.outcome import Bearer, UpstreamToken
from extauthz.policy import Auth, Cors, Rule
from extauthz.reason import Reason
from extauthz.request import Request

CORS = Cors(allow_methods=("GET", "POST"), allow_headers=(), expose_headers=("retry-after", "x-total"), max_age=86_400)
OURS_TO_ANSWER = replace(SHOP, cors=CORS)
GOOD = UpstreamToken(bearer=Bearer("h.p.s"), expires_at=2.0, scopes=frozenset({"orders"}))
READABLE = {
    "access-control-allow-origin": ORIGIN,
    "access-control-allow-credentials": "true",
    "access-control-expose-headers": "retry-after, x-total",
}


def preflight(**headers: str | None) -> Request:
    """A preflight, as browsers send it: without custom header and cookie."""
    bare = ask(method="OPTIONS", cookies=(), access_control_request_method="PUT", token_handler_version=None)
    return with_headers(bare, {name.replace("_", "-"): value for name, value in headers.items()})


def test_a_preflight_is_answered_without_asking_the_api() -> None:
    """A trusted origin is told methods, the headers it asked for, and how long that holds."""
    answer = examine(preflight(access_control_request_headers="token-handler-version, content-type"), [OURS_TO_ANSWER])
    assert isinstance(answer, Preflight)
    assert dict(answer.headers) == READABLE | {
        "access-control-allow-methods": "GET, POST",
        "access-control-allow-headers": "token-handler-version, content-type",
        "access-control-max-age": "86400",
        "vary": "Origin, Access-Control-Request-Headers",
    }


def test_configured_headers_are_not_echoed() -> None:
    """With a list of its own, the app gets that list, whatever it asked for."""
    policy = replace(SHOP, cors=replace(CORS, allow_headers=("x-a", "x-b"), max_age=0, expose_headers=()))
    answer = examine(preflight(access_control_request_headers="x-evil"), [policy])
    assert isinstance(answer, Preflight)
    assert dict(answer.headers) == {
        "access-control-allow-origin": ORIGIN,
        "access-control-allow-credentials": "true",
        "access-control-allow-methods": "GET, POST",
        "access-control-allow-headers": "x-a, x-b",
        "vary": "Origin",
    }


@pytest.mark.parametrize("asked", ["", "a b", "x\r\ny: z", "a,,b", "x\x00", "é", "\udcff", "a\tb", '"a"', "(a)"])
def test_what_is_no_list_of_headers_is_not_echoed(asked: str) -> None:
    """Only names of headers go into our answer."""
    answer = examine(preflight(access_control_request_headers=asked), [OURS_TO_ANSWER])
    assert isinstance(answer, Preflight)
    assert "access-control-allow-headers" not in dict(answer.headers)


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "", f"{ORIGIN}.evil.example", ORIGIN.upper()])
def test_a_strangers_preflight_is_told_nothing(origin: str) -> None:
    """Status 204 and no header: the browser goes no further, and the API is not asked."""
    answer = examine(preflight(origin=origin), [OURS_TO_ANSWER])
    assert answer == Preflight(app="shop", headers=())


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(preflight(origin=None), id="no Origin"),
        pytest.param(preflight(access_control_request_method=None), id="no requested method"),
        pytest.param(preflight(access_control_request_method=""), id="an empty requested method"),
        pytest.param(preflight(access_control_request_method="GET,PUT"), id="two requested methods"),
    ],
)
def test_what_only_looks_like_a_preflight_is_an_ordinary_request(request_: Request) -> None:
    """OPTIONS without all of a preflight's marks opens no door."""
    decision = examine(request_, [OURS_TO_ANSWER])
    assert isinstance(decision, Deny)
    assert decision.reason is Reason.CSRF_HEADER


def test_a_preflight_needs_no_session_even_where_one_is_required() -> None:
    """Browsers send preflights without credentials, whatever comes after."""
    assert isinstance(examine(preflight(), [replace(OURS_TO_ANSWER, rule=Rule(auth=Auth.REQUIRED))]), Preflight)


@pytest.mark.parametrize("origin", [ORIGIN, None])
def test_the_apis_answer_can_be_read_by_the_app(origin: str | None) -> None:
    """With CORS of ours an allowed request gets the headers of the answer, and varies by Origin in any case."""
    found = examine(ask(origin=origin), [OURS_TO_ANSWER])
    assert isinstance(found, Credential)
    decision = conclude(found, GOOD, 1.0)
    assert isinstance(decision, Allow)
    assert dict(decision.response_headers) == (READABLE if origin else {}) | {"vary": "Origin"}


@pytest.mark.parametrize("auth", [Auth.OFF, Auth.OPTIONAL])
def test_public_answers_can_be_read_as_well(auth: Auth) -> None:
    """A request that passes as nobody's gets the same headers."""
    decision = examine(ask(cookies=()), [replace(OURS_TO_ANSWER, rule=Rule(auth=auth))])
    assert isinstance(decision, Allow)
    assert dict(decision.response_headers) == READABLE | {"vary": "Origin"}


def test_refusals_can_be_read_with_the_same_headers() -> None:
    """An error of ours exposes what the API's answers expose."""
    decision = examine(ask(cookies=()), [OURS_TO_ANSWER])
    assert isinstance(decision, Deny)
    assert READABLE.items() <= dict(decision.headers).items()


def test_without_cors_of_ours_the_apis_answer_is_left_alone() -> None:
    """Where Envoy does CORS, or nobody needs it, the API's answer gets no header from us."""
    found = examine(ask(), [SHOP])
    assert isinstance(found, Credential)
    decision = conclude(found, GOOD, 1.0)
    assert isinstance(decision, Allow)
    assert decision.response_headers == ()


def test_without_cors_of_ours_a_trusted_preflight_goes_to_the_api_bare() -> None:
    """It is passed on without any credential, for the API to answer."""
    request = ask(method="OPTIONS", cookies=(f"{OURS}; a=1",), access_control_request_method="PUT", authorization="x")
    decision = examine(request, [SHOP])
    assert isinstance(decision, Allow)
    assert decision.passage is Passage.PREFLIGHT
    assert decision.set_headers == (("cookie", "a=1"),)
    assert "authorization" in decision.remove_headers
    assert COOKIE not in str(decision)
