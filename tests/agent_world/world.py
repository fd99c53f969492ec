"""Everything together: a configuration on disk, the agent the program would serve, a provider, and one clock."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qsl, urlsplit

import httpx2
import yaml
from starlette.applications import Starlette

from agent.app import Served, create_app
from agent.backchannel import BackChannelLogout
from agent.build import build_api, build_issuer, build_shared
from agent.relying_party import RelyingParty
from agent.shared import Shared
from agent.v1 import V1
from agent.v2 import V2
from agent_world.browser import Browser, read
from agent_world.server import Server, form_of
from demo.idp import Client, IdpConfig, create_idp
from extauthz.config import Config, LogConfig, Program, load
from extauthz.cookies.aes_gcm import KeyRing
from extauthz.cookies.hpke import PrivateKey
from extauthz.cookies.keys import new_key_pair, new_session_key, read_private_key, read_session_key
from extauthz.cookies.purpose import Purpose
from extauthz.telemetry import Log, logger

ISSUER = "https://login.test"
ORIGIN = "https://www.shop.test"
HOME = "https://www.shop.test/app/"
HOST = "https://api.shop.test"
AGENT = "/oauth-agent"
ADMIN_HOME = "https://admin.shop.test/"
# What RFC 6749 section 2.3.1's encoding is for: a colon, a blank, a percent sign, a letter beyond ASCII.
SECRET = "a+b%:/ é and then some"
START = 1_800_000_000.0


@dataclass(kw_only=True)
class World:
    """`apps`, `shared`, `ring`: what the program was built with, from files in `folder`.

    `private_key`: the proxy's; `log`: what was written.
    """

    folder: Path
    clock: list[float]
    server: Server
    apps: Mapping[str, Served]
    shared: Shared
    agent: Starlette
    private_key: PrivateKey
    ring: KeyRing
    log: io.StringIO

    @property
    def relying_party(self) -> RelyingParty:
        """What speaks to the provider for the shop."""
        api = self.apps["shop"].api
        assert isinstance(api, V1 | V2)
        return api.relying_party

    @property
    def back_channel(self) -> BackChannelLogout:
        """What the provider calls for the shop."""
        api = self.apps["shop"].api
        assert isinstance(api, V2)
        return api.back_channel

    def browser(self) -> Browser:
        """A browser without cookies, at the shop's page."""
        return Browser(self.agent, base=HOST, path=AGENT, origin=ORIGIN)

    def admin(self) -> Browser:
        """A browser at the other app's page."""
        return Browser(self.agent, base=HOST, path="/admin-agent", origin="https://admin.shop.test")

    def later(self, seconds: float) -> None:
        """Time passes, for provider and agent alike."""
        self.clock[0] += seconds

    def lines(self) -> list[dict[str, Any]]:
        """The log, line by line."""
        return [json.loads(line) for line in self.log.getvalue().splitlines()]

    def purpose(self, cookie: str) -> Purpose:
        """What a cookie of the shop's is sealed for."""
        return Purpose("shop", cookie)

    def replica(self) -> "World":
        """Another process with the same settings, over the same provider."""
        config = load(self.folder / "token-handler.yaml", Program.AGENT, {})
        log = Log(logger(LogConfig(level="debug", format="json"), stream := io.StringIO()))
        apps, shared = _served(config, self.server, self.clock, log)
        agent = create_app(list(apps.values()), log)
        return replace(self, apps=apps, shared=shared, agent=agent, log=stream)

    async def start(self, browser: Browser, extra: Mapping[str, str] | None = None) -> str:
        """Begin a login; the authorization URL."""
        return str(read(await browser.login_start(extra))["authorization_url"])

    def asked_for(self, url: str) -> dict[str, str]:
        """The parameters of an authorization request: those that were pushed last, or those in `url`."""
        query = query_of(url)
        return form_of(self.server.asked("/par")[-1]) if "request_uri" in query else query

    async def respond(self, browser: Browser, user: str = "ada") -> dict[str, str]:
        """Begin a login and let `user` sign in; the authorization response."""
        return await self.server.visit(await self.start(browser), user=user)

    async def log_in(self, user: str = "ada") -> Browser:
        """A browser somebody is logged in with."""
        browser = self.browser()
        read(await browser.login_end(await self.respond(browser, user)))
        return browser


def create_world(
    folder: Path,
    *,
    jwks: Mapping[str, object] | None = None,
    top: Mapping[str, object] | None = None,
    encryption_jwk: Mapping[str, str] | None = None,
    beside: World | None = None,
    **settings: Any,
) -> World:
    """A fresh world; `settings` are added to the shop's, None removes one.

    `jwks`: the shop's client has no secret; `encryption_jwk`: the key it has registered to be encrypted for; `top`:
    settings beside `apps`; `beside`: not so fresh, but another agent at that world's provider and on its clock.
    """
    clock = [START] if beside is None else beside.clock
    private, public = new_key_pair("x25519")
    session_key = new_session_key()
    (folder / "public.pem").write_bytes(public)
    (folder / "session.key").write_bytes(session_key)
    (folder / "secret").write_text(SECRET)
    (folder / "token-handler.yaml").write_text(yaml.safe_dump({"apps": _apps(settings), **(top or {})}))
    config = load(folder / "token-handler.yaml", Program.AGENT, {})
    log = Log(logger(LogConfig(level="debug", format="json"), stream := io.StringIO()))
    provider = IdpConfig(issuer=ISSUER, clients=_clients(settings, jwks, encryption_jwk), clock=lambda: clock[0])
    server = Server(create_idp(provider, control=True), ISSUER) if beside is None else beside.server
    apps, shared = _served(config, server, clock, log)
    return World(
        folder=folder,
        clock=clock,
        server=server,
        apps=apps,
        shared=shared,
        agent=create_app(list(apps.values()), log),
        private_key=read_private_key(private),
        ring=KeyRing([read_session_key(session_key)]),
        log=stream,
    )


def query_of(url: str) -> dict[str, str]:
    """The parameters of a URL, none of them twice."""
    pairs = parse_qsl(urlsplit(url).query, keep_blank_values=True, strict_parsing=True)
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def _apps(settings: Mapping[str, Any]) -> dict[str, Any]:
    common = {
        "issuer": ISSUER,
        "client_secret_file": "secret",
        "scope": "openid profile orders",
        "cookie": {"public_key_file": "public.pem", "session_key_files": ["session.key"]},
    }
    shop = {**common, "spa_url": HOME, "client_id": "shop", **settings}
    return {
        "shop": {key: value for key, value in shop.items() if value is not None},
        "admin": {**common, "spa_url": ADMIN_HOME, "client_id": "admin", "agent_path": "/admin-agent"},
    }


def _clients(
    settings: Mapping[str, Any], jwks: Mapping[str, object] | None, encryption_jwk: Mapping[str, str] | None
) -> tuple[Client, ...]:
    scope = "openid profile orders"
    homes = (HOME, settings.get("redirect_uri", HOME))
    shop = Client(
        client_id="shop",
        client_secret=None if jwks else SECRET,
        jwks=jwks,
        redirect_uris=homes,
        scope=scope,
        audiences=tuple(settings.get("resource", ())),
        encryption_jwk=encryption_jwk,
    )
    return (
        shop,
        Client(client_id="admin", client_secret=SECRET, redirect_uris=(ADMIN_HOME,), scope=scope),
    )


def _served(
    config: Config, transport: httpx2.AsyncBaseTransport, clock: list[float], log: Log
) -> tuple[dict[str, Served], Shared]:
    """As the program builds it, on our transport and our clock."""

    def now() -> float:
        return clock[0]

    # The composition root reads the time module once; from then on its clocks are ours.
    with patch("agent.build.time", SimpleNamespace(time=now, monotonic=now)):
        shared = build_shared(config, log)
        apis = {
            name: build_api(name, app, build_issuer(app, transport), shared, log) for name, app in config.apps.items()
        }
    apps = config.apps.items()
    served = {name: Served(name=name, path=app.agent_path, api=apis[name], origins=app.origins) for name, app in apps}
    return served, shared
