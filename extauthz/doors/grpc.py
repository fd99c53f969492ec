"""The gRPC door: envoy.service.auth.v3.Authorization on grpcio, with health checks and, when wanted, reflection.

No handler raises to gRPC. An aborted call is let through by an Envoy whose failure mode is open, so even a message
that cannot be parsed, or a fault of our own, gets a refusal as its answer.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import grpc
import grpc.aio
from grpc_reflection.v1alpha import reflection

from extauthz.config import TlsConfig
from extauthz.config.listening import PREFIX, ListenError, require_free
from extauthz.decision import refuse
from extauthz.doors import health, messages
from extauthz.doors.desk import Desk
from extauthz.reason import Reason
from extauthz.telemetry import Log

SERVICE = "envoy.service.auth.v3.Authorization"
NAME = "grpc"
# Requests in progress get this long after the last new one was accepted.
GRACE_SECONDS = 5.0
OUR_FAULT = messages.write(refuse(Reason.INTERNAL_ERROR, messages.NOTHING))


class GrpcDoor:
    """One server for all listeners. `shared`: another may be listening there, whose place this one is to take."""

    def __init__(
        self, desk: Desk, log: Log, *, reflection: bool, tls: TlsConfig | None = None, shared: bool = False
    ) -> None:
        self._desk, self._log, self._tls, self._shared = desk, log, tls, shared
        self._health = health.Health([SERVICE])
        # so_reuseport off: a second proxy on the same port is a mistake to be told about, not to be shared with.
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", int(shared))])
        self._server.add_generic_rpc_handlers((self._handler(), self._health.handler()))
        if reflection:
            _add_reflection(self._server)

    async def start(self, listeners: Sequence[str]) -> None:
        """Listen on every address, HOST:PORT or unix:/PATH, or raise ListenError and listen on none.

        TLS is for the network; who may open a unix socket, its permissions say.
        """
        for address in listeners:
            if not self._shared:
                require_free(address)
            try:
                if self._tls is None or address.startswith(PREFIX):
                    self._server.add_insecure_port(address)
                else:
                    self._server.add_secure_port(address, _credentials(self._tls))
            except RuntimeError as error:
                raise ListenError(f"cannot listen on {address}") from error
        await self._server.start()

    async def stop(self, drain_seconds: float) -> None:
        """Tell health checks we are leaving, wait for them to hear it, then finish what is under way."""
        self._health.stop_serving()
        await asyncio.sleep(drain_seconds)
        await self._server.stop(GRACE_SECONDS)

    def _handler(self) -> grpc.GenericRpcHandler:
        # Bytes in and out: a message grpcio cannot parse would otherwise be an abort.
        return grpc.method_handlers_generic_handler(
            SERVICE, {"Check": grpc.unary_unary_rpc_method_handler(self._check)}
        )

    async def _check(self, message: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        try:
            return await self._answer(message, context.time_remaining())
        except Exception as error:  # an abort would be let through where the failure mode is open
            self._log.trouble("", Reason.INTERNAL_ERROR, error)
            return OUR_FAULT

    async def _answer(self, message: bytes, remaining: float | None) -> bytes:
        decision = await self._desk.decide(messages.read(message), NAME, remaining)
        return messages.write(decision)


def _credentials(tls: TlsConfig) -> grpc.ServerCredentials:
    pair = (Path(tls.key_file).read_bytes(), Path(tls.certificate_file).read_bytes())
    ca = Path(tls.client_ca_file).read_bytes() if tls.client_ca_file is not None else None
    return grpc.ssl_server_credentials([pair], ca, require_client_auth=ca is not None)


def _add_reflection(server: grpc.aio.Server) -> None:
    reflection.enable_server_reflection((SERVICE, health.SERVICE, reflection.SERVICE_NAME), server)
