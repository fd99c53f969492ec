"""An authorization server that is down when the proxy starts: it starts, says so, and recovers by itself."""

from collections.abc import Iterator

import httpx2
import pytest
import yaml
from worlds.waiting import until

from demo.browser import Browser
from demo.settings import Settings
from demo.world import LocalWorld, free_places


class Watched(Settings):
    """The demo's settings, with health over HTTP at the address nobody else needs here."""

    def write(self) -> None:
        """Write all files."""
        Settings.write(self)
        config = yaml.safe_load(self.config.read_text())
        config["extauthz"]["operations"] = {"listen": [self.listener("spa")]}
        self.config.write_text(yaml.safe_dump(config))


class Early(LocalWorld):
    """Everything is there before the identity provider."""

    def _programs(self) -> list[str]:
        return ["api", "extauthz", "envoy"]


@pytest.fixture
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalWorld]:
    """API, proxy and Envoy."""
    with Early(Watched(folder=tmp_path_factory.mktemp("early"), places=free_places())) as running:
        yield running


def ready(world: LocalWorld) -> tuple[int, str]:
    """What the readiness probe is told."""
    answer = httpx2.get("http://{}:{}/readyz".format(*world.settings.places.spa))
    return answer.status_code, answer.text


def test_an_outage_at_the_start(world: LocalWorld) -> None:
    """Readiness names the app that waits; with the server comes readiness, and the first session is served."""
    assert ready(world) == (503, "waiting for the authorization server of shop\n")
    assert httpx2.get(f"{world.origin}/api/", headers={"token-handler-version": "1"}).status_code == 401
    until(lambda: "connection refused" in world.log("extauthz").read_text())
    world.start("idp")
    until(lambda: ready(world) == (200, "ok\n"))
    world.start("agent")
    with Browser(world.origin) as browser:
        browser.log_in().raise_for_status()
        assert browser.request("GET", "/api/orders").status_code == 200
