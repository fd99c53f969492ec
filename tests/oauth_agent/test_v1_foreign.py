"""Version 1: sessions of earlier agents go on with ours, ours with earlier proxies and our own, and keys can change."""

import os
import re
from pathlib import Path

import pytest
from agent_world import AGENT
from agent_world.v1 import AT, AUTH, CSRF, ID, V1Browser, V1World, create_v1_world, failure, page, read_v1
from e2e_v1.v1_agent import V1Agent

from extauthz.cookies.v1 import V1Cookies

pytestmark = pytest.mark.anyio

CSRF_TOKEN = "tQ3vZr8KxW1nPb6LyD0sFh9MgUe4JcAo7iTkR2mXqVwN5BfHzS8aEdYuGp1LjC6K"


async def test_a_page_is_loaded_with_an_earlier_session(world: V1World) -> None:
    """The page gets the CSRF token the earlier agent made, and no cookie changes."""
    browser = await earlier(world)
    before = dict(browser.cookies)
    browser.csrf = None
    told = read_v1(await browser.end_login())
    assert told == {"handled": False, "isLoggedIn": True, "csrf": CSRF_TOKEN}
    assert browser.cookies == before


async def test_an_earlier_session_has_claims_and_user_info(world: V1World) -> None:
    """Ada's, from the ID token and the access token in its cookies."""
    browser = await earlier(world)
    assert read_v1(await browser.call("GET", "claims"))["sub"] == "ada"
    assert read_v1(await browser.call("GET", "userInfo"))["sub"] == "ada"


async def test_an_earlier_session_is_refreshed(world: V1World) -> None:
    """Again and again; the new cookies take the place of the old, under the same names, paths and CSRF token."""
    browser = await earlier(world)
    kept = set(browser.cookies)
    for _ in range(2):
        world.inner.later(300)
        assert (await browser.refresh()).status_code == 204
    assert set(browser.cookies) == kept
    assert world.opened(browser, CSRF) == CSRF_TOKEN
    assert read_v1(await browser.call("GET", "userInfo"))["sub"] == "ada"


async def test_an_earlier_session_is_logged_out(world: V1World) -> None:
    """With all its cookies, those included which the earlier agent left behind."""
    browser = await earlier(world)
    assert "url" in read_v1(await browser.logout())
    assert browser.cookies == {}


@pytest.mark.parametrize("call", ["refresh", "logout"])
async def test_an_earlier_session_is_protected(world: V1World, call: str) -> None:
    """Its CSRF token is asked for as any."""
    browser = await earlier(world)
    browser.csrf = CSRF_TOKEN.lower()
    assert failure(await browser.call("POST", call)) == (401, "unauthorized_request")
    assert len(browser.cookies) == 4


async def test_an_earlier_session_with_another_key(world: V1World) -> None:
    """Nobody is logged in, and it is no error of ours."""
    browser = await earlier(world, V1Agent(os.urandom(32)))
    assert read_v1(await browser.end_login()) == {"handled": False, "isLoggedIn": False}


async def test_a_login_after_an_earlier_session(world: V1World) -> None:
    """It replaces the earlier cookies one by one, and the token nobody can tell the user of."""
    browser = await earlier(world)
    kept = set(browser.cookies)
    await world.log_in(browser=browser)
    assert set(browser.cookies) == kept
    assert browser.csrf not in (CSRF_TOKEN, None)


@pytest.mark.parametrize("call", ["refresh", "logout"])
async def test_the_new_key_opens_what_the_previous_sealed(tmp_path: Path, call: str) -> None:
    """While the key is being changed every session goes on."""
    old = create_v1_world(tmp_path)
    browser = await old.log_in()
    renewed = create_v1_world(tmp_path, previous=old.key, beside=old.inner)
    fresh = renewed.browser()
    fresh.cookies = browser.cookies
    assert read_v1(await fresh.end_login())["csrf"] == browser.csrf
    assert read_v1(await fresh.call("GET", "claims"))["sub"] == "ada"
    assert (await fresh.call("POST", call)).is_success
    if call == "refresh":
        assert renewed.opened(fresh, AT).startswith("_0XA_")


async def test_a_login_under_way_outlives_the_change_of_keys(tmp_path: Path) -> None:
    """And a login of the same person keeps the CSRF token that was made under the key before."""
    old = create_v1_world(tmp_path)
    browser = await old.log_in()
    response = await old.respond(browser)
    renewed = create_v1_world(tmp_path, previous=old.key, beside=old.inner)
    fresh = renewed.browser()
    fresh.cookies = browser.cookies
    told = read_v1(await fresh.end_login(page(response)))
    assert told == {"handled": True, "isLoggedIn": True, "csrf": browser.csrf}


async def test_without_the_previous_key_the_session_is_over(tmp_path: Path) -> None:
    """The page is told to log in, and it works."""
    old = create_v1_world(tmp_path)
    browser = await old.log_in()
    renewed = create_v1_world(tmp_path, beside=old.inner)
    fresh = renewed.browser()
    fresh.cookies, fresh.csrf = browser.cookies, browser.csrf
    assert failure(await fresh.refresh()) == (401, "unauthorized_request")
    await renewed.log_in(browser=fresh)
    assert (await fresh.refresh()).status_code == 204


async def test_what_the_proxy_needs(world: V1World) -> None:
    """Our proxy opens the raw access token and the CSRF token, and nothing else is in them."""
    browser, proxy = await world.log_in(), V1Cookies([world.key])
    issued = (await world.inner.server.control("secrets"))["values"]
    assert proxy.open(browser.value(AT) or "").token in issued
    assert proxy.open_text(browser.value(CSRF) or "") == browser.csrf
    assert re.fullmatch(r"u\.[0-9a-f]{64}", browser.csrf or "")


@pytest.fixture
def world(tmp_path: Path) -> V1World:
    """A fresh world."""
    return create_v1_world(tmp_path)


async def earlier(world: V1World, agent: V1Agent | None = None) -> V1Browser:
    """A browser with the session an earlier agent has set: its cookies, at its paths."""
    browser, agent = world.browser(), agent or world.foreign
    tokens = await granted(world)
    browser.plant(AT, agent.seal(tokens["access_token"]))
    browser.plant(CSRF, agent.seal(CSRF_TOKEN))
    browser.plant(AUTH, agent.seal(tokens["refresh_token"]), f"{AGENT}/refresh")
    browser.plant(ID, agent.seal(tokens["id_token"]), f"{AGENT}/claims")
    browser.csrf = CSRF_TOKEN
    return browser


async def granted(world: V1World) -> dict[str, str]:
    """Tokens of Ada's: what the provider gave at a login, the cookies thrown away."""
    browser = await world.log_in()
    names = {"access_token": AT, "refresh_token": AUTH, "id_token": ID}
    return {name: world.opened(browser, cookie) for name, cookie in names.items()}
