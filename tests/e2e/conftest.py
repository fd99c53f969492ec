"""One world for all end-to-end tests: real Envoy, real programs, on this machine or in containers."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from worlds.idp import IdpControl, behaving
from worlds.policies import APPS, ROUTES, SHOP
from worlds.reshaped import Reshaped

from demo.browser import Browser
from demo.settings import Places
from demo.world import LocalWorld, free_places

if TYPE_CHECKING:
    from worlds.in_containers import ContainerWorld
    from worlds.kinds import World


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The journey is made with each of the servers that speak gRPC, all else with one; the image has grpcio alone."""
    if "world" in metafunc.fixturenames:
        contained = metafunc.config.getoption("--world") == "containers"
        both = metafunc.module.__name__.endswith("test_journey")
        servers = ["grpcio"] if contained else ["fast", "grpcio"] if both else ["fast"]
        metafunc.parametrize("world", servers, indirect=True, scope="session")


@pytest.fixture(scope="session")
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> "Iterator[World]":
    """All programs, at the most talkative log level."""
    folder = tmp_path_factory.mktemp("world")
    with ExitStack() as stack:
        if request.config.getoption("--world") == "containers":
            yield stack.enter_context(_in_containers(stack, folder))
        else:
            yield stack.enter_context(_local(folder, request.param))


@pytest.fixture(autouse=True)
def idp(world: "World") -> Iterator[IdpControl]:
    """The identity provider's control; it behaves again after the test."""
    yield from behaving(lambda: world.control("idp"))


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


def _local(folder: Path, grpc_server: str) -> LocalWorld:
    return LocalWorld(_settings(folder, free_places(), grpc_server=grpc_server), control=True)


def _in_containers(stack: ExitStack, folder: Path) -> "ContainerWorld":
    # Imported here: the ordinary run has no Docker libraries.
    from containers.engine import engine
    from worlds.in_containers import PLACES, ContainerWorld

    stack.enter_context(engine())
    return ContainerWorld(_settings(folder, PLACES, everywhere=True))


def _settings(folder: Path, places: Places, *, grpc_server: str = "auto", everywhere: bool = False) -> Reshaped:
    return Reshaped(
        folder=folder,
        places=places,
        overrides=SHOP,
        routes=ROUTES,
        more_apps=APPS,
        grpc_server=grpc_server,
        log_level="debug",
        everywhere=everywhere,
    )
