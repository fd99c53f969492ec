"""A world whose authorization server is a test's."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import yaml
from e2e_faults.sick_server import SickServer, sick_server

from demo.settings import APP, Settings
from demo.world import LocalWorld, free_places

APPS = ("sick", "refused", "tls", "brief")


@dataclass(frozen=True, slots=True, kw_only=True)
class AtSickServers(Settings):
    """The demo's settings, and apps whose authorization server is a test's."""

    server: SickServer

    def write(self) -> None:
        """Write all files."""
        Settings.write(self)
        config = yaml.safe_load(self.config.read_text())
        shop = config["apps"][APP] | {"hosts": ["localhost"]}
        config["apps"] |= {APP: shop} | {name: self._app(name, shop) for name in APPS}
        self.config.write_text(yaml.safe_dump(config))

    def _app(self, name: str, shop: dict[str, object]) -> dict[str, object]:
        app = shop | {"hosts": [f"{name}.example"], "issuer": f"{self.server.url}/{name}", "agent_path": f"/{name}"}
        # "brief" remembers nothing for long.
        return app | ({"upstream": {"cache_seconds": 0.5, "audience": "api"}} if name == "brief" else {})


class World(LocalWorld):
    """Without the agent and the page, which have no business here."""

    def _programs(self) -> list[str]:
        return ["idp", "api", "extauthz", "envoy"]


@pytest.fixture(scope="module")
def server() -> Iterator[SickServer]:
    """The authorization server of all apps here."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # bound, and never listening
        with sick_server(f"http://127.0.0.1:{reserved.getsockname()[1]}") as running:
            yield running


@pytest.fixture(scope="module")
def world(server: SickServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """API, proxy and Envoy."""
    settings = AtSickServers(
        folder=tmp_path_factory.mktemp("world"), places=free_places(), log_level="debug", server=server
    )
    running = World(settings, control=True)
    with running:
        yield running
