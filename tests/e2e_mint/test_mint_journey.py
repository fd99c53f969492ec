"""Way `mint` through a real Envoy: the API trusts the proxy as its issuer, and never hears of the identity provider."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from worlds.idp import IdpControl, behaving
from worlds.waiting import until

from demo.browser import CUSTOM_HEADER, Browser
from demo.settings import APP, Settings
from demo.world import LocalWorld, free_places
from extauthz.doors import jwks
from extauthz.oauth.key_ring import new_key
from extauthz.oauth.signing_key import read_signing_key

AT = f"__Host-Http-{APP}-at"
OURS = "https://tokens.shop.example"
MINT = {"issuer": OURS, "key_files": ["mint-1.pem"], "claims": ["username"]}
CONNECTIONS = 4
MOST_CALLS = 20_000  # a bound for a machine so fast that the rotation takes long in comparison


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalWorld]:
    """All programs, with two proxies; the API knows our key set alone."""
    folder: Path = tmp_path_factory.mktemp("mint")
    for name in ("mint-1.pem", "mint-2.pem"):
        (folder / name).write_bytes(new_key("ES256"))
    places, spare = free_places(http=True), free_places()
    assert places.extauthz_http is not None
    where = "http://{}:{}".format(*places.extauthz_http) + jwks.PATH
    settings = Settings(
        folder=folder,
        places=places,
        overrides={"upstream": {"way": "mint", "mint": MINT}, "identity_headers": {"x-user-name": "username"}},
        second_proxy=spare.extauthz,
        api_trusts=["--issuer", OURS, "--jwks-url", where],
    )
    with LocalWorld(settings, control=True) as running:
        yield running


@pytest.fixture(autouse=True)
def idp(world: LocalWorld) -> Iterator[IdpControl]:
    """The identity provider's control; it behaves again after the test."""
    yield from behaving(lambda: world.control("idp"))


@pytest.fixture
def ada(world: LocalWorld) -> Iterator[Browser]:
    """A browser with a session."""
    with Browser(world.origin) as browser:
        browser.log_in().raise_for_status()
        yield browser


def call(browser: Browser) -> httpx2.Response:
    """Call the API as the app does."""
    headers = {**CUSTOM_HEADER, "cookie": f"{AT}={browser.cookies()[AT]}"}
    return browser.request("GET", "/api/orders", headers=headers)


@pytest.mark.parametrize("style", ["jwt", "keycloak", "plain", "rfc9701"])
def test_the_api_accepts_our_jwt(ada: Browser, idp: IdpControl, style: str) -> None:
    """However the server answers JSON, the API verifies a JWT of ours by the key set the proxy serves."""
    idp.misbehave(introspection=style)
    answer = call(ada)
    assert answer.status_code == 200, answer.text
    claims: dict[str, Any] = answer.json()["claims"]
    assert (claims["iss"], claims["aud"], claims["sub"], claims["client_id"]) == (OURS, "api", "ada", APP)
    assert claims["username"] == "ada"
    assert ["x-user-name", "ada"] in answer.json()["headers"]


def test_a_revoked_session_is_401(ada: Browser, idp: IdpControl) -> None:
    """What the server calls inactive is minted for nobody."""
    idp.expire_access_tokens()
    assert call(ada).status_code == 401


def test_a_refresh_leads_to_another_jwt(ada: Browser) -> None:
    """The new access token gets a JWT of its own."""
    first = call(ada).json()["claims"]["jti"]
    ada.agent("refresh").raise_for_status()
    assert call(ada).json()["claims"]["jti"] != first


def test_the_wrong_form_is_an_outage_and_no_logout(ada: Browser, idp: IdpControl, world: LocalWorld) -> None:
    """A server that answers otherwise than configured is 503, and the operator's log says what to change."""
    idp.misbehave(content_type="application/token-introspection+jwt")
    assert call(ada).status_code == 503
    until(lambda: any("introspection: jwt" in world.log(name).read_text() for name in ("extauthz", "extauthz-2")))


@pytest.mark.anyio
async def test_a_rotation_fails_no_request_at_the_api(world: LocalWorld, ada: Browser) -> None:
    """Through the documented steps, each proxy restarted in turn, every request of busy connections is answered 200."""
    done = asyncio.Event()
    statuses: Counter[int] = Counter()
    keys = {name: read_signing_key((world.settings.folder / name).read_bytes()).thumbprint() for name in KEYS}
    async with asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(load(f"{world.origin}/api/orders", ada.cookies()[AT], done, statuses))
        for step in STEPS:
            configure(world, step)
            for proxy in ("extauthz", "extauthz-2"):
                await asyncio.to_thread(world.stop, proxy)
                await asyncio.to_thread(world.start, proxy)
            published = await asyncio.to_thread(key_ids, world)
            assert published == [keys[name] for name in step]
        done.set()
    assert set(statuses) == {200}, statuses
    assert statuses[200] > 100  # the rotation took place under load


KEYS = ("mint-1.pem", "mint-2.pem")
STEPS = (["mint-1.pem", "mint-2.pem"], ["mint-2.pem", "mint-1.pem"], ["mint-2.pem"])


def configure(world: LocalWorld, key_files: list[str]) -> None:
    """Write these keys into the configuration."""
    config = yaml.safe_load(world.settings.config.read_text())
    config["apps"][APP]["upstream"]["mint"]["key_files"] = key_files
    world.settings.config.write_text(yaml.safe_dump(config, sort_keys=False))


def key_ids(world: LocalWorld) -> list[str]:
    """The ids of the keys that are published now."""
    place = world.settings.places.extauthz_http
    assert place is not None
    document = httpx2.get("http://{}:{}".format(*place) + jwks.PATH).raise_for_status().json()
    return [key["kid"] for key in document["keys"]]


async def load(url: str, cookie: str, done: asyncio.Event, statuses: Counter[int]) -> None:
    """Call over one connection until the rotation is done."""
    headers = {**CUSTOM_HEADER, "cookie": f"{AT}={cookie}"}
    async with httpx2.AsyncClient(timeout=30) as client:
        for _ in range(MOST_CALLS):
            if done.is_set():
                return
            statuses[(await client.get(url, headers=headers)).status_code] += 1
