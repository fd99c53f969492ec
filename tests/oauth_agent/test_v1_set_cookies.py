"""Version 1: the Set-Cookie lines, byte for byte, and where each cookie travels."""

import re
from pathlib import Path
from typing import Any

import httpx2
import pytest
from agent_world import set_cookies
from agent_world.v1 import V1World, create_v1_world, failure, page

pytestmark = pytest.mark.anyio

# What is written where the sealed value stands: <>. DOMAIN is nothing on the agent's own host.
SAFE = "Secure; HttpOnly; SameSite=Strict"
LINES = {
    "login": f"example-login-FLOW=<>; Path=/oauth-agent/login/end;DOMAIN Max-Age=600; {SAFE}",
    "no login": f"example-login-FLOW=; Path=/oauth-agent/login/end;DOMAIN Max-Age=0; {SAFE}",
    "at": f"example-at=<>; Path=/;DOMAIN {SAFE}",
    "csrf": f"example-csrf=<>; Path=/;DOMAIN {SAFE}",
    "auth": f"example-auth=<>; Path=/oauth-agent/refresh;DOMAIN {SAFE}",
    "id": f"example-id=<>; Path=/oauth-agent/claims;DOMAIN {SAFE}",
    "no at": f"example-at=; Path=/;DOMAIN Max-Age=0; {SAFE}",
    "no csrf": f"example-csrf=; Path=/;DOMAIN Max-Age=0; {SAFE}",
    "no auth": f"example-auth=; Path=/oauth-agent/refresh;DOMAIN Max-Age=0; {SAFE}",
    "no id": f"example-id=; Path=/oauth-agent/claims;DOMAIN Max-Age=0; {SAFE}",
}
ENDED = ("no auth", "no at", "no id", "no csrf")
SETTINGS: dict[str, dict[str, Any]] = {
    "own host": {},
    "parent domain": {"parent_domain": "shop.test"},
    "the API's host": {"parent_domain": "api.shop.test", "hosts": ["api.shop.test"]},
}

by_setting = pytest.mark.parametrize("setting", SETTINGS)


@by_setting
async def test_login_start_sets_the_login_cookie(tmp_path: Path, setting: str) -> None:
    """One line: this login, for ten minutes, for the call that ends it."""
    browser = create_v1_world(tmp_path, **SETTINGS[setting]).browser()
    assert shapes(await browser.start_login()) == lines(setting, "login")


@by_setting
async def test_login_end_sets_the_session_and_clears_the_login(tmp_path: Path, setting: str) -> None:
    """Five lines, none of them with a date: the session ends with the browser's."""
    world = create_v1_world(tmp_path, **SETTINGS[setting])
    browser = world.browser()
    answer = await browser.end_login(page(await world.respond(browser)))
    assert shapes(answer) == lines(setting, "no login", "at", "csrf", "auth", "id")
    assert len(browser.cookies) == 4


@by_setting
async def test_a_login_that_fails_clears_the_login_alone(tmp_path: Path, setting: str) -> None:
    """An error at login/end leaves a session that was there before as it was."""
    world = create_v1_world(tmp_path, **SETTINGS[setting])
    browser = await world.log_in()
    response = {**await world.respond(browser), "error": "access_denied"}
    assert shapes(await browser.end_login(page(response))) == lines(setting, "no login")
    assert len(browser.cookies) == 4


@by_setting
async def test_refresh_sets_all_but_the_csrf_token(tmp_path: Path, setting: str) -> None:
    """Three lines with the attributes of the login's."""
    browser = await create_v1_world(tmp_path, **SETTINGS[setting]).log_in()
    assert shapes(await browser.refresh()) == lines(setting, "auth", "at", "id")
    assert len(browser.cookies) == 4


@by_setting
async def test_logout_clears_with_the_same_attributes(tmp_path: Path, setting: str) -> None:
    """Four lines; with the path / for all of them, as an earlier agent wrote, browsers kept two."""
    browser = await create_v1_world(tmp_path, **SETTINGS[setting]).log_in()
    assert shapes(await browser.logout()) == lines(setting, *ENDED)
    assert browser.cookies == {}


async def test_a_session_that_outlives_the_browser(tmp_path: Path) -> None:
    """With cookie.max_age every refresh lengthens all it can, the CSRF token and what the server sends no more too."""
    world = create_v1_world(tmp_path, cookie_max_age=86_400)
    browser = await world.log_in()
    csrf = world.opened(browser, "example-csrf")
    await world.inner.server.mode(token_overrides={"refresh_token": None, "id_token": None})
    lasting = [line.replace("; Secure", "; Max-Age=86400; Secure") for line in lines("own host", "auth", "at", "csrf")]
    assert shapes(await browser.refresh()) == lasting
    assert world.opened(browser, "example-csrf") == csrf
    assert shapes(await browser.logout()) == lines("own host", *ENDED)


@by_setting
async def test_a_session_that_is_over_is_cleared_likewise(tmp_path: Path, setting: str) -> None:
    """Four lines and nothing else: what a refresh had begun to set is not among them."""
    world = create_v1_world(tmp_path, **SETTINGS[setting])
    browser = await world.log_in()
    await world.inner.server.mode(id_token_overrides={"sub": "grace"})
    assert shapes(await browser.refresh()) == lines(setting, *ENDED)


async def test_the_agent_s_path_is_where_its_cookies_go(tmp_path: Path) -> None:
    """The tokens that are the agent's travel to no other place."""
    world = create_v1_world(tmp_path, agent_path="/bff")
    browser = world.browser()
    browser.path = "/bff"
    await world.log_in(browser=browser)
    paths = {kept.name: kept.path for kept in browser.cookies}
    assert (paths["example-auth"], paths["example-id"]) == ("/bff/refresh", "/bff/claims")
    assert (await browser.refresh()).status_code == 204


@pytest.mark.parametrize("name", ["access_token", "refresh_token", "id_token"])
async def test_a_cookie_too_large_is_refused_whole(world: V1World, name: str) -> None:
    """500 with words for the operator, and no half of a session in the browser."""
    browser = world.browser()
    large = {"token_overrides": {name: "t" * 4000}}
    await world.inner.server.mode(**({"id_token_overrides": {"g": "g" * 4000}} if name == "id_token" else large))
    answer = await browser.end_login(page(await world.respond(browser)))
    assert failure(answer) == (500, "server_error")
    assert "opaque tokens" in answer.json()["message"]
    assert browser.names() == set()


@pytest.fixture
def world(tmp_path: Path) -> V1World:
    """A fresh world."""
    return create_v1_world(tmp_path)


def shapes(response: httpx2.Response) -> list[str]:
    """The Set-Cookie lines, sealed values and the flow's name blotted out."""
    named = [re.sub(r"-login-[A-Za-z0-9_-]{12}=", "-login-FLOW=", line) for line in set_cookies(response)]
    return [re.sub(r"=[A-Za-z0-9_-]+; Path", "=<>; Path", line) for line in named]


def lines(setting: str, *names: str) -> list[str]:
    """The lines of these names."""
    domain = SETTINGS[setting].get("parent_domain")
    return [LINES[name].replace("DOMAIN", f" Domain={domain};" if domain else "") for name in names]
