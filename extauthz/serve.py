"""The composition root of the OAuth Proxy: builds every part in dependency order, starts it, and stops it in peace."""

import asyncio
import gc
import resource
import signal
import time
from collections.abc import Mapping

import uvloop

from extauthz.authorizer import Authorizer
from extauthz.build import asks, build_apps, build_issuer, build_memory, published_keys
from extauthz.config import Config
from extauthz.config.grpc_server import chosen
from extauthz.config.listening import PREFIX
from extauthz.config.model import HttpConfig
from extauthz.config.values import is_loopback
from extauthz.doors import jwks, resolver
from extauthz.doors.desk import Desk
from extauthz.doors.dialects import ENVOY, FORWARD, NGINX
from extauthz.doors.grpc_door import grpc_door
from extauthz.doors.http import doors
from extauthz.doors.operations import Operations
from extauthz.http_server import HttpServer
from extauthz.metrics import Metrics
from extauthz.oauth.issuer import Issuer
from extauthz.oauth.key_ring import key_set
from extauthz.telemetry import Log

DESCRIPTORS = 65_536


def run(config: Config, log: Log) -> None:
    """Serve until SIGTERM or SIGINT. Raises ListenError when a listener cannot be opened."""
    uvloop.run(serve(config, log))


async def serve(config: Config, log: Log) -> None:
    """Build, listen, wait for the signal, drain."""
    stopped = _signals()
    _take_descriptors()
    issuers = {name: build_issuer(app, time.monotonic) for name, app in config.apps.items()}
    proxy = Proxy(config, issuers, log)
    leave_alone()  # before anybody could be kept waiting by it
    await proxy.start()
    for address in _open_to_strangers(config.extauthz.http):
        log.warn("open", address=address, detail="whoever reaches it can ask: set shared_secret_file or client_ca_file")
    server = chosen(config.extauthz.grpc_server, reflection=config.extauthz.reflection)
    log.note("listening", addresses=" ".join(proxy.listeners), grpc_server=server)
    await stopped.wait()
    log.note("draining", seconds=config.extauthz.drain_seconds)
    await proxy.stop()
    for issuer in issuers.values():
        await issuer.http.aclose()
    log.note("stopped")


class Proxy:
    """All doors over one authorizer."""

    def __init__(self, config: Config, issuers: Mapping[str, Issuer], log: Log) -> None:
        self._settings, self._log = config.extauthz, log
        metrics = Metrics()
        if log.backlog is not None:
            log.backlog.dropped = metrics.dropped
        http = self._settings.http
        # The resolver tells more of a user than the app may ask for; where nobody can ask it, nothing is kept for it.
        told = resolver.CLAIMS if http.listen else frozenset[str]()
        apps = build_apps(config, issuers, wall=time.time, told=told)
        self._unknown = {app.policy.app: issuers[app.policy.app] for app in apps if asks(app.policy)}
        self._learning: list[asyncio.Task[None]] = []
        desk = Desk(Authorizer(apps, build_memory(config, time.monotonic), log, time.time), log, metrics)
        secret = http.shared_secret_file
        dialects = [ENVOY, FORWARD, NGINX, resolver.dialect(http.resolver_prefix)]
        keys = published_keys(config)
        public = {jwks.PATH: jwks.Jwks(key_set(keys))} if keys else {}
        application = doors(
            dialects,
            desk,
            log,
            secret=secret.reveal() if secret else None,
            wait=http.timeout_seconds,
            more=public,
        )
        self._grpc = grpc_door(self._settings, desk, log)
        self._http = HttpServer(application, log, http.tls)
        self._operations = Operations(metrics, waiting_for=self._unknown, more=public)
        self._operations_server = HttpServer(self._operations.application(), log)

    @property
    def listeners(self) -> list[str]:
        """Every address."""
        settings = self._settings
        return [*settings.listen, *settings.http.listen, *settings.operations.listen]

    async def start(self) -> None:
        """Open every listener. Raises ListenError."""
        self._http.start(self._settings.http.listen)
        self._operations_server.start(self._settings.operations.listen)
        await self._grpc.start(self._settings.listen)
        self._learning = [asyncio.create_task(self._learn(app)) for app in self._unknown]

    async def stop(self) -> None:
        """Say that we are leaving, go on for a while, then finish what is under way."""
        self._operations.serving = False
        for task in self._learning:
            task.cancel()
        await self._grpc.stop(self._settings.drain_seconds)
        await self._http.stop()
        await self._operations_server.stop()

    async def _learn(self, app: str) -> None:
        """Until this is over, `/readyz` says that we wait for the app's authorization server."""
        await self._unknown[app].learn(lambda error: self._log.trouble(app, error.trouble, error))
        del self._unknown[app]


def leave_alone() -> None:
    """Have the garbage collector look no more at what is here for good: the modules, and the settings."""
    gc.collect()
    gc.freeze()


def _open_to_strangers(http: HttpConfig) -> list[str]:
    if http.shared_secret_file is not None or (http.tls is not None and http.tls.client_ca_file is not None):
        return []
    return [
        address for address in http.listen if not address.startswith(PREFIX) and not is_loopback(f"http://{address}")
    ]


def _take_descriptors() -> None:
    """As many as we may have: each connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _signals() -> asyncio.Event:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    return stopped
