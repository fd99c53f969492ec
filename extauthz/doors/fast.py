"""The fast gRPC door: the same service as doors/grpc.py on zttp's HTTP/2, in the event loop and without a thread.

It has Check and health checks and no reflection, takes no compression, and answers a known session before anything
else is read.
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Sequence

from google.protobuf.message import DecodeError

from extauthz._pb.grpc.health.v1.health_pb2 import HealthCheckRequest
from extauthz.config import TlsConfig
from extauthz.config.listening import PREFIX, ListenError, listen
from extauthz.doors import fast_grpc, health
from extauthz.doors.checks import SERVICE, Checks
from extauthz.doors.desk import Desk
from extauthz.doors.fast_grpc import Method, Refusal
from extauthz.doors.fast_http2 import Connection
from extauthz.doors.fast_limits import LIMITS, Limits
from extauthz.telemetry import Log

BACKLOG = 1024  # connections not yet accepted


class FastDoor:
    """One set of connections for all listeners. `shared`: as for GrpcDoor."""

    def __init__(
        self, desk: Desk, log: Log, *, tls: TlsConfig | None = None, shared: bool = False, limits: Limits = LIMITS
    ) -> None:
        self._tls, self._shared, self._limits = tls, shared, limits
        self._health = health.Health([SERVICE])
        self._methods: dict[bytes, Method] = {
            f"/{SERVICE}/Check".encode(): Checks(desk, log).answer,
            f"/{health.SERVICE}/Check".encode(): self._check_health,
            f"/{health.SERVICE}/Watch".encode(): self._watch_health,
        }
        self._servers: list[asyncio.Server] = []
        self._peers: set[Connection] = set()
        self._next_tick: asyncio.TimerHandle | None = None

    async def start(self, listeners: Sequence[str]) -> None:
        """Listen on every address, HOST:PORT or unix:/PATH, or raise ListenError and listen on none.

        TLS is for the network; who may open a unix socket, its permissions say.
        """
        try:
            for address in listeners:
                self._servers.append(await self._listen(address))
        except ListenError:
            self._close()
            raise
        self._tick()

    async def stop(self, drain_seconds: float) -> None:
        """Tell health checks we are leaving, wait for them to hear it, then finish what is under way."""
        self._health.stop_serving()
        await asyncio.sleep(drain_seconds)
        self._close()
        leaving = [peer.gone for peer in self._peers]
        for peer in [*self._peers]:
            peer.leave()
        if leaving:
            await asyncio.wait(leaving, timeout=self._limits.grace_seconds)
        for peer in [*self._peers]:
            peer.abort()
        if self._next_tick is not None:
            self._next_tick.cancel()

    async def _listen(self, address: str) -> asyncio.Server:
        loop, listener = asyncio.get_running_loop(), listen(address, shared=self._shared)
        if address.startswith(PREFIX):
            return await loop.create_unix_server(self._connection, sock=listener, backlog=BACKLOG)
        if self._tls is None:
            return await loop.create_server(self._connection, sock=listener, backlog=BACKLOG)
        return await loop.create_server(
            self._connection,
            sock=listener,
            backlog=BACKLOG,
            ssl=_context(self._tls),
            ssl_handshake_timeout=self._limits.handshake_seconds,
            ssl_shutdown_timeout=self._limits.grace_seconds,
        )

    def _connection(self) -> Connection:
        return Connection(self._methods, self._peers, self._limits)

    def _close(self) -> None:
        for server in self._servers:
            server.close()

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        for peer in [*self._peers]:
            peer.tick(loop.time())
        self._next_tick = loop.call_later(self._limits.tick_seconds, self._tick)

    def _check_health(self, message: bytes, _wait: float | None) -> bytes | Refusal:
        service = _service(message)
        if service is None:
            return fast_grpc.UNREADABLE
        found = self._health.check(service)
        return fast_grpc.NOT_FOUND if found is None else found.SerializeToString()

    def _watch_health(self, message: bytes, _wait: float | None) -> AsyncGenerator[bytes, None] | Refusal:
        service = _service(message)
        return fast_grpc.UNREADABLE if service is None else self._watched(service)

    async def _watched(self, service: str) -> AsyncGenerator[bytes, None]:
        async for status in self._health.watch(service):
            yield status.SerializeToString()


def _service(message: bytes) -> str | None:
    try:
        return HealthCheckRequest.FromString(message).service
    except DecodeError:
        return None


def _context(tls: TlsConfig) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=tls.client_ca_file)
    # From 3.13 on Python refuses certificates without all that RFC 5280 asks of them, as many an own CA makes them; the
    # other servers of this program do not, and which Python it is must not decide who gets in.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.load_cert_chain(tls.certificate_file, tls.key_file)
    context.set_alpn_protocols(["h2"])
    if tls.client_ca_file is not None:
        context.verify_mode = ssl.CERT_REQUIRED
    return context
