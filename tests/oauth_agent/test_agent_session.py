"""Session: who is logged in, and until when; and that nothing a browser may send breaks it."""

from pathlib import Path

import pytest
from agent_world import World, create_world, read, set_cookies

pytestmark = pytest.mark.anyio

AT, RT, ID = "__Host-Http-shop-at", "__Secure-shop-rt", "__Host-Http-shop-id"
GARBAGE = ["", "garbage", "A" * 100, "A" * 4090, "==", "%00", "é", "AgAAAAA"]


async def test_everybody_has_a_session_of_their_own(world: World) -> None:
    """Two browsers, two people."""
    ada, grace = await world.log_in("ada"), await world.log_in("grace")
    assert read(await ada.session())["id_token_claims"]["name"] == "Ada Lovelace"
    assert read(await grace.session())["id_token_claims"]["name"] == "Grace Hopper"


async def test_names_survive_in_every_script(world: World) -> None:
    """Claims come back as the provider wrote them, letters beyond ASCII and nested objects included."""
    # The last is half an emoji, as a name ends that was cut.
    claims = {"name": "Åsa 愛 🦉", "address": {"country": "SE", "lines": ["a", 1, None, True]}, "nickname": "Å\ud83e"}
    await world.server.mode(id_token_overrides=claims)
    told = read(await (await world.log_in()).session())["id_token_claims"]
    assert {name: told[name] for name in claims} == claims


async def test_a_session_needs_no_provider(world: World) -> None:
    """The agent remembers by its cookies alone."""
    browser = await world.log_in()
    world.server.down = True
    assert read(await browser.session())["is_logged_in"] is True


async def test_an_expired_session_without_refresh_token_is_over(world: World) -> None:
    """Nothing can bring it back: not logged in, and the cookies are cleared."""
    await world.server.mode(token_overrides={"refresh_token": None})
    browser = await world.log_in()
    world.later(299)
    assert read(await browser.session())["access_token_expires_in"] == 1
    world.later(1)
    assert read(await browser.session()) == {"is_logged_in": False}
    assert browser.cookies == {}


async def test_an_expired_session_with_refresh_token_goes_on(world: World) -> None:
    """The app is told to refresh at once: no seconds are left."""
    browser = await world.log_in()
    world.later(300)
    response = await browser.session()
    members = read(response)
    assert (members["is_logged_in"], members["access_token_expires_in"]) == (True, 0)
    assert set_cookies(response) == []


@pytest.mark.parametrize("value", GARBAGE)
async def test_a_session_cookie_nobody_sealed_is_401_and_cleared(world: World, value: str) -> None:
    """Garbage is never our fault, and does not come back."""
    browser = await world.log_in()
    browser.replace(ID, value)
    response = await browser.session()
    assert (response.status_code, response.json()["error_code"]) == (401, "unauthorized")
    assert browser.cookies == {}


@pytest.mark.parametrize("value", GARBAGE)
async def test_a_refresh_token_s_cookie_nobody_sealed_is_401_when_it_is_needed(world: World, value: str) -> None:
    """While the access token lives nobody looks at it; after that it is garbage, not an absent one."""
    browser = await world.log_in()
    browser.replace(RT, value)
    assert (await browser.session()).status_code == 200
    world.later(300)
    assert (await browser.session()).status_code == 401
    assert browser.cookies == {}


@pytest.mark.parametrize("value", GARBAGE)
async def test_the_proxy_s_cookie_is_none_of_the_agent_s_business(world: World, value: str) -> None:
    """The agent cannot open it, and does not try."""
    browser = await world.log_in()
    browser.replace(AT, value)
    assert read(await browser.session())["is_logged_in"] is True


async def test_one_cookie_s_value_does_not_open_as_another(world: World) -> None:
    """A refresh token in the session's place is 401, though we have sealed it ourselves."""
    browser = await world.log_in()
    browser.replace(ID, browser.value(RT) or "")
    assert (await browser.session()).status_code == 401


async def test_a_session_of_another_app_is_401(world: World) -> None:
    """The other app's cookie under our name does not open."""
    browser = await world.log_in()
    admin = world.admin()
    admin.plant("__Host-Http-admin-id", browser.value(ID) or "")
    assert (await admin.session()).status_code == 401


async def test_every_bit_of_a_session_cookie_counts(world: World) -> None:
    """A value changed anywhere is refused."""
    browser = await world.log_in()
    good = browser.value(ID) or ""
    for place in range(0, len(good), 7):
        other = "A" if good[place] != "A" else "B"
        browser.plant(ID, good[:place] + other + good[place + 1 :], path="/oauth-agent")
        assert (await browser.session()).status_code == 401


async def test_two_different_session_cookies_are_401(world: World) -> None:
    """A cookie tossed in by a sibling host is not taken for ours, and neither is ours."""
    browser = await world.log_in()
    browser.plant(ID, "tossed")
    assert (await browser.session()).status_code == 401


async def test_a_neighbour_s_cookies_do_not_matter(world: World) -> None:
    """Whatever else the site keeps in the browser is skipped, malformed or not."""
    browser = await world.log_in()
    browser.plant("bad,name", '"quoted; x"')
    browser.plant("", "nameless")
    browser.plant("a" + ID, "prefix")
    assert read(await browser.session())["is_logged_in"] is True


async def test_a_key_that_was_replaced_still_opens(tmp_path: Path) -> None:
    """Rotation: session keys are a list, the first seals, any opens."""
    old = create_world(tmp_path)
    browser = await old.log_in()
    (tmp_path / "old.key").write_bytes((tmp_path / "session.key").read_bytes())
    public = {"public_key_file": "public.pem", "session_key_files": ["session.key", "old.key"]}
    rotated, replaced = create_world(tmp_path, cookie=public).browser(), create_world(tmp_path).browser()
    rotated.cookies, replaced.cookies = dict(browser.cookies), dict(browser.cookies)
    assert read(await rotated.session())["id_token_claims"]["sub"] == "ada"
    assert (await replaced.session()).status_code == 401


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A fresh world."""
    return create_world(tmp_path)
