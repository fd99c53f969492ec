"""Version 1: who may call, how errors look, and what other origins may read."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from agent_world import AGENT, HOST, ORIGIN, set_cookies
from agent_world.v1 import JSON, V1World, create_v1_world, failure, page

pytestmark = pytest.mark.anyio

POSTS, GETS = ["login/start", "login/end", "refresh", "logout"], ["userInfo", "claims"]
CALLS = [*(("POST", call) for call in POSTS), *(("GET", call) for call in GETS)]
every_call = pytest.mark.parametrize(("method", "call"), CALLS, ids=[call for _, call in CALLS])


@every_call
@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.test",
        "null",
        "",
        "https://www.shop.test.evil.test",
        "https://shop.test",
        "http://www.shop.test",
        "HTTPS://WWW.SHOP.TEST",
        "https://www.shop.test, https://evil.test",
        "https://api.shop.test",
    ],
)
async def test_an_origin_that_is_not_trusted(world: V1World, method: str, call: str, origin: str) -> None:
    """401 as the earlier agents say it, and no cookie is touched."""
    browser = await world.log_in()
    browser.origin = origin
    response = await browser.call(method, call)
    assert failure(response) == (401, "unauthorized_request")
    assert set_cookies(response) == []


@every_call
async def test_two_origins(world: V1World, method: str, call: str) -> None:
    """A second Origin line does not hide behind a trusted first one."""
    response = await (await world.log_in()).call(method, call, headers=[("origin", "https://evil.test")])
    assert failure(response) == (401, "unauthorized_request")


@pytest.mark.parametrize("call", POSTS)
async def test_a_post_without_origin(world: V1World, call: str) -> None:
    """Browsers send Origin on every POST; who does not is no browser at our page."""
    browser = await world.log_in()
    headers = [("x-example-csrf", browser.csrf or "")]
    assert failure(await browser.send("POST", call, headers=headers)) == (401, "unauthorized_request")


@pytest.mark.parametrize("call", GETS)
async def test_a_get_without_origin(world: V1World, call: str) -> None:
    """Browsers leave Origin out of same-origin GETs."""
    assert (await (await world.log_in()).send("GET", call)).status_code == 200


@every_call
async def test_another_site_s_request(world: V1World, method: str, call: str) -> None:
    """The browser says itself that another site made it, whatever the other headers claim."""
    response = await (await world.log_in()).call(method, call, headers=[("sec-fetch-site", "cross-site")])
    assert failure(response) == (401, "unauthorized_request")


@every_call
@pytest.mark.parametrize("site", ["same-origin", "same-site", "none"])
async def test_our_own_site_s_request(world: V1World, method: str, call: str, site: str) -> None:
    """The page may be on a sibling host of the agent's."""
    response = await (await world.log_in()).call(method, call, headers=[("sec-fetch-site", site)])
    assert response.status_code != 401


@pytest.mark.parametrize(
    ("method", "call"), [*(("GET", call) for call in POSTS), *(("POST", call) for call in GETS), ("PUT", "refresh")]
)
async def test_each_call_has_its_method(world: V1World, method: str, call: str) -> None:
    """Another method is 405, says which one is right, and changes nothing."""
    browser = await world.log_in()
    response = await browser.call(method, call)
    assert failure(response) == (405, "method_not_allowed")
    assert ("GET" if call in GETS else "POST") in response.headers["allow"].split(", ")
    assert len(browser.cookies) == 4


@pytest.mark.parametrize("call", POSTS[:2])
async def test_a_body_that_does_not_come(world: V1World, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    """Who trickles a body holds a connection only for so long."""
    monkeypatch.setattr("agent.forms.BODY_SECONDS", 0.0)

    async def never() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=world.inner.agent), base_url=HOST) as http:
        headers = dict([*JSON, ("origin", ORIGIN)])
        request = http.build_request("POST", f"{AGENT}/{call}", content=never(), headers=headers)
        assert failure(await http.send(request)) == (408, "request_timeout")


async def test_a_server_that_is_down_is_502(world: V1World) -> None:
    """At a login too, with Retry-After, and the login may be ended when it is back."""
    browser = world.browser()
    response = await world.respond(browser)
    world.inner.server.down = True
    answer = await browser.end_login(page(response))
    assert failure(answer) == (502, "authorization_server_error")
    assert int(answer.headers["retry-after"]) > 0


async def test_a_server_that_is_down_costs_no_login(tmp_path: Path) -> None:
    """An agent that has just started cannot read the metadata; the login waits in its cookie."""
    world = create_v1_world(tmp_path)
    browser = world.browser()
    response = await world.respond(browser)
    fresh = create_v1_world(tmp_path, key=world.key, beside=world.inner).browser()
    fresh.cookies = browser.cookies
    world.inner.server.down = True
    assert failure(await fresh.end_login(page(response))) == (502, "authorization_server_error")
    world.inner.server.down = False
    world.inner.later(10)
    assert (await fresh.end_login(page(response))).status_code == 200


@every_call
async def test_a_preflight_of_the_page(world: V1World, method: str, call: str) -> None:
    """204 without a word, and what the page asks for is allowed, credentials too."""
    answer = await preflight(world, method, call, ORIGIN)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert answer.headers["access-control-allow-headers"] == "content-type,x-example-csrf"
    assert method in answer.headers["access-control-allow-methods"].split(", ")
    assert answer.headers["vary"] == "Origin, Access-Control-Request-Headers"


async def test_a_preflight_of_a_stranger(world: V1World) -> None:
    """204, and nothing that would let the browser go on."""
    answer = await preflight(world, "POST", "refresh", "https://evil.test")
    assert (answer.status_code, answer.content) == (204, b"")
    assert [name for name in answer.headers if name.startswith("access-control-")] == []


async def test_a_preflight_for_a_method_there_is_not(world: V1World) -> None:
    """204, and the method is not among those allowed."""
    answer = await preflight(world, "DELETE", "refresh", ORIGIN)
    assert answer.headers["access-control-allow-methods"] == "GET, POST"


@every_call
async def test_the_page_may_read_every_answer(world: V1World, method: str, call: str) -> None:
    """Successes and errors alike carry the CORS headers for the page's origin, and vary by it."""
    for browser in (world.browser(), await world.log_in()):
        response = await browser.call(method, call)
        assert response.headers["access-control-allow-origin"] == ORIGIN
        assert response.headers["access-control-allow-credentials"] == "true"
        assert response.headers["vary"] == "Origin"
        assert response.headers["cache-control"] == "no-store"


async def test_no_header_of_version_2_is_asked_for(tmp_path: Path) -> None:
    """Pages of version 1 do not know it, whatever the settings say."""
    world = create_v1_world(tmp_path, require_custom_header=True)
    assert (await world.browser().start_login()).status_code == 200


@pytest.fixture
def world(tmp_path: Path) -> V1World:
    """A fresh world."""
    return create_v1_world(tmp_path)


async def preflight(world: V1World, method: str, call: str, origin: str) -> httpx2.Response:
    """What a browser asks before a cross-origin call of the page's."""
    asked = {
        "origin": origin,
        "access-control-request-method": method,
        "access-control-request-headers": "content-type,x-example-csrf",
    }
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=world.inner.agent), base_url=HOST) as client:
        return await client.options(f"{AGENT}/{call}", headers=asked)
