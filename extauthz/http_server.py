"""The HTTP server of both programs: uvicorn, with bounds for what strangers may cost, and its words in our log."""

import asyncio
import logging
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from extauthz.config import TlsConfig
from extauthz.config.listening import PREFIX, listen
from extauthz.telemetry import Log

# Above the largest header a gateway passes on; what is more than the decision reads, it refuses with a reason.
MAX_HEADER_BYTES = 64 * 1024
MAX_CONNECTIONS = 10_000  # of one listener; a gateway keeps a few hundred
READ_SECONDS = 10  # from the first byte of a request to its last
GRACE_SECONDS = 5
# Longer than gateways keep idle connections, or they would use one we have just closed.
KEEP_ALIVE_SECONDS = 75


def settings(application: ASGIApp, *, lifespan: Literal["on", "off"], tls: TlsConfig | None = None) -> uvicorn.Config:
    """How one listener is served."""
    return uvicorn.Config(
        application,
        loop="uvloop",
        http=_Impatient,
        ws="none",
        lifespan=lifespan,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
        limit_concurrency=MAX_CONNECTIONS,
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        ssl_certfile=tls.certificate_file if tls else None,
        ssl_keyfile=tls.key_file if tls else None,
        ssl_ca_certs=tls.client_ca_file if tls else None,
        ssl_cert_reqs=ssl.CERT_REQUIRED if tls and tls.client_ca_file else ssl.CERT_NONE,
    )


def tell(log: Log) -> None:
    """Pass uvicorn's warnings on to our log."""
    uvicorns = logging.getLogger("uvicorn.error")
    uvicorns.handlers = [_Teller(log)]
    uvicorns.propagate = False


class HttpServer:
    """Serves one application in the event loop that is running. TLS is for the network; a unix socket has none."""

    def __init__(self, application: ASGIApp, log: Log, tls: TlsConfig | None = None) -> None:
        self._application, self._tls = application, tls
        tell(log)
        self._servers: list[_Server] = []
        self._serving: list[asyncio.Task[None]] = []

    def start(self, listeners: Sequence[str]) -> None:
        """Listen on every address, HOST:PORT or unix:/PATH. Raises ListenError."""
        for address in listeners:
            tls = None if address.startswith(PREFIX) else self._tls
            server = _Server(settings(self._application, lifespan="off", tls=tls))
            self._serving.append(asyncio.create_task(server.serve([listen(address)])))
            self._servers.append(server)

    async def stop(self) -> None:
        """Finish what is under way, and stop."""
        for server in self._servers:
            server.should_exit = True
        await asyncio.gather(*self._serving)


class _Server(uvicorn.Server):
    """Leaves signals to the program it is a part of."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """No."""
        yield


class _Impatient(H11Protocol):
    """Ends a connection whose request takes its time: it must not be held open by a byte now and then."""

    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A connection may be made ahead of its first request, and wait as long as between two."""
        super().connection_made(transport)
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, transport.close)

    def data_received(self, data: bytes) -> None:
        """A request that has begun owes its end."""
        super().data_received(data)
        if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._stop_waiting()
        elif self._patience is None:
            self._patience = self.loop.call_later(READ_SECONDS, self.transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is owed any more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None


class _Teller(logging.Handler):
    """Passes uvicorn's warnings on to our log: what it says of requests quotes none of them."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """One line."""
        self._log.warn("http", detail=record.getMessage())
