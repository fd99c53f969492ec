"""The agent proves who it is by each method: at login, refresh and logout, against a server that looks."""

from pathlib import Path
from typing import Any

import httpx2
import pytest
from agent_world import ISSUER, SECRET, World, create_world, form_of
from proxy_world.certificates import Authority
from proxy_world.client_keys import KEYS, pem

from extauthz.oauth.signing_key import read_signing_key

pytestmark = pytest.mark.anyio

ALIASES = {
    name: f"https://mtls.login.test/{path}"
    for name, path in {
        "token_endpoint": "token",
        "revocation_endpoint": "revoke",
        "pushed_authorization_request_endpoint": "par",
        "authorization_endpoint": "authorize",
    }.items()
}


@pytest.mark.parametrize("alg", KEYS)
async def test_private_key_jwt(tmp_path: Path, alg: str) -> None:
    """Login, refresh and logout succeed against a provider that verifies everything and takes no assertion twice."""
    world = with_key(tmp_path, alg)
    browser = await world.log_in()
    assert (await browser.refresh()).status_code == 200
    assert (await browser.logout()).status_code == 200
    forms = [form_of(request) for path in ("/par", "/token", "/revoke") for request in world.server.asked(path)]
    assert [form.get("grant_type") for form in forms] == [None, "authorization_code", "refresh_token", None]
    assert len({form["client_assertion"] for form in forms}) == 4
    assert not any("authorization" in request.headers for request in world.server.requests)
    assert (await world.server.control("counters"))["revoke"] == 1
    assert "error" not in [line["level"] for line in world.lines()]


@pytest.mark.parametrize(
    "setting", [{"client_key_id": "unregistered"}, {"client_assertion_audience": f"{ISSUER}/token"}]
)
async def test_n4_a_key_the_server_does_not_accept(tmp_path: Path, setting: dict[str, str]) -> None:
    """The app is told that it is an outage, the operator that it is ours to mend, and the session lives on."""
    world = with_key(tmp_path, "ES256", par="never", **setting)
    browser = world.browser()
    answer = await browser.login_end(await world.respond(browser))
    assert (answer.status_code, answer.json()["error_code"]) == (503, "temporarily_unavailable")
    [trouble] = [line for line in world.lines() if line["event"] == "trouble"]
    assert (trouble["level"], trouble["reason"]) == ("error", "as_refused_us")
    assertions = [form_of(request)["client_assertion"] for request in world.server.asked("/token")]
    assert assertions
    assert not any(assertion in world.log.getvalue() for assertion in assertions)


async def test_a_refused_key_ends_no_session(tmp_path: Path) -> None:
    """The key was taken out at the server: refresh is 503, and no cookie is cleared."""
    world = with_key(tmp_path, "ES256")
    browser = await world.log_in()
    names = browser.names()
    await world.server.mode(token_status=401)
    assert (await browser.refresh()).status_code == 503
    assert browser.names() == names


async def test_client_secret_post(tmp_path: Path) -> None:
    """The secret goes into the form of every call, and into no header."""
    world = create_world(tmp_path, client_auth="client_secret_post")
    browser = await world.log_in()
    await browser.refresh()
    await browser.logout()
    called = [*world.server.asked("/par"), *world.server.asked("/token"), *world.server.asked("/revoke")]
    assert [form_of(request)["client_secret"] for request in called] == [SECRET] * 4
    assert not any("authorization" in request.headers for request in world.server.requests)


async def test_tls_client_auth_calls_the_aliases(tmp_path: Path) -> None:
    """RFC 8705: calls go where certificates are asked for, with nothing but the client id; the browser does not."""
    Authority(tmp_path).sign("client")
    world = create_world(
        tmp_path,
        client_auth="tls_client_auth",
        client_secret_file=None,
        client_certificate_file="client.pem",
        client_key_file="client.key",
    )
    await world.server.metadata(mtls_endpoint_aliases=ALIASES)
    # The provider itself knows no such method: what it would answer is ours.
    reference = {"request_uri": "urn:x", "expires_in": 60}
    world.server.answers["/par"] = lambda _: httpx2.Response(201, json=reference)
    browser = world.browser()
    url = await world.start(browser)
    assert url.startswith(f"{ISSUER}/authorize?")
    await browser.login_end({"code": "c", "state": world.asked_for(url)["state"], "iss": ISSUER})
    called = [*world.server.asked("/par"), *world.server.asked("/token")]
    assert [asked.url.host for asked in called] == ["mtls.login.test"] * 2
    assert [form_of(asked)["client_id"] for asked in called] == ["shop"] * 2
    assert not any({"client_secret", "client_assertion"} & form_of(asked).keys() for asked in called)
    assert not any("authorization" in asked.headers for asked in called)


async def test_other_methods_leave_the_aliases_alone(tmp_path: Path) -> None:
    """Where certificates are asked for, those who have none do not go."""
    world = create_world(tmp_path)
    await world.server.metadata(mtls_endpoint_aliases=ALIASES)
    await world.log_in()
    assert {request.url.host for request in world.server.requests} == {"login.test"}


async def test_an_app_cannot_speak_for_the_client(tmp_path: Path) -> None:
    """A second method beside ours is no parameter an app may be allowed to add."""
    for name in ("client_assertion", "client_assertion_type", "client_secret"):
        with pytest.raises(Exception, match=f"the agent sets this itself: {name}"):
            create_world(tmp_path, refresh_parameters=[name])


def with_key(folder: Path, alg: str, **settings: Any) -> World:
    """A world in which the shop's client has a key and no secret."""
    (folder / "client.key").write_bytes(pem(KEYS[alg]))
    key = read_signing_key(pem(KEYS[alg]))
    return create_world(
        folder,
        jwks={"keys": [key.public_jwk(key.thumbprint())]},
        client_auth="private_key_jwt",
        client_secret_file=None,
        client_key_file="client.key",
        **settings,
    )
