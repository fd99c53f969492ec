"""A headless Chromium of the system's, and two worlds on this machine: the demo's, and one of two origins."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from worlds.idp import IdpControl, behaving
from worlds.strangers import strangers

from demo.settings import Places, Settings
from demo.world import LocalWorld, free_places, separate

# Chromium's own calls home fail on machines without a network, and only make noise.
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync"]


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalWorld]:
    """The demo, on ports that are free."""
    yield from _world(tmp_path_factory.mktemp("world"), free_places())


@pytest.fixture(scope="session")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalWorld]:
    """The demo with the page on www.shop.localhost, and agent and API on api.shop.localhost."""
    yield from _world(tmp_path_factory.mktemp("apart"), separate(free_places()))


@pytest.fixture
def idp(apart: LocalWorld) -> Iterator[IdpControl]:
    """The control of the identity provider of the world of two origins; it behaves again after the test."""
    yield from behaving(lambda: apart.control("idp"))


@pytest.fixture(scope="session")
def stranger_port() -> Iterator[int]:
    """Where somebody else's pages are, under every name of this machine."""
    with strangers() as port:
        yield port


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """One Chromium for all tests."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        pytest.exit("Chromium is needed: apt-get install chromium", 2)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def person(chromium: Browser) -> Iterator[BrowserContext]:
    """A person whose browser has never been anywhere; each page of it is a tab."""
    with chromium.new_context(viewport={"width": 1180, "height": 900}) as context:
        yield context


@pytest.fixture
def page(person: BrowserContext) -> Page:
    """Their first tab."""
    return person.new_page()


def _world(folder: Path, places: Places) -> Iterator[LocalWorld]:
    with LocalWorld(Settings(folder=folder, places=places), control=True) as world:
        yield world
