"""A headless Chromium of the system's, and the demo's world on this machine."""

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, sync_playwright

from demo.settings import Settings
from demo.world import LocalWorld, free_places

# Chromium's own calls home fail on machines without a network, and only make noise.
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync"]


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalWorld]:
    """The demo, on ports that are free."""
    with LocalWorld(Settings(folder=tmp_path_factory.mktemp("world"), places=free_places())) as world:
        yield world


@pytest.fixture
def page() -> Iterator[Page]:
    """A page of a browser that has never been anywhere."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.exit("Chromium is needed: apt-get install chromium", 2)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=QUIET)
        page = browser.new_page(viewport={"width": 1180, "height": 900})
        yield page
        browser.close()
