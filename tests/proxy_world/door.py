"""The real gRPC server on a unix socket of its own, and Envoy's side of the conversation."""

import io
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc
import grpc.aio

from extauthz._pb.envoy.config.core.v3.base_pb2 import HeaderMap, HeaderValue
from extauthz._pb.envoy.service.auth.v3.attribute_context_pb2 import AttributeContext
from extauthz._pb.envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse
from extauthz.doors.desk import Desk
from extauthz.doors.fast import FastDoor
from extauthz.doors.grpc import GrpcDoor
from extauthz.metrics import Metrics
from extauthz.request import Request
from extauthz.telemetry import Log
from proxy_world.asking import ORIGIN, OURS
from proxy_world.fakes import Proxy, log_to

CHECK = "/envoy.service.auth.v3.Authorization/Check"
USUAL = (("token-handler-version", "1"), ("origin", ORIGIN), ("cookie", OURS))
Headers = Iterable[tuple[str, str]]
GrpcServer = type[GrpcDoor] | type[FastDoor]
SERVERS: dict[str, GrpcServer] = {"grpcio": GrpcDoor, "fast": FastDoor}


@dataclass
class Door:
    """A running door, a channel to it, and what it logged."""

    door: GrpcDoor | FastDoor
    channel: grpc.aio.Channel
    address: str
    log: io.StringIO

    async def check(self, request: CheckRequest | bytes, timeout: float | None = None) -> CheckResponse:  # noqa: ASYNC109
        """Ask as Envoy does; `timeout` is the deadline that travels with the call."""
        message = request if isinstance(request, bytes) else request.SerializeToString()
        call: Callable[..., grpc.aio.UnaryUnaryCall[bytes, bytes]] = self.channel.unary_unary(CHECK)
        return CheckResponse.FromString(await call(message, timeout=timeout))


@asynccontextmanager
async def open_door(
    proxy: Proxy,
    server: GrpcServer = GrpcDoor,
    *,
    reflection: bool = False,
    address: str | None = None,
    log: Log | None = None,
) -> AsyncIterator[Door]:
    """Serve `proxy` with `server` on `address`, by default a unix socket, until the block ends.

    Only grpcio has reflection.
    """
    with tempfile.TemporaryDirectory() as folder:
        address = address or f"unix:{folder}/s"
        lines = io.StringIO()
        log = log or log_to(lines)
        desk = Desk(proxy.authorizer, log, Metrics())
        door = GrpcDoor(desk, log, reflection=True) if reflection else server(desk, log)
        await door.start([address])
        async with grpc.aio.insecure_channel(address) as channel:
            yield Door(door, channel, address, lines)
        await door.stop(0)


def by_map(*extra: tuple[str, str], method: str = "GET", path: str = "/orders", usual: Headers = USUAL) -> CheckRequest:
    """A CheckRequest as Envoy fills it by default: names once, repeated values joined by commas."""
    headers: dict[str, str] = {}
    for name, value in (*usual, *extra):
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return _request(AttributeContext.HttpRequest(method=method, path=path, host="api.shop.example", headers=headers))


def by_header_map(
    *extra: tuple[str, str | bytes], method: str = "GET", path: str = "/orders", usual: Headers = USUAL
) -> CheckRequest:
    """A CheckRequest as Envoy fills it with encode_raw_headers: every line for itself, as bytes."""
    lines = [
        HeaderValue(key=name, raw_value=value if isinstance(value, bytes) else value.encode())
        for name, value in (*usual, *extra)
    ]
    http = AttributeContext.HttpRequest(
        method=method, path=path, host="api.shop.example", header_map=HeaderMap(headers=lines)
    )
    return _request(http)


def _request(http: AttributeContext.HttpRequest) -> CheckRequest:
    return CheckRequest(attributes=AttributeContext(request=AttributeContext.Request(http=http)))


def check_request(request: Request, *, raw: bool) -> CheckRequest:
    """A request of the core as Envoy would ask about it: with raw header lines, or with its joined map."""
    lines = [*request.headers.items(), *(("cookie", line) for line in request.cookies.lines)]
    http = AttributeContext.HttpRequest(method=request.method, path=request.path, host=request.host)
    if raw:
        http.header_map.headers.extend(
            HeaderValue(key=name, raw_value=value.encode("utf-8", "surrogateescape")) for name, value in lines
        )
    else:
        for name, value in lines:
            http.headers[name] = f"{http.headers[name]},{value}" if name in http.headers else value
    asked = _request(http)
    asked.attributes.context_extensions.update(request.context)
    return asked
