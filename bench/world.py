"""The demo's programs with a person logged in, and an Envoy that answers by itself, the proxy asked first or not."""

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx2
import yaml

from bench.processes import free_port, running, wait_until_listening
from demo.browser import Browser
from demo.settings import APP, Settings
from demo.world import LocalWorld, free_places
from extauthz.cookies.access_token import AccessToken, SealedAccessTokens
from extauthz.cookies.hpke import Opener, Sealer
from extauthz.cookies.keys import read_private_key
from extauthz.cookies.purpose import Purpose

AT = f"__Host-Http-{APP}-at"
# How Envoy asks which of the proxy's two servers; the sockets are named alike.
ASKED = {"grpcio over tcp": "grpcio", "grpcio over unix": "grpcio", "fast over tcp": "fast", "fast over unix": "fast"}
ROUTES = ("none", *ASKED)
# The server that is the default, but for the settings of this world.
FAST = {"GRPC_SERVER": "fast", "REFLECTION": "false"}
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
    """A running world. `ports`: Envoy's listeners by how it asks the proxy there; `fast`: the other proxy's process."""

    def __init__(self, local: LocalWorld, ports: Mapping[str, int], fast: int, token: str) -> None:
        self.local, self.ports, self.fast = local, ports, fast
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
    ports: Mapping[str, int]  # of the class, for there is one world at a time
    fast: int

    def write(self) -> None:
        """Write all files."""
        super().write()
        document = yaml.safe_load(self.config.read_text())
        document["extauthz"]["listen"].append(f"unix:{self.folder}/grpcio.sock")
        document["extauthz"]["grpc_server"] = "grpcio"
        self.config.write_text(yaml.safe_dump(document))
        envoy = json.loads(self.envoy.read_text())
        resources = envoy["static_resources"]
        tcp = next(cluster for cluster in resources["clusters"] if cluster["name"] == "extauthz")
        for route, server in ASKED.items():
            place: dict[str, Any] = {"pipe": {"path": f"{self.folder}/{server}.sock"}}
            if route.endswith("tcp"):
                port = self.fast if server == "fast" else self.places.extauthz[1]
                place = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
            resources["clusters"].append(_cluster(tcp, route, place))
        reference = resources["listeners"][0]
        resources["listeners"] += [_listener(reference, route, port) for route, port in self.ports.items()]
        self.envoy.write_text(json.dumps(envoy))


@contextmanager
def world() -> Iterator[World]:
    """All of it, until the block ends."""
    with TemporaryDirectory() as folder:
        settings = Prepared(folder=Path(folder), places=free_places())
        Prepared.ports, Prepared.fast = {route: free_port() for route in ROUTES}, free_port()
        listen = f"[127.0.0.1:{Prepared.fast},unix:{folder}/fast.sock]"
        with LocalWorld(settings, control=True) as local, running(*serve(local, {**FAST, "LISTEN": listen})) as fast:
            wait_until_listening(Prepared.fast, fast)
            yield World(local, Prepared.ports, fast.pid, _log_in(local))


def serve(local: LocalWorld, environ: Mapping[str, str]) -> tuple[list[str], Mapping[str, str]]:
    """Command and environment for another proxy, with other settings than the world's."""
    command = [str(Path(sys.executable).parent / "extauthz"), "serve", "--config", str(local.settings.config)]
    given = {f"TOKEN_HANDLER__EXTAUTHZ__{name}": value for name, value in environ.items()}
    return command, {**os.environ, **given, "TOKEN_HANDLER__LOG__LEVEL": "error"}


def _log_in(local: LocalWorld) -> str:
    key = read_private_key((local.settings.folder / "cookie-private.pem").read_bytes())
    with Browser(local.origin) as browser:
        browser.log_in().raise_for_status()
        return SealedAccessTokens(Opener([key], Purpose(APP, AT))).open(browser.cookies()[AT]).token


def _cluster(tcp: dict[str, Any], route: str, place: dict[str, Any]) -> dict[str, Any]:
    """The reference's cluster for the proxy, elsewhere."""
    cluster = deepcopy(tcp) | {"name": route, "type": "STATIC"}
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": place}}]}]
    cluster["load_assignment"] = {"cluster_name": route, "endpoints": endpoints}
    return cluster


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
            else:
                found["typed_config"]["grpc_service"]["envoy_grpc"]["cluster_name"] = route
    return listener
