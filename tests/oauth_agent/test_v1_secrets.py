"""Version 1: what is written down and told to the page, and never a secret among it."""

import logging
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote_plus

import pytest
from agent_world import SECRET
from agent_world.v1 import AT, AUTH, CSRF, ID, V1Browser, V1World, create_v1_world, page

pytestmark = pytest.mark.anyio

CANARY = "canary-7f3a9c51e2"


@pytest.mark.parametrize("level", [logging.DEBUG, logging.INFO], ids=["debug", "info"])
async def test_a_whole_journey_writes_no_secret(world: V1World, caplog: pytest.LogCaptureFixture, level: int) -> None:
    """Neither in our log nor in a library's: not the provider's secrets, the keys, the cookies or their contents."""
    with caplog.at_level(level):
        secrets = [secret async for secret in journey(world)]
    written = world.inner.log.getvalue() + caplog.text
    assert len(secrets) > 30
    assert [secret for secret in secrets if secret in written or quote_plus(secret) in written] == []


async def test_a_whole_journey_tells_the_page_no_token(world: V1World) -> None:
    """No answer's body holds what belongs into a cookie; the CSRF token is the page's own."""
    browser = world.browser()
    response = await world.respond(browser)
    answers = [await browser.end_login(page(response)), await browser.end_login()]
    answers += [await browser.call("GET", call) for call in ("userInfo", "claims")]
    answers += [await browser.refresh(), await browser.logout()]
    assert {answer.status_code for answer in answers} == {200, 204}
    issued = (await world.inner.server.control("secrets"))["values"]
    assert [secret for secret in [*issued, response["code"]] for answer in answers if secret in answer.text] == []


async def test_every_call_is_one_line(world: V1World) -> None:
    """App, endpoint, status and code."""
    browser = await world.log_in()
    for call in ("userInfo", "claims"):
        await browser.call("GET", call)
    await browser.refresh()
    browser.csrf = "wrong"
    await browser.logout()
    facts = [(line["app"], line["endpoint"], line["status"], line["code"]) for line in world.inner.lines()]
    assert facts == [
        ("shop", "/login/start", 200, "ok"),
        ("shop", "/login/end", 200, "ok"),
        ("shop", "/userInfo", 200, "ok"),
        ("shop", "/claims", 200, "ok"),
        ("shop", "/refresh", 204, "ok"),
        ("shop", "/logout", 401, "forbidden"),
    ]


async def test_no_repr_tells_a_secret(world: V1World) -> None:
    """A value printed by accident, or shown in a traceback, keeps its secrets."""
    printed = repr(world.inner.apps["shop"])
    assert "V1(" in printed
    for secret in (SECRET, world.key.hex(), repr(world.key)):
        assert secret not in printed


async def test_a_fault_of_ours_is_500_without_detail(world: V1World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page learns that we failed, the log where; what the exception says is nobody's to read."""
    browser = await world.log_in()

    def fail(*_: object) -> None:
        raise RuntimeError(CANARY)

    monkeypatch.setattr("agent.v1_cookies.jwt.decode", fail)
    answer = await browser.call("GET", "claims")
    assert (answer.status_code, answer.json()["code"]) == (500, "server_error")
    assert world.inner.lines()[-2]["reason"] == "internal_error"
    assert CANARY not in answer.text + world.inner.log.getvalue()


@pytest.fixture
def world(tmp_path: Path) -> V1World:
    """A fresh world."""
    return create_v1_world(tmp_path)


async def journey(world: V1World) -> AsyncIterator[str]:
    """Everything that can happen to a person; yields every secret it met."""
    browser = world.browser()
    url = await world.start(browser)
    asked = world.inner.asked_for(url)
    for name in ("state", "nonce", "code_challenge"):
        yield asked[name]
    for value in browser.cookies.values():
        yield value
    response = await world.inner.server.visit(url, user="ada")
    yield response["code"]
    await browser.end_login(page({**response, "iss": "https://evil.test"}))
    await browser.end_login(page({**await world.respond(browser), "code": CANARY}))
    await world.log_in(browser=browser)
    for secret in contents(world, browser):
        yield secret
    await browser.end_login()
    for call in ("userInfo", "claims"):
        await browser.call("GET", call)
    await browser.refresh()
    for secret in contents(world, browser):
        yield secret
    for status in (400, 401, 500):
        await world.inner.server.mode(token_status=status, body='{"error":"invalid_scope"}')
        await browser.refresh()
    await world.inner.server.mode(token_status=None, id_token_overrides={"sub": "grace"})
    await browser.refresh()
    await world.inner.server.mode(id_token_overrides={})
    browser = await world.log_in("grace")
    browser.csrf, csrf = CANARY, browser.csrf or ""
    await browser.refresh()
    browser.replace(ID, CANARY)
    await browser.call("GET", "claims")
    await browser.logout()
    for value in (CANARY, csrf, world.key.hex(), *(await world.inner.server.control("secrets"))["values"]):
        yield value


def contents(world: V1World, browser: V1Browser) -> list[str]:
    """The cookies' values, and what is sealed in them."""
    return [*browser.cookies.values(), *(world.opened(browser, name) for name in (AT, CSRF, AUTH, ID))]
