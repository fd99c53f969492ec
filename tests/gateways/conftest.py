"""One world without Envoy, and one real gateway after another in front of it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest
from worlds.doors import WithDoors
from worlds.gateways import KINDS, SECRET, Gateway
from worlds.idp import IdpControl, behaving

from demo.browser import Browser
from demo.world import LocalWorld, free_places

SHOP = {
    "hosts": ["localhost"],
    "allow_http": True,
    "upstream": {"required_scopes": ["orders"]},
    # The identity provider gives no roles, unless a test asks it to.
    "identity_headers": {"x-user-id": "sub", "x-user-roles": "roles"},
    "routes": [
        {"path": "/api/public", "auth": "optional"},
        {"path": "/api/admin", "scope": "admin"},
        {"path": "/api/elsewhere", "audience": "elsewhere"},
    ],
}


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalWorld]:
    """All programs but a gateway."""
    folder: Path = tmp_path_factory.mktemp("world")
    (folder / "door-secret").write_text(SECRET)
    settings = WithDoors(
        folder=folder,
        places=free_places(http=True),
        overrides=SHOP,
        http={"shared_secret_file": "door-secret"},
        log_level="debug",
    )
    with LocalWorld(settings, control=True, gateway=False) as running:
        yield running


@pytest.fixture(scope="session", params=[name for name in KINDS if name != "nginx-resolver"])
def gateway(request: pytest.FixtureRequest, world: LocalWorld) -> Iterator[Gateway]:
    """Each gateway in turn, at the same place."""
    with Gateway(KINDS[request.param], world.settings.places, world.settings.folder) as running:
        yield running


@pytest.fixture
def idp(world: LocalWorld) -> Iterator[IdpControl]:
    """The identity provider's control; it behaves again after the test."""
    yield from behaving(lambda: world.control("idp"))


@pytest.fixture
def new_browser(gateway: Gateway) -> Iterator[Callable[[], Browser]]:
    """Makes browsers that go through the gateway, and closes them."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(Browser(gateway.origin))


@pytest.fixture
def ada(new_browser: Callable[[], Browser], idp: IdpControl) -> Browser:
    """A browser with a session, logged in through the gateway."""
    browser = new_browser()
    browser.log_in().raise_for_status()
    idp.reset()
    return browser


@pytest.fixture
def requests_at_the_api(world: LocalWorld) -> Callable[[], int]:
    """How many requests have reached the API."""
    return lambda: int(httpx2.get(f"{world.control('api')}/requests").raise_for_status().json()["count"])
