"""One world for all end-to-end tests: real Envoy, real programs, on this machine or in containers."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from worlds.idp import IdpControl

from demo.browser import Browser
from demo.settings import Settings
from demo.world import LocalWorld, free_places

if TYPE_CHECKING:
    from worlds.in_containers import ContainerWorld
    from worlds.kinds import World

OVERRIDES = {"hosts": ["localhost"], "upstream": {"required_scopes": ["orders"]}, "allow_http": True}


@pytest.fixture(scope="session")
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> "Iterator[World]":
    """All programs, at the most talkative log level."""
    folder = tmp_path_factory.mktemp("world")
    with ExitStack() as stack:
        if request.config.getoption("--world") == "containers":
            yield stack.enter_context(_in_containers(stack, folder))
        else:
            yield stack.enter_context(_local(folder))


@pytest.fixture(autouse=True)
def idp(world: "World") -> Iterator[IdpControl]:
    """The identity provider's control; it behaves again after the test."""
    control = IdpControl(lambda: world.control("idp"))
    control.reset()
    yield control
    control.reset()


@pytest.fixture
def new_browser(world: "World") -> Iterator[Callable[..., Browser]]:
    """Makes browsers, and closes them."""
    with ExitStack() as stack:

        def make(**options: Any) -> Browser:
            return stack.enter_context(Browser(world.origin, world.resolve, **options))

        yield make


@pytest.fixture
def browser(new_browser: Callable[..., Browser]) -> Browser:
    """A browser nobody has logged in with."""
    return new_browser()


@pytest.fixture
def ada(browser: Browser, idp: IdpControl) -> Browser:
    """A browser with a session that the proxy has not seen yet; the identity provider counts from zero."""
    browser.log_in().raise_for_status()
    idp.reset()
    return browser


@pytest.fixture
def envoy(world: "World") -> str:
    """HOST:PORT of Envoy, for raw sockets."""
    return world.resolve.get("localhost:10000") or world.origin.removeprefix("http://")


def _local(folder: Path) -> LocalWorld:
    return LocalWorld(
        Settings(folder=folder, places=free_places(), overrides=OVERRIDES, routes=ROUTES, log_level="debug"),
        control=True,
    )


def _in_containers(stack: ExitStack, folder: Path) -> "ContainerWorld":
    # Imported here: the ordinary run has no Docker libraries.
    from containers.engine import engine
    from worlds.in_containers import PLACES, ContainerWorld

    stack.enter_context(engine())
    settings = Settings(
        folder=folder, places=PLACES, overrides=OVERRIDES, routes=ROUTES, log_level="debug", everywhere=True
    )
    return ContainerWorld(settings)


def _route(path: str, **extensions: str) -> dict[str, Any]:
    return {
        "match": {"prefix": path},
        "route": {"cluster": "api"},
        "typed_per_filter_config": {
            "envoy.filters.http.ext_authz": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute",
                "check_settings": {"context_extensions": extensions},
            }
        },
    }


# Routes an operator got wrong, beside those of the reference.
ROUTES = [_route("/another-app", app="nobody"), _route("/strange-setting", auth="sometimes")]
