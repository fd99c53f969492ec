"""grpc.health.v1, for Envoy's health checks and Kubernetes' probes."""

import asyncio
from collections.abc import AsyncIterator, Collection

import grpc
import grpc.aio

from extauthz._pb.grpc.health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

SERVICE = "grpc.health.v1.Health"


class Health:
    """Serving or not, for the whole server and each named service alike."""

    def __init__(self, services: Collection[str]) -> None:
        self._services = {"", *services}
        self._serving = True
        self._changed = asyncio.Event()

    def stop_serving(self) -> None:
        """From now on the answer is NOT_SERVING; watchers are told."""
        self._serving = False
        self._changed.set()

    def handler(self) -> grpc.GenericRpcHandler:
        """The service, to be added to a server."""
        read, write = HealthCheckRequest.FromString, HealthCheckResponse.SerializeToString
        methods: dict[str, grpc.RpcMethodHandler[HealthCheckRequest, HealthCheckResponse]] = {
            "Check": grpc.unary_unary_rpc_method_handler(self._check, read, write),
            "Watch": grpc.unary_stream_rpc_method_handler(self._watch, read, write),
        }
        return grpc.method_handlers_generic_handler(SERVICE, methods)

    async def _check(
        self,
        request: HealthCheckRequest,
        context: grpc.aio.ServicerContext[HealthCheckRequest, HealthCheckResponse],
    ) -> HealthCheckResponse:
        if request.service not in self._services:
            await context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        return self._status()

    async def _watch(
        self,
        request: HealthCheckRequest,
        _context: grpc.aio.ServicerContext[HealthCheckRequest, HealthCheckResponse],
    ) -> AsyncIterator[HealthCheckResponse]:
        if request.service not in self._services:
            yield HealthCheckResponse(status=HealthCheckResponse.SERVICE_UNKNOWN)
            await asyncio.Event().wait()  # by contract the stream stays open; the client ends it
        yield self._status()
        if self._serving:
            await self._changed.wait()
            yield self._status()
        await asyncio.Event().wait()

    def _status(self) -> HealthCheckResponse:
        serving = HealthCheckResponse.SERVING if self._serving else HealthCheckResponse.NOT_SERVING
        return HealthCheckResponse(status=serving)
