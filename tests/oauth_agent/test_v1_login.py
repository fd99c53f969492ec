"""Version 1: login/start and login/end, from the click to the CSRF token."""

import json
from pathlib import Path

import pytest
from agent_world import HOME, ORIGIN, create_world, form_of, query_of, set_cookies
from agent_world.v1 import AT, AUTH, CSRF, ID, JSON, V1Browser, V1World, create_v1_world, failure, page, read_v1

pytestmark = pytest.mark.anyio


async def test_login_start_answers_the_url_and_nothing_else(world: V1World) -> None:
    """One member, with or without a body, and the request is the core's: PKCE, state and nonce."""
    extras: list[list[dict[str, object]] | None] = [None, []]
    for extra in extras:
        members = read_v1(await world.browser().start_login(extra))
        assert list(members) == ["authorizationRequestUrl"]
        asked = world.inner.asked_for(members["authorizationRequestUrl"])
        assert {"state", "nonce", "code_challenge"} < asked.keys()
        assert (asked["redirect_uri"], asked["code_challenge_method"]) == (HOME, "S256")


@pytest.mark.parametrize("body", [b"{}", b'{"extraParams":null}', b'{"extraParams":[],"more":1}'])
async def test_a_body_that_asks_for_nothing(world: V1World, body: bytes) -> None:
    """What axios makes of no parameters is no mistake."""
    response = await world.browser().send("POST", "login/start", body=body, headers=[*JSON, ("origin", ORIGIN)])
    assert response.status_code == 200


async def test_extra_parameters_are_added(tmp_path: Path) -> None:
    """Those the settings list, and scope in any case; values arrive as they are."""
    world = create_v1_world(tmp_path, authorization_parameters=["ui_locales"], par="never")
    extra = [{"key": "ui_locales", "value": "sv & é"}, {"key": "scope", "value": "openid"}]
    asked = query_of(await world.start(world.browser(), extra))
    assert (asked["ui_locales"], asked["scope"]) == ("sv & é", "openid")


@pytest.mark.parametrize(
    "extra",
    [
        pytest.param([{"key": "prompt", "value": "login"}], id="not listed"),
        pytest.param([{"key": "redirect_uri", "value": "https://evil.test/"}], id="ours"),
        pytest.param([{"key": "state", "value": "s"}], id="state"),
        pytest.param([{"key": "scope", "value": "a"}, {"key": "scope", "value": "b"}], id="twice"),
        pytest.param([{"key": "scope", "value": 1}], id="a number"),
        pytest.param([{"key": "scope", "value": "\ud800"}], id="half a character"),
        pytest.param([{"key": "scope"}], id="no value"),
        pytest.param(["scope"], id="a text"),
        pytest.param({"scope": "a"}, id="no list"),
        pytest.param("scope=a", id="a text for a list"),
        pytest.param({}, id="an empty object for a list"),
        pytest.param("", id="an empty text for a list"),
        pytest.param(0, id="a zero for a list"),
        pytest.param(False, id="a no for a list"),
    ],
)
async def test_other_parameters_are_refused(world: V1World, extra: object) -> None:
    """400, and no login begins."""
    response = await world.browser().call("POST", "login/start", {"extraParams": extra})
    assert failure(response) == (400, "invalid_request")
    assert set_cookies(response) == []


@pytest.mark.parametrize("call", ["login/start", "login/end"])
@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b"{"),
        ("application/json", b"[]"),
        ("application/json", b'"pageUrl"'),
        ("application/json", b"\xff"),
        ("application/json", b"[" * 60_000),
        ("application/json", b'{"pageUrl":"' + b"x" * 65_536 + b'"}'),
        ("text/plain", b'{"pageUrl":"https://www.shop.test/app/"}'),
        ("application/x-www-form-urlencoded", b"pageUrl=https://www.shop.test/app/"),
        ("", b'{"pageUrl":"https://www.shop.test/app/"}'),
    ],
)
async def test_a_body_that_is_no_json_of_ours(world: V1World, call: str, content_type: str, body: bytes) -> None:
    """400 in the form of every error, whatever was sent."""
    headers = [("content-type", content_type), ("origin", ORIGIN)]
    assert failure(await world.browser().send("POST", call, body=body, headers=headers)) == (400, "invalid_request")


async def test_login_end_hands_over_the_csrf_token(world: V1World) -> None:
    """The three members, and four cookies that an earlier agent could read."""
    browser = world.browser()
    members = read_v1(await browser.end_login(page(await world.respond(browser))))
    assert members == {"handled": True, "isLoggedIn": True, "csrf": world.opened(browser, CSRF)}
    assert browser.names() == {AT, CSRF, AUTH, ID}
    issued = (await world.inner.server.control("secrets"))["values"]
    assert {world.opened(browser, AT), world.opened(browser, AUTH)} < set(issued)
    assert world.opened(browser, ID).count(".") == 2


async def test_the_code_is_redeemed_with_the_verifier(world: V1World) -> None:
    """The login's own verifier goes to the token endpoint."""
    browser = world.browser()
    response = await world.respond(browser)
    read_v1(await browser.end_login(page(response)))
    sent = form_of(world.inner.server.asked("/token")[-1])
    assert (sent["code"], sent["redirect_uri"]) == (response["code"], HOME)
    assert len(sent["code_verifier"]) == 43


@pytest.mark.parametrize("extra", ["&theme=dark&theme=light", "&utm", "&x=%ff&y=%C3%A9", "#/orders?code=x&state=y"])
async def test_the_page_has_parameters_of_its_own(world: V1World, extra: str) -> None:
    """They are none of the response's, twice or odd as they may be."""
    browser = world.browser()
    url = page(await world.respond(browser)) + extra
    assert read_v1(await browser.end_login(url))["handled"] is True


@pytest.mark.parametrize("name", ["code", "state", "iss"])
async def test_a_response_with_two_values_is_refused(world: V1World, name: str) -> None:
    """Which of them is meant is not ours to guess, and the login waits on."""
    browser = world.browser()
    response = await world.respond(browser)
    assert failure(await browser.end_login(page(response) + f"&{name}=other")) == (400, "invalid_request")
    assert read_v1(await browser.end_login(page(response)))["handled"] is True


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.test/app/",
        "https://www.shop.test.evil.test/",
        "https://www.shop.test@evil.test/",
        "https://ada@www.shop.test/",
        "http://www.shop.test/app/",
        "https://www.shop.test:8443/app/",
        "//www.shop.test/app/",
        "/app/",
        "",
        "www.shop.test",
        "javascript:alert(1)",
        "https://[/",
        "https://www.shop.test:x/",
        "https://www.shop.test/\ud800",
        "https://www.shop.test/?" + "&".join(f"p{number}=" for number in range(101)),
        None,
        7,
    ],
)
async def test_a_page_that_is_not_the_app_s(world: V1World, url: object) -> None:
    """400: whoever sends that is no page of the app."""
    response = await world.browser().call("POST", "login/end", {"pageUrl": url})
    assert failure(response) == (400, "invalid_request")


@pytest.mark.parametrize("url", ["https://WWW.shop.test/app/", "https://www.shop.test:443/", "https://www.shop.test"])
async def test_a_page_of_the_app_in_another_spelling(world: V1World, url: str) -> None:
    """The origin counts, as browsers understand it."""
    assert read_v1(await world.browser().end_login(url)) == {"handled": False, "isLoggedIn": False}


async def test_a_page_of_another_trusted_origin(tmp_path: Path) -> None:
    """Pages there are the app's as well."""
    world = create_v1_world(tmp_path, trusted_origins=["https://admin.shop.test"])
    assert read_v1(await world.browser().end_login("https://admin.shop.test/x"))["handled"] is False


async def test_another_state_is_refused(world: V1World) -> None:
    """A response that belongs to no login of this browser's is 400."""
    browser = world.browser()
    response = await world.respond(browser)
    assert failure(await browser.end_login(page({**response, "state": "another"}))) == (400, "invalid_request")


async def test_a_response_serves_once(world: V1World) -> None:
    """The same page loaded again finds no login any more, and the session stays."""
    browser = world.browser()
    url = page(await world.respond(browser))
    read_v1(await browser.end_login(url))
    assert failure(await browser.end_login(url)) == (400, "invalid_request")
    assert len(browser.names()) == 4


async def test_a_login_cookie_that_is_not_ours(world: V1World) -> None:
    """401, also for one that was sealed for another purpose with the right key."""
    browser = world.browser()
    response = await world.respond(browser)
    [name] = browser.names()
    members = {"state": response["state"], "nonce": "n", "verifier": "v", "iat": 1_800_000_000, "openid": True}
    browser.replace(name, world.foreign.seal(json.dumps(members)))
    assert failure(await browser.end_login(page(response))) == (401, "unauthorized_request")
    assert browser.names() == set()


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ("access_denied", 400),
        ("invalid_scope", 400),
        ("server_error", 400),
        ("temporarily_unavailable", 400),
        ("login_required", 401),
        ("interaction_required", 401),
    ],
)
async def test_the_word_of_the_authorization_server_is_the_code(world: V1World, error: str, status: int) -> None:
    """Its own words are repeated, and only those that want a person are 401."""
    browser = world.browser()
    response = {**await world.respond(browser), "error": error}
    del response["code"]
    assert failure(await browser.end_login(page(response))) == (status, error)
    assert browser.names() == set()


async def test_an_error_of_nobody_s_login(world: V1World) -> None:
    """Whoever makes up an error ends no session and no login."""
    browser = await world.log_in()
    response = await browser.end_login(page({"error": "login_required", "state": "made up"}))
    assert failure(response) == (400, "invalid_request")
    assert len(browser.names()) == 4


async def test_a_wrong_id_token_is_an_invalid_request(world: V1World) -> None:
    """As the earlier agents say it, and there is no session."""
    browser = world.browser()
    await world.inner.server.mode(id_token_overrides={"nonce": "another"})
    assert failure(await browser.end_login(page(await world.respond(browser)))) == (400, "invalid_request")
    assert browser.names() == set()


async def test_a_code_that_is_spent(world: V1World) -> None:
    """What the token endpoint refuses is `authorization_error`."""
    browser = world.browser()
    response = {**await world.respond(browser), "code": "spent"}
    assert failure(await browser.end_login(page(response))) == (400, "authorization_error")


async def test_a_signed_response(tmp_path: Path) -> None:
    """With response_mode jwt the page has one parameter, and a bare response is refused."""
    world = create_v1_world(tmp_path, response_mode="jwt")
    browser = world.browser()
    response = await world.respond(browser)
    assert list(response) == ["response"]
    bare = await browser.end_login(page({"code": "c", "state": "s"}))
    assert failure(bare) == (400, "invalid_request")
    assert read_v1(await browser.end_login(page(response)))["isLoggedIn"] is True


async def test_a_parameter_called_response_is_the_page_s_own(world: V1World) -> None:
    """Where no signed response was asked for, it is none."""
    assert read_v1(await world.browser().end_login(page({"response": "x"})))["handled"] is False


async def test_two_tabs_log_in_at_once(world: V1World) -> None:
    """Each has its login, whichever comes first."""
    browser = world.browser()
    first, second = await world.respond(browser), await world.respond(browser)
    assert len(browser.names()) == 2
    for response in (first, second):
        assert read_v1(await browser.end_login(page(response)))["handled"] is True
    assert browser.names() == {AT, CSRF, AUTH, ID}


async def test_a_login_without_tokens_keeps_none_of_before(world: V1World) -> None:
    """Grace's session without refresh token must not go on with Ada's."""
    browser = await world.log_in("ada")
    await world.inner.server.mode(token_overrides={"refresh_token": None})
    await world.log_in("grace", browser)
    assert browser.names() == {AT, CSRF, ID}


async def test_a_login_without_id_token_has_no_claims(tmp_path: Path) -> None:
    """Nor those of whoever was logged in before."""
    world = create_v1_world(tmp_path, scope="orders")
    browser = world.browser()
    browser.plant(ID, world.foreign.seal("a.b.c"), "/oauth-agent/claims")
    await world.log_in(browser=browser)
    assert browser.names() == {AT, CSRF, AUTH}
    assert failure(await browser.call("GET", "claims")) == (401, "unauthorized_request")


@pytest.mark.parametrize("call", ["session", "userinfo", "Claims"])
async def test_there_are_no_other_calls(world: V1World, call: str) -> None:
    """The calls of version 2, and other spellings, are 404."""
    assert failure(await world.browser().call("GET", call)) == (404, "not_found")


async def test_version_2_has_none_of_these_calls(tmp_path: Path) -> None:
    """Which API an app has, its settings say."""
    browser = V1Browser(create_world(tmp_path).agent, base="https://x", path="/oauth-agent", origin=ORIGIN)
    version = ("token-handler-version", "1")
    assert (await browser.call("GET", "claims", headers=[version])).status_code == 404


@pytest.fixture
def world(tmp_path: Path) -> V1World:
    """A fresh world."""
    return create_v1_world(tmp_path)
