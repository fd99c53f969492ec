"""The gRPC door: envoy.service.auth.v3.Authorization on grpcio, with health checks and, when wanted, reflection.

No handler raises to gRPC. An aborted call is let through by an Envoy whose failure mode is open, so even a message
that cannot be parsed, or a fault of our own, gets a refusal as its answer.
"""

import asyncio
import time
from collections.abc import Sequence

import grpc
import grpc.aio
from grpc_reflection.v1alpha import reflection

from extauthz.authorizer import Authorizer, Pending
from extauthz.config.listening import ListenError, require_free
from extauthz.decision import Allow, Decision, Request, refuse
from extauthz.doors import health, messages
from extauthz.reason import Reason
from extauthz.telemetry import Log

SERVICE = "envoy.service.auth.v3.Authorization"
# Answering 503 takes a moment too; Envoy must hear it before its own deadline.
MARGIN_SECONDS = 0.03
# Requests in progress get this long after the last new one was accepted.
GRACE_SECONDS = 5.0
OUR_FAULT = messages.write(refuse(Reason.INTERNAL_ERROR, messages.NOTHING))


class GrpcDoor:
    """One server for all listeners."""

    def __init__(self, authorizer: Authorizer, log: Log, *, reflection: bool) -> None:
        self._authorizer, self._log = authorizer, log
        self._health = health.Health([SERVICE])
        # so_reuseport off: a second proxy on the same port is a mistake to be told about, not to be shared with.
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        self._server.add_generic_rpc_handlers((self._handler(), self._health.handler()))
        if reflection:
            _add_reflection(self._server)

    async def start(self, listeners: Sequence[str]) -> None:
        """Listen on every address, HOST:PORT or unix:/PATH, or raise ListenError and listen on none."""
        for address in listeners:
            require_free(address)
            try:
                self._server.add_insecure_port(address)
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
        started = time.perf_counter()
        request = messages.read(message)
        decision = self._authorizer.decide(request)
        cached = not isinstance(decision, Pending)
        if isinstance(decision, Pending):
            decision = await self._authorizer.complete(decision, _budget(remaining))
        self._report(request, decision, time.perf_counter() - started, cached)
        return messages.write(decision)

    def _report(self, request: Request, decision: Decision, seconds: float, cached: bool) -> None:
        word, status = ("allow", 200) if isinstance(decision, Allow) else (decision.reason, decision.status)
        self._log.decided(
            request,
            app=decision.app,
            decision=word,
            status=status,
            seconds=seconds,
            cached=cached,
            request_id=request.headers.get("x-request-id", ""),
        )


def _budget(remaining: float | None) -> float | None:
    """Seconds we may wait for the authorization server: what Envoy will wait for us, less a margin."""
    return None if remaining is None else max(remaining - MARGIN_SECONDS, 0.0)


def _add_reflection(server: grpc.aio.Server) -> None:
    reflection.enable_server_reflection((SERVICE, health.SERVICE, reflection.SERVICE_NAME), server)
