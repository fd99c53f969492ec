"""Group F: the OAuth Agent. Whatever an attacker brings along, nobody ends up in a session that is not theirs."""

import asyncio
from pathlib import Path

import httpx2
import pytest
from agent_world import HOME, RemoteError, World, create_world, query_of, read, set_cookies
from agent_world.browser import Browser

pytestmark = pytest.mark.anyio

AT, RT, ID = "__Host-Http-shop-at", "__Secure-shop-rt", "__Host-Http-shop-id"
LOGIN = "__Host-Http-shop-login-"
INVALID = (400, "invalid_request")


@pytest.mark.parametrize("state", [None, "", "other", "x" * 43])
async def test_f56_a_state_that_is_missing_or_wrong(world: World, state: str | None) -> None:
    """No response without the state of a login of this browser is believed, and its code is not redeemed."""
    browser = world.browser()
    response = await world.respond(browser)
    given = {name: value for name, value in {**response, "state": state}.items() if value is not None}
    assert await error(await browser.login_end(given)) == INVALID
    assert world.server.asked("/token") == []


async def test_f56_a_response_replayed(world: World) -> None:
    """A response works once: the second time its login is over, and the session of the first goes on."""
    browser = world.browser()
    response = await world.respond(browser)
    read(await browser.login_end(response))
    assert await error(await browser.login_end(response)) == INVALID
    assert read(await browser.session())["is_logged_in"] is True
    assert len(world.server.asked("/token")) == 1


async def test_f56_a_login_cookie_kept_and_replayed(world: World) -> None:
    """Even with a copy of the login's cookie, a code that has been redeemed is worth nothing."""
    browser, thief = world.browser(), world.browser()
    response = await world.respond(browser)
    thief.cookies = dict(browser.cookies)
    read(await browser.login_end(response))
    assert await error(await thief.login_end(response)) == (400, "authorization_error")
    assert thief.cookies == {}


@pytest.mark.parametrize("nonce", [None, "another", ""])
async def test_f56_a_nonce_that_is_missing_or_wrong(world: World, nonce: str | None) -> None:
    """An ID token of another login, or of none, logs nobody in."""
    browser = world.browser()
    response = await world.respond(browser)
    await world.server.mode(id_token_overrides={"nonce": nonce})
    assert await error(await browser.login_end(response)) == (400, "invalid_id_token")
    assert browser.cookies == {}


async def test_f56_a_code_of_another_login(world: World) -> None:
    """PKCE: a code stolen from somebody's login does not fit the verifier of one's own."""
    thief = world.browser()
    stolen, own = await world.respond(world.browser()), await world.respond(thief)
    assert await error(await thief.login_end({**own, "code": stolen["code"]})) == (400, "authorization_error")
    assert thief.cookies == {}


async def test_f56_two_tabs_keep_apart(world: World) -> None:
    """Two logins under way in one browser both end, in the other order than they began, each for its own person."""
    browser = world.browser()
    first, second = await world.respond(browser, "ada"), await world.respond(browser, "grace")
    assert read(await browser.login_end(second))["id_token_claims"]["sub"] == "grace"
    assert read(await browser.login_end(first))["id_token_claims"]["sub"] == "ada"


async def test_f56_a_state_of_another_app(world: World) -> None:
    """A login begun at one app does not end at another, even when its cookie is brought along under every name."""
    browser, admin = world.browser(), world.admin()
    response = await world.respond(browser)
    assert await error(await admin.login_end(response)) == INVALID
    [(kept, value)] = browser.cookies.items()
    for name in (kept.name, kept.name.replace("shop", "admin")):
        admin.plant(name, value)
    assert await error(await admin.login_end(response)) == (401, "unauthorized")
    assert world.server.asked("/token") == []


@pytest.mark.parametrize(
    "issuer", [None, "", "https://evil.test", "https://login.test/", "https://login.test.evil.test"]
)
async def test_f57_a_response_of_another_server(world: World, issuer: str | None) -> None:
    """Mix-up: a response without `iss`, or with another's, reaches no token endpoint."""
    browser = world.browser()
    response = await world.respond(browser)
    given = {name: value for name, value in {**response, "iss": issuer}.items() if value is not None}
    assert await error(await browser.login_end(given)) == INVALID
    assert world.server.asked("/token") == []


TARGETS = ["//evil.test", "/\\evil.test", "/%09/evil.test", "https://www.shop.test@evil.test", f"{HOME}.evil.test"]
NAMES = ["redirect_uri", "post_logout_redirect_uri", "return_to", "next", "target_link_uri", "RelayState"]


@pytest.mark.parametrize("target", TARGETS)
async def test_f58_open_redirects(world: World, target: str) -> None:
    """The page cannot say where login and logout lead: both ends stand in the configuration."""
    for name in NAMES:
        assert await error(await world.browser().login_start({name: target})) == INVALID
    browser = await world.log_in()
    url = await world.start(browser)
    assert world.asked_for(url)["redirect_uri"] == HOME
    headers = [("content-type", "application/x-www-form-urlencoded"), ("referer", target)]
    answer = await browser.fetch("POST", "logout", body=f"{NAMES[1]}={target}".encode(), headers=headers)
    assert query_of(read(answer)["logout_url"])["post_logout_redirect_uri"] == HOME
    assert "location" not in answer.headers


async def test_f59_a_login_makes_everything_new(world: World) -> None:
    """Fixation: nothing that was in the browser before a login is in it, or works, afterwards."""
    browser = await world.log_in("grace")
    before = dict(browser.cookies)
    response = await world.respond(browser, "ada")
    assert read(await browser.login_end(response))["id_token_claims"]["sub"] == "ada"
    assert set(before.values()) & set(browser.cookies.values()) == set()
    browser.replace(RT, next(value for kept, value in before.items() if kept.name == RT))
    assert await error(await browser.refresh()) == (401, "session_expired")


async def test_f59_what_a_sibling_host_can_plant(world: World) -> None:
    """All cookies of the attacker that another host below the domain can set: none of them makes a session."""
    attacker, victim = await world.log_in("grace"), world.browser()
    response = await world.respond(attacker, "grace")
    settable = {kept: value for kept, value in attacker.cookies.items() if not kept.name.startswith("__Host-")}
    assert {kept.name for kept in settable} == {RT}
    victim.cookies.update(settable)
    assert read(await victim.session()) == {"is_logged_in": False}
    assert await error(await victim.refresh()) == (401, "unauthorized")
    assert await error(await victim.login_end(response)) == INVALID


async def test_f59_a_refresh_token_planted_beside_a_session(world: World) -> None:
    """The attacker's refresh token, with somebody's session and in place of its own or beside it, gets no tokens."""
    attacker = await world.log_in("grace")
    for beside in (False, True):
        victim = await world.log_in("ada")
        if not beside:
            victim.drop(RT)
        victim.plant(RT, attacker.value(RT) or "", "/oauth-agent/refresh")
        asked = len(world.server.asked("/token"))
        assert (await error(await victim.refresh()))[0] == 401
        assert len(world.server.asked("/token")) == asked


async def test_f60_tabs_that_refresh_at_once(world: World) -> None:
    """A rotating refresh token is spent once, however many tabs bring it; afterwards the session goes on."""
    browser = await world.log_in()
    tabs = [copy_of(world, browser) for _ in range(5)]
    answers = await asyncio.gather(*(tab.refresh() for tab in tabs))
    assert [answer.status_code for answer in answers] == [200] * 5
    assert len(world.server.asked("/token")) == 2  # the login's, and one
    for tab in tabs:
        world.later(60)
        assert (await tab.refresh()).status_code == (200 if tab is tabs[0] else 401)


async def test_f60_a_spent_refresh_token(world: World) -> None:
    """A copy brought back later ends the session for both who hold it (RFC 9700 section 4.14.2)."""
    browser = await world.log_in()
    thief = copy_of(world, browser)
    read(await browser.refresh())
    world.later(60)
    assert await error(await thief.refresh()) == (401, "session_expired")
    assert await error(await browser.refresh()) == (401, "session_expired")
    assert browser.cookies == thief.cookies == {}


@pytest.mark.parametrize("call", ["login/start", "login/end", "refresh", "logout"])
@pytest.mark.parametrize("origin", ["https://evil.test", "https://evil.shop.test", "null", None])
async def test_f61_calls_made_by_another_page(world: World, call: str, origin: str | None) -> None:
    """CSRF: with the person's cookies and a form, but from elsewhere, with the custom header or without: 403."""
    browser = await world.log_in()
    before = dict(browser.cookies)
    asked = len(world.server.requests)
    lines = [("content-type", "application/x-www-form-urlencoded"), *([("origin", origin)] if origin else [])]
    for custom in ([], [("token-handler-version", "1")]):
        answer = await browser.send("POST", call, body=b"code=c&state=s", headers=[*lines, *custom])
        assert answer.status_code == 403
        assert "access-control-allow-origin" not in answer.headers
    assert (browser.cookies, len(world.server.requests)) == (before, asked)


async def test_f61_an_attacker_s_response_in_another_s_browser(world: World) -> None:
    """Login CSRF: the response to the attacker's login ends no login in a browser that did not begin it."""
    attacker, victim = world.browser(), await world.log_in("ada")
    response = await world.respond(attacker, "grace")
    assert await error(await victim.login_end(response)) == INVALID
    assert read(await victim.session())["id_token_claims"]["sub"] == "ada"


@pytest.mark.parametrize("parent", [None, "shop.test"])
async def test_f62_cookie_attributes(tmp_path: Path, parent: str | None) -> None:
    """All HttpOnly, Secure, SameSite=Strict; a Domain only on what the proxy reads elsewhere; every name prefixed."""
    world = create_world(tmp_path, parent_domain=parent)
    browser = world.browser()
    lines = set_cookies(await browser.login_start())
    lines += set_cookies(await browser.login_end(await world.respond(browser)))
    lines += set_cookies(await browser.logout())
    for line in lines:
        name, attributes = line.partition("=")[0], line.split("; ")[1:]
        assert {"HttpOnly", "Secure", "SameSite=Strict"} <= set(attributes)
        shared = [attribute for attribute in attributes if attribute.startswith("Domain=")]
        if shared and line.startswith(f"{RT}=;"):
            continue  # takes away what an earlier agent has set
        assert shared == ([f"Domain={parent}"] if parent and name.endswith("-at") else [])
        assert name.startswith("__Secure-" if shared or name == RT else "__Host-Http-")
        assert f"Path={'/oauth-agent' if name == RT else '/'}" in attributes


@pytest.mark.parametrize("size", [3_000, 4_096, 8_000])
async def test_f63_more_than_a_browser_keeps(world: World, size: int) -> None:
    """A cookie that browsers would drop is an error that names it, never half a session."""
    browser = world.browser()
    response = await world.respond(browser)
    await world.server.mode(id_token_overrides={"groups": "g" * size})
    assert await error(await browser.login_end(response)) == (500, "cookie_too_large")
    assert browser.cookies == {}


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "a\r\nset-cookie: x=1", "\x1b[31mred", "é" * 500])
async def test_f64_an_error_that_is_reflected(world: World, text: str) -> None:
    """What a response says went wrong reaches neither page nor log as markup, as a header or as a colour."""
    browser = world.browser()
    state = query_state(world, await world.start(browser))
    response = {
        "error": text,
        "error_description": text,
        "error_uri": text,
        "state": state,
        "iss": "https://login.test",
    }
    answer = await browser.login_end(response)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/json")
    assert [name for name in answer.headers.get_list("set-cookie") if not name.startswith(LOGIN)] == []
    for sign in ("<", "\r", "\x1b", "é"):
        assert sign not in answer.text
        assert sign not in world.log.getvalue()


OURS = ["client_id", "redirect_uri", "response_type", "response_mode", "state", "nonce", "code_challenge", "request"]


@pytest.mark.parametrize("name", [*OURS, "prompt", "acr_values", "login_hint", "claims", "Scope", "scope "])
async def test_f65_parameters_nobody_allowed(tmp_path: Path, name: str) -> None:
    """Only what the configuration lists, and scope, goes into an authorization or a refresh request."""
    world = create_world(tmp_path, authorization_parameters=["ui_locales"], refresh_parameters=["audience"])
    browser = await world.log_in()
    asked = len(world.server.requests)
    assert await error(await browser.login_start({name: "x"})) == INVALID
    assert await error(await browser.refresh({name: "x"})) == INVALID
    assert len(world.server.requests) == asked
    assert world.asked_for(await world.start(browser, {"ui_locales": "de"}))["ui_locales"] == "de"


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A fresh world."""
    return create_world(tmp_path)


async def error(answer: httpx2.Response) -> tuple[int, str]:
    """Status and code, as the app's library throws them."""
    with pytest.raises(RemoteError) as thrown:
        read(answer)
    return thrown.value.status, thrown.value.code


def copy_of(world: World, browser: Browser) -> Browser:
    """Another holder of the same cookies."""
    other = world.browser()
    other.cookies = dict(browser.cookies)
    return other


def query_state(world: World, url: str) -> str:
    """The state of the login that begins at `url`."""
    return world.asked_for(url)["state"]
