"""Refresh: new cookies for the refresh token in the cookie, and which failures end a session."""

import asyncio
import json
from pathlib import Path

import httpx2
import jwt
import pytest
from agent_world import START, Browser, RemoteError, World, create_world, form_of, read, set_cookies
from cryptography.hazmat.primitives.asymmetric import ec

from extauthz.cookies.purpose import Purpose

pytestmark = pytest.mark.anyio

AT, RT, ID = "__Host-Http-shop-at", "__Secure-shop-rt", "__Host-Http-shop-id"
GARBAGE = ["", "garbage", "A" * 100, "A" * 4090, "%00", "é"]


async def test_the_refresh_token_is_redeemed(world: World) -> None:
    """RFC 6749 section 6: the grant and the token, nothing else, with our credentials."""
    browser = await world.log_in()
    held = refresh_token(world, browser)
    await browser.refresh()
    request = world.server.asked("/token")[-1]
    assert form_of(request) == {"grant_type": "refresh_token", "refresh_token": held}
    assert request.headers["authorization"].startswith("Basic ")


async def test_r2_a_rotated_token_replaces_the_old_one(world: World) -> None:
    """Afterwards the cookies hold the new tokens, and the old refresh token is worth nothing."""
    browser = await world.log_in()
    old = dict(browser.cookies)
    held = refresh_token(world, browser)
    read(await browser.refresh())
    assert refresh_token(world, browser) != held
    assert old.keys() == browser.cookies.keys()
    assert all(browser.cookies[kept] != value for kept, value in old.items())
    stale = world.browser()
    stale.cookies = old
    world.later(11)  # for ten seconds a second tab may still bring the old cookie
    assert (await failing(stale)).code == "session_expired"


async def test_a_session_can_be_refreshed_again_and_again(world: World) -> None:
    """Each refresh gives what the next one needs."""
    browser = await world.log_in()
    for _ in range(3):
        world.later(300)
        assert read(await browser.refresh()) == {"access_token_expires_in": 300}
        assert read(await browser.session())["access_token_expires_in"] == 300


async def test_r3_an_answer_without_refresh_token_keeps_the_one_held(world: World) -> None:
    """R3: the cookie holds the old one, sealed anew, and still works."""
    browser = await world.log_in()
    held = refresh_token(world, browser)
    await world.server.mode(token_overrides={"refresh_token": None})
    answer = await browser.refresh()
    assert [line.partition("=")[0] for line in set_cookies(answer)] == [RT, AT, ID]
    assert refresh_token(world, browser) == held


async def test_t9_an_answer_without_id_token_keeps_the_claims(world: World) -> None:
    """T9: no new ID token is the ordinary case; the user stays who it was, the seconds are new."""
    browser = await world.log_in()
    before = read(await browser.session())["id_token_claims"]
    await world.server.mode(token_overrides={"id_token": None}, access_token_seconds=77)
    await browser.refresh()
    told = read(await browser.session())
    assert (told["id_token_claims"], told["access_token_expires_in"]) == (before, 77)


async def test_a_new_id_token_renews_the_claims(world: World) -> None:
    """What the provider says now replaces what it said at login."""
    browser = await world.log_in()
    await world.server.mode(id_token_overrides={"email": "ada@example.org"})
    await browser.refresh()
    told = read(await browser.session())["id_token_claims"]
    assert told["email"] == "ada@example.org"
    assert "at_hash" not in told


@pytest.mark.parametrize(
    "overrides",
    [
        pytest.param({"sub": "grace"}, id="T9 another user"),
        pytest.param({"iss": "https://evil.test"}, id="T9 another issuer"),
        pytest.param({"aud": "admin"}, id="T9 another client"),
        pytest.param({"exp": 1}, id="T5 expired"),
        pytest.param({"nonce": "another"}, id="T9 another login's nonce"),
        pytest.param({"auth_time": 1}, id="T9 another authentication"),
        pytest.param({"auth_time": "now"}, id="T9 no time"),
        pytest.param({"iat": int(START) - 31}, id="T9 older than the one before"),
        pytest.param({"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}, id="T8 of another access token"),
    ],
)
async def test_t9_a_wrong_id_token_ends_the_session(world: World, overrides: dict[str, object]) -> None:
    """Tokens of somebody else are never put under this user's session."""
    browser = await world.log_in()
    await world.server.mode(id_token_overrides=overrides)
    error = await failing(browser)
    assert (error.status, error.code) == (401, "session_expired")
    assert browser.cookies == {}


async def test_t9_the_audience_does_not_shrink(world: World) -> None:
    """Core section 12.2: a refreshed ID token is for all that the first was for."""
    await world.server.mode(id_token_overrides={"aud": ["shop", "api"], "azp": "shop"})
    browser = await world.log_in()
    assert (await browser.refresh()).status_code == 200
    await world.server.mode(id_token_overrides={"aud": "shop", "azp": "shop"})
    assert (await failing(browser)).code == "session_expired"


async def test_t9_the_login_s_nonce_may_come_again(world: World) -> None:
    """It should not be there, but where it is, it is the login's, also after a refresh without it."""
    browser = world.browser()
    url = await world.start(browser)
    read(await browser.login_end(await world.server.visit(url, user="ada")))
    statuses = [(await browser.refresh()).status_code]
    await world.server.mode(id_token_overrides={"nonce": world.asked_for(url)["nonce"]})
    statuses += [(await browser.refresh()).status_code for _ in range(2)]
    assert statuses == [200, 200, 200]
    assert "nonce" not in read(await browser.session())["id_token_claims"]


async def test_t9_what_is_left_out_is_no_contradiction(world: World) -> None:
    """auth_time may be missing from a refreshed ID token, and is remembered all the same."""
    browser = await world.log_in()
    await world.server.mode(id_token_overrides={"auth_time": None})
    assert (await browser.refresh()).status_code == 200
    assert read(await browser.session())["id_token_claims"]["auth_time"] == int(START)
    await world.server.mode(id_token_overrides={"auth_time": int(START) + 1})
    assert (await failing(browser)).code == "session_expired"


async def test_t10_a_forged_id_token_ends_the_session(world: World) -> None:
    """T1: the signature is verified at refresh as it is at login."""
    browser = await world.log_in()
    held = read(await browser.session())["id_token_claims"]
    key = ec.generate_private_key(ec.SECP256R1())
    forged = jwt.encode(held, key, "ES256", headers={"kid": await world.server.key_id()})
    await world.server.mode(token_overrides={"id_token": forged})
    assert (await failing(browser)).code == "session_expired"
    assert browser.cookies == {}


async def test_the_cookies_of_two_people_are_no_session(world: World) -> None:
    """Ada's refresh token beside Grace's session is refused as soon as the provider says whose it is."""
    ada, grace = await world.log_in("ada"), await world.log_in("grace")
    grace.replace(RT, ada.value(RT) or "")
    assert (await failing(grace)).code == "session_expired"
    assert grace.cookies == {}


async def test_r4_a_session_that_is_over_is_401_and_cleared(world: World) -> None:
    """R4: invalid_grant means that only a login helps; the cookies go, each under its own path."""
    browser = await world.log_in()
    await world.server.expire(refresh_token="all")
    answer = await browser.refresh()
    assert (answer.status_code, answer.json()["error_code"]) == (401, "session_expired")
    cleared = [(line.partition("=")[0], line.split("; ")[1], line.split("; ")[2]) for line in set_cookies(answer)]
    assert cleared == [
        (AT, "Path=/", "Max-Age=0"),
        (RT, "Path=/oauth-agent", "Max-Age=0"),
        (ID, "Path=/", "Max-Age=0"),
    ]
    assert browser.cookies == {}
    assert read(await browser.session()) == {"is_logged_in": False}


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503], ids=str)
async def test_r5_a_provider_in_trouble_does_not_end_the_session(world: World, status: int) -> None:
    """R5: 503, no cookie is touched, and once the provider is well the session goes on."""
    browser = await world.log_in()
    before = dict(browser.cookies)
    await world.server.mode(token_status=status)
    answer = await browser.refresh()
    assert (answer.status_code, answer.json()["error_code"]) == (503, "temporarily_unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert (set_cookies(answer), browser.cookies) == ([], before)
    await world.server.mode(token_status=None)
    assert (await browser.refresh()).status_code == 200


@pytest.mark.parametrize("kind", [httpx2.ConnectError, httpx2.ReadTimeout])
async def test_r5_a_provider_that_is_away_does_not_end_the_session(world: World, kind: type[httpx2.HTTPError]) -> None:
    """R5 for the network: unreachable and too slow."""

    def fail(_: httpx2.Request) -> httpx2.Response:
        raise kind("down")

    browser = await world.log_in()
    before = dict(browser.cookies)
    world.server.answers["/token"] = fail
    assert (await failing(browser)).status == 503
    assert browser.cookies == before


@pytest.mark.parametrize("error", ["invalid_scope", "invalid_request"])
async def test_a_request_the_provider_refuses_does_not_end_the_session(world: World, error: str) -> None:
    """Only invalid_grant says that the grant is over."""
    browser = await world.log_in()
    before = dict(browser.cookies)
    world.server.answers["/token"] = lambda _: httpx2.Response(400, json={"error": error})
    thrown = await failing(browser)
    assert (thrown.status, thrown.code) == (400, "authorization_error")
    assert browser.cookies == before


async def test_without_cookies_there_is_nothing_to_refresh(world: World) -> None:
    """401, so that the app offers a login, and the provider is not asked."""
    error = await failing(world.browser())
    assert (error.status, error.code) == (401, "unauthorized")
    assert world.server.requests == []


async def test_without_a_refresh_token_there_is_nothing_to_refresh(world: World) -> None:
    """A session whose provider gave none ends with its access token."""
    browser = await world.log_in()
    browser.drop(RT)
    assert (await failing(browser)).status == 401
    assert {AT, ID} == browser.names()


@pytest.mark.parametrize("name", [RT, ID])
@pytest.mark.parametrize("value", GARBAGE)
async def test_a_cookie_nobody_sealed_is_401_and_cleared(world: World, name: str, value: str) -> None:
    """Garbage in either of the agent's cookies is never 500, and never reaches the provider."""
    browser = await world.log_in()
    asked = len(world.server.requests)
    browser.replace(name, value)
    error = await failing(browser)
    assert (error.status, error.code) == (401, "unauthorized")
    assert browser.cookies == {}
    assert len(world.server.requests) == asked


async def test_a_refresh_token_alone_is_no_session(world: World) -> None:
    """Without the cookie that says whose it is, a refresh token is not redeemed."""
    browser = await world.log_in()
    browser.drop(ID)
    assert (await failing(browser)).status == 401
    assert len(world.server.asked("/token")) == 1


async def test_a_slow_refresh_does_not_mix_two_sessions(world: World) -> None:
    """An answer for Ada that lands after Grace's login brings all three of Ada's cookies, none mixed."""
    browser = await world.log_in("ada")
    late = set_cookies(await browser.refresh())
    assert sorted(line.partition("=")[0] for line in late) == sorted([RT, AT, ID])


async def test_an_ambiguous_cookie_logs_nobody_out(world: World) -> None:
    """A second value, set by a sibling host, is refused and clears nothing."""
    browser = await world.log_in()
    tossed = ("cookie", f"{ID}={browser.value(ID)}; {ID}=tossed; {RT}={browser.value(RT)}")
    response = await world.browser().fetch("POST", "refresh", headers=[tossed])
    assert (response.status_code, set_cookies(response)) == (401, [])


async def test_the_scope_may_be_narrowed(world: World) -> None:
    """The parameter scope is always allowed and reaches the provider."""
    browser = await world.log_in()
    assert (await browser.refresh({"scope": "openid"})).status_code == 200
    assert form_of(world.server.asked("/token")[-1])["scope"] == "openid"


async def test_listed_parameters_are_passed_on(tmp_path: Path) -> None:
    """A parameter of refresh_parameters reaches the provider."""
    world = create_world(tmp_path, refresh_parameters=["audience"])
    browser = await world.log_in()
    held = refresh_token(world, browser)
    extra = {"audience": "https://api.test/?a=b&c"}
    assert (await browser.refresh(extra)).status_code == 200
    assert form_of(world.server.asked("/token")[-1]) == {
        "audience": "https://api.test/?a=b&c",
        "grant_type": "refresh_token",
        "refresh_token": held,
    }


@pytest.mark.parametrize("name", ["refresh_token", "client_id", "resource", "grant_type"])
async def test_other_parameters_are_refused_by_name(world: World, name: str) -> None:
    """The app says only what its configuration lists; the session is not touched."""
    browser = await world.log_in()
    asked = len(world.server.requests)
    with pytest.raises(RemoteError, match=name) as thrown:
        read(await browser.refresh({name: "x"}))
    assert (thrown.value.status, thrown.value.code) == (400, "invalid_request")
    assert (len(browser.cookies), len(world.server.requests)) == (3, asked)


async def test_what_login_may_add_refresh_may_not(tmp_path: Path) -> None:
    """The two allow-lists are two."""
    world = create_world(tmp_path, authorization_parameters=["prompt"], refresh_parameters=["audience"])
    browser = await world.log_in()
    assert (await browser.refresh({"prompt": "login"})).status_code == 400
    assert (await browser.login_start({"resource": "https://api.test"})).status_code == 400


async def test_keys_that_cannot_be_had_do_not_cost_the_session(world: World) -> None:
    """The provider has rotated the token; a JWKS outage in that moment must not throw the new one away."""
    browser = await world.log_in()
    world.later(60)  # long enough for keys to be asked for again
    await world.server.rotate_keys()
    world.server.answers["/jwks"] = lambda _: httpx2.Response(503)
    await browser.refresh()
    del world.server.answers["/jwks"]
    world.later(10)
    assert (await browser.refresh()).status_code == 200


async def test_r1_two_tabs_do_not_burn_a_rotated_token(world: World) -> None:
    """R1: two refreshes with one token, both succeed, and the session goes on."""
    first = await world.log_in()
    second = world.browser()
    second.cookies = dict(first.cookies)
    assert [(await tab.refresh()).status_code for tab in (first, second)] == [200, 200]


async def test_r1_many_tabs_at_once_make_one_request(world: World) -> None:
    """Ten refreshes that are under way together: one reaches the provider, and all tabs get the same tokens."""
    first = await world.log_in()
    tabs = [world.browser() for _ in range(10)]
    for tab in tabs:
        tab.cookies = dict(first.cookies)
    answers = await asyncio.gather(*(tab.refresh() for tab in tabs))
    assert {answer.status_code for answer in answers} == {200}
    assert len([one for one in world.server.asked("/token") if b"refresh_token" in one.content]) == 1
    assert len({refresh_token(world, tab) for tab in tabs}) == 1


async def test_r2_a_lost_answer_ends_the_session_in_order(world: World) -> None:
    """The spent token comes again after its time: 401, cookies cleared, and the next login is a good one."""
    browser = await world.log_in()
    before = dict(browser.cookies)
    await browser.refresh()
    browser.cookies = before  # as if the answer had never come
    world.later(11)
    error = await failing(browser)
    assert (error.status, error.code) == (401, "session_expired")
    assert browser.cookies == {}
    read(await browser.login_end(await world.respond(browser)))
    read(await browser.refresh())


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A fresh world."""
    return create_world(tmp_path)


async def failing(browser: Browser) -> RemoteError:
    """The error refresh answers."""
    with pytest.raises(RemoteError) as thrown:
        read(await browser.refresh())
    return thrown.value


def refresh_token(world: World, browser: Browser) -> str:
    """What is in the refresh token's cookie."""
    members = json.loads(world.ring.open(browser.value(RT) or "", Purpose("shop", RT)))
    return str(members["rt"])
