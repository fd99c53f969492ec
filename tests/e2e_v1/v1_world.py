"""The world of version 1: the demo's, as docs/migration.md changes it, with our own agent speaking version 1."""

import json
import os
from typing import Any

import httpx2
import yaml
from worlds.waiting import until

from demo.settings import APP, Settings
from demo.world import LocalWorld

# The demo's app, and one whose pages live on another origin than the API.
CORS_APP, CORS_HOST, CORS_ORIGIN = "cors", "api.cors.example", "https://www.cors.example"
KEYS = {name: os.urandom(32) for name in ("first", "second", "cors")}


class V1Settings(Settings):
    """The demo's settings, as docs/migration.md changes them."""

    def write(self) -> None:
        """Write all files."""
        Settings.write(self)
        for name, key in KEYS.items():
            (self.folder / f"{name}.key").write_text(key.hex())
        config = yaml.safe_load(self.config.read_text())
        config["extauthz"]["drain_seconds"] = 0
        shop = config["apps"][APP] | {"cookie": v1_cookie("first"), "hosts": ["localhost"]}
        cors = {"spa_url": CORS_ORIGIN, "hosts": [CORS_HOST], "cors": {"expose_headers": ["date"]}, "agent_path": "/no"}
        config["apps"] = {APP: shop, CORS_APP: shop | cors | {"cookie": v1_cookie("cors")}}
        self.config.write_text(yaml.safe_dump(config, sort_keys=False))
        self.envoy.write_text(json.dumps(_changed(json.loads(self.envoy.read_text()))))


class V1World(LocalWorld):
    """Without the demo's page, which speaks version 2."""

    def _programs(self) -> list[str]:
        return ["idp", "api", "agent", "extauthz", "envoy"]

    def change_keys(self, cookie: dict[str, Any]) -> None:
        """Restart agent and proxy with other keys, and wait until Envoy has noticed."""
        config = yaml.safe_load(self.settings.config.read_text())
        config["apps"][APP]["cookie"] = cookie
        self.settings.config.write_text(yaml.safe_dump(config, sort_keys=False))
        for program in ("agent", "extauthz"):
            self.stop(program)
            self.start(program)
        until(lambda: httpx2.get(f"{self.origin}/api/").status_code == 401)


def v1_cookie(key: str, previous: str | None = None) -> dict[str, Any]:
    """The settings `cookie` with these keys."""
    before = {} if previous is None else {"previous_encryption_key_file": f"{previous}.key"}
    return {"format": "aes-gcm", "prefix": "example", "encryption_key_file": f"{key}.key"} | before


def _changed(envoy: dict[str, Any]) -> dict[str, Any]:
    """One more header for the proxy, and CORS left to it."""
    manager = envoy["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    manager["http_filters"] = [found for found in manager["http_filters"] if not found["name"].endswith("cors")]
    del manager["route_config"]["virtual_hosts"][0]["typed_per_filter_config"]
    [filter_] = [found for found in manager["http_filters"] if found["name"].endswith("ext_authz")]
    patterns = filter_["typed_config"]["allowed_headers"]["patterns"]
    for name in ("x-example-csrf", "access-control-request-headers"):
        if {"exact": name} not in patterns:
            patterns.append({"exact": name})
    return envoy
