"""grpc.health.v1, for Envoy's health checks and Kubernetes' probes, whichever server speaks gRPC around it."""

import asyncio
from collections.abc import AsyncIterator, Collection

from extauthz._pb.grpc.health.v1.health_pb2 import HealthCheckResponse

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

    def check(self, service: str) -> HealthCheckResponse | None:
        """How `service` is, or None when there is no such service."""
        return self._status() if service in self._services else None

    async def watch(self, service: str) -> AsyncIterator[HealthCheckResponse]:
        """How `service` is, now and after every change; by contract without an end, which is the client's to make."""
        if service not in self._services:
            yield HealthCheckResponse(status=HealthCheckResponse.SERVICE_UNKNOWN)
            await asyncio.Event().wait()
        yield self._status()
        if self._serving:
            await self._changed.wait()
            yield self._status()
        await asyncio.Event().wait()

    def _status(self) -> HealthCheckResponse:
        serving = HealthCheckResponse.SERVING if self._serving else HealthCheckResponse.NOT_SERVING
        return HealthCheckResponse(status=serving)
