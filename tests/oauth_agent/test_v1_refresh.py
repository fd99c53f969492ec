"""Version 1: refresh, with its CSRF token; which failures end a session, and which do not."""

import asyncio
from pathlib import Path

import httpx2
import pytest
from agent_world import form_of, set_cookies
from agent_world.v1 import AT, AUTH, CSRF, CSRF_HEADER, ID, V1World, create_v1_world, failure, read_v1

pytestmark = pytest.mark.anyio

EVERYTHING = {AT, CSRF, AUTH, ID}


async def test_refresh_is_204_without_a_word(world: V1World) -> None:
    """No body and no content type, and the new tokens are in the cookies."""
    browser = await world.log_in()
    before = dict(browser.cookies)
    response = await browser.refresh()
    assert (response.status_code, response.content) == (204, b"")
    assert "content-type" not in response.headers
    assert response.headers["cache-control"] == "no-store"
    changed = {kept.name for kept, value in browser.cookies.items() if before[kept] != value}
    assert changed == {AT, AUTH, ID}
    assert read_v1(await browser.call("GET", "userInfo"))["sub"] == "ada"


async def test_the_refresh_token_is_redeemed(world: V1World) -> None:
    """The grant and the token of the cookie, nothing else."""
    browser = await world.log_in()
    held = world.opened(browser, AUTH)
    await browser.refresh()
    assert form_of(world.inner.server.asked("/token")[-1]) == {"grant_type": "refresh_token", "refresh_token": held}


async def test_a_session_can_be_refreshed_again_and_again(world: V1World) -> None:
    """Each refresh gives what the next one needs."""
    browser = await world.log_in()
    for _ in range(3):
        world.inner.later(300)
        assert (await browser.refresh()).status_code == 204


@pytest.mark.parametrize("absent", ["refresh_token", "id_token"])
async def test_what_does_not_come_is_kept(world: V1World, absent: str) -> None:
    """A cookie is set only when there is something new to put into it."""
    browser = await world.log_in()
    await world.inner.server.mode(token_overrides={absent: None})
    kept = {"refresh_token": AUTH, "id_token": ID}[absent]
    before = browser.value(kept)
    lines = set_cookies(await browser.refresh())
    assert {line.partition("=")[0] for line in lines} == {AT, AUTH, ID} - {kept}
    assert browser.value(kept) == before


async def test_a_new_id_token_renews_the_claims(world: V1World) -> None:
    """What the provider says now replaces what it said at login."""
    browser = await world.log_in()
    await world.inner.server.mode(id_token_overrides={"email": "ada@example.org"})
    await browser.refresh()
    assert read_v1(await browser.call("GET", "claims"))["email"] == "ada@example.org"


async def test_tabs_that_refresh_together_are_one_refresh(world: V1World) -> None:
    """A rotated refresh token is used once, and both tabs go on."""
    browser = await world.log_in()
    before = len(world.inner.server.asked("/token"))
    answers = await asyncio.gather(browser.refresh(), browser.refresh())
    assert [answer.status_code for answer in answers] == [204, 204]
    assert len(world.inner.server.asked("/token")) == before + 1
    world.inner.later(60)
    assert (await browser.refresh()).status_code == 204


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param([], id="none"),
        pytest.param([""], id="empty"),
        pytest.param(["wrong"], id="wrong"),
        pytest.param(["é"], id="beyond ASCII"),
        pytest.param(["RIGHT", "RIGHT"], id="twice"),
        pytest.param(["RIGHT", "wrong"], id="right and wrong"),
        pytest.param(["RIGHT, RIGHT"], id="joined"),
        pytest.param(["RIGHTx"], id="longer"),
    ],
)
@pytest.mark.parametrize("call", ["refresh", "logout"])
async def test_the_csrf_header_has_to_be_the_token(world: V1World, call: str, sent: list[str]) -> None:
    """401, no cookie is touched, and the authorization server hears nothing."""
    browser = await world.log_in()
    right, browser.csrf = browser.csrf or "", None
    asked = len(world.inner.server.requests)
    headers = [(CSRF_HEADER, value.replace("RIGHT", right)) for value in sent]
    response = await browser.call("POST", call, headers=headers)
    assert failure(response) == (401, "unauthorized_request")
    assert set_cookies(response) == []
    assert len(world.inner.server.requests) == asked


async def test_the_csrf_token_of_another_session(world: V1World) -> None:
    """Both halves have to be of one browser."""
    browser, other = await world.log_in(), await world.log_in()
    browser.csrf = other.csrf
    assert failure(await browser.refresh()) == (401, "unauthorized_request")


@pytest.mark.parametrize("name", [CSRF, AUTH])
@pytest.mark.parametrize("value", [None, "", "garbage", "A" * 100, "A" * 4090, "%00"])
async def test_without_a_cookie_that_opens(world: V1World, name: str, value: str | None) -> None:
    """401 as the earlier agents say it; what does not open is cleared with the rest."""
    browser = await world.log_in()
    if value is None:
        browser.drop(name)
    else:
        browser.replace(name, value)
    assert failure(await browser.refresh()) == (401, "unauthorized_request")
    assert browser.names() == (EVERYTHING - {name} if value is None else set())


@pytest.mark.parametrize("name", [CSRF, AUTH])
async def test_a_second_value_logs_nobody_out(world: V1World, name: str) -> None:
    """A sibling host may have set it: it is refused, and the cookies stay."""
    browser = await world.log_in()
    browser.cookies[next(kept for kept in browser.cookies if kept.name == name)._replace(domain="test")] = "planted"
    response = await browser.refresh()
    assert failure(response) == (401, "unauthorized_request")
    assert set_cookies(response) == []


async def test_a_grant_that_is_over_ends_the_session(world: V1World) -> None:
    """`session_expired` tells the page to log in, and every cookie goes, each from its own path."""
    browser = await world.log_in()
    await world.inner.server.expire(refresh_token="all")
    assert failure(await browser.refresh()) == (401, "session_expired")
    assert browser.cookies == {}


@pytest.mark.parametrize(
    "overrides",
    [
        pytest.param({"sub": "grace"}, id="another user"),
        pytest.param({"iss": "https://evil.test"}, id="another issuer"),
        pytest.param({"aud": "admin"}, id="another client"),
        pytest.param({"exp": 1}, id="expired"),
    ],
)
async def test_a_wrong_id_token_ends_the_session(world: V1World, overrides: dict[str, object]) -> None:
    """Tokens of somebody else are never put under this user's session."""
    browser = await world.log_in()
    await world.inner.server.mode(id_token_overrides=overrides)
    assert failure(await browser.refresh()) == (401, "session_expired")
    assert browser.cookies == {}


async def test_another_s_refresh_token_under_ada_s_session(world: V1World) -> None:
    """Grace plants her own in Ada's browser: what comes of it is hers, and Ada is not led to use it."""
    ada, grace = await world.log_in("ada"), await world.log_in("grace")
    ada.replace(AUTH, grace.value(AUTH) or "")
    assert failure(await ada.refresh()) == (401, "session_expired")
    assert ada.cookies == {}


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
async def test_trouble_keeps_the_session(world: V1World, status: int) -> None:
    """502 with Retry-After: the page may try again, and then it works."""
    browser = await world.log_in()
    await world.inner.server.mode(token_status=status)
    response = await browser.refresh()
    assert failure(response) == (502, "authorization_server_error")
    assert int(response.headers["retry-after"]) > 0
    assert browser.names() == EVERYTHING
    await world.inner.server.mode(token_status=None)
    assert (await browser.refresh()).status_code == 204


async def test_a_server_that_is_down_keeps_the_session(world: V1World) -> None:
    """The same for one that cannot be reached."""
    browser = await world.log_in()
    world.inner.server.down = True
    assert failure(await browser.refresh()) == (502, "authorization_server_error")
    assert browser.names() == EVERYTHING


async def test_a_request_that_is_refused(world: V1World) -> None:
    """400 and no logout: another refusal than `invalid_grant` says nothing of the session."""
    browser = await world.log_in()
    await world.inner.server.mode(token_status=400, body='{"error":"invalid_scope"}')
    assert failure(await browser.refresh()) == (400, "authorization_error")
    assert browser.names() == EVERYTHING


async def test_a_rotated_token_is_kept_whatever_comes_after(world: V1World) -> None:
    """The one before is spent: should the keys be out of reach, the new one must be in the browser all the same."""
    browser = await world.log_in()
    held = world.opened(browser, AUTH)
    await world.inner.server.rotate_keys()
    world.inner.server.answers["/jwks"] = lambda _: httpx2.Response(500)
    world.inner.later(60)  # long enough for keys to be asked for again
    assert failure(await browser.refresh()) == (502, "authorization_server_error")
    assert world.opened(browser, AUTH) != held


@pytest.mark.parametrize("name", ["access_token", "refresh_token"])
async def test_a_cookie_that_browsers_would_drop(world: V1World, name: str) -> None:
    """500 as the earlier agents say it, with words for whoever set up the authorization server."""
    browser = await world.log_in()
    await world.inner.server.mode(token_overrides={name: "t" * 4000})
    response = await browser.refresh()
    assert failure(response) == (500, "server_error")
    assert "opaque tokens" in response.json()["message"]
    assert world.inner.lines()[-1]["code"] == "cookie_too_large"


@pytest.mark.parametrize("body", [b"{}", b"x=y", b"null"])
async def test_a_body_is_not_looked_at(world: V1World, body: bytes) -> None:
    """The earlier agents take no parameters here."""
    browser = await world.log_in()
    origin = [("origin", browser.origin), (CSRF_HEADER, browser.csrf or "")]
    response = await browser.send("POST", "refresh", body=body, headers=[*origin, ("content-type", "text/plain")])
    assert response.status_code == 204


@pytest.fixture
def world(tmp_path: Path) -> V1World:
    """A fresh world."""
    return create_v1_world(tmp_path)
