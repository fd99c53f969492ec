"""The Set-Cookie lines, byte for byte, and what the proxy finds in the cookie meant for it."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest
from agent_world import Browser, World, create_world, read, set_cookies
from agent_world.browser import Kept

from agent.set_cookies import RefreshToken
from extauthz.config import ConfigError
from extauthz.cookies.access_token import AccessToken
from extauthz.cookies.envelope import InvalidCookie
from extauthz.cookies.hpke import Opener
from extauthz.cookies.purpose import Purpose

pytestmark = pytest.mark.anyio

PARENT = {"parent_domain": "shop.test"}
FLOW = r"[A-Za-z0-9_-]{12}"

# What is written where the sealed value stands: <>. By setting, then by line.
LINES: dict[str, dict[str, str]] = {
    "own host": {
        "login": "__Host-Http-shop-login-FLOW=<>; Path=/; Max-Age=600; Secure; HttpOnly; SameSite=Strict",
        "no login": "__Host-Http-shop-login-FLOW=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Strict",
        "at": "__Host-Http-shop-at=<>; Path=/; Secure; HttpOnly; SameSite=Strict",
        "id": "__Host-Http-shop-id=<>; Path=/; Secure; HttpOnly; SameSite=Strict",
        "rt": "__Secure-shop-rt=<>; Path=/oauth-agent; Secure; HttpOnly; SameSite=Strict",
        "no at": "__Host-Http-shop-at=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Strict",
        "no rt": "__Secure-shop-rt=; Path=/oauth-agent; Max-Age=0; Secure; HttpOnly; SameSite=Strict",
        "no id": "__Host-Http-shop-id=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Strict",
    },
    "parent domain": {
        "login": "__Host-Http-shop-login-FLOW=<>; Path=/; Max-Age=600; Secure; HttpOnly; SameSite=Strict",
        "no login": "__Host-Http-shop-login-FLOW=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Strict",
        "at": "__Secure-shop-at=<>; Path=/; Domain=shop.test; Secure; HttpOnly; SameSite=Strict",
        "id": "__Host-Http-shop-id=<>; Path=/; Secure; HttpOnly; SameSite=Strict",
        "rt": "__Secure-shop-rt=<>; Path=/oauth-agent; Secure; HttpOnly; SameSite=Strict",
        "no at": "__Secure-shop-at=; Path=/; Domain=shop.test; Max-Age=0; Secure; HttpOnly; SameSite=Strict",
        "no rt": "__Secure-shop-rt=; Path=/oauth-agent; Max-Age=0; Secure; HttpOnly; SameSite=Strict",
        "no id": "__Host-Http-shop-id=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Strict",
        "no earlier rt": (
            "__Secure-shop-rt=; Path=/oauth-agent; Domain=shop.test; Max-Age=0; Secure; HttpOnly; SameSite=Strict"
        ),
    },
}
# B21: a session may outlive the browser; what clears its cookies, and a login's own, stay as they are.
LINES["lasting"] = {
    what: line.replace("; Secure", "; Max-Age=86400; Secure") if what in ("at", "id", "rt") else line
    for what, line in LINES["own host"].items()
}
KEYS = {"public_key_file": "public.pem", "session_key_files": ["session.key"]}
SETTINGS: dict[str, dict[str, Any]] = {
    "own host": {},
    "parent domain": PARENT,
    "lasting": {"cookie": {**KEYS, "max_age": 86_400}},
}

by_setting = pytest.mark.parametrize("setting", SETTINGS)


@by_setting
async def test_login_start_sets_the_login_cookie(tmp_path: Path, setting: str) -> None:
    """One line: this login, for ten minutes, for the agent alone."""
    browser = create_world(tmp_path, **SETTINGS[setting]).browser()
    assert shapes(await browser.login_start()) == lines(setting, "login")


@by_setting
async def test_login_end_sets_the_session_and_clears_the_login(tmp_path: Path, setting: str) -> None:
    """Four lines, none of them with a date: the session ends with the browser's."""
    world = create_world(tmp_path, **SETTINGS[setting])
    browser = world.browser()
    response = await world.respond(browser)
    earlier = ["no earlier rt"] if setting == "parent domain" else []
    assert shapes(await browser.login_end(response)) == lines(setting, "no login", "at", "id", *earlier, "rt")


async def test_a_refresh_token_of_the_agent_before_is_not_in_the_way(tmp_path: Path) -> None:
    """It had the parent domain. Beside ours, every refresh would be refused until the browser is closed."""
    world = create_world(tmp_path, **SETTINGS["parent domain"])
    browser = await world.log_in()
    earlier = browser.value("__Secure-shop-rt") or ""
    browser.cookies = {Kept("__Secure-shop-rt", "shop.test", "/oauth-agent"): earlier}
    read(await browser.login_end(await world.respond(browser)))
    read(await browser.refresh())


@by_setting
async def test_a_login_that_fails_clears_the_login_alone(tmp_path: Path, setting: str) -> None:
    """An error at login/end leaves a session that was there before as it was."""
    world = create_world(tmp_path, **SETTINGS[setting])
    browser = await world.log_in()
    response = {**await world.respond(browser), "error": "access_denied"}
    assert shapes(await browser.login_end(response)) == lines(setting, "no login")
    assert len(browser.names()) == 3


@by_setting
async def test_refresh_sets_the_session_again(tmp_path: Path, setting: str) -> None:
    """Three lines with the attributes of the login's."""
    browser = await create_world(tmp_path, **SETTINGS[setting]).log_in()
    assert shapes(await browser.refresh()) == lines(setting, "rt", "at", "id")
    assert len(browser.cookies) == 3


@by_setting
async def test_logout_clears_with_the_same_attributes(tmp_path: Path, setting: str) -> None:
    """Three lines; with another path or domain the browser would keep the cookies."""
    browser = await create_world(tmp_path, **SETTINGS[setting]).log_in()
    assert shapes(await browser.logout()) == lines(setting, "no at", "no rt", "no id")
    assert browser.cookies == {}


async def test_the_agent_s_path_is_the_path_of_its_cookies(world: World) -> None:
    """The refresh token never travels to the API; the others have the path / that their names demand."""
    admin = world.admin()
    response = await world.server.visit(await world.start(admin), user="ada")
    lines = set_cookies(await admin.login_end(response))
    paths = {line.partition("=")[0]: line.split("; ")[1] for line in lines}
    assert paths.pop("__Secure-admin-rt") == "Path=/admin-agent"
    assert list(paths.values()) == ["Path=/"] * 3


async def test_session_sets_no_cookies(world: World) -> None:
    """Asking changes nothing."""
    browser = await world.log_in()
    assert set_cookies(await browser.session()) == []
    assert set_cookies(await world.browser().session()) == []


@by_setting
async def test_the_proxy_opens_the_access_token_s_cookie(tmp_path: Path, setting: str) -> None:
    """It holds the token, when it was obtained, and the session's id; nothing else."""
    world = create_world(tmp_path, **SETTINGS[setting])
    browser = await world.log_in()
    name = LINES[setting]["at"].partition("=")[0]
    plaintext = json.loads(opener(world, name).open(browser.value(name) or ""))
    assert sorted(plaintext) == ["at", "beg", "iat", "m", "sid"]
    assert plaintext["iat"] == int(world.clock[0])
    assert plaintext["at"] in (await world.server.control("secrets"))["values"]
    assert plaintext["at"].startswith("_0XA_")
    assert len(plaintext["sid"]) == 22


async def test_the_cookie_opens_for_no_other_app_or_name(world: World) -> None:
    """App and cookie name are sealed in."""
    value = (await world.log_in()).value("__Host-Http-shop-at") or ""
    for app, name in (("admin", "__Host-Http-shop-at"), ("shop", "__Secure-shop-at")):
        with pytest.raises(InvalidCookie):
            Opener([world.private_key], Purpose(app, name)).open(value)


async def test_every_login_has_a_new_session_id(world: World) -> None:
    """Session fixation: nothing a browser had before the login is in the session after it."""
    browser = await world.log_in()
    before = access_token(world, browser)
    await browser.login_end(await world.respond(browser))
    after = access_token(world, browser)
    assert before.session_id != after.session_id
    assert before.token != after.token


async def test_a_refresh_keeps_the_session_id(world: World) -> None:
    """The session goes on under its id, with a new token and a new time."""
    browser = await world.log_in()
    before = access_token(world, browser)
    world.later(100)
    await browser.refresh()
    after = access_token(world, browser)
    assert after.session_id == before.session_id
    assert after.token != before.token
    assert after.issued_at == before.issued_at + 100


@pytest.mark.parametrize("name", ["__Host-Http-shop-at", "__Host-Http-shop-id", "__Secure-shop-rt"])
async def test_a_cookie_browsers_would_drop_is_refused(world: World, name: str) -> None:
    """Over 4096 bytes the error names the cookie, its size and that of its content; no session cookie is set."""
    browser = world.browser()
    await world.server.mode(**oversized(name, 4096))
    response = await world.respond(browser)
    answer = await browser.login_end(response)
    assert (answer.status_code, answer.json()["error_code"]) == (500, "cookie_too_large")
    told = re.search(rf"cookie {name} would take (\d+) bytes for .* of (\d+) ", answer.json()["detailed_error"])
    assert told is not None
    assert int(told[1]) > int(told[2]) >= 4096
    assert "opaque tokens" in answer.json()["detailed_error"]
    assert shapes(answer) == lines("own host", "no login")


@pytest.mark.parametrize("seconds", [0, 59, 400 * 86_400 + 1, "1d"])
def test_a_life_browsers_would_not_keep_is_a_mistake(tmp_path: Path, seconds: object) -> None:
    """Shorter than a minute is no session, longer than 400 days is cut down."""
    with pytest.raises(ConfigError, match=r"apps\.shop\.cookie\.max_age: "):
        create_world(tmp_path, cookie={**KEYS, "max_age": seconds})


async def test_a_refresh_that_is_too_large_sets_no_session(world: World) -> None:
    """The session stays as it was, but for the refresh token: the old one is spent."""
    browser = await world.log_in()
    before = dict(browser.cookies)
    await world.server.mode(**oversized("__Host-Http-shop-id", 4096))
    answer = await browser.refresh()
    assert answer.json()["error_code"] == "cookie_too_large"
    assert [line.partition("=")[0] for line in set_cookies(answer)] == ["__Secure-shop-rt"]
    assert {**browser.cookies, **{key: value for key, value in before.items() if "rt" in str(key)}} == before


async def test_the_limit_is_4096_bytes_of_name_and_value(world: World) -> None:
    """RFC 6265bis section 5.6: the largest cookie browsers keep is set, one with a byte of token more is refused."""
    name = "__Secure-shop-rt"
    # base64url of version, key id, nonce, token and tag: four characters for three bytes.
    wrapping = len(RefreshToken(token="", session_id="s" * 22).to_bytes())
    longest = (4096 - len(name)) * 3 // 4 - (1 + 4 + 12 + 16) - wrapping
    await world.server.mode(token_overrides={"refresh_token": "t" * longest})
    browser = await world.log_in()
    assert len(name) + len(browser.value(name) or "") in (4095, 4096)
    await world.server.mode(token_overrides={"refresh_token": "t" * (longest + 1)})
    answer = await browser.login_end(await world.respond(browser))
    assert answer.json()["error_code"] == "cookie_too_large"


async def test_a_login_without_refresh_token_sets_none(world: World) -> None:
    """What the server did not give is not made up."""
    await world.server.mode(token_overrides={"refresh_token": None})
    browser = await world.log_in()
    assert browser.names() == {"__Host-Http-shop-at", "__Host-Http-shop-id"}


async def test_a_login_without_refresh_token_does_not_keep_the_old_one(world: World) -> None:
    """Grace, logging in after Ada without a refresh token, must not go on with Ada's."""
    browser = await world.log_in("ada")
    await world.server.mode(token_overrides={"refresh_token": None})
    read(await browser.login_end(await world.respond(browser, "grace")))
    assert browser.value("__Secure-shop-rt") is None


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A fresh world."""
    return create_world(tmp_path)


def shapes(response: httpx2.Response) -> list[str]:
    """The Set-Cookie lines, sealed values and the flow's name blotted out."""
    named = [re.sub(rf"-login-{FLOW}=", "-login-FLOW=", line) for line in set_cookies(response)]
    return [re.sub(r"=[A-Za-z0-9_-]+; Path", "=<>; Path", line) for line in named]


def lines(setting: str, *names: str) -> list[str]:
    """The lines of these names."""
    return [LINES[setting][name] for name in names]


def opener(world: World, name: str) -> Opener:
    """The proxy's way into the cookie of that name."""
    return Opener([world.private_key], Purpose("shop", name))


def access_token(world: World, browser: Browser) -> AccessToken:
    """What the proxy finds in the browser's cookie."""
    name = "__Host-Http-shop-at"
    return AccessToken.from_bytes(opener(world, name).open(browser.value(name) or ""))


def oversized(name: str, characters: int) -> Mapping[str, object]:
    """A mode in which the provider's answer makes the cookie `name` too large."""
    if name.endswith("-id"):
        return {"id_token_overrides": {"groups": "g" * characters}}
    return {"token_overrides": {"access_token" if name.endswith("-at") else "refresh_token": "t" * characters}}
