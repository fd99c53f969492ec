"""The end of a login: which authorization responses are believed, in the order iss, state, error, code."""

from pathlib import Path
from urllib.parse import urlencode

import pytest
from agent_world import ISSUER, Browser, RemoteError, World, create_world, read, set_cookies

pytestmark = pytest.mark.anyio

AT, RT, ID = "__Host-Http-shop-at", "__Secure-shop-rt", "__Host-Http-shop-id"


async def test_a_login_leaves_three_cookies(world: World) -> None:
    """Afterwards the browser has the session's cookies and none of the login's."""
    assert (await world.log_in()).names() == {AT, RT, ID}


Changes = dict[str, str | None]
LEFT_OUT: Changes = {"code": None}
# By rule of the response: what is changed in a good one. Refused as invalid_request.
NOT_BELIEVED: dict[str, Changes] = {
    "I1 no issuer though announced": {"iss": None},
    "I1 error without issuer": {**LEFT_OUT, "error": "login_required", "iss": None},
    "I2 another issuer": {"iss": "https://evil.test"},
    "I2 almost the issuer": {"iss": ISSUER + "/"},
    "I2 empty issuer": {"iss": ""},
    "I2 another issuer's error": {**LEFT_OUT, "error": "access_denied", "iss": "https://evil.test"},
    "I6 issuer before error": {**LEFT_OUT, "error": "login_required", "iss": "https://evil.test"},
    "I7 access token in front": {"access_token": "t"},
    "I7 ID token in front": {"id_token": "t"},
    "neither code nor error": LEFT_OUT,
    "empty code": {"code": ""},
}


def not_believed(rule: str) -> pytest.MarkDecorator:
    """The lines of the table that break `rule`; "" for those that break none with a name."""
    lines = [(line, line.partition(" ")[0]) for line in NOT_BELIEVED]
    mine = [line for line, name in lines if name == rule or not (rule or name[1:].isdigit())]
    return pytest.mark.parametrize("changes", [NOT_BELIEVED[line] for line in mine], ids=mine)


@not_believed("I1")
async def test_i1_a_response_that_does_not_say_who_issued_it_is_refused(world: World, changes: Changes) -> None:
    """RFC 9207 section 2.4: a server that announces `iss` sends it, with errors too."""
    await over(world, changes, 400, "invalid_request")


@not_believed("I2")
async def test_i2_a_response_of_another_server_is_refused(world: World, changes: Changes) -> None:
    """Mix-up: an issuer is the same character by character, or another one."""
    await over(world, changes, 400, "invalid_request")


@not_believed("I6")
async def test_i6_the_issuer_is_looked_at_first(world: World, changes: Changes) -> None:
    """What another server calls an error is not told to the app."""
    await over(world, changes, 400, "invalid_request")


async def test_i6_the_error_is_looked_at_before_the_code(world: World) -> None:
    """A response with both is an error."""
    await over(world, {"error": "server_error"}, 400, "server_error")


@not_believed("I7")
async def test_i7_tokens_in_front_are_refused(world: World, changes: Changes) -> None:
    """Nobody asked for tokens that go through the browser's address bar."""
    await over(world, changes, 400, "invalid_request")


@not_believed("")
async def test_a_response_without_code_or_error_is_refused(world: World, changes: Changes) -> None:
    """There is nothing to redeem."""
    await over(world, changes, 400, "invalid_request")


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        ("access_denied", 400, "access_denied"),
        ("unmet_authentication_requirements", 400, "unmet_authentication_requirements"),
        ("login_required", 401, "login_required"),
        ("interaction_required", 401, "interaction_required"),
        ("consent_required", 401, "consent_required"),
        ("account_selection_required", 401, "account_selection_required"),
        ("", 400, "authorization_error"),
    ],
)
async def test_s5_an_error_of_the_server_is_told_by_name_and_ends_the_login(
    world: World, error: str, status: int, code: str
) -> None:
    """401 where a person is needed: the app offers a login then, and reports no failure."""
    await over(world, {**LEFT_OUT, "error": error}, status, code)


@pytest.mark.parametrize("state", [None, "", "A" * 43, "é\n"], ids=["missing", "empty", "wrong", "strange"])
async def test_s1_a_state_that_was_not_sent_is_refused(world: World, state: str | None) -> None:
    """A response with another state belongs to no login, and does not cost the login under way its cookie."""
    browser = world.browser()
    good = await world.respond(browser)
    error = await refused(browser, changed(good, {"state": state}))
    assert (error.status, error.code) == (400, "invalid_request")
    assert world.server.asked("/token") == []
    assert (await browser.login_end(good)).status_code == 200


async def test_s1_a_response_of_another_browser_is_refused(world: World) -> None:
    """Login CSRF: a code and state the attacker obtained do nothing in the victim's browser."""
    attack = await world.respond(world.browser())
    victim = world.browser()
    await world.start(victim)
    error = await refused(victim, attack)
    assert (error.status, error.code) == (400, "invalid_request")
    assert not {AT, RT, ID} & victim.names()


async def test_s5_a_response_counts_once(world: World) -> None:
    """The same response a second time belongs to no login any more (S5), and the session stays."""
    browser = world.browser()
    response = await world.respond(browser)
    assert (await browser.login_end(response)).status_code == 200
    assert (await refused(browser, response)).status == 400
    assert browser.names() == {AT, RT, ID}
    assert len(world.server.asked("/token")) == 1


async def test_two_tabs_can_log_in_at_once(world: World) -> None:
    """Each login has a cookie of its own; the first to end does not disturb the second."""
    browser = world.browser()
    first, second = await world.respond(browser), await world.respond(browser, "grace")
    assert read(await browser.login_end(first))["id_token_claims"]["sub"] == "ada"
    assert read(await browser.login_end(second))["id_token_claims"]["sub"] == "grace"
    assert browser.names() == {AT, RT, ID}


async def test_s3_the_code_of_one_tab_does_not_fit_the_other(world: World) -> None:
    """PKCE ties the code to the login it came from, even in one browser."""
    browser = world.browser()
    first, second = await world.respond(browser), await world.respond(browser)
    error = await refused(browser, {**first, "code": second["code"]})
    assert (error.status, error.code) == (400, "authorization_error")


async def test_an_error_s_characters_are_not_reflected(world: World) -> None:
    """Of the server's error only letters, digits and _-. of its first 64 characters reach the app."""
    browser = world.browser()
    hostile = '<img src=x>\r\nset-cookie: a=b "é" ' + "x" * 200
    answer = await browser.login_end(changed(await world.respond(browser), {"code": None, "error": hostile}))
    assert answer.status_code == 400
    assert answer.json()["error_code"] == "imgsrcxset-cookieab" + "x" * 31
    assert not set("<>\r\né") & set(answer.text)


async def test_an_error_description_is_not_reflected(world: World) -> None:
    """Anybody can write a response; the app gets our words about it."""
    browser = world.browser()
    response = await world.server.visit(await world.start(browser), cancel="yes")
    answer = await browser.login_end({**response, "error_description": "call 0900-evil", "error_uri": "https://evil"})
    assert (answer.status_code, answer.json()["error_code"]) == (400, "access_denied")
    assert "evil" not in answer.text


@pytest.mark.parametrize(("seconds", "status"), [(600, 200), (601, 400)], ids=["just in time", "too late"])
async def test_a_person_has_ten_minutes(tmp_path: Path, seconds: int, status: int) -> None:
    """A browser that keeps the login's cookie longer than it should does not make it live longer."""
    world = create_world(tmp_path, par="never")  # a pushed request lives for a minute only
    browser = world.browser()
    url = await world.start(browser)
    world.later(seconds)
    assert (await browser.login_end(await world.server.visit(url, user="ada"))).status_code == status


@pytest.mark.parametrize("value", ["", "garbage", "A" * 200, "=", "%41", "é", "x" * 4050])
async def test_a_login_cookie_nobody_sealed_is_401(world: World, value: str) -> None:
    """Garbage under the right name is a client's fault, is cleared, and redeems nothing."""
    browser = world.browser()
    response = await world.respond(browser)
    (name,) = browser.names()
    browser.replace(name, value)
    error = await refused(browser, response)
    assert (error.status, error.code) == (401, "unauthorized")
    assert browser.cookies == {}
    assert world.server.asked("/token") == []


async def test_s4_a_login_of_another_app_is_401(world: World) -> None:
    """Both apps' cookies are sealed with one key here, and yet neither opens as the other's."""
    admin = world.admin()
    response = await world.server.visit(await world.start(admin), user="ada")
    (name,) = admin.names()
    shop = world.browser()
    shop.plant(name.replace("admin", "shop"), admin.value(name) or "")
    assert (await refused(shop, response)).status == 401


async def test_a_login_cookie_of_another_login_is_401(world: World) -> None:
    """A cookie's value moved under another login's name does not open."""
    browser = world.browser()
    first, _ = await world.respond(browser), await world.start(browser)
    one, other = [kept.name for kept in browser.cookies]
    browser.replace(one, browser.value(other) or "")
    assert (await refused(browser, first)).status == 401


async def test_two_different_cookies_of_one_name_are_401(world: World) -> None:
    """A cookie tossed in by a sibling host makes it unclear which is ours; neither is used."""
    browser = world.browser()
    response = await world.respond(browser)
    (name,) = browser.names()
    browser.plant(name, "tossed")
    assert (await refused(browser, response)).status == 401


async def test_i1_iss_may_be_missing_when_the_server_does_not_announce_it(world: World) -> None:
    """RFC 9207 section 2.4: a server without the feature is not asked for it, but a wrong issuer is wrong."""
    await world.server.metadata(authorization_response_iss_parameter_supported=None)
    browser = world.browser()
    silent = changed(await world.respond(browser), {"iss": None})
    assert (await browser.login_end(silent)).status_code == 200
    wrong = changed(await world.respond(browser), {"iss": "https://evil.test"})
    assert (await refused(browser, wrong)).status == 400


async def test_a_login_that_fails_before_its_state_is_known_keeps_its_cookie(world: World) -> None:
    """A form that cannot be read names no login, so none is used up."""
    browser = world.browser()
    good = await world.respond(browser)
    form = [("content-type", "application/x-www-form-urlencoded")]
    twice = await browser.fetch("POST", "login/end", body=b"state=a&state=b", headers=form)
    assert (twice.status_code, set_cookies(twice)) == (400, [])
    assert (await browser.login_end(good)).status_code == 200


@pytest.mark.parametrize("name", ["code", "state", "iss", "error"])
async def test_i4_a_repeated_response_parameter_is_refused(world: World, name: str) -> None:
    """I4: a response that says a thing twice is not believed at all."""
    browser = world.browser()
    response = await world.respond(browser)
    pairs = [*response.items(), (name, "x"), (name, response.get(name, "x"))]
    body = urlencode(pairs).encode()
    form = [("content-type", "application/x-www-form-urlencoded")]
    answer = await browser.fetch("POST", "login/end", body=body, headers=form)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "invalid_request")
    assert world.server.asked("/token") == []


async def test_unknown_response_parameters_are_ignored(world: World) -> None:
    """RFC 6749 section 4.1.2: the library sends every parameter of the page's URL, its own ones included."""
    browser = world.browser()
    response = {**await world.respond(browser), "session_state": "s", "utm_source": "mail"}
    assert (await browser.login_end(response)).status_code == 200


async def test_the_state_is_the_one_that_was_sent(world: World) -> None:
    """The cookie's login and the response agree on the state of the authorization URL."""
    browser = world.browser()
    url = await world.start(browser)
    assert (await world.server.visit(url, user="ada"))["state"] == world.asked_for(url)["state"]


async def over(world: World, changes: Changes, status: int, code: str) -> None:
    """The login with these changes fails so; its cookie is gone, no session begins, and no code is redeemed."""
    browser = world.browser()
    error = await refused(browser, changed(await world.respond(browser), changes))
    assert (error.status, error.code) == (status, code)
    assert browser.cookies == {}
    assert world.server.asked("/token") == []


async def test_s7_no_token_is_used_before_the_nonce_has_passed(world: World) -> None:
    """RFC 9700 section 4.5.3.2: of a login that is not this one, no cookie, no introspection, no revocation."""
    await world.server.mode(id_token_overrides={"nonce": "another"})
    browser = world.browser()
    error = await refused(browser, await world.respond(browser))
    assert error.code == "invalid_id_token"
    assert browser.cookies == {}
    after = [request.url.path for request in world.server.requests][-2:]
    assert after == ["/token", "/jwks"]


async def test_s6_no_token_is_ever_in_a_url(world: World) -> None:
    """RFC 9700 section 4.3.2: neither in the agent's own requests nor where it sends the browser."""
    browser = world.browser()
    url = await world.start(browser)
    read(await browser.login_end(await world.server.visit(url, user="ada")))
    read(await browser.refresh())
    urls = [url, read(await browser.logout())["logout_url"], *(str(one.url) for one in world.server.requests)]
    tokens = [one for one in (await world.server.control("secrets"))["values"] if one.startswith(("_0X", "_1X", "ey"))]
    assert len(tokens) >= 6
    assert not [token for token in tokens if token in "".join(urls)]


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A fresh world."""
    return create_world(tmp_path)


def changed(response: dict[str, str], changes: dict[str, str | None]) -> dict[str, str]:
    """`response` with some parameters replaced, and those that are None left out."""
    return {name: value for name, value in {**response, **changes}.items() if value is not None}


async def refused(browser: Browser, response: dict[str, str]) -> RemoteError:
    """The error login/end answers."""
    with pytest.raises(RemoteError) as thrown:
        read(await browser.login_end(response))
    return thrown.value
