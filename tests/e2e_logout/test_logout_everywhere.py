"""Sessions that are ended, through a real Envoy: proxies and agent are told by the file that they share."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx2
import pytest
from worlds.idp import IdpControl, behaving
from worlds.waiting import until

from demo.browser import AGENT, CUSTOM_HEADER, Browser
from demo.settings import APP, Settings
from demo.world import LocalWorld, free_places

AT = f"__Host-Http-{APP}-at"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalWorld]:
    """All programs, with two proxies; answers are cached for longer than any test takes."""
    places, spare = free_places(), free_places()
    settings = Settings(
        folder=tmp_path_factory.mktemp("logout"),
        places=places,
        overrides={"upstream": {"cache_seconds": 600}},
        second_proxy=spare.extauthz,
    )
    with LocalWorld(settings, control=True) as running:
        yield running


@pytest.fixture(autouse=True)
def idp(world: LocalWorld) -> Iterator[IdpControl]:
    """The identity provider's control; it behaves again after the test."""
    yield from behaving(lambda: world.control("idp"))


@pytest.fixture
def new_browser(world: LocalWorld) -> Iterator[Callable[[str], Browser]]:
    """Makes browsers somebody is logged in with, whom both proxies know, and closes them."""
    with ExitStack() as stack:

        def make(user: str) -> Browser:
            browser = stack.enter_context(Browser(world.origin))
            browser.log_in(user).raise_for_status()
            # Envoy takes the proxies in turn, or by chance.
            assert {call(browser) for _ in range(12)} == {200}
            return browser

        yield make


def call(browser: Browser, cookie: str | None = None) -> int:
    """The status of a call of the API; with `cookie`, as somebody who has copied that."""
    value = cookie or browser.cookies().get(AT, "")
    return browser.request("GET", "/api/orders", headers={**CUSTOM_HEADER, "cookie": f"{AT}={value}"}).status_code


def refused_by_all(browser: Browser, cookie: str | None = None) -> bool:
    """Whether neither proxy lets the cookie through."""
    return {call(browser, cookie) for _ in range(12)} == {401}


def tell(world: LocalWorld, token: str) -> httpx2.Response:
    """What the identity provider would send, through Envoy, where browsers come in too."""
    return httpx2.post(f"{world.origin}{AGENT}/backchannel-logout", data={"logout_token": token})


def reasons(world: LocalWorld) -> set[str]:
    """Every decision in both proxies' logs."""
    lines = (world.log("extauthz").read_text() + world.log("extauthz-2").read_text()).splitlines()
    return {json.loads(line)["decision"] for line in lines if '"event": "decision"' in line}


def test_a_user_s_sessions_end_everywhere(
    world: LocalWorld, idp: IdpControl, new_browser: Callable[[str], Browser]
) -> None:
    """A logout token for Ada ends her sessions at proxies and agent; Grace goes on, and Ada may come back at once."""
    first, second, grace = new_browser("ada"), new_browser("ada"), new_browser("grace")
    idp.reset()
    answer = tell(world, idp.logout_token(APP, sub="ada"))
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    until(lambda: refused_by_all(first) and refused_by_all(second))
    assert call(grace) == 200
    assert idp.count("introspect") == 0  # nobody was asked: the answers are in the cache still
    assert "session_revoked" in reasons(world)
    refused = first.agent("refresh")
    assert (refused.status_code, refused.json()["error_code"]) == (401, "session_expired")
    assert [name for name in first.cookies() if APP in name] == []
    assert second.agent("session").json() == {"is_logged_in": False}
    assert grace.agent("refresh").status_code == 200
    again = new_browser("ada")
    assert call(again) == 200


def test_signing_out_at_the_identity_provider(world: LocalWorld, new_browser: Callable[[str], Browser]) -> None:
    """The provider itself tells the agent: a session ended there is over here, and the user's other one is not."""
    ada, other = new_browser("ada"), new_browser("ada")
    ada.visit(f"{world.issuer}/logout")
    until(lambda: refused_by_all(ada))
    assert call(other) == 200
    assert ada.agent("refresh").status_code == 401


def test_logout_ends_a_stolen_cookie(new_browser: Callable[[str], Browser], idp: IdpControl) -> None:
    """After POST logout a copy of the access token cookie is refused, although its token is active and in the cache."""
    ada = new_browser("ada")
    stolen = ada.cookies()[AT]
    idp.reset()
    ada.agent("logout").raise_for_status()
    until(lambda: refused_by_all(ada, stolen))
    assert idp.count("introspect") == 0


def test_a_token_that_is_not_the_provider_s(world: LocalWorld, new_browser: Callable[[str], Browser]) -> None:
    """Whoever reaches the endpoint and is not the provider ends nothing."""
    ada = new_browser("ada")
    answer = tell(world, "eyJhbGciOiJub25lIn0.e30.")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert call(ada) == 200


def test_restarts_forget_nothing(world: LocalWorld, idp: IdpControl, new_browser: Callable[[str], Browser]) -> None:
    """Agent and proxies that start again still refuse the session."""
    alan = new_browser("alan")
    cookies = alan.cookies()
    tell(world, idp.logout_token(APP, sub="alan")).raise_for_status()
    for program in ("extauthz", "extauthz-2", "agent"):
        world.stop(program)
        world.start(program)
    until(lambda: call(alan) != 503)  # Envoy has seen that they are back
    assert refused_by_all(alan, cookies[AT])
    assert alan.agent("refresh").status_code == 401


def test_no_logout_token_reaches_a_log(world: LocalWorld, idp: IdpControl) -> None:
    """Neither tokens nor names stand in what the programs write, nor in the file."""
    token = idp.logout_token(APP, sub="grace")
    tell(world, token).raise_for_status()
    written = world.logs() + (world.settings.folder / "revocations.jsonl").read_text()
    assert [part for part in token.split(".")[1:] if part in written] == []
    assert "grace" not in (world.settings.folder / "revocations.jsonl").read_text()
