"""Version 1: logout. The cookies go, the token too, and the page is told where to go."""

from pathlib import Path

import pytest
from agent_world import HOME, form_of, query_of
from agent_world.v1 import AT, AUTH, CSRF, ID, V1World, create_v1_world, failure, read_v1

pytestmark = pytest.mark.anyio


async def test_the_url_names_us_and_the_way_back(world: V1World) -> None:
    """One member: where the session at the authorization server ends."""
    browser = await world.log_in()
    members = read_v1(await browser.logout())
    assert list(members) == ["url"]
    assert members["url"].split("?")[0] == "https://login.test/logout"
    assert query_of(members["url"]) == {"client_id": "shop", "post_logout_redirect_uri": HOME}
    assert browser.cookies == {}


async def test_the_access_token_is_revoked(world: V1World) -> None:
    """The refresh token does not come here; what does, ends."""
    browser = await world.log_in()
    token = world.opened(browser, AT)
    await browser.logout()
    [request] = world.inner.server.asked("/revoke")
    assert form_of(request) == {"token": token, "token_type_hint": "access_token"}


async def test_a_server_without_logout_sends_the_page_home(world: V1World) -> None:
    """Pages go to `url` without looking, so there is one."""
    await world.inner.server.metadata(end_session_endpoint=None)
    assert read_v1(await (await world.log_in()).logout()) == {"url": HOME}


async def test_a_server_that_is_down_keeps_nobody_logged_in(tmp_path: Path) -> None:
    """The agent has just started and cannot reach it: 200, the cookies are gone, and the page goes home."""
    world = create_v1_world(tmp_path)
    browser = await world.log_in()
    started = create_v1_world(tmp_path, key=world.key, post_logout_redirect_uri=f"{HOME}bye")
    started.inner.server.down = True
    fresh = started.browser()
    fresh.cookies, fresh.csrf = browser.cookies, browser.csrf
    answer = await fresh.logout()
    assert (answer.status_code, answer.json()) == (200, {"url": f"{HOME}bye"})
    assert fresh.cookies == {}


async def test_a_revocation_that_fails_keeps_nobody_logged_in(world: V1World) -> None:
    """It is done as well as can be."""
    browser = await world.log_in()
    await world.inner.server.metadata(revocation_endpoint="https://login.test/nowhere")
    assert "url" in read_v1(await browser.logout())
    assert browser.cookies == {}


@pytest.mark.parametrize("dropped", [[AT], [CSRF], [AUTH], [ID], [AT, CSRF], [AT, CSRF, AUTH, ID]])
async def test_whatever_is_missing(world: V1World, dropped: list[str]) -> None:
    """Who has no whole session wants out all the same, here and at the authorization server."""
    browser = await world.log_in()
    for name in dropped:
        browser.drop(name)
    assert read_v1(await browser.logout())["url"].startswith("https://login.test/logout")
    assert browser.cookies == {}


@pytest.mark.parametrize("name", [AT, CSRF, AUTH, ID])
async def test_whatever_is_garbage(world: V1World, name: str) -> None:
    """Cookies nobody can open are no reason to stay logged in."""
    browser = await world.log_in()
    browser.replace(name, "garbage")
    assert (await browser.logout()).status_code == 200
    assert browser.cookies == {}


async def test_another_origin_logs_nobody_out(world: V1World) -> None:
    """Not even somebody without CSRF cookie, whose header there is nothing to compare with."""
    browser = await world.log_in()
    browser.drop(CSRF)
    browser.origin = "https://evil.shop.test"
    assert failure(await browser.logout()) == (401, "unauthorized_request")
    assert len(browser.names()) == 3


async def test_afterwards_nobody_is_logged_in(world: V1World) -> None:
    """No call finds anything, and the page is told so."""
    browser = await world.log_in()
    await browser.logout()
    assert read_v1(await browser.end_login()) == {"handled": False, "isLoggedIn": False}
    assert failure(await browser.refresh()) == (401, "unauthorized_request")


async def test_a_login_under_way_in_another_tab_goes_on(world: V1World) -> None:
    """Logout ends the session, not a login that has just begun."""
    browser = await world.log_in()
    await world.start(browser)
    await browser.logout()
    assert [name.startswith("example-login-") for name in browser.names()] == [True]


@pytest.fixture
def world(tmp_path: Path) -> V1World:
    """A fresh world."""
    return create_v1_world(tmp_path)
