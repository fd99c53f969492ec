"""The beginning of a login: the authorization URL, parameter by parameter, and what the app may add to it."""

import base64
import hashlib
import json
import re
from pathlib import Path

import pytest
from agent_world import HOME, Browser, RemoteError, World, create_world, query_of, read

from extauthz.config import ConfigError
from extauthz.cookies.purpose import Purpose

pytestmark = pytest.mark.anyio

RANDOM = re.compile(r"[A-Za-z0-9_-]{43}")  # 32 bytes


async def test_s3_the_url_is_the_provider_s_with_these_parameters(world: World) -> None:
    """Code flow with state, nonce and PKCE S256, and not one parameter more."""
    browser = world.browser()
    url = await world.start(browser)
    login = sealed_login(world, browser)
    assert url.split("?")[0] == "https://login.test/authorize"
    assert query_of(url) == {
        "client_id": "shop",
        "redirect_uri": HOME,
        "response_type": "code",
        "scope": "openid profile orders",
        "state": login["state"],
        "nonce": login["nonce"],
        "code_challenge": s256(login["verifier"]),
        "code_challenge_method": "S256",
    }


async def test_the_cookie_remembers_the_login_and_when_it_began(world: World) -> None:
    """State, nonce and verifier are three different values of 32 random bytes."""
    browser = world.browser()
    await world.start(browser)
    login = sealed_login(world, browser)
    assert sorted(login) == ["iat", "max_age", "nonce", "openid", "state", "verifier"]
    assert login["iat"] == str(int(world.clock[0]))
    values = {login[name] for name in ("state", "nonce", "verifier")}
    assert len(values) == 3
    assert all(RANDOM.fullmatch(value) for value in values)


async def test_s3_nothing_of_a_login_repeats_in_the_next(world: World) -> None:
    """Two logins share neither state nor nonce nor challenge nor cookie."""
    browser = world.browser()
    first, second = [query_of(await world.start(browser)) for _ in range(2)]
    assert all(first[name] != second[name] for name in ("state", "nonce", "code_challenge"))
    assert len(browser.names()) == 2


async def test_logins_that_nobody_ends_do_not_pile_up(world: World) -> None:
    """Ten at most, the latest; more would fill the Cookie header until the API's proxy reads none of it."""
    browser = await world.log_in()
    session = browser.names()
    for _ in range(60):
        await world.start(browser)
    logins = browser.names() - session
    assert len(logins) == 10
    assert sum(len(kept.name) + len(value) for kept, value in browser.cookies.items()) < 8 * 1024
    read(await browser.login_end(await world.respond(browser)))
    assert len(browser.names() - session) == 9


async def test_ten_tabs_log_in_at_once(world: World) -> None:
    """Each login that is under way can be ended, the first as well as the tenth."""
    browser = world.browser()
    responses = [await world.respond(browser) for _ in range(10)]
    for response in responses:
        read(await browser.login_end(response))


async def test_the_verifier_is_not_in_the_answer(world: World) -> None:
    """PKCE protects only while the verifier stays in the sealed cookie."""
    browser = world.browser()
    response = await browser.login_start()
    verifier = sealed_login(world, browser)["verifier"]
    assert verifier not in response.text
    assert verifier not in str(response.headers)


async def test_a_configured_redirect_uri_and_scope_are_used(tmp_path: Path) -> None:
    """The settings redirect_uri and scope replace the defaults."""
    world = create_world(tmp_path, redirect_uri=f"{HOME}callback", scope="openid orders")
    query = world.asked_for(await world.start(world.browser()))
    assert (query["redirect_uri"], query["scope"]) == (f"{HOME}callback", "openid orders")


async def test_the_default_scope_is_openid_profile(tmp_path: Path) -> None:
    """An app that says nothing about scope asks for an ID token and the profile."""
    world = create_world(tmp_path, scope="openid profile")
    assert world.asked_for(await world.start(world.browser()))["scope"] == "openid profile"


async def test_an_endpoint_with_a_query_keeps_it(world: World) -> None:
    """RFC 6749 section 3.1: a query component of the endpoint is retained, ours added to it."""
    await world.server.metadata(authorization_endpoint="https://login.test/authorize?tenant=a%20b")
    query = query_of(await world.start(world.browser()))
    assert query["tenant"] == "a b"
    assert query["client_id"] == "shop"


async def test_the_app_may_narrow_the_scope(world: World) -> None:
    """The parameter scope is always allowed and replaces the configured one."""
    query = query_of(await world.start(world.browser(), {"scope": "openid"}))
    assert query["scope"] == "openid"


async def test_the_app_may_add_what_is_listed(tmp_path: Path) -> None:
    """A parameter of authorization_parameters reaches the URL as it was given."""
    world = create_world(tmp_path, authorization_parameters=["prompt", "ui_locales", "login_hint"])
    extra = {"prompt": "login", "login_hint": "ada&state=x é"}
    query = world.asked_for(await world.start(world.browser(), extra))
    assert {name: query[name] for name in extra} == extra
    assert "ui_locales" not in query


@pytest.mark.parametrize("name", ["redirect_uri", "state", "nonce", "response_type", "code_challenge", "prompt"])
async def test_the_app_may_not_add_what_is_not_listed(world: World, name: str) -> None:
    """Any other parameter is refused by name, and no login begins."""
    browser = world.browser()
    error = await refused(browser, {name: "x"})
    assert (error.status, error.code) == (400, "invalid_request")
    assert name in error.details
    assert browser.cookies == {}


@pytest.mark.parametrize("name", ["state", "nonce", "code_challenge", "code_challenge_method"])
def test_s3_what_protects_the_login_cannot_be_listed_away(tmp_path: Path, name: str) -> None:
    """A careless allow-list that would let the app replace state, nonce or challenge is a mistake, told by key."""
    with pytest.raises(ConfigError, match=f"apps.shop.authorization_parameters: .* {name}"):
        create_world(tmp_path, authorization_parameters=[name])


async def test_a_repeated_parameter_is_refused(tmp_path: Path) -> None:
    """RFC 6749 section 3.1: which of two values counts is not for us to guess."""
    browser = create_world(tmp_path, authorization_parameters=["prompt"]).browser()
    body = b"prompt=login&prompt=none"
    form = [("content-type", "application/x-www-form-urlencoded")]
    response = await browser.fetch("POST", "login/start", body=body, headers=form)
    assert (response.status_code, response.json()["error_code"]) == (400, "invalid_request")


async def test_a_provider_that_is_down_is_503(world: World) -> None:
    """Without metadata no login can begin; the app may try again, and later it succeeds."""
    world.server.down = True
    browser = world.browser()
    response = await browser.login_start()
    assert (response.status_code, response.json()["error_code"]) == (503, "temporarily_unavailable")
    assert int(response.headers["retry-after"]) > 0
    assert browser.cookies == {}
    world.server.down = False
    world.later(int(response.headers["retry-after"]))
    assert (await browser.login_start()).status_code == 200


@pytest.mark.parametrize("issuer", ["https://login.test/", "https://evil.test", None])
async def test_metadata_of_another_issuer_is_not_believed(world: World, issuer: str | None) -> None:
    """RFC 8414 section 3.3: the issuer in the metadata is the configured one, exactly."""
    await world.server.metadata(issuer=issuer)
    assert (await world.browser().login_start()).status_code == 503


async def test_metadata_without_an_authorization_endpoint_is_503(world: World) -> None:
    """A server that cannot log anybody in is in trouble; we are not."""
    await world.server.metadata(authorization_endpoint=None)
    assert (await world.browser().login_start()).status_code == 503


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A fresh world in which the parameters go through the browser."""
    return create_world(tmp_path, par="never")


def s256(verifier: str) -> str:
    """RFC 7636 section 4.2."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def sealed_login(world: World, browser: Browser) -> dict[str, str]:
    """What is in the only login cookie of `browser`."""
    (name,) = browser.names()
    assert name.startswith("__Host-Http-shop-login-")
    members = json.loads(world.ring.open(browser.value(name) or "", Purpose("shop", name)))
    return {key: str(value) for key, value in members.items()}


async def refused(browser: Browser, extra: dict[str, str]) -> RemoteError:
    """The error login/start answers."""
    with pytest.raises(RemoteError) as thrown:
        read(await browser.login_start(extra))
    return thrown.value
