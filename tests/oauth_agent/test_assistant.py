"""The app's library at the agent: its six calls, what each gives, and what each throws."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx2
import pytest
from agent_world import AGENT, HOME, HOST, ORIGIN, RemoteError, World, create_world, query_of
from agent_world.assistant import Assistant, FetchFailed, SessionResponse
from agent_world.browser import Browser
from starlette.responses import Response

pytestmark = pytest.mark.anyio

GRANTED = {"access-control-allow-origin": ORIGIN, "access-control-allow-credentials": "true"}
LOGGED_OUT = SessionResponse(is_logged_in=False)

Call = Callable[[Assistant], Awaitable[object]]

CALLS: dict[str, Call] = {
    "startLogin": lambda assistant: assistant.start_login(),
    "endLogin": lambda assistant: assistant.end_login({"code": "c", "state": "s", "iss": "https://login.test"}),
    "session": lambda assistant: assistant.session(),
    "refresh": lambda assistant: assistant.refresh(),
    "logout": lambda assistant: assistant.logout(),
    "onPageLoad": lambda assistant: assistant.on_page_load(HOME),
}

every_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


async def test_a_whole_session(tmp_path: Path) -> None:
    """onPageLoad, startLogin, onPageLoad with the response, session, refresh, logout: each gives what the app reads."""
    world = create_world(tmp_path)
    assistant = at_page(world, world.browser())
    assert await assistant.on_page_load(HOME) == LOGGED_OUT
    url = await assistant.start_login()
    response = await world.server.visit(url or "", user="ada")
    told = await assistant.on_page_load(f"{HOME}?{httpx2.QueryParams(response)}")
    assert (told.is_logged_in, told.access_token_expires_in) == (True, 300)
    assert (told.id_token_claims or {})["name"] == "Ada Lovelace"
    assert await assistant.session() == told
    world.later(100)
    assert (await assistant.session()).access_token_expires_in == 200
    assert await assistant.refresh() == 300
    assert (await assistant.logout() or "").startswith("https://login.test/logout?")
    assert await assistant.session() == LOGGED_OUT


async def test_parameters_of_the_app(tmp_path: Path) -> None:
    """startLogin and refresh take the parameters that the configuration allows, and scope."""
    world = create_world(tmp_path, authorization_parameters=["ui_locales"], refresh_parameters=["tenant"])
    assistant = at_page(world, await world.log_in())
    url = await assistant.start_login({"ui_locales": "de en", "scope": "openid"})
    asked = world.asked_for(url or "")
    assert (asked["ui_locales"], asked["scope"]) == ("de en", "openid")
    assert await assistant.refresh({"tenant": "a&b=c", "scope": "openid"}) == 300
    assert query_of(f"?{world.server.asked('/token')[-1].content.decode()}")["tenant"] == "a&b=c"


async def test_a_signed_response_ends_a_login(tmp_path: Path) -> None:
    """onPageLoad takes a lone `response` (JARM) for what it is."""
    world = create_world(tmp_path, response_mode="jwt")
    assistant = at_page(world, world.browser())
    response = await world.server.visit(await assistant.start_login() or "", user="ada")
    assert list(response) == ["response"]
    assert (await assistant.on_page_load(f"{HOME}?{httpx2.QueryParams(response)}")).is_logged_in is True


async def test_a_login_that_the_person_cancelled(world: World) -> None:
    """400 with the server's word for it, and the next page load finds nobody logged in."""
    assistant = at_page(world, world.browser())
    response = await world.server.visit(await assistant.start_login() or "", cancel="yes")
    page = f"{HOME}?{httpx2.QueryParams(response)}"
    assert await error(assistant.on_page_load(page)) == (400, "access_denied")
    assert await assistant.on_page_load(HOME) == LOGGED_OUT


async def test_a_session_that_is_over(world: World) -> None:
    """401 from refresh, whether the server ended it or there never was one; session then says so without an error."""
    assistant = at_page(world, await world.log_in())
    await world.server.expire(refresh_token="all")
    assert await error(assistant.refresh()) == (401, "session_expired")
    assert await error(assistant.refresh()) == (401, "unauthorized")
    assert await assistant.session() == LOGGED_OUT


async def test_an_authorization_server_that_is_away(world: World) -> None:
    """503 from the calls that need it, and the session outlives it; who is logged in, and logging out, need nobody."""
    assistant = at_page(world, await world.log_in())
    world.server.down = True
    for call in ("startLogin", "refresh"):
        assert await error(CALLS[call](assistant)) == (503, "temporarily_unavailable")
    assert (await assistant.session()).is_logged_in is True
    world.server.down = False
    assert await assistant.refresh() == 300
    world.server.down = True
    await assistant.logout()
    assert await assistant.session() == LOGGED_OUT


async def test_parameters_nobody_allowed(world: World) -> None:
    """400, and the message names the parameter."""
    assistant = at_page(world, await world.log_in())
    for call in (assistant.start_login({"prompt": "none"}), assistant.refresh({"prompt": "none"})):
        with pytest.raises(RemoteError) as thrown:
            await call
        assert (thrown.value.status, thrown.value.code) == (400, "invalid_request")
        assert "prompt" in thrown.value.details


async def test_a_response_to_no_login_of_this_browser(world: World) -> None:
    """400 from endLogin, and from onPageLoad for the same URL."""
    assistant = at_page(world, world.browser())
    assert await error(CALLS["endLogin"](assistant)) == (400, "invalid_request")
    page = f"{HOME}?code=c&state=s&iss=https%3A%2F%2Flogin.test"
    assert await error(assistant.on_page_load(page)) == (400, "invalid_request")


@every_call
async def test_a_call_without_the_custom_header(world: World, call: Call) -> None:
    """403: the page may read why, and the session is as it was."""
    browser = await world.log_in()
    before = dict(browser.cookies)
    assert await error(call(at_page(world, browser, custom={}))) == (403, "forbidden")
    assert browser.cookies == before


@every_call
@pytest.mark.parametrize("custom", [{"token-handler-version": "1"}, {}], ids=["custom header", "none"])
async def test_a_page_that_is_not_trusted(world: World, call: Call, custom: dict[str, str]) -> None:
    """The browser throws, with the preflight or without one, and the session is as it was."""
    browser = await world.log_in()
    before, asked = dict(browser.cookies), len(world.server.requests)
    browser.origin = "https://evil.shop.test"
    with pytest.raises(FetchFailed):
        await call(at_page(world, browser, custom=custom))
    assert (browser.cookies, len(world.server.requests)) == (before, asked)


@pytest.mark.parametrize("call", ["session", "refresh", "onPageLoad"])
@pytest.mark.parametrize("name", ["__Host-Http-shop-id", "__Secure-shop-rt"])
async def test_cookies_that_are_not_ours(world: World, call: str, name: str) -> None:
    """401 from what needs them, and after that nobody is logged in, without an error."""
    browser = await world.log_in()
    browser.replace(name, "bm90IG91cnM")
    assistant = at_page(world, browser)
    if name.endswith("-rt") and call != "refresh":
        assert (await assistant.session()).is_logged_in is True  # the refresh token is not looked at yet
        return
    assert await error(CALLS[call](assistant)) == (401, "unauthorized")
    assert await assistant.session() == LOGGED_OUT


@every_call
@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "text/html", "application/JSON"])
async def test_the_library_reads_errors_of_one_content_type_only(call: Call, content_type: str) -> None:
    """Which is why the agent's errors have exactly that: of any other the app learns the status alone."""
    body = b'{"error_code": "told", "detailed_error": "why"}'
    answers = [Response(body, 418, {**GRANTED, "content-type": one}) for one in (content_type, "application/json")]
    thrown = [await error(call(at_another_agent(answer))) for answer in answers]
    assert thrown == [(418, "server_error"), (418, "told")]


@every_call
async def test_the_library_takes_no_success_without_json(call: Call) -> None:
    """Which is why the agent never answers 204."""
    with pytest.raises(ValueError, match="Expecting value"):
        await call(at_another_agent(Response(status_code=204, headers=GRANTED)))


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A fresh world."""
    return create_world(tmp_path)


def at_page(world: World, browser: Browser, **options: dict[str, str]) -> Assistant:
    """The library in the app's page."""
    return Assistant(world.agent, browser, base=HOST, **options)


def at_another_agent(answer: Response) -> Assistant:
    """The library before an agent that gives this answer to everything."""
    return Assistant(answer, Browser(answer, base=HOST, path=AGENT, origin=ORIGIN), base=HOST, custom={})


async def error(call: Awaitable[object]) -> tuple[int, str]:
    """Status and code of what the call throws."""
    with pytest.raises(RemoteError) as thrown:
        await call
    return thrown.value.status, thrown.value.code
