"""Nobody has a secret: agent and proxy log in at the authorization server with keys, and a request is served."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from proxy_world.client_keys import KEYS, pem
from worlds.idp import IdpControl

from demo.browser import Browser
from demo.settings import API_CLIENT, APP, Settings
from demo.world import LocalWorld, free_places

BY_KEY = {"client_auth": "private_key_jwt"}


@dataclass(frozen=True, slots=True, kw_only=True)
class WithKeys(Settings):
    """The demo with a key for each client; what is registered is what each program prints."""

    def write(self) -> None:
        """Write all files."""
        Settings.write(self)
        config = yaml.safe_load(self.config.read_text())
        app = config["apps"][APP]
        for settings, name, alg in ((app, "agent.key", "ES256"), (app["upstream"], "proxy.key", "EdDSA")):
            (self.folder / name).write_bytes(pem(KEYS[alg]))
            del settings["client_secret_file"]
            settings |= BY_KEY | {"client_key_file": name}
        self.config.write_text(yaml.safe_dump(config))
        printed = {APP: self._printed("oauth-agent"), API_CLIENT: self._printed("extauthz")}
        clients = json.loads(self.clients.read_text())
        for client in clients:
            del client["client_secret"]
            client["jwks"] = printed[client["client_id"]]
        self.clients.write_text(json.dumps(clients))

    def _printed(self, program: str) -> object:
        command = [str(Path(sys.executable).parent / program), "config", "client-jwks", "--config", str(self.config)]
        return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalWorld]:
    """All programs."""
    settings = WithKeys(folder=tmp_path_factory.mktemp("keys"), places=free_places(), log_level="debug")
    with LocalWorld(settings, control=True) as world:
        yield world


def test_a_session_without_any_secret(world: LocalWorld) -> None:
    """Login, API, refresh, API, logout; and no assertion stands in any log."""
    idp = IdpControl(lambda: world.control("idp"))
    with Browser(world.origin) as browser:
        browser.log_in().raise_for_status()
        assert browser.request("GET", "/api/orders").json()["claims"]["sub"] == "ada"
        browser.agent("refresh").raise_for_status()
        assert browser.request("GET", "/api/orders").status_code == 200
        browser.agent("logout").raise_for_status()
        assert browser.request("GET", "/api/orders").status_code == 401
    assert [idp.count(call) for call in ("token", "introspect", "revoke")] == [2, 2, 1]
    assertions = [secret for secret in idp.secrets() if secret.count(".") == 2]
    assert len(assertions) >= 5
    logs = world.logs()
    assert [assertion for assertion in idp.secrets() if assertion in logs] == []
