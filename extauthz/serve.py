"""The composition root of the OAuth Proxy: builds every part in dependency order, starts it, and stops it in peace."""

import asyncio
import signal
import time

import uvloop

from extauthz.authorizer import App, Authorizer
from extauthz.cache import Cache
from extauthz.config import AppConfig, Config, cookie_names
from extauthz.cookies.hpke import Opener
from extauthz.cookies.purpose import Purpose
from extauthz.decision import Policy
from extauthz.doors.grpc import GrpcDoor
from extauthz.oauth.client_auth import ClientSecretBasic
from extauthz.oauth.http import HttpClient
from extauthz.oauth.introspection import Introspection
from extauthz.oauth.jwks import KeySet
from extauthz.oauth.metadata import Discovery
from extauthz.outcome import Outcome
from extauthz.telemetry import Log
from extauthz.upstream.phantom import Phantom


def run(config: Config, log: Log) -> None:
    """Serve until SIGTERM or SIGINT. Raises ListenError when a listener cannot be opened."""
    uvloop.run(serve(config, log))


async def serve(config: Config, log: Log) -> None:
    """Build, listen, wait for the signal, drain."""
    stopped = _signals()
    clients = {name: HttpClient(ca_file=app.ca_file) for name, app in config.apps.items()}
    apps = [build_app(name, app, clients[name]) for name, app in config.apps.items()]
    door = GrpcDoor(build_authorizer(config, apps, log), log, reflection=config.extauthz.reflection)
    await door.start(config.extauthz.listen)
    log.note("listening", addresses=" ".join(config.extauthz.listen))
    await stopped.wait()
    log.note("draining", seconds=config.extauthz.drain_seconds)
    await door.stop(config.extauthz.drain_seconds)
    for client in clients.values():
        await client.aclose()
    log.note("stopped")


def build_authorizer(config: Config, apps: list[App], log: Log) -> Authorizer:
    """The authorizer over all apps, with one cache for all."""
    bounds = config.extauthz.cache
    cache: Cache[Outcome] = Cache(max_entries=bounds.max_entries, max_bytes=bounds.max_bytes, clock=time.monotonic)
    return Authorizer(apps, cache, log, time.time)


def build_app(name: str, app: AppConfig, http: HttpClient) -> App:
    """Everything one app needs, from its settings."""
    names = cookie_names(name, app)
    return App(
        policy=build_policy(name, app),
        opener=Opener(
            [key for key in app.cookie.private_key_files if key is not None],
            Purpose(name, names.access_token),
        ),
        upstream=build_phantom(app, http),
        max_seconds=app.upstream.cache_seconds,
    )


def build_policy(name: str, app: AppConfig) -> Policy:
    """The slice of the settings that decisions need."""
    names = cookie_names(name, app)
    return Policy(
        app=name,
        cookie_name=names.access_token,
        login_cookie_prefix=names.login_prefix,
        agent_cookies=frozenset({names.refresh_token, names.id_token}),
        trusted_origins=app.origins,
        hosts=frozenset(app.hosts),
        required_scopes=frozenset(app.upstream.required_scopes),
    )


def build_phantom(app: AppConfig, http: HttpClient) -> Phantom:
    """The way `phantom`, with the proxy's own client or else the app's."""
    secret = app.upstream.client_secret_file or app.client_secret_file
    if secret is None:
        raise AssertionError("validated: one of the two is there")
    discovery = Discovery(app.issuer, http, time.monotonic)
    client = ClientSecretBasic(app.upstream.client_id or app.client_id, secret.reveal())
    return Phantom(
        introspection=Introspection(discovery, http, client),
        keys=KeySet(discovery, http, time.monotonic),
        issuer=app.issuer,
        audience=app.upstream.audience,
        clock=time.time,
    )


def _signals() -> asyncio.Event:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    return stopped
