"""A real Envoy that asks over HTTP, by the filter and cluster of envoy/http-service.yaml."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest
from worlds.doors import WithDoors
from worlds.gateways import SECRET
from worlds.idp import IdpControl, behaving

from demo.browser import Browser
from demo.world import LocalWorld, free_places

SHOP = {
    "hosts": ["localhost"],
    "allow_http": True,
    "upstream": {"required_scopes": ["orders"]},
    # The identity provider gives no roles, unless a test asks it to.
    "identity_headers": {"x-user-id": "sub", "x-user-roles": "roles"},
    "routes": [{"path": "/api/public", "auth": "optional"}, {"path": "/api/admin", "scope": "admin"}],
}
# Who does CORS: Envoy, as in the reference, or the proxy.
CORS = {"cors by Envoy": {}, "cors by the proxy": {"cors": {"expose_headers": ["x-total"]}}}


@pytest.fixture(scope="session", params=CORS)
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalWorld]:
    """All programs."""
    folder: Path = tmp_path_factory.mktemp("http")
    (folder / "door-secret").write_text(SECRET)
    settings = WithDoors(
        folder=folder,
        places=free_places(http=True),
        overrides={**SHOP, **CORS[request.param]},
        http={"shared_secret_file": "door-secret"},
        envoys_cors=request.param == "cors by Envoy",
        log_level="debug",
    )
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("TOKEN_HANDLER_SECRET", SECRET)
        with LocalWorld(settings, control=True) as running:
            yield running


@pytest.fixture(autouse=True)
def idp(world: LocalWorld) -> Iterator[IdpControl]:
    """The identity provider's control; it behaves again after the test."""
    yield from behaving(lambda: world.control("idp"))


@pytest.fixture
def new_browser(world: LocalWorld) -> Iterator[Callable[..., Browser]]:
    """Makes browsers, and closes them."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(Browser(world.origin, **options))


@pytest.fixture
def ada(new_browser: Callable[..., Browser], idp: IdpControl) -> Browser:
    """A browser with a session."""
    browser = new_browser()
    browser.log_in().raise_for_status()
    idp.reset()
    return browser


@pytest.fixture
def envoy(world: LocalWorld) -> str:
    """HOST:PORT of Envoy, for raw sockets."""
    return world.origin.removeprefix("http://")


@pytest.fixture
def requests_at_the_api(world: LocalWorld) -> Callable[[], int]:
    """How many requests have reached the API."""
    return lambda: int(httpx2.get(f"{world.control('api')}/requests").raise_for_status().json()["count"])
