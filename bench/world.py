"""The demo's programs with a person logged in, and an Envoy that answers by itself, the proxy asked first or not."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx2
import yaml

from bench.processes import free_port
from demo.browser import Browser
from demo.settings import APP, Settings
from demo.world import LocalWorld, free_places
from extauthz.cookies.access_token import AccessToken, SealedAccessTokens
from extauthz.cookies.hpke import Opener, Sealer
from extauthz.cookies.keys import read_private_key
from extauthz.cookies.purpose import Purpose

AT = f"__Host-Http-{APP}-at"
ROUTES = ("none", "tcp", "unix")  # how Envoy asks the proxy
ANSWER = {
    "name": "all",
    "virtual_hosts": [
        {
            "name": "all",
            "domains": ["*"],
            "routes": [{"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": "ok"}}}],
        }
    ],
}


class World:
    """A running world. `ports`: Envoy's listeners by how it asks the proxy there."""

    def __init__(self, local: LocalWorld, ports: Mapping[str, int], token: str) -> None:
        self.local, self.ports = local, ports
        self._token = token
        key = read_private_key((local.settings.folder / "cookie-private.pem").read_bytes())
        self._sealer = Sealer(key.public_key(), Purpose(APP, AT))

    def cookie(self) -> str:
        """Name and value of the person's session, sealed anew: to the proxy it is another."""
        token = AccessToken(token=self._token, issued_at=int(time.time()), session_id="bench")
        return f"{AT}={self._sealer.seal(token.to_bytes())}"

    @property
    def proxy(self) -> str:
        """Where the proxy's gRPC door is."""
        return self.local.settings.listener("extauthz")

    def misbehave(self, **mode: Any) -> None:
        """Have the identity provider do so, and count from zero."""
        httpx2.post(f"{self.local.control('idp')}/reset").raise_for_status()
        httpx2.post(f"{self.local.control('idp')}/mode", json=mode).raise_for_status()

    def introspections(self) -> int:
        """How often the identity provider was asked about a token since it last misbehaved."""
        return int(httpx2.get(f"{self.local.control('idp')}/counters").raise_for_status().json()["introspect"])


class Prepared(Settings):
    """The demo's settings, and more listeners for Envoy and the proxy."""

    __slots__ = ()
    ports: Mapping[str, int]

    def write(self) -> None:
        """Write all files."""
        super().write()
        document = yaml.safe_load(self.config.read_text())
        document["extauthz"]["listen"].append(f"unix:{self.folder}/extauthz.sock")
        self.config.write_text(yaml.safe_dump(document))
        envoy = json.loads(self.envoy.read_text())
        _add_listeners(envoy["static_resources"], self.ports, f"{self.folder}/extauthz.sock")
        self.envoy.write_text(json.dumps(envoy))


@contextmanager
def world() -> Iterator[World]:
    """All of it, until the block ends."""
    with TemporaryDirectory() as folder:
        ports = {route: free_port() for route in ROUTES}
        settings = Prepared(folder=Path(folder), places=free_places())
        Prepared.ports = ports
        with LocalWorld(settings, control=True) as local:
            yield World(local, ports, _log_in(local))


def _log_in(local: LocalWorld) -> str:
    key = read_private_key((local.settings.folder / "cookie-private.pem").read_bytes())
    with Browser(local.origin) as browser:
        browser.log_in().raise_for_status()
        return SealedAccessTokens(Opener([key], Purpose(APP, AT))).open(browser.cookies()[AT]).token


def _add_listeners(resources: dict[str, Any], ports: Mapping[str, int], socket: str) -> None:
    reference = resources["listeners"][0]
    tcp = next(cluster for cluster in resources["clusters"] if cluster["name"] == "extauthz")
    unix = deepcopy(tcp) | {"name": "extauthz-unix", "type": "STATIC"}
    unix["load_assignment"]["cluster_name"] = unix["name"]
    unix["load_assignment"]["endpoints"] = [{"lb_endpoints": [{"endpoint": {"address": {"pipe": {"path": socket}}}}]}]
    resources["clusters"].append(unix)
    for route, port in ports.items():
        resources["listeners"].append(_listener(reference, route, port))


def _listener(reference: dict[str, Any], route: str, port: int) -> dict[str, Any]:
    """The reference's listener with the same filters, but for routes and, with `none`, ext_authz."""
    listener = deepcopy(reference) | {"name": f"bench-{route}"}
    listener["address"]["socket_address"] |= {"address": "127.0.0.1", "port_value": port}
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    manager["route_config"] = ANSWER
    manager.pop("access_log", None)
    for found in list(manager["http_filters"]):
        if found["name"].endswith("ext_authz"):
            if route == "none":
                manager["http_filters"].remove(found)
            elif route == "unix":
                found["typed_config"]["grpc_service"]["envoy_grpc"]["cluster_name"] = "extauthz-unix"
    return listener
