"""Resource indicators (RFC 8707): what the access token is for is said wherever one is asked for."""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
import pytest
from agent_world import ISSUER, SECRET, World, create_world, read

from extauthz.config import ConfigError
from extauthz.cookies.access_token import AccessToken
from extauthz.cookies.hpke import Opener
from extauthz.cookies.purpose import Purpose

pytestmark = pytest.mark.anyio

AT = "__Host-Http-shop-at"
BOOKS, REPORTS = "https://books.test/api?a=b", "urn:example:reports"


@pytest.mark.parametrize("par", ["auto", "never"])
@pytest.mark.parametrize("resource", [[BOOKS], [BOOKS, REPORTS], []], ids=["one", "two", "none"])
async def test_the_resource_is_asked_for_each_time(tmp_path: Path, par: str, resource: list[str]) -> None:
    """At authorization, for the code and at refresh, once for each resource; a revocation is for none."""
    world = create_world(tmp_path, par=par, resource=resource)
    browser = world.browser()
    url = await world.start(browser)
    read(await browser.login_end(await world.server.visit(url, user="ada")))
    read(await browser.refresh())
    await browser.logout()
    pushed = [pairs(request.content.decode()) for request in world.server.asked("/par")]
    [authorization] = pushed or [parse_qsl(urlsplit(url).query)]
    code, refresh = [pairs(request.content.decode()) for request in world.server.asked("/token")]
    [revocation] = [pairs(request.content.decode()) for request in world.server.asked("/revoke")]
    for asked in (authorization, code, refresh):
        assert [value for name, value in asked if name == "resource"] == resource
    assert "resource" not in dict(revocation)


async def test_the_token_is_good_for_it(tmp_path: Path) -> None:
    """The provider's token has the resource for its audience, after the login and after a refresh."""
    world = create_world(tmp_path, resource=[BOOKS, REPORTS])
    browser = await world.log_in()
    assert await audience(world, browser.value(AT)) == [BOOKS, REPORTS]
    await browser.refresh()
    assert await audience(world, browser.value(AT)) == [BOOKS, REPORTS]


async def test_invalid_target_ends_no_session(tmp_path: Path) -> None:
    """A server that has changed its mind about a resource refuses the refresh; the user stays logged in."""
    world = create_world(tmp_path, resource=[BOOKS])
    browser = await world.log_in()
    names = browser.names()
    await world.server.mode(token_status=400, body='{"error":"invalid_target"}')
    answer = await browser.refresh()
    assert (answer.status_code, answer.json()["error_code"]) == (400, "authorization_error")
    assert browser.names() == names


@pytest.mark.parametrize(
    "uri", ["books", "/api", "//books.test/", "https://books.test/#a", "https://books.test/ b", ""]
)
def test_a_resource_is_an_absolute_uri_without_fragment(tmp_path: Path, uri: str) -> None:
    """RFC 8707 section 2: anything else is a mistake, told by key."""
    with pytest.raises(ConfigError, match=r"apps\.shop\.resource\[1\]: an absolute URI without a fragment"):
        create_world(tmp_path, resource=[BOOKS, uri])


@pytest.mark.parametrize("setting", ["authorization_parameters", "refresh_parameters"])
def test_the_app_does_not_choose_beside_the_setting(tmp_path: Path, setting: str) -> None:
    """Either the settings name the resources or the app does, or login and refresh would differ."""
    settings: dict[str, Any] = {setting: ["resource"]}
    assert create_world(tmp_path, **settings).apps
    with pytest.raises(ConfigError, match=rf"apps\.shop\.{setting}: the agent sets this itself: resource"):
        create_world(tmp_path, resource=[BOOKS], **settings)


def pairs(form: str) -> list[tuple[str, str]]:
    """The fields of a form, in order."""
    return parse_qsl(form, keep_blank_values=True, strict_parsing=True)


async def audience(world: World, cookie: str | None) -> object:
    """What the access token in the cookie is for, by the provider's word."""
    opened = Opener([world.private_key], Purpose("shop", AT)).open(cookie or "")
    form = {"token": AccessToken.from_bytes(opened).token, "client_id": "shop", "client_secret": SECRET}
    async with httpx2.AsyncClient(transport=world.server, base_url=ISSUER) as client:
        return (await client.post("/introspect", data=form)).json()["aud"]
