"""Authorization servers that publish no metadata: their endpoints are settings; what is missing is told at start."""

from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from agent_world import ISSUER, World, create_world, query_of, read

from extauthz.config import ConfigError, Program, load

pytestmark = pytest.mark.anyio

ALL = {
    "authorization": f"{ISSUER}/authorize",
    "token": f"{ISSUER}/token",
    "jwks_uri": f"{ISSUER}/jwks",
    "introspection": f"{ISSUER}/introspect",
    "revocation": f"{ISSUER}/revoke",
    "end_session": f"{ISSUER}/logout",
}
DISCOVERY = "/.well-known/openid-configuration"


async def test_a_whole_session_needs_no_metadata(tmp_path: Path) -> None:
    """Login, refresh and logout, and the document that is not there is never asked for."""
    world = described(tmp_path)
    browser = await world.log_in()
    read(await browser.refresh())
    assert read(await browser.logout())["logout_url"].startswith(f"{ISSUER}/logout?")
    assert len(world.server.asked("/revoke")) == 1
    assert world.server.asked(DISCOVERY) == []


async def test_an_authorization_endpoint_keeps_its_query(tmp_path: Path) -> None:
    """RFC 6749 section 3.1."""
    world = described(tmp_path, endpoints={**ALL, "authorization": f"{ISSUER}/authorize?tenant=a%20b"})
    assert query_of(await world.start(world.browser()))["tenant"] == "a b"


async def test_requests_are_pushed_where_the_settings_say_where(tmp_path: Path) -> None:
    """par: auto means what is offered, and this offers it."""
    world = described(tmp_path, endpoints={**ALL, "pushed_authorization_request": f"{ISSUER}/par"})
    assert "request_uri" in query_of(await world.start(world.browser()))


async def test_t1_an_id_token_is_signed_with_rs256_unless_said_otherwise(tmp_path: Path) -> None:
    """Nobody publishes anything else here."""
    world = described(tmp_path, id_token_signed_response_alg=None)
    browser = world.browser()
    answer = await browser.login_end(await world.respond(browser))
    assert (answer.status_code, answer.json()["error_code"]) == (400, "invalid_id_token")


@pytest.mark.parametrize(
    ("left_out", "settings"),
    [
        ("authorization", {}),
        ("token", {}),
        ("jwks_uri", {}),
        ("jwks_uri", {"scope": "orders", "response_mode": "jwt"}),
        ("pushed_authorization_request", {"par": "required"}),
    ],
)
def test_what_the_agent_needs_is_told(tmp_path: Path, left_out: str, settings: dict[str, Any]) -> None:
    """By key, before anything listens."""
    with pytest.raises(ConfigError, match=rf"apps\.shop\.endpoints: {left_out} is needed in it"):
        described(tmp_path, endpoints=without(left_out), **settings)


async def test_what_the_agent_does_not_need_may_be_left_out(tmp_path: Path) -> None:
    """Plain OAuth has no keys; without revocation and end_session a logout ends less."""
    kept = {name: ALL[name] for name in ("authorization", "token")}
    browser = await described(tmp_path, endpoints=kept, scope="orders").log_in()
    assert read(await browser.logout()) == {}


@pytest.mark.parametrize(
    ("left_out", "upstream", "routes"),
    [
        pytest.param("introspection", {}, [], id="phantom"),
        pytest.param("jwks_uri", {}, [], id="phantom's signature"),
        pytest.param("jwks_uri", {"way": "jwt"}, [], id="jwt"),
        pytest.param("token", {"way": "exchange"}, [], id="exchange"),
        pytest.param("token", {}, [{"path": "/x", "upstream": "exchange"}], id="exchange on a route"),
        pytest.param("jwks_uri", {"way": "exchange"}, [], id="exchange's signature"),
        pytest.param("jwks_uri", {"way": "opaque", "bearer": "jwt", "audience": "a"}, [], id="a client's own JWT"),
    ],
)
def test_what_the_proxy_needs_is_told(
    tmp_path: Path, left_out: str, upstream: dict[str, Any], routes: list[Any]
) -> None:
    """By the ways that the app and its routes go."""
    endpoints = without(left_out)
    problems = told_to_the_proxy(tmp_path, endpoints=endpoints, upstream=upstream, routes=routes)
    assert f"apps.shop.endpoints: {left_out} is needed in it" in problems


@pytest.mark.parametrize(
    ("endpoints", "upstream"),
    [
        ({"introspection": ALL["introspection"], "jwks_uri": ALL["jwks_uri"]}, {}),
        ({"token": ALL["token"]}, {"way": "exchange", "exchange": {"verify": False}}),
        ({}, {"way": "opaque"}),
    ],
)
def test_what_the_proxy_does_not_need_may_be_left_out(
    tmp_path: Path, endpoints: dict[str, str], upstream: dict[str, Any]
) -> None:
    """The agent may have a file of its own."""
    assert "endpoints" not in told_to_the_proxy(tmp_path, endpoints=endpoints, upstream=upstream)


@pytest.mark.parametrize(
    "url",
    [
        "http://login.test/token",
        "ftp://login.test/token",
        "/token",
        "https://u:p@login.test/token",
        "https://login.test/token#x",
        "https://login.test/token?a=b#x",
        "https://login.test/token?a b",
        "https://login.test/token?é",
        "",
        7,
    ],
)
def test_an_address_nobody_should_send_secrets_to_is_a_mistake(tmp_path: Path, url: object) -> None:
    """Client credentials and refresh tokens go there."""
    with pytest.raises(ConfigError, match=r"apps\.shop\.endpoints"):
        described(tmp_path, endpoints={**ALL, "token": url})


@pytest.mark.parametrize(
    ("url", "settings"),
    [("http://localhost:1/token?a=b", {}), ("http://login.internal/token", {"allow_http": True})],
)
def test_plain_http_is_for_loopback_and_test_networks(tmp_path: Path, url: str, settings: dict[str, Any]) -> None:
    """As it is for the issuer."""
    described(tmp_path, endpoints={**ALL, "token": url}, **settings)


def described(folder: Path, **settings: Any) -> World:
    """A world whose provider publishes nothing; its endpoints stand in the settings."""
    world = create_world(folder, **{"endpoints": ALL, "id_token_signed_response_alg": "ES256", **settings})
    world.server.answers[DISCOVERY] = lambda _: httpx2.Response(404)
    return world


def without(name: str) -> dict[str, str]:
    """All endpoints but one."""
    return {key: url for key, url in ALL.items() if key != name}


def told_to_the_proxy(folder: Path, **settings: Any) -> str:
    """Every problem the proxy finds in a configuration; it has no private key, so there is one."""
    (folder / "secret").write_text("secret")
    app = {"spa_url": "https://shop.test/", "issuer": ISSUER, "client_id": "shop", "client_secret_file": "secret"}
    file = folder / "proxy.yaml"
    file.write_text(yaml.safe_dump({"apps": {"shop": {**app, "cookie": {}, **settings}}}))
    with pytest.raises(ConfigError) as thrown:
        load(file, Program.EXTAUTHZ, {})
    return str(thrown.value)
