"""The server around the gRPC door: deadlines, health, reflection, and where it listens."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable

import grpc
import grpc.aio
import pytest
from grpc_reflection.v1alpha import reflection_pb2
from proxy_world.door import Door, GrpcServer, by_map, open_door
from proxy_world.fakes import FakeReport, Proxy

from extauthz._pb.grpc.health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from extauthz.authorizer import Authorizer, Pending
from extauthz.config.listening import ListenError
from extauthz.decision import Decision
from extauthz.doors.checks import SERVICE
from extauthz.doors.desk import budget as budget_of
from extauthz.memory import Memory

pytestmark = pytest.mark.anyio

HEALTH = "/grpc.health.v1.Health/"
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
SERVING, NOT_SERVING = HealthCheckResponse.SERVING, HealthCheckResponse.NOT_SERVING


class Hurried(Authorizer):
    """Notes the budget it is given, and acts as if it were used up."""

    def __init__(self, proxy: Proxy) -> None:
        super().__init__(
            list(proxy.authorizer._apps.values()), Memory(proxy.cache, proxy.refusals), FakeReport(), proxy.clock
        )
        self.budgets: list[float | None] = []

    async def complete(self, pending: Pending, budget: float | None = None) -> Decision:
        """What the product does when no time is left."""
        self.budgets.append(budget)
        return await super().complete(pending, 0.0)


async def test_the_answer_comes_before_envoys_deadline(server: GrpcServer) -> None:
    """The authorization server may take what Envoy will wait less a margin; then the answer is 503, not a timeout."""
    proxy = Proxy()
    proxy.authorizer = hurried = Hurried(proxy)
    proxy.upstream.gate = asyncio.Event()
    async with open_door(proxy, server) as door:
        answer = await door.check(by_map(), timeout=60)
        proxy.upstream.gate.set()
    assert answer.denied_response.status.code == 503
    assert answer.dynamic_metadata["reason"] == "as_timeout"
    (budget,) = hurried.budgets
    assert budget is not None
    assert 50 < budget < 60.1  # gRPC's client rounds a deadline up on the wire


@pytest.mark.parametrize(("remaining", "budget"), [(0.2, 0.17), (0.03, 0.0), (0.01, 0.0), (-1.0, 0.0), (None, None)])
def test_the_budget_leaves_time_to_answer(remaining: float | None, budget: float | None) -> None:
    """Of what Envoy will wait, the last 30 ms are kept for the answer; a deadline in the past leaves nothing."""
    assert budget_of(remaining) == (budget if budget is None else pytest.approx(budget))


async def test_without_a_deadline_there_is_no_budget(server: GrpcServer) -> None:
    """A caller that sets no deadline is waited for by nobody, and bounds nothing."""
    proxy = Proxy()
    proxy.authorizer = hurried = Hurried(proxy)
    async with open_door(proxy, server) as door:
        await door.check(by_map())
    assert hurried.budgets == [None]


@pytest.mark.parametrize("service", ["", SERVICE])
async def test_health_is_serving(server: GrpcServer, service: str) -> None:
    """A running server is SERVING as a whole and for the service Envoy calls."""
    async with open_door(Proxy(), server) as door:
        assert await _health(door, service) == SERVING


async def test_health_of_an_unknown_service(server: GrpcServer) -> None:
    """Check answers NOT_FOUND for a service that is not here, and Watch says SERVICE_UNKNOWN and stays open."""
    async with open_door(Proxy(), server) as door:
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await _health(door, "nosuch")
        assert failure.value.code() is grpc.StatusCode.NOT_FOUND
        watch = _watch(door, "nosuch")
        assert await _read(watch) == HealthCheckResponse.SERVICE_UNKNOWN
        assert not watch.done()
        await _end(watch)


async def test_health_while_stopping(server: GrpcServer) -> None:
    """A server that is to stop says NOT_SERVING at once, to watchers too, and goes on answering until it has gone."""
    async with open_door(Proxy(), server) as door:
        watch = _watch(door, SERVICE)
        assert await _read(watch) == SERVING
        stopping = asyncio.create_task(door.door.stop(3600))
        assert await _read(watch) == NOT_SERVING
        assert await _health(door, "") == NOT_SERVING
        assert (await door.check(by_map())).status.code == 0
        late = _watch(door, "")
        assert await _read(late) == NOT_SERVING
        for call in (watch, late):
            await _end(call)
        stopping.cancel()


async def test_a_stopped_server_is_gone(server: GrpcServer) -> None:
    """After stop nobody is answered any more."""
    async with open_door(Proxy(), server) as door:
        await door.door.stop(0)
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await door.check(by_map())
        assert failure.value.code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize(
    "method",
    ["/envoy.service.auth.v2.Authorization/Check", "envoy.service.auth.v3.Authorization/Check/x", "/x/Check"],
)
async def test_another_method_is_not_implemented(server: GrpcServer, method: str) -> None:
    """Only the one method is served, under its one name."""
    async with open_door(Proxy(), server) as door:
        call: Callable[..., grpc.aio.UnaryUnaryCall[bytes, bytes]] = door.channel.unary_unary(method)
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await call(by_map().SerializeToString())
        assert failure.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_reflection_when_it_is_on() -> None:
    """With reflection grpcurl learns the services, and the messages of Check."""
    async with open_door(Proxy(), reflection=True) as door:
        listed = await _reflect(door, reflection_pb2.ServerReflectionRequest(list_services=""))
        names = {service.name for service in listed.list_services_response.service}
        described = await _reflect(door, reflection_pb2.ServerReflectionRequest(file_containing_symbol=SERVICE))
    assert names == {SERVICE, "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}
    assert b"CheckRequest" in described.file_descriptor_response.file_descriptor_proto[0]


async def test_no_reflection_when_it_is_off(server: GrpcServer) -> None:
    """Without it the server tells nothing about itself."""
    async with open_door(Proxy(), server) as door:
        call: grpc.aio.StreamStreamCall[bytes, bytes] = door.channel.stream_stream(REFLECTION)()
        assert await call.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_tcp(server: GrpcServer) -> None:
    """A TCP listener answers like the unix socket."""
    async with open_door(Proxy(), server, address=f"127.0.0.1:{_free_port()}") as door:
        assert (await door.check(by_map())).status.code == 0


async def test_a_busy_port_is_told_about(server: GrpcServer) -> None:
    """A port that is taken, even by another proxy, is an error that names the address."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ListenError, match=address):
            async with open_door(Proxy(), server, address=address):
                pass
    async with open_door(Proxy(), server, address=f"127.0.0.1:{_free_port()}") as first:
        with pytest.raises(ListenError, match="Address already in use"):
            async with open_door(Proxy(), server, address=first.address):
                pass


async def test_a_socket_in_a_folder_that_is_not_there(server: GrpcServer) -> None:
    """A unix socket that cannot be made is an error that names it."""
    with pytest.raises(ListenError, match="/nosuch/folder/s"):
        async with open_door(Proxy(), server, address="unix:/nosuch/folder/s"):
            pass


async def _health(door: Door, service: str) -> int:
    call: Callable[..., grpc.aio.UnaryUnaryCall[bytes, bytes]] = door.channel.unary_unary(f"{HEALTH}Check")
    answer = await call(HealthCheckRequest(service=service).SerializeToString())
    return HealthCheckResponse.FromString(answer).status


def _watch(door: Door, service: str) -> grpc.aio.UnaryStreamCall[bytes, HealthCheckResponse]:
    watch: Callable[..., grpc.aio.UnaryStreamCall[bytes, HealthCheckResponse]] = door.channel.unary_stream(
        f"{HEALTH}Watch", response_deserializer=HealthCheckResponse.FromString
    )
    # The deadline only keeps a server that never tells from hanging the suite.
    return watch(HealthCheckRequest(service=service).SerializeToString(), timeout=60)


async def _end(watch: grpc.aio.UnaryStreamCall[bytes, HealthCheckResponse]) -> None:
    """Cancel it, and see it end: what grpcio hears of it later would be for an event loop that is no more."""
    watch.cancel()
    assert await watch.code() is grpc.StatusCode.CANCELLED


async def _read(watch: grpc.aio.UnaryStreamCall[bytes, HealthCheckResponse]) -> int:
    answer = await watch.read()
    assert isinstance(answer, HealthCheckResponse)
    return answer.status


async def _reflect(
    door: Door, question: reflection_pb2.ServerReflectionRequest
) -> reflection_pb2.ServerReflectionResponse:
    async def questions() -> AsyncIterator[reflection_pb2.ServerReflectionRequest]:
        yield question

    info = door.channel.stream_stream(
        REFLECTION,
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    answer = await info(questions()).read()
    assert isinstance(answer, reflection_pb2.ServerReflectionResponse)
    return answer


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port
