"""The gRPC door on grpcio: envoy.service.auth.v3.Authorization, health checks and, when wanted, reflection."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import grpc
import grpc.aio
from grpc_reflection.v1alpha import reflection

from extauthz._pb.grpc.health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from extauthz.config import TlsConfig
from extauthz.config.listening import PREFIX, ListenError, require_free
from extauthz.doors import health
from extauthz.doors.checks import SERVICE, Checks
from extauthz.doors.desk import Desk
from extauthz.telemetry import Log

# Requests in progress get this long after the last new one was accepted.
GRACE_SECONDS = 5.0

Context = grpc.aio.ServicerContext[HealthCheckRequest, HealthCheckResponse]


class GrpcDoor:
    """One server for all listeners."""

    def __init__(self, desk: Desk, log: Log, *, reflection: bool = False, tls: TlsConfig | None = None) -> None:
        self._checks, self._tls = Checks(desk, log), tls
        self._health = health.Health([SERVICE])
        # so_reuseport off: a second proxy on the same port is a mistake to be told about, not to be shared with.
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        self._server.add_generic_rpc_handlers((self._handler(), self._health_handler()))
        if reflection:
            _add_reflection(self._server)

    async def start(self, listeners: Sequence[str]) -> None:
        """Listen on every address, HOST:PORT or unix:/PATH, or raise ListenError and listen on none.

        TLS is for the network; who may open a unix socket, its permissions say.
        """
        for address in listeners:
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
        answer = self._checks.answer(message, context.time_remaining())
        return answer if isinstance(answer, bytes) else await answer

    def _health_handler(self) -> grpc.GenericRpcHandler:
        read, write = HealthCheckRequest.FromString, HealthCheckResponse.SerializeToString
        methods: dict[str, grpc.RpcMethodHandler[HealthCheckRequest, HealthCheckResponse]] = {
            "Check": grpc.unary_unary_rpc_method_handler(self._health_check, read, write),
            "Watch": grpc.unary_stream_rpc_method_handler(self._health_watch, read, write),
        }
        return grpc.method_handlers_generic_handler(health.SERVICE, methods)

    async def _health_check(self, request: HealthCheckRequest, context: Context) -> HealthCheckResponse:
        found = self._health.check(request.service)
        if found is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        return found

    async def _health_watch(self, request: HealthCheckRequest, _context: Context) -> AsyncIterator[HealthCheckResponse]:
        async for status in self._health.watch(request.service):
            yield status


def _credentials(tls: TlsConfig) -> grpc.ServerCredentials:
    pair = (Path(tls.key_file).read_bytes(), Path(tls.certificate_file).read_bytes())
    ca = Path(tls.client_ca_file).read_bytes() if tls.client_ca_file is not None else None
    return grpc.ssl_server_credentials([pair], ca, require_client_auth=ca is not None)


def _add_reflection(server: grpc.aio.Server) -> None:
    reflection.enable_server_reflection((SERVICE, health.SERVICE, reflection.SERVICE_NAME), server)
