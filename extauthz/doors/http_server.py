"""A small HTTP server inside the proxy's event loop: uvicorn, without its command line, logs and signals."""

import asyncio
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from extauthz.config import TlsConfig
from extauthz.config.listening import PREFIX, listen

# Above the largest header a gateway passes on; what is more than the decision reads, it refuses with a reason.
MAX_HEADER_BYTES = 128 * 1024
GRACE_SECONDS = 5
# Longer than gateways keep idle connections, or they would reuse one we have just closed.
KEEP_ALIVE_SECONDS = 75


class HttpServer:
    """Serves one application in the event loop that is running. TLS is for the network; a unix socket has none."""

    def __init__(self, application: ASGIApp, tls: TlsConfig | None = None) -> None:
        self._application, self._tls = application, tls
        self._servers: list[_Server] = []
        self._serving: list[asyncio.Task[None]] = []

    def start(self, listeners: Sequence[str]) -> None:
        """Listen on every address, HOST:PORT or unix:/PATH. Raises ListenError."""
        for address in listeners:
            server = _Server(self._settings(None if address.startswith(PREFIX) else self._tls))
            self._serving.append(asyncio.create_task(server.serve([listen(address)])))
            self._servers.append(server)

    async def stop(self) -> None:
        """Finish what is under way, and stop."""
        for server in self._servers:
            server.should_exit = True
        await asyncio.gather(*self._serving)

    def _settings(self, tls: TlsConfig | None) -> uvicorn.Config:
        return uvicorn.Config(
            self._application,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=GRACE_SECONDS,
            h11_max_incomplete_event_size=MAX_HEADER_BYTES,
            ssl_certfile=tls.certificate_file if tls else None,
            ssl_keyfile=tls.key_file if tls else None,
            ssl_ca_certs=tls.client_ca_file if tls else None,
            ssl_cert_reqs=ssl.CERT_REQUIRED if tls and tls.client_ca_file else ssl.CERT_NONE,
        )


class _Server(uvicorn.Server):
    """Leaves signals to the program it is a part of."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """No."""
        yield
