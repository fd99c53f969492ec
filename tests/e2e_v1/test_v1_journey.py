"""A session of an agent of version 1 through a real Envoy: read, change, be refused, and outlive a change of keys."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
from e2e_v1.v1_agent import V1Agent, V1Session
from e2e_v1.v1_world import CORS_HOST, CORS_ORIGIN, KEYS, V1World, v1_cookie
from worlds.waiting import until

UNAUTHORIZED = '{"code":"unauthorized","message":"Access denied due to missing or invalid credentials"}'
CHANGING = ("POST", "PUT", "PATCH", "DELETE")
ALLOWED = {"access-control-allow-origin": CORS_ORIGIN, "access-control-allow-credentials": "true"}
EXPOSED = {"access-control-expose-headers": "date"}


@pytest.fixture(scope="module")
def ada(agent: V1Agent, new_token: Callable[[], str]) -> V1Session:
    """A session of the demo's app."""
    return agent.log_in(new_token())


@pytest.fixture(scope="module")
def cors_ada(cors_agent: V1Agent, new_token: Callable[[], str]) -> V1Session:
    """A session of the app on another origin."""
    return cors_agent.log_in(new_token())


@pytest.fixture
def changing_keys(world: V1World) -> Iterator[V1World]:
    """A world whose keys are put back."""
    yield world
    world.change_keys(v1_cookie("first"))


def test_a_read(world: V1World, ada: V1Session) -> None:
    """A GET without Origin reaches the API with Ada's JWT, the neighbour's cookie as it was, and none of ours."""
    answer = call(world, ada, cookie=f'a="1, 2"; {ada.cookie}; example-auth=x; example-id=y; example-login=z; b==')
    assert answer.status_code == 200, answer.text
    assert answer.json()["claims"]["sub"] == "ada"
    [authorization] = received(answer, "authorization")
    assert authorization.startswith("Bearer eyJ")
    assert received(answer, "cookie") == ['a="1, 2"; b==']


@pytest.mark.parametrize("method", CHANGING)
def test_a_change(world: V1World, ada: V1Session, method: str) -> None:
    """With Origin and both halves of the double submit it reaches the API, without cookies and CSRF header."""
    answer = call(world, ada, method, origin=world.origin, **ada.csrf_header)
    assert answer.status_code == 200, answer.text
    assert answer.json()["method"] == method
    assert len(received(answer, "authorization")) == 1
    assert received(answer, "cookie") == received(answer, "x-example-csrf") == []


@pytest.mark.parametrize("method", CHANGING)
@pytest.mark.parametrize(
    ("spoilt", "reason"),
    [
        ({"x-example-csrf": "0" * 64}, "csrf_mismatch"),
        ({"x-example-csrf": None}, "csrf_header"),
        ({"origin": None}, "origin_missing"),
        ({"origin": "https://evil.example"}, "origin_untrusted"),
        ({"cookie": "a=1"}, "csrf_cookie"),
        ({"authorization": "Bearer forged"}, "two_credentials"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_change_that_is_refused(
    world: V1World, ada: V1Session, method: str, spoilt: dict[str, str | None], reason: str
) -> None:
    """Each is the profile's one 401, and Envoy's access log has the reason."""
    path = f"/api/{method}-{reason}"
    answer = call(world, ada, method, path, **({"origin": world.origin} | ada.csrf_header | spoilt))
    assert (answer.status_code, answer.text) == (401, UNAUTHORIZED)
    assert answer.headers["content-type"] == "application/json"
    until(lambda: any(path in line and f'"reason":"{reason}"' in line for line in world.logs().splitlines()))


def test_the_csrf_token_of_another_session(world: V1World, ada: V1Session, agent: V1Agent) -> None:
    """Both halves have to be of one session."""
    other = agent.log_in("x")
    answer = call(world, ada, "POST", origin=world.origin, **other.csrf_header)
    assert (answer.status_code, answer.text) == (401, UNAUTHORIZED)


def test_a_cookie_of_a_stranger(world: V1World, ada: V1Session) -> None:
    """A cookie under another key is refused, and HEAD is told so without a body."""
    stranger = V1Agent(bytes(range(32))).log_in("x")
    for method, text in (("GET", UNAUTHORIZED), ("HEAD", "")):
        answer = call(world, stranger, method)
        assert (answer.status_code, answer.text) == (401, text)
    assert call(world, ada).status_code == 200


def test_a_preflight_with_cors_off_is_the_apis_to_answer(world: V1World) -> None:
    """It reaches the API, which knows no CORS and asks for a token."""
    headers = {"origin": world.origin, "access-control-request-method": "POST"}
    answer = httpx2.request("OPTIONS", f"{world.origin}/api/", headers=headers)
    assert answer.json()["message"] == "exactly one Authorization header is needed"


def test_a_preflight_with_cors_on(world: V1World) -> None:
    """The proxy answers it in the API's place, with the headers that were asked for."""
    headers = {
        "host": CORS_HOST,
        "origin": CORS_ORIGIN,
        "access-control-request-method": "POST",
        "access-control-request-headers": "x-example-csrf,content-type",
    }
    answer = httpx2.request("OPTIONS", f"{world.origin}/api/", headers=headers)
    assert (answer.status_code, answer.content) == (204, b"")
    assert cors_headers(answer) == ALLOWED | EXPOSED | {
        "access-control-allow-methods": "OPTIONS, HEAD, GET, POST, PUT, PATCH, DELETE",
        "access-control-allow-headers": "x-example-csrf,content-type",
        "access-control-max-age": "86400",
        "vary": "Origin, Access-Control-Request-Headers",
    }


def test_a_strangers_preflight_with_cors_on(world: V1World) -> None:
    """204, and neither a CORS header nor vary."""
    headers = {"host": CORS_HOST, "origin": "https://evil.example", "access-control-request-method": "POST"}
    answer = httpx2.request("OPTIONS", f"{world.origin}/api/", headers=headers)
    assert (answer.status_code, cors_headers(answer)) == (204, {})


def test_answers_with_cors_on(world: V1World, cors_ada: V1Session) -> None:
    """The app can read the API's answer and our refusal; without Origin there is nobody to read them."""
    good = call(world, cors_ada, host=CORS_HOST, origin=CORS_ORIGIN)
    bad = call(world, cors_ada, "POST", host=CORS_HOST, origin=CORS_ORIGIN)
    bare = call(world, cors_ada, host=CORS_HOST)
    assert [answer.status_code for answer in (good, bad, bare)] == [200, 401, 401]
    assert cors_headers(good) == cors_headers(bad) == ALLOWED | EXPOSED | {"vary": "Origin"}
    assert cors_headers(bare) == {"vary": "Origin"}


def test_one_apps_session_is_not_anothers(world: V1World, ada: V1Session) -> None:
    """The keys are what tells apps apart: a cookie of one does not open at the other."""
    answer = call(world, ada, host=CORS_HOST, origin=CORS_ORIGIN)
    assert (answer.status_code, answer.text) == (401, UNAUTHORIZED)


def test_a_change_of_keys_keeps_the_session(
    changing_keys: V1World, ada: V1Session, new_token: Callable[[], str]
) -> None:
    """First the proxy learns the new key, then the agent; the session from before works until its key is dropped."""
    world = changing_keys
    renewed = V1Agent(KEYS["second"]).log_in(new_token())
    steps = [
        (v1_cookie("first", previous="second"), 200, 200),
        (v1_cookie("second", previous="first"), 200, 200),
        (v1_cookie("second"), 401, 200),
    ]
    for cookie, before, after in steps:
        world.change_keys(cookie)
        assert statuses(world, ada) == [before, before]
        assert statuses(world, renewed) == [after, after]


def test_no_program_writes_a_secret(world: V1World, ada: V1Session) -> None:
    """No log has a key, a cookie or a CSRF token in it."""
    assert call(world, ada, "POST", origin=world.origin, **ada.csrf_header).status_code == 200
    logs = world.logs()
    for secret in (*(key.hex() for key in KEYS.values()), *ada.cookies.values(), *ada.csrf_header.values()):
        assert secret not in logs


def statuses(world: V1World, session: V1Session) -> list[int]:
    """What a read and a change are answered."""
    change = call(world, session, "POST", origin=world.origin, **session.csrf_header)
    return [call(world, session).status_code, change.status_code]


def call(
    world: V1World, session: V1Session, method: str = "GET", path: str = "/api/orders", **headers: str | None
) -> httpx2.Response:
    """Call the API with a session's cookies and these headers; None leaves one out."""
    sent = {"cookie": session.cookie} | headers
    return httpx2.request(
        method, f"{world.origin}{path}", headers={n: v for n, v in sent.items() if v is not None}, timeout=30.0
    )


def received(answer: httpx2.Response, name: str) -> list[str]:
    """The values of one header as the API received them."""
    echo: dict[str, Any] = answer.json()
    return [value for key, value in echo["headers"] if key == name]


def cors_headers(answer: httpx2.Response) -> dict[str, str]:
    """The headers browsers and caches go by."""
    return {
        name: value for name, value in answer.headers.items() if name == "vary" or name.startswith("access-control-")
    }
