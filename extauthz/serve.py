"""The composition root of the OAuth Proxy: builds every part in dependency order, starts it, and stops it in peace."""

import asyncio
import gc
import resource
import signal
import time
from collections.abc import Mapping
from functools import partial

import uvloop

from extauthz.authorizer import Authorizer
from extauthz.build import asks, build_apps, build_issuer, build_memory, published_keys
from extauthz.config import Config, Program
from extauthz.config.grpc_server import chosen
from extauthz.doors import jwks, resolver
from extauthz.doors.desk import Desk
from extauthz.doors.dialects import ENVOY, FORWARD, NGINX
from extauthz.doors.grpc_door import grpc_door
from extauthz.doors.http import doors
from extauthz.doors.operations import DRAINING, READY, Operations
from extauthz.http_server import HttpServer
from extauthz.metrics import Metrics
from extauthz.oauth.issuer import Issuer
from extauthz.revocations.source import build_revocations
from extauthz.revocations.watch import LogWatch
from extauthz.seat import Seat
from extauthz.telemetry import Log

DESCRIPTORS = 65_536
COUNTED_SECONDS = 0.1  # from a decision of a worker to the parent's counters; so much a killed one takes with it


def run(config: Config, log: Log, seat: Seat | None = None) -> None:
    """Serve until SIGTERM or SIGINT; `seat`: as one of several. Raises ListenError when a listener cannot be opened."""
    uvloop.run(serve(config, log, seat))


async def serve(config: Config, log: Log, seat: Seat | None = None) -> None:
    """Build, listen, wait for the signal, drain."""
    stopped = _signals(seat)
    _take_descriptors()
    issuers = {name: build_issuer(app, time.monotonic) for name, app in config.apps.items()}
    proxy = Proxy(config, issuers, log, seat)
    leave_alone()  # before anybody could be kept waiting by it
    await proxy.start()
    if seat is None:
        log.warn_of_strangers(config.extauthz.http.open_to_strangers)
    server = chosen(config.extauthz.grpc_server, reflection=config.extauthz.reflection)
    log.note("listening", addresses=" ".join(proxy.listeners), grpc_server=server)
    await stopped.wait()
    log.note("draining", seconds=config.extauthz.drain_seconds)
    await proxy.stop()
    for issuer in issuers.values():
        await issuer.http.aclose()
    log.note("stopped")


class Proxy:
    """All doors over one authorizer. The parent of several looks after operations itself."""

    def __init__(self, config: Config, issuers: Mapping[str, Issuer], log: Log, seat: Seat | None = None) -> None:
        self._settings, self._log, self._seat = config.extauthz, log, seat
        self._serving = True
        # As one of several, what is counted is read from files by another process.
        soon = partial(asyncio.get_running_loop().call_later, COUNTED_SECONDS) if seat is not None else None
        self._metrics = metrics = Metrics(soon)
        if log.backlog is not None:
            log.backlog.dropped = metrics.dropped
        http = self._settings.http
        # The resolver tells more of a user than the app may ask for; where nobody can ask it, nothing is kept for it.
        told = resolver.CLAIMS if http.listen else frozenset[str]()
        apps = build_apps(config, issuers, wall=time.time, told=told)
        self._unknown = {app.policy.app: issuers[app.policy.app] for app in apps if asks(app.policy)}
        self._learning: list[asyncio.Task[None]] = []
        watch = LogWatch(log, metrics.lost, metrics.heard)
        self._revocations = build_revocations(config, Program.EXTAUTHZ, time.time, watch)
        self._revocations.known.changed = metrics.revocations
        memory = build_memory(config, time.monotonic)
        desk = Desk(Authorizer(apps, memory, log, time.time, revocations=self._revocations), log, metrics)
        secret = http.shared_secret_file
        dialects = [ENVOY, FORWARD, NGINX, resolver.dialect(http.resolver_prefix)]
        public = jwks.published(published_keys(config))
        application = doors(
            dialects,
            desk,
            log,
            secret=secret.reveal() if secret else None,
            wait=http.timeout_seconds,
            more=public,
        )
        self._grpc = grpc_door(self._settings, desk, log, shared=seat is not None)
        self._http = HttpServer(application, log, http.tls)
        self._operations_server = HttpServer(Operations(metrics, self.state, public).application(), log)

    @property
    def listeners(self) -> list[str]:
        """Every address."""
        settings = self._settings
        if self._seat is not None:
            return [*self._seat.listen, *settings.http.listen]
        return [*settings.listen, *settings.http.listen, *settings.operations.listen]

    def state(self) -> str:
        """READY, or why not."""
        if not self._serving:
            return DRAINING
        if self._unknown:
            return f"waiting for the authorization server of {', '.join(sorted(self._unknown))}"
        return READY

    async def start(self) -> None:
        """Open every listener. Raises ListenError."""
        await self._revocations.start()
        if self._seat is not None:
            self._http.serve_on(self._seat.http)
            await self._seat.take(self._grpc.start)
        else:
            self._http.start(self._settings.http.listen)
            self._operations_server.start(self._settings.operations.listen)
            await self._grpc.start(self._settings.listen)
        self._learning = [asyncio.create_task(self._learn(app)) for app in self._unknown]
        self._tell()

    async def stop(self) -> None:
        """Say that we are leaving, go on for a while, then finish what is under way."""
        self._serving = False
        for task in self._learning:
            task.cancel()
        await self._grpc.stop(self._settings.drain_seconds)
        await self._http.stop()
        await self._operations_server.stop()
        await self._revocations.stop()  # until the last decision they count
        self._metrics.hand_over()

    async def _learn(self, app: str) -> None:
        """Until this is over, `/readyz` says that we wait for the app's authorization server."""
        await self._unknown[app].learn(lambda error: self._log.trouble(app, error.trouble, error))
        del self._unknown[app]
        self._tell()

    def _tell(self) -> None:
        if self._seat is not None:
            self._seat.tell(self.state())


def leave_alone() -> None:
    """Have the garbage collector look no more at what is here for good: the modules, and the settings."""
    gc.collect()
    gc.freeze()


def _take_descriptors() -> None:
    """As many as we may have: each connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _signals(seat: Seat | None) -> asyncio.Event:
    stopped = asyncio.Event()
    # SIGHUP would end the process at once; in peace is better. Unless it is to be ignored, as by nohup and in a worker.
    hangup = () if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else (signal.SIGHUP,)
    for number in (signal.SIGTERM, signal.SIGINT, *hangup):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    if seat is not None:
        seat.outlive_nobody(stopped.set)
    return stopped
