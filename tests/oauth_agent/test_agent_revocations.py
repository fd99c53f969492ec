"""Sessions ended before their time, as the agent itself sees them: logout, copies of cookies, and races."""

import json
from pathlib import Path

import httpx2
import pytest
from agent_world import Browser, World, create_world, read, set_cookies

from extauthz.cookies.access_token import AccessToken
from extauthz.cookies.hpke import Opener
from extauthz.cookies.marks import Kind, KnownBy, mark
from extauthz.cookies.purpose import Purpose
from extauthz.revocations.revocations import RevocationsUnavailable

pytestmark = pytest.mark.anyio

AT, RT, ID = "__Host-Http-shop-at", "__Secure-shop-rt", "__Host-Http-shop-id"
ADA = mark("shop", Kind.SUB, "ada")


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A fresh world."""
    return create_world(tmp_path)


def copy(world: World, browser: Browser) -> Browser:
    """A thief's browser, with all cookies of another."""
    thief = world.browser()
    thief.cookies = dict(browser.cookies)
    return thief


def access_token(world: World, browser: Browser) -> AccessToken:
    """What the proxy finds in the cookie."""
    opener = Opener([world.private_key], Purpose("shop", AT))
    return AccessToken.from_bytes(opener.open(browser.value(AT) or ""))


async def test_logout_ends_every_copy(world: World) -> None:
    """Cookies copied before the logout are no session after it, and refresh clears them."""
    browser = await world.log_in()
    thief, other = copy(world, browser), copy(world, browser)
    await world.server.metadata(revocation_endpoint=None)  # it is not the provider that ends it
    read(await browser.logout())
    assert read(await thief.session()) == {"is_logged_in": False}
    answer = await other.refresh()
    assert (answer.status_code, answer.json()["error_code"]) == (401, "session_expired")
    assert (thief.cookies, other.cookies) == ({}, {})


async def test_the_provider_is_not_asked_about_an_ended_session(world: World) -> None:
    """A copy's refresh token goes nowhere: it might still count over there."""
    browser = await world.log_in()
    thief = copy(world, browser)
    read(await browser.logout())
    asked = len(world.server.asked("/token"))
    await thief.refresh()
    assert len(world.server.asked("/token")) == asked


async def test_the_proxy_learns_the_same_mark(world: World) -> None:
    """What logout ends is what the proxy finds in the access token cookie."""
    browser = await world.log_in()
    known_by = access_token(world, browser).known_by("shop")
    assert known_by is not None
    assert not world.shared.revocations.has_ended(known_by)
    read(await browser.logout())
    assert world.shared.revocations.has_ended(known_by)


@pytest.mark.parametrize("left", [RT, ID])
async def test_half_a_session_is_enough_to_end_it(world: World, left: str) -> None:
    """Either of the agent's cookies names the session."""
    browser = await world.log_in()
    known_by = access_token(world, browser).known_by("shop")
    assert known_by is not None
    browser.replace(({RT, ID} - {left}).pop(), "garbage")
    read(await browser.logout())
    assert world.shared.revocations.has_ended(known_by)


async def test_one_logout_is_one_revocation(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cookies of one session are not told twice."""
    told: list[str] = []
    browser = await world.log_in()
    end = world.shared.revocations.end

    async def note(mark: str) -> None:
        told.append(mark)
        await end(mark)

    monkeypatch.setattr(world.shared.revocations, "end", note)
    read(await browser.logout())
    assert len(told) == 1


async def test_logout_without_a_session_ends_none(world: World) -> None:
    """Nobody's logout, or one with garbage for cookies, is answered, and nothing is told."""
    browser = world.browser()
    browser.plant(ID, "garbage", "/oauth-agent")
    assert (await browser.logout()).status_code == 200
    assert len(world.shared.revocations.known) == 0


async def test_a_session_ends_once(tmp_path: Path) -> None:
    """Who goes on logging out with cookies he has kept is answered, and adds nothing to what all others read."""
    world = create_world(tmp_path, top={"revocations": {"file": "revocations.jsonl"}})
    browser = await world.log_in()
    kept = dict(browser.cookies)
    for _ in range(3):
        browser.cookies = dict(kept)
        read(await browser.logout())
        assert browser.cookies == {}
    assert len((tmp_path / "revocations.jsonl").read_bytes().splitlines()) == 1


async def test_logout_while_others_cannot_be_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user is logged out here, and has the address to log out over there."""

    async def end(_mark: str) -> None:
        raise RevocationsUnavailable("redis is away")

    monkeypatch.setattr(world.shared.revocations, "end", end)
    browser = await world.log_in()
    assert "logout_url" in read(await browser.logout())
    assert browser.cookies == {}


async def test_a_session_that_ends_while_it_is_refreshed(world: World) -> None:
    """The new tokens of a session that was ended meanwhile are given to nobody, and all cookies go."""
    browser = await world.log_in()
    world.server.answer_after("/token", lambda: world.shared.revocations.end(ADA))
    answer = await browser.refresh()
    assert len(world.server.asked("/token")) == 2
    assert (answer.status_code, answer.json()["error_code"]) == (401, "session_expired")
    assert all("Max-Age=0" in line for line in set_cookies(answer))
    assert browser.cookies == {}


async def test_a_session_that_ends_while_it_begins(world: World) -> None:
    """A logout that overtakes the login counts for it: the session began before there were tokens."""
    browser = world.browser()
    response = await world.respond(browser)
    world.server.answer_after("/token", lambda: world.shared.revocations.end(ADA))
    answer = await browser.login_end(response)
    assert (answer.status_code, answer.json()["error_code"]) == (401, "session_expired")
    assert browser.cookies == {}


async def test_a_refresh_keeps_marks_and_beginning(world: World) -> None:
    """However often it is refreshed, a session began when it began, and is known by what the login said of it."""
    browser = await world.log_in()
    before = access_token(world, browser)
    assert before.marks == (mark("shop", Kind.SID, read(await browser.session())["id_token_claims"]["sid"]), ADA)
    await world.server.mode(id_token_overrides={"sid": None})
    for _ in range(2):
        world.later(100)
        read(await browser.refresh())
    after = access_token(world, browser)
    assert (after.marks, after.began, after.session_id) == (before.marks, before.began, before.session_id)
    assert after.issued_at == before.issued_at + 200


async def test_a_session_from_before_revocations_goes_on(world: World) -> None:
    """An older agent's cookies are a session; a refresh gives it marks, and it can be ended."""
    browser = await world.log_in()
    purpose = Purpose("shop", ID)
    members = json.loads(world.ring.open(browser.value(ID) or "", purpose))
    older = {name: members[name] for name in ("claims", "sid", "exp")}
    browser.replace(ID, world.ring.seal(json.dumps(older).encode(), purpose))
    assert read(await browser.session())["is_logged_in"] is True
    read(await browser.refresh())
    assert ADA in access_token(world, browser).marks
    await world.shared.revocations.end(ADA)
    assert read(await browser.session()) == {"is_logged_in": False}


async def test_a_login_that_asks_for_no_id_token(tmp_path: Path) -> None:
    """Without OpenID Connect a session is known by its own id, and ends by its own logout."""
    world = create_world(tmp_path, scope="orders")
    browser = await world.log_in()
    assert access_token(world, browser).marks == ()
    thief = copy(world, browser)
    read(await browser.logout())
    assert read(await thief.session()) == {"is_logged_in": False}


async def test_sessions_are_known_by_no_name(world: World) -> None:
    """Neither the user's name nor the provider's session stands in what is told to others."""
    browser = await world.log_in()
    known_by = access_token(world, browser).known_by("shop")
    assert isinstance(known_by, KnownBy)
    assert all(len(one) == 16 and "ada" not in one for one in known_by.marks)


async def test_an_outage_of_the_provider_does_not_keep_a_session_alive(world: World) -> None:
    """Logout ends the session for everybody although the provider cannot be reached."""
    browser = await world.log_in()
    thief = copy(world, browser)

    def fail(_: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("down")

    world.server.answers["/revoke"] = fail
    read(await browser.logout())
    assert read(await thief.session()) == {"is_logged_in": False}
