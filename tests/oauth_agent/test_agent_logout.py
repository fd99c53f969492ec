"""Logout: the cookies go in any case, and the app is told where the provider's session ends."""

from pathlib import Path

import pytest
from agent_world import HOME, World, create_world, query_of, read

pytestmark = pytest.mark.anyio


async def test_the_logout_url_names_us_and_the_way_back(world: World) -> None:
    """RP-Initiated Logout 1.0: the client stands in for the ID token, which is not kept."""
    url = read(await (await world.log_in()).logout())["logout_url"]
    assert url.split("?")[0] == "https://login.test/logout"
    assert query_of(url) == {"client_id": "shop", "post_logout_redirect_uri": HOME}


async def test_a_configured_way_back_is_used(tmp_path: Path) -> None:
    """The setting post_logout_redirect_uri replaces the app's own address."""
    world = create_world(tmp_path, post_logout_redirect_uri=f"{HOME}bye")
    url = read(await (await world.log_in()).logout())["logout_url"]
    assert query_of(url)["post_logout_redirect_uri"] == f"{HOME}bye"


async def test_an_endpoint_with_a_query_keeps_it(world: World) -> None:
    """A provider that tells its tenants apart by query gets the query back."""
    await world.server.metadata(end_session_endpoint="https://login.test/logout?tenant=a")
    url = read(await world.browser().logout())["logout_url"]
    assert query_of(url)["tenant"] == "a"


async def test_a_provider_without_logout_gives_no_url(world: World) -> None:
    """An absent member, not an empty one; still JSON, still logged out."""
    await world.server.metadata(end_session_endpoint=None)
    browser = await world.log_in()
    assert read(await browser.logout()) == {}
    assert browser.cookies == {}


async def test_a_provider_that_is_down_does_not_keep_anybody_logged_in(tmp_path: Path) -> None:
    """The agent has just started and cannot reach the provider: 200, and the cookies are gone."""
    browser = await create_world(tmp_path).log_in()
    started = create_world(tmp_path)
    started.server.down = True
    fresh = started.browser()
    fresh.cookies = browser.cookies
    answer = await fresh.logout()
    assert (answer.status_code, answer.json()) == (200, {})
    assert fresh.cookies == {}


async def test_afterwards_nobody_is_logged_in(world: World) -> None:
    """Neither session nor refresh finds anything."""
    browser = await world.log_in()
    await browser.logout()
    assert read(await browser.session()) == {"is_logged_in": False}
    assert (await browser.refresh()).status_code == 401


async def test_logging_out_twice_is_no_error(world: World) -> None:
    """A second tab that logs out, too, gets the same answer."""
    browser = await world.log_in()
    first = read(await browser.logout())
    assert read(await browser.logout()) == first


@pytest.mark.parametrize("name", ["__Host-Http-shop-id", "__Secure-shop-rt", "__Host-Http-shop-at"])
async def test_garbage_is_cleared_as_well(world: World, name: str) -> None:
    """Cookies nobody can open are no reason to stay logged in."""
    browser = await world.log_in()
    browser.replace(name, "garbage")
    assert (await browser.logout()).status_code == 200
    assert browser.cookies == {}


async def test_a_login_under_way_in_another_tab_goes_on(world: World) -> None:
    """Logout ends the session, not a login that has just begun."""
    browser = await world.log_in()
    response = await world.respond(browser)
    await browser.logout()
    assert (await browser.login_end(response)).status_code == 200


async def test_the_other_app_s_session_stays(world: World) -> None:
    """Two apps on one host, two sessions."""
    browser, admin = await world.log_in(), world.admin()
    read(await admin.login_end(await world.server.visit(await world.start(admin), user="grace")))
    admin.cookies.update(browser.cookies)
    await browser.logout()
    assert read(await admin.session())["id_token_claims"]["sub"] == "grace"
    await admin.logout()
    assert admin.names() == {"__Host-Http-shop-at", "__Secure-shop-rt", "__Host-Http-shop-id"}


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A fresh world."""
    return create_world(tmp_path)
