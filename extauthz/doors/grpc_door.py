"""The gRPC door, on the server the settings name. The other one is not even imported."""

from collections.abc import Sequence
from typing import Protocol

from extauthz.config.grpc_server import chosen
from extauthz.config.model import ProxyConfig
from extauthz.doors.desk import Desk
from extauthz.telemetry import Log


class Door(Protocol):
    """What can be opened and closed."""

    async def start(self, listeners: Sequence[str]) -> None:
        """Listen on every address, HOST:PORT or unix:/PATH. Raises ListenError."""

    async def stop(self, drain_seconds: float) -> None:
        """Say that we are leaving, go on for a while, then finish what is under way."""


def grpc_door(settings: ProxyConfig, desk: Desk, log: Log) -> Door:
    """A door that is not open yet."""
    if chosen(settings.grpc_server, reflection=settings.reflection) == "fast":
        from extauthz.doors.fast import FastDoor

        return FastDoor(desk, log, tls=settings.tls)
    from extauthz.doors.grpc import GrpcDoor

    return GrpcDoor(desk, log, reflection=settings.reflection, tls=settings.tls)
