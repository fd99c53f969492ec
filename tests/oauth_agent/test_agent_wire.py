"""The agent as token-handler-js-assistant meets it: five calls, what they answer, and what another origin may read."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx2
import pytest
from agent_world import AGENT, HOST, ORIGIN, Browser, RemoteError, World, create_world, read

pytestmark = pytest.mark.anyio

CALLS = ["login/start", "login/end", "session", "refresh", "logout"]
METHODS = {"session": "GET"}
PERSON = {"name", "given_name", "family_name", "email", "preferred_username"}


async def test_login_start_answers_the_authorization_url_and_nothing_else(world: World) -> None:
    """startLogin() with its empty form, and with parameters, gets one member."""
    for extra in (None, {"scope": "openid"}):
        members = read(await world.browser().login_start(extra))
        assert list(members) == ["authorization_url"]
        assert members["authorization_url"].startswith("https://login.test/authorize?")


async def test_login_end_answers_who_is_logged_in_and_for_how_long(world: World) -> None:
    """endLogin() gets the three members the library reads."""
    browser = world.browser()
    members = read(await browser.login_end(await world.respond(browser)))
    assert sorted(members) == ["access_token_expires_in", "id_token_claims", "is_logged_in"]
    assert members["is_logged_in"] is True
    assert members["access_token_expires_in"] == 300
    assert members["id_token_claims"]["sub"] == "ada"


async def test_the_claims_are_those_of_the_id_token_without_the_protocol_s(world: World) -> None:
    """The app sees what the provider said of the person, and neither nonce nor at_hash."""
    browser = world.browser()
    claims = read(await browser.login_end(await world.respond(browser)))["id_token_claims"]
    assert set(claims) - PERSON == {"iss", "sub", "aud", "exp", "iat", "auth_time", "sid"}
    assert set(claims) > PERSON


async def test_session_answers_like_login_end(world: World) -> None:
    """session() of a browser just logged in says the same as endLogin() did."""
    browser = world.browser()
    told = read(await browser.login_end(await world.respond(browser)))
    assert read(await browser.session()) == told


async def test_session_without_a_login_has_one_member(world: World) -> None:
    """session() of a fresh browser says that nobody is logged in, and it is no error."""
    response = await world.browser().session()
    assert (response.status_code, response.json()) == (200, {"is_logged_in": False})


async def test_refresh_answers_the_seconds_of_the_new_token(world: World) -> None:
    """refresh() gets one member, in JSON."""
    browser = await world.log_in()
    await world.server.mode(access_token_seconds=120)
    assert read(await browser.refresh()) == {"access_token_expires_in": 120}


async def test_logout_answers_where_to_go(world: World) -> None:
    """logout(), without body and content type, gets one member."""
    browser = await world.log_in()
    assert list(read(await browser.logout())) == ["logout_url"]


async def test_seconds_are_the_seconds_left(world: World) -> None:
    """After 100 of 300 seconds session() says 200, and never less than nothing."""
    browser = await world.log_in()
    world.later(100)
    assert read(await browser.session())["access_token_expires_in"] == 200
    world.later(1000)
    assert read(await browser.session())["access_token_expires_in"] == 0


@pytest.mark.parametrize("expires_in", [None, "300", True, 12.5], ids=["absent", "text", "boolean", "fraction"])
async def test_unknown_seconds_are_left_out(world: World, expires_in: object) -> None:
    """When the server does not say in seconds how long the token lives, no call makes a number up."""
    await world.server.mode(token_overrides={"expires_in": expires_in})
    browser = world.browser()
    ended = read(await browser.login_end(await world.respond(browser)))
    assert sorted(ended) == sorted(read(await browser.session())) == ["id_token_claims", "is_logged_in"]
    assert read(await browser.refresh()) == {}


@pytest.mark.parametrize("call", CALLS)
async def test_every_success_is_json_for_nobody_s_cache(world: World, call: str) -> None:
    """A success is 200, exactly application/json, an object, and not stored."""
    response = await SUCCESSES[call](world)
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
    assert isinstance(json.loads(response.content), dict)
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("call", CALLS)
async def test_every_error_is_json_in_both_spellings(world: World, call: str) -> None:
    """An error is exactly application/json, not stored, and says the same to old and new clients."""
    response = await FAILURES[call](world)
    with pytest.raises(RemoteError) as thrown:
        read(response)
    assert (thrown.value.status, thrown.value.code) == EXPECTED[call]
    members = response.json()
    assert sorted(members) == ["code", "detailed_error", "error_code", "message"]
    assert members["code"] == members["error_code"]
    assert members["message"] == members["detailed_error"] == thrown.value.details
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "content_type",
    [
        "application/x-www-form-urlencoded",
        "application/x-www-form-urlencoded;charset=UTF-8",
        "application/x-www-form-urlencoded; charset=utf-8",
        "Application/X-WWW-Form-Urlencoded",
    ],
)
@pytest.mark.parametrize("body", [b"", b"scope=openid"], ids=["empty", "filled"])
async def test_forms_are_accepted_in_every_spelling(world: World, content_type: str, body: bytes) -> None:
    """The content type's parameters and letter case do not matter."""
    response = await world.browser().fetch("POST", "login/start", body=body, headers=[("content-type", content_type)])
    assert response.status_code == 200


@pytest.mark.parametrize("call", CALLS)
async def test_a_preflight_from_a_trusted_origin_is_granted(world: World, call: str) -> None:
    """The browser may send the library's headers, and tracing headers of the app's, with credentials."""
    wanted = "content-type,token-handler-version,traceparent"
    answer = await preflight(world, call, ORIGIN, wanted)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert answer.headers["access-control-allow-headers"] == wanted
    assert METHODS.get(call, "POST") in answer.headers["access-control-allow-methods"].split(", ")
    assert int(answer.headers["access-control-max-age"]) == 86_400
    assert "Origin" in answer.headers["vary"].split(", ")


@pytest.mark.parametrize("origin", ["https://evil.test", "null", "https://www.shop.test.evil.test", f"{ORIGIN}:8443"])
async def test_a_preflight_from_elsewhere_is_not_granted(world: World, origin: str) -> None:
    """The answer says nothing, so the browser goes no further."""
    answer = await preflight(world, "session", origin, "token-handler-version")
    assert (answer.status_code, answer.content) == (204, b"")
    assert [name for name in answer.headers if name.startswith("access-control-")] == []
    assert "Origin" in answer.headers["vary"].split(", ")


@pytest.mark.parametrize("outcome", ["success", "failure"])
@pytest.mark.parametrize("call", CALLS)
async def test_the_page_may_read_every_answer(world: World, call: str, outcome: str) -> None:
    """Successes and errors alike carry the CORS headers for the page's origin, and vary by it."""
    response = await (SUCCESSES if outcome == "success" else FAILURES)[call](world)
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert response.headers["access-control-allow-credentials"] == "true"
    assert response.headers["vary"] == "Origin"


async def test_answers_to_nobody_s_origin_vary_all_the_same(world: World) -> None:
    """A same-origin GET has no Origin; its answer must not be reused for another origin."""
    response = await world.browser().send("GET", "session", headers=[("token-handler-version", "1")])
    assert response.headers["vary"] == "Origin"
    assert "access-control-allow-origin" not in response.headers


async def test_further_trusted_origins_are_trusted(tmp_path: Path) -> None:
    """An origin of the setting trusted_origins may call and read, the app's own still may."""
    world = create_world(tmp_path, trusted_origins=["https://preview.shop.test"])
    for origin in (ORIGIN, "https://preview.shop.test"):
        browser = world.browser()
        browser.origin = origin
        response = await browser.login_start()
        assert response.status_code == 200
        assert response.headers["access-control-allow-origin"] == origin


async def test_each_app_is_served_at_its_own_path_to_its_own_page(world: World) -> None:
    """The shop's page may not call the other app's agent, whose own page may."""
    assert (await world.admin().login_start()).status_code == 200
    stranger = world.admin()
    stranger.origin = ORIGIN
    assert (await stranger.login_start()).status_code == 403


@pytest.mark.parametrize("method", ["PUT", "OPTIONS", "TRACE", "QUERY", "BREW"])
@pytest.mark.parametrize("call", CALLS)
async def test_a_method_nobody_knows_is_405_like_any_other(world: World, method: str, call: str) -> None:
    """Whatever the method, the page reads the error, and the answer says which methods the call takes."""
    response = await world.browser().fetch(method, call)
    with pytest.raises(RemoteError) as thrown:
        read(response)
    assert (thrown.value.status, thrown.value.code) == (405, "method_not_allowed")
    assert METHODS.get(call, "POST") in response.headers["allow"].split(", ")
    assert response.headers["access-control-allow-origin"] == ORIGIN


@pytest.mark.parametrize(("method", "call"), [("GET", "refresh"), ("POST", "nothing-here")])
async def test_wrong_paths_and_methods_are_json_errors_too(world: World, method: str, call: str) -> None:
    """A page that calls a wrong path is told so in the form of every other error."""
    with pytest.raises(RemoteError) as thrown:
        read(await world.browser().fetch(method, call))
    assert thrown.value.code != "server_error"


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A fresh world."""
    return create_world(tmp_path)


async def preflight(world: World, call: str, origin: str, headers: str) -> httpx2.Response:
    """What a browser asks before a cross-origin fetch; no cookies, no custom header."""
    asked = {
        "origin": origin,
        "access-control-request-method": METHODS.get(call, "POST"),
        "access-control-request-headers": headers,
    }
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=world.agent), base_url=HOST) as client:
        return await client.options(f"{AGENT}/{call}", headers=asked)


async def ended(world: World) -> httpx2.Response:
    """A login that succeeds."""
    browser = world.browser()
    return await browser.login_end(await world.respond(browser))


async def logged_in(world: World, call: Callable[[Browser], Awaitable[httpx2.Response]]) -> httpx2.Response:
    """A call of a browser somebody is logged in with."""
    return await call(await world.log_in())


async def garbage(world: World) -> httpx2.Response:
    """A session cookie nobody has sealed."""
    browser = world.browser()
    browser.plant("__Host-Http-shop-id", "garbage")
    return await browser.session()


SUCCESSES: dict[str, Callable[[World], Awaitable[httpx2.Response]]] = {
    "login/start": lambda world: world.browser().login_start(),
    "login/end": ended,
    "session": lambda world: logged_in(world, Browser.session),
    "refresh": lambda world: logged_in(world, Browser.refresh),
    "logout": lambda world: logged_in(world, Browser.logout),
}
FAILURES: dict[str, Callable[[World], Awaitable[httpx2.Response]]] = {
    "login/start": lambda world: world.browser().login_start({"response_type": "token"}),
    "login/end": lambda world: world.browser().login_end({"code": "c", "state": "s"}),
    "session": garbage,
    "refresh": lambda world: world.browser().refresh(),
    "logout": lambda world: world.browser().fetch("POST", "logout", headers=[("sec-fetch-site", "cross-site")]),
}
EXPECTED = {
    "login/start": (400, "invalid_request"),
    "login/end": (400, "invalid_request"),
    "session": (401, "unauthorized"),
    "refresh": (401, "unauthorized"),
    "logout": (403, "forbidden"),
}
