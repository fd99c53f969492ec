"""What protects every call: the custom header, the origin, and bounds on what is read."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from agent_world import ORIGIN, World, create_world, read

pytestmark = pytest.mark.anyio

CALLS = [("POST", "login/start"), ("POST", "login/end"), ("GET", "session"), ("POST", "refresh"), ("POST", "logout")]
POSTS = [call for method, call in CALLS if method == "POST"]
CUSTOM = ("token-handler-version", "1")
FROM_PAGE = ("origin", ORIGIN)
FORM = ("content-type", "application/x-www-form-urlencoded")

every_call = pytest.mark.parametrize(("method", "call"), CALLS, ids=[call for _, call in CALLS])


@every_call
@pytest.mark.parametrize(
    "headers",
    [
        pytest.param([], id="missing"),
        pytest.param([("token-handler-version", "")], id="empty"),
        pytest.param([("token-handler-version", "2")], id="another version"),
        pytest.param([("token-handler-version", "1, 1")], id="joined"),
        pytest.param([CUSTOM, CUSTOM], id="twice"),
        pytest.param([CUSTOM, ("token-handler-version", "2")], id="twice and different"),
    ],
)
async def test_without_the_custom_header_nothing_happens(
    world: World, method: str, call: str, headers: list[tuple[str, str]]
) -> None:
    """B13: a request a form or an image could make is 403, and no cookie is touched."""
    browser = await world.log_in()
    before = dict(browser.cookies)
    await forbidden(await browser.send(method, call, headers=[FROM_PAGE, *headers]))
    assert browser.cookies == before


@every_call
async def test_the_custom_header_can_be_switched_off(tmp_path: Path, method: str, call: str) -> None:
    """An app of another library may do without; the origin is checked all the same."""
    browser = create_world(tmp_path, require_custom_header=False).browser()
    assert (await browser.send(method, call, headers=[FROM_PAGE])).status_code != 403
    await forbidden(await browser.send(method, call, headers=[("origin", "https://evil.test")]))


@every_call
@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.test",
        "null",
        "",
        "https://www.shop.test.evil.test",
        "https://evilwww.shop.test",
        "https://shop.test",
        "https://www.shop.test:8443",
        "http://www.shop.test",
        "https://www.shop.test/",
        "HTTPS://WWW.SHOP.TEST",
        "https://www.shop.test, https://evil.test",
        "https://api.shop.test",
    ],
)
async def test_an_origin_that_is_not_trusted_is_refused(world: World, method: str, call: str, origin: str) -> None:
    """Origins are compared exactly, and the agent's own host is no trusted page."""
    browser = await world.log_in()
    await forbidden(await browser.send(method, call, headers=[CUSTOM, ("origin", origin)]))
    assert len(browser.cookies) == 3


@every_call
async def test_two_origins_are_refused(world: World, method: str, call: str) -> None:
    """A second Origin line does not hide behind a trusted first one."""
    headers = [CUSTOM, FROM_PAGE, ("origin", "https://evil.test")]
    await forbidden(await world.browser().send(method, call, headers=headers))


@pytest.mark.parametrize("call", POSTS)
async def test_a_post_without_origin_is_refused(world: World, call: str) -> None:
    """Browsers send Origin on every POST; who does not is no browser at our page."""
    browser = await world.log_in()
    await forbidden(await browser.send("POST", call, headers=[CUSTOM]))
    assert len(browser.cookies) == 3


async def test_a_get_without_origin_is_fine(world: World) -> None:
    """Browsers leave Origin out of same-origin GETs."""
    browser = await world.log_in()
    assert read(await browser.send("GET", "session", headers=[CUSTOM]))["is_logged_in"] is True


@every_call
async def test_another_site_s_request_is_refused(world: World, method: str, call: str) -> None:
    """The browser says itself that another site made it, whatever the other headers claim."""
    headers = [CUSTOM, FROM_PAGE, ("sec-fetch-site", "cross-site")]
    await forbidden(await world.browser().send(method, call, headers=headers))


@every_call
@pytest.mark.parametrize("site", ["same-origin", "same-site", "none"])
async def test_our_own_site_s_request_is_not(world: World, method: str, call: str, site: str) -> None:
    """The page may be on a sibling host of the agent's."""
    response = await world.browser().send(method, call, headers=[CUSTOM, FROM_PAGE, ("sec-fetch-site", site)])
    assert response.status_code != 403


@pytest.mark.parametrize(
    ("method", "call"),
    [("GET", call) for call in POSTS] + [("POST", "session"), ("PUT", "refresh"), ("DELETE", "session")],
)
async def test_each_call_has_its_method(world: World, method: str, call: str) -> None:
    """B17: another method is 405, says which one is right, and changes nothing."""
    browser = await world.log_in()
    response = await browser.fetch(method, call)
    assert response.status_code == 405
    assert ("GET" if call == "session" else "POST") in response.headers["allow"].split(", ")
    assert len(browser.cookies) == 3


@pytest.mark.parametrize("call", POSTS)
@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        pytest.param("application/json", b'{"scope": "openid"}', id="JSON"),
        pytest.param("text/plain", b"scope=openid", id="plain text"),
        pytest.param("multipart/form-data; boundary=x", b"--x--", id="multipart"),
        pytest.param("", b"scope=openid", id="no type"),
        pytest.param("application/x-www-form-urlencoded-not", b"scope=openid", id="almost"),
        pytest.param("application/x-www-form-urlencoded", b'{"scope": "openid"}', id="JSON called a form"),
        pytest.param("application/x-www-form-urlencoded", b"scope", id="no equals sign"),
        pytest.param("application/x-www-form-urlencoded", b"scope=%ff", id="not UTF-8, encoded"),
        pytest.param("application/x-www-form-urlencoded", b"scope=%C3", id="half a character"),
        pytest.param("application/x-www-form-urlencoded", b"scope=\xff", id="not UTF-8"),
        pytest.param("application/x-www-form-urlencoded", b"scope=a&scope=b", id="repeated"),
        pytest.param("application/x-www-form-urlencoded", b"scope=a&&x=b", id="nothing between"),
        pytest.param("application/x-www-form-urlencoded", b"&".join(b"a%d=b" % n for n in range(101)), id="101 fields"),
        pytest.param("application/x-www-form-urlencoded", b"scope=" + b"a" * 65_536, id="65 KB"),
    ],
)
async def test_a_body_that_is_no_form_of_ours_is_400(world: World, call: str, content_type: str, body: bytes) -> None:
    """Only a small, well-formed form is read; of anything else the session knows nothing."""
    browser = await world.log_in()
    response = await browser.fetch("POST", call, body=body, headers=[("content-type", content_type)])
    assert (response.status_code, response.json()["error_code"]) == (400, "invalid_request")
    assert len(browser.cookies) == 3


async def test_a_body_that_does_not_come_is_not_waited_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who trickles a form holds a connection only for so long."""
    monkeypatch.setattr("agent.forms.BODY_SECONDS", 0.0)

    async def never() -> AsyncIterator[bytes]:
        yield b"scope="
        await asyncio.Event().wait()

    transport = httpx2.ASGITransport(app=world.agent)
    async with httpx2.AsyncClient(transport=transport, base_url="https://api.shop.test") as http:
        request = http.build_request("POST", "/oauth-agent/refresh", content=never(), headers=dict([CUSTOM, FROM_PAGE]))
        response = await http.send(request)
    assert (response.status_code, response.json()["error_code"]) == (408, "request_timeout")


@pytest.mark.parametrize("path", ["/oauth-agent", "/oauth-agent/session/", "/nowhere"])
async def test_s2_no_answer_redirects(world: World, path: str) -> None:
    """A redirect would lead to whatever the Host header says."""
    transport = httpx2.ASGITransport(app=world.agent)
    async with httpx2.AsyncClient(transport=transport, base_url="https://evil.test") as http:
        response = await http.get(path)
    assert "location" not in response.headers
    assert response.status_code >= 400


async def test_a_body_of_64_kib_is_read(tmp_path: Path) -> None:
    """The bound is where it is said to be."""
    world = create_world(tmp_path, par="never")  # the provider would know no such scope
    body = b"scope=" + b"a" * (65_536 - 6)
    assert (await world.browser().fetch("POST", "login/start", body=body, headers=[FORM])).status_code == 200


async def test_a_body_without_end_is_not_read_to_its_end(world: World) -> None:
    """Reading stops soon after the bound, whatever the client goes on to send."""
    sent = []

    async def receive() -> dict[str, object]:
        sent.append(16_384)
        return {"type": "http.request", "body": b"a" * 16_384, "more_body": True}

    answers: list[dict[str, object]] = []

    async def send(message: dict[str, object]) -> None:
        answers.append(message)

    headers = [(name.encode(), value.encode()) for name, value in (CUSTOM, FROM_PAGE, FORM)]
    scope = {"type": "http", "method": "POST", "path": "/oauth-agent/login/start", "headers": headers}
    await world.agent({**scope, "query_string": b"", "root_path": ""}, receive, send)  # type: ignore[arg-type]
    assert answers[0]["status"] == 400
    assert sum(sent) == 5 * 16_384


async def test_the_query_is_not_looked_at(world: World) -> None:
    """Secrets in URLs end up in logs, so parameters are taken from the form alone."""
    response = await world.browser().fetch("POST", "login/start?response_type=token&scope=evil", headers=[FORM])
    assert response.status_code == 200
    assert "evil" not in response.text


@pytest.mark.parametrize("headers", [[], [("origin", "https://evil.test")]])
async def test_healthz_asks_for_nothing(world: World, headers: list[tuple[str, str]]) -> None:
    """Probes have neither origin nor header, and learn nothing."""
    transport = httpx2.ASGITransport(app=world.agent)
    async with httpx2.AsyncClient(transport=transport, base_url="http://agent", headers=headers) as probe:
        response = await probe.get("/healthz")
    assert (response.status_code, response.text) == (200, "ok")


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A fresh world."""
    return create_world(tmp_path)


async def forbidden(response: httpx2.Response) -> None:
    """403 in the form of every error, and not one cookie."""
    assert (response.status_code, response.headers["content-type"]) == (403, "application/json")
    assert response.json()["error_code"] == "forbidden"
    assert "set-cookie" not in response.headers
