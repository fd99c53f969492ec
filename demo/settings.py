"""Everything the programs of the demo are told: addresses, keys, and the files that say so.

The same files are written for this machine and for containers; only the addresses differ.
"""

import json
import secrets
import subprocess
import sys
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import yaml

REFERENCE = Path(__file__).parent.parent / "envoy" / "envoy.yaml"
APP = "shop"
API_CLIENT = "gateway"  # the proxy's own client, for introspection and token exchange
AUDIENCES = ["books", "https://reports.example/"]  # other APIs it may exchange tokens for

Address = tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where each program is reached by the others. The defaults are those of envoy/envoy.yaml.

    `api_origin`: where the browser finds agent and API, when that is another host than the page's.
    """

    origin: str = "http://localhost:10000"
    api_origin: str | None = None
    issuer: str = "http://localhost:9000"
    envoy: Address = ("127.0.0.1", 10000)
    admin: Address = ("127.0.0.1", 9901)
    idp: Address = ("127.0.0.1", 9000)
    extauthz: Address = ("127.0.0.1", 9191)
    agent: Address = ("127.0.0.1", 8080)
    api: Address = ("127.0.0.1", 8081)
    spa: Address = ("127.0.0.1", 8082)
    extauthz_http: Address | None = None  # the HTTP doors, for gateways that ask there

    def items(self) -> list[tuple[str, Address]]:
        """Every address by name, in the order the programs start."""
        names = ("idp", "api", "spa", "agent", "extauthz", "extauthz_http", "envoy", "admin")
        return [(name, getattr(self, name)) for name in names if getattr(self, name) is not None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A folder for everything written, and what differs from the reference.

    `overrides` go into the app's settings, `routes` before Envoy's own; `second_proxy` is where another extauthz
    listens beside the first; `grpc_server`: the one in them; `api_trusts`: the API's options in place of the identity
    provider as its issuer; `everywhere` listens beyond loopback.
    """

    folder: Path
    places: Places
    overrides: Mapping[str, Any] = field(default_factory=dict)
    routes: Sequence[Mapping[str, Any]] = ()
    second_proxy: Address | None = None
    grpc_server: str = "auto"
    api_trusts: Sequence[str] = ()
    log_level: str = "info"
    everywhere: bool = False

    @property
    def config(self) -> Path:
        """The configuration of proxy and agent."""
        return self.folder / "token-handler.yaml"

    @property
    def clients(self) -> Path:
        """The clients the identity provider knows."""
        return self.folder / "clients.json"

    @property
    def envoy(self) -> Path:
        """Envoy's configuration."""
        return self.folder / "envoy.json"

    def listen(self, name: str) -> Address:
        """Where program `name` listens."""
        host, port = getattr(self.places, name)
        return ("0.0.0.0" if self.everywhere else host), port  # noqa: S104  # inside a container

    def listener(self, name: str) -> str:
        """The same as HOST:PORT."""
        return "{}:{}".format(*self.listen(name))

    def write(self) -> None:
        """Make keys and secrets and write all files."""
        command = Path(sys.executable).parent / "extauthz"
        subprocess.run([command, "keygen", "--out", self.folder], check=True, capture_output=True)
        agent_secret, proxy_secret = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        (self.folder / "agent-secret").write_text(agent_secret)
        (self.folder / "proxy-secret").write_text(proxy_secret)
        self.clients.write_text(json.dumps(self._clients(agent_secret, proxy_secret)))
        self.config.write_text(yaml.safe_dump(self._config(), sort_keys=False))
        self.envoy.write_text(json.dumps(place(yaml.safe_load(REFERENCE.read_text()), self)))

    def _clients(self, agent_secret: str, proxy_secret: str) -> list[dict[str, Any]]:
        home = f"{self.places.origin}/"
        agent = {
            "client_id": APP,
            "client_secret": agent_secret,
            "redirect_uris": [home],
            "post_logout_redirect_uris": [home],
            "backchannel_logout_uri": "http://{}:{}/oauth-agent/backchannel-logout".format(*self.places.agent),
            "scope": "openid profile email orders",
        }
        proxy = {
            "client_id": API_CLIENT,
            "client_secret": proxy_secret,
            "redirect_uris": [],
            "scope": "introspect",
            "audiences": AUDIENCES,
        }
        return [agent, proxy]

    def _config(self) -> dict[str, Any]:
        app: dict[str, Any] = {
            "spa_url": f"{self.places.origin}/",
            "issuer": self.places.issuer,
            "client_id": APP,
            "client_secret_file": "agent-secret",
            "scope": "openid profile email orders",
            "cookie": {
                "public_key_file": "cookie-public.pem",
                "private_key_files": ["cookie-private.pem"],
                "session_key_files": ["session.key"],
            },
            "upstream": {"client_id": API_CLIENT, "client_secret_file": "proxy-secret", "audience": "api"},
        }
        if self.places.api_origin is not None:
            app |= {"hosts": [urlsplit(self.places.api_origin).hostname], "cors": {}}
        http = {} if self.places.extauthz_http is None else {"http": {"listen": [self.listener("extauthz_http")]}}
        return {
            "extauthz": {"listen": [self.listener("extauthz")], "grpc_server": self.grpc_server, **http},
            "agent": {"listen": self.listener("agent")},
            "log": {"level": self.log_level, "format": "json"},
            # Containers share no folder that can be written to.
            "revocations": {} if self.everywhere else {"file": "revocations.jsonl"},
            "apps": {APP: merge(app, self.overrides)},
        }


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the members of `over` in it, group by group."""
    merged = dict(base)
    for key, value in over.items():
        inner = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = merge(merged[key], value) if inner else value
    return merged


def place(reference: dict[str, Any], settings: Settings) -> dict[str, Any]:
    """The reference configuration of Envoy at other addresses, with routes added; nothing else in it changes."""
    places, resources = settings.places, reference["static_resources"]
    _move(resources["listeners"][0]["address"], settings.listen("envoy"))
    _move(reference["admin"]["address"], settings.listen("admin"))
    for cluster in resources["clusters"]:
        endpoints = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
        _move(endpoints[0]["endpoint"]["address"], getattr(places, cluster["name"]))
        if cluster["name"] == "extauthz" and settings.second_proxy is not None:
            endpoints.append(deepcopy(endpoints[0]))
            _move(endpoints[1]["endpoint"]["address"], settings.second_proxy)
    manager = resources["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    host = manager["route_config"]["virtual_hosts"][0]
    cors = host["typed_per_filter_config"]["envoy.filters.http.cors"]
    cors["allow_origin_string_match"] = [{"exact": places.origin}]
    host["routes"] = [*settings.routes, *host["routes"]]
    if places.api_origin is not None:
        manager["route_config"]["virtual_hosts"] = _apart(host, urlsplit(places.origin), urlsplit(places.api_origin))
    return reference


def _apart(host: Mapping[str, Any], web: SplitResult, api: SplitResult) -> list[dict[str, Any]]:
    """Two hosts in place of one: pages on the first, agent and API on the other, which do CORS themselves."""
    *calls, pages = host["routes"]
    return [
        {"name": "web", "domains": [web.netloc], "routes": [pages]},
        {"name": "api", "domains": [api.netloc], "routes": calls},
    ]


def _move(address: dict[str, Any], to: Address) -> None:
    address["socket_address"].update(address=to[0], port_value=to[1])
