"""S8: whether the server supports PKCE is known before it is relied on (RFC 9700 section 4.7.1)."""

from pathlib import Path

import pytest
from agent_world import World, create_world, read

pytestmark = pytest.mark.anyio

METHODS = "code_challenge_methods_supported"


@pytest.mark.parametrize("methods", [None, ["plain"], []])
async def test_s8_a_server_that_does_not_promise_s256_is_warned_of_once(
    tmp_path: Path, methods: list[str] | None
) -> None:
    """Many know PKCE and do not say so; with an ID token the nonce protects, and the login goes on."""
    world = create_world(tmp_path)
    await world.server.metadata(**{METHODS: methods})
    for _ in range(2):
        await world.log_in()
    assert [line["app"] for line in warnings(world)] == ["shop"]
    assert METHODS in warnings(world)[0]["detail"]


async def test_s8_a_server_that_promises_it_is_not_warned_of(tmp_path: Path) -> None:
    """The ordinary case is silent."""
    world = create_world(tmp_path)
    await world.log_in()
    assert warnings(world) == []


@pytest.mark.parametrize(("methods", "status"), [(["plain"], 503), ([], 503), (None, 200), (["plain", "S256"], 200)])
async def test_s8_without_an_id_token_a_server_that_says_it_has_none_is_refused(
    tmp_path: Path, methods: list[str] | None, status: int
) -> None:
    """Nothing else would keep a stolen code from being redeemed in another's login."""
    world = create_world(tmp_path, scope="orders")
    await world.server.metadata(**{METHODS: methods})
    browser = world.browser()
    assert (await browser.login_start()).status_code == status
    assert bool(browser.cookies) == (status == 200)


async def test_s8_a_server_without_pkce_and_with_another_nonce_logs_nobody_in(tmp_path: Path) -> None:
    """The protection that is left does protect."""
    world = create_world(tmp_path)
    await world.server.metadata(**{METHODS: None})
    await world.server.mode(id_token_overrides={"nonce": "another"})
    browser = world.browser()
    answer = await browser.login_end(await world.respond(browser))
    assert (answer.status_code, answer.json()["error_code"]) == (400, "invalid_id_token")


async def test_s8_the_app_that_leaves_openid_out_is_held_to_it(tmp_path: Path) -> None:
    """What counts is the login, not the settings."""
    world = create_world(tmp_path)
    await world.server.metadata(**{METHODS: ["plain"]})
    assert (await world.browser().login_start({"scope": "orders"})).status_code == 503
    read(await world.browser().login_start())


def warnings(world: World) -> list[dict[str, str]]:
    """What an operator should look at."""
    return [line for line in world.lines() if line["event"] == "authorization_server"]
