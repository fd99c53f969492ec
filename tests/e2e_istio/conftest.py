"""A real Envoy configured as Istio does it: every header in a joined map, no path settled, underscores let by."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from worlds.idp import IdpControl
from worlds.policies import APPS, ROUTES, SHOP
from worlds.reshaped import Reshaped

from demo.browser import Browser
from demo.world import LocalWorld, free_places


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalWorld]:
    """All programs."""
    folder: Path = tmp_path_factory.mktemp("istio")
    settings = Reshaped(
        folder=folder, places=free_places(), overrides=SHOP, routes=ROUTES, more_apps=APPS, as_istio=True
    )
    with LocalWorld(settings, control=True) as running:
        yield running


@pytest.fixture
def ada(world: LocalWorld) -> Iterator[Browser]:
    """A browser with a session."""
    IdpControl(lambda: world.control("idp")).reset()
    with Browser(world.origin) as browser:
        browser.log_in().raise_for_status()
        yield browser


@pytest.fixture
def envoy(world: LocalWorld) -> str:
    """HOST:PORT of Envoy."""
    return world.origin.removeprefix("http://")
