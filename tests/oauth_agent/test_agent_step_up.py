"""How and when the user authenticates: max_age, acr_values and prompt=none, at the first login and over a session."""

import json
from pathlib import Path
from typing import Any

import pytest
from agent_world import START, Browser, RemoteError, World, create_world, read, set_cookies

from extauthz.config import ConfigError
from extauthz.cookies.purpose import Purpose

pytestmark = pytest.mark.anyio

NOW = int(START)
AT, RT, ID = "__Host-Http-shop-at", "__Secure-shop-rt", "__Host-Http-shop-id"
PARAMETERS = ["max_age", "acr_values", "prompt"]


@pytest.mark.parametrize(
    ("auth_time", "status"),
    [
        pytest.param(NOW, 200, id="just now"),
        pytest.param(NOW - 90, 200, id="within the skew"),
        pytest.param(NOW - 91, 400, id="too long ago"),
        pytest.param(NOW + 31, 400, id="in the future"),
        pytest.param(None, 400, id="not said"),
        pytest.param(str(NOW), 400, id="a text"),
        pytest.param(True, 400, id="a boolean"),
    ],
)
@pytest.mark.parametrize("way", ["setting", "parameter"])
async def test_t7_who_authenticated_too_long_ago_is_not_logged_in(
    tmp_path: Path, way: str, auth_time: object, status: int
) -> None:
    """With max_age sent, auth_time has to be there, and to be late enough, whatever the server thinks of it."""
    world = create_world(
        tmp_path, **({"max_age": 60} if way == "setting" else {"authorization_parameters": PARAMETERS})
    )
    await world.server.mode(id_token_overrides={"auth_time": auth_time})
    browser = world.browser()
    url = await world.start(browser, {} if way == "setting" else {"max_age": "60"})
    assert world.asked_for(url)["max_age"] == "60"
    assert (await browser.login_end(await world.server.visit(url, user="ada"))).status_code == status
    assert bool(browser.cookies) == (status == 200)


async def test_t7_without_max_age_the_time_does_not_matter(world: World) -> None:
    """Nothing was asked for, so nothing is missing."""
    await world.server.mode(id_token_overrides={"auth_time": None})
    await world.log_in()


async def test_t7_a_slow_person_has_authenticated_late_enough(tmp_path: Path) -> None:
    """max_age counts from the request: minutes at a consent page after the password are no old login."""
    world = create_world(tmp_path, authorization_parameters=PARAMETERS, par="never")
    browser = world.browser()
    url = await world.start(browser, {"max_age": "0"})
    world.later(500)
    await world.server.mode(id_token_overrides={"auth_time": NOW + 1})
    assert (await browser.login_end(await world.server.visit(url, user="ada"))).status_code == 200


@pytest.mark.parametrize(("asked", "sent"), [("10", "10"), ("3600", "60"), ("0", "0"), (None, "60")])
async def test_t7_the_app_may_ask_for_less_but_not_for_more(tmp_path: Path, asked: str | None, sent: str) -> None:
    """The setting is the operator's; a page that was tampered with cannot widen it."""
    world = create_world(tmp_path, max_age=60, authorization_parameters=PARAMETERS)
    url = await world.start(world.browser(), {} if asked is None else {"max_age": asked})
    assert world.asked_for(url)["max_age"] == sent


@pytest.mark.parametrize("value", ["", "-1", "1.5", "x", "٣", "9999999999"])
async def test_t7_a_max_age_that_is_no_number_is_400(world: World, value: str) -> None:
    """It could not be kept to, so it is not sent either."""
    await failing(world.browser().login_start({"max_age": value}), 400, "invalid_request")


async def test_t7_max_age_needs_an_id_token(tmp_path: Path, world: World) -> None:
    """Nothing else says when the user has authenticated: told at the start, or to the app."""
    with pytest.raises(ConfigError, match=r"apps\.shop\.max_age: .*openid"):
        create_world(tmp_path, max_age=60, scope="orders")
    await failing(world.browser().login_start({"max_age": "60", "scope": "orders"}), 400, "invalid_request")


@pytest.mark.parametrize("way", ["setting", "parameter"])
async def test_how_the_user_has_authenticated_is_told_to_the_app(tmp_path: Path, way: str) -> None:
    """acr_values goes out by setting or parameter, and the claim acr comes in, also after a refresh."""
    setting = {"acr_values": "second-factor password"}
    world = create_world(tmp_path, **(setting if way == "setting" else {"authorization_parameters": PARAMETERS}))
    browser = world.browser()
    url = await world.start(browser, {} if way == "setting" else setting)
    assert world.asked_for(url)["acr_values"] == "second-factor password"
    ended = read(await browser.login_end(await world.server.visit(url, user="ada")))
    assert ended["id_token_claims"]["acr"] == "second-factor"
    read(await browser.refresh())
    assert read(await browser.session())["id_token_claims"]["acr"] == "second-factor"


@pytest.mark.parametrize("par", ["never", "required"])
async def test_what_the_provider_cannot_do_is_told_by_name(tmp_path: Path, par: str) -> None:
    """unmet_authentication_requirements, be it the answer to the browser or to the agent."""
    world = create_world(tmp_path, authorization_parameters=PARAMETERS, par=par)
    browser, wish = world.browser(), {"acr_values": "retina-scan"}
    if par == "required":
        await failing(browser.login_start(wish), 400, "unmet_authentication_requirements")
        return
    response = await world.server.pass_by(await world.start(browser, wish))
    await failing(browser.login_end(response or {}), 400, "unmet_authentication_requirements")


async def test_a_silent_login_succeeds_while_the_provider_knows_the_person(world: World) -> None:
    """prompt=none: no page is shown, and a browser without a session of ours has one again."""
    await world.log_in("grace")
    browser = world.browser()
    response = await world.server.pass_by(await world.start(browser, {"prompt": "none"}))
    assert read(await browser.login_end(response or {}))["id_token_claims"]["sub"] == "grace"


async def test_a_silent_login_that_fails_leaves_the_session_alone(world: World) -> None:
    """401 login_required: what the app makes of it is its own affair, and the session it has goes on."""
    browser = await world.log_in()
    before = dict(browser.cookies)
    url = await world.start(browser, {"prompt": "none", "max_age": "0"})
    world.later(40)
    response = await world.server.pass_by(url)
    await failing(browser.login_end(response or {}), 401, "login_required")
    assert browser.cookies == before
    assert read(await browser.session())["is_logged_in"] is True
    read(await browser.refresh())


@pytest.mark.parametrize("error", ["interaction_required", "consent_required", "account_selection_required"])
async def test_other_answers_to_a_silent_login_leave_it_alone_too(world: World, error: str) -> None:
    """Each is 401 under its own name, and costs no session."""
    browser = await world.log_in()
    before = dict(browser.cookies)
    state = world.asked_for(await world.start(browser, {"prompt": "none"}))["state"]
    response = {"error": error, "state": state, "iss": "https://login.test"}
    await failing(browser.login_end(response), 401, error)
    assert browser.cookies == before


async def test_a_step_up_replaces_the_session_in_one_answer(world: World) -> None:
    """RFC 9470: a login over a session. All three cookies are new, of one new session, or none is."""
    browser = await world.log_in()
    before, old = dict(browser.cookies), session_ids(world, browser)
    url = await world.start(browser, {"acr_values": "second-factor", "max_age": "0"})
    assert await world.server.pass_by(url) is None, "the provider asks the person"
    answer = await browser.login_end(await world.server.visit(url, user="ada"))
    assert read(answer)["id_token_claims"]["acr"] == "second-factor"
    assert {AT, RT, ID} <= {line.partition("=")[0] for line in set_cookies(answer)}
    assert all(browser.cookies[kept] != value for kept, value in before.items())
    new = session_ids(world, browser)
    assert len(new) == 1
    assert new != old


async def test_a_step_up_does_not_revoke_what_it_replaces(world: World) -> None:
    """Servers with one grant for user and client would end the new session with the old refresh token."""
    browser = await world.log_in()
    url = await world.start(browser, {"acr_values": "second-factor"})
    read(await browser.login_end(await world.server.visit(url, user="ada")))
    assert world.server.asked("/revoke") == []
    read(await browser.refresh())


async def test_a_step_up_that_fails_leaves_the_session_alone(world: World) -> None:
    """Who cannot show a second factor is who they were."""
    browser = await world.log_in()
    before = dict(browser.cookies)
    url = await world.start(browser, {"acr_values": "second-factor"})
    await failing(browser.login_end(await world.server.visit(url, cancel="yes")), 400, "access_denied")
    assert browser.cookies == before


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A fresh world in which the app may say how and when."""
    return create_world(tmp_path, authorization_parameters=PARAMETERS)


async def failing(call: Any, status: int, code: str) -> None:
    """The call is answered by this error."""
    with pytest.raises(RemoteError) as thrown:
        read(await call)
    assert (thrown.value.status, thrown.value.code) == (status, code)


def session_ids(world: World, browser: Browser) -> set[str]:
    """The sessions that the agent's cookies belong to: one, when all is well."""
    opened = [json.loads(world.ring.open(browser.value(name) or "", Purpose("shop", name))) for name in (RT, ID)]
    return {members["sid"] for members in opened}
