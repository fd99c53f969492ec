"""Group D: the gRPC protocol. Whatever comes, the answer is a refusal Envoy understands, never an abort or a yes."""

import asyncio
import io
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import grpc
import grpc.aio
import httpx2
import pytest
from proxy_world.asking import ask
from proxy_world.cases import CASES, Case
from proxy_world.certificates import Authority
from proxy_world.door import CHECK, Door, GrpcServer, by_map, check_request, open_door
from proxy_world.fakes import Proxy, log_to
from proxy_world.fortress import Fortress, good

from extauthz._pb.envoy.service.auth.v3.attribute_context_pb2 import AttributeContext
from extauthz._pb.envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse
from extauthz.config import TlsConfig
from extauthz.doors import messages
from extauthz.doors.desk import Desk
from extauthz.metrics import Metrics
from extauthz.reason import Reason

pytestmark = pytest.mark.anyio

DENIED = "denied_response"


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(CheckRequest(), id="nothing at all"),
        pytest.param(CheckRequest(attributes=AttributeContext()), id="no request"),
        pytest.param(CheckRequest(attributes=AttributeContext(request=AttributeContext.Request())), id="no HTTP"),
        pytest.param(
            CheckRequest(
                attributes=AttributeContext(
                    request=AttributeContext.Request(http=AttributeContext.HttpRequest()),
                    context_extensions={"auth": "off"},
                )
            ),
            id="a route, and no request",
        ),
    ],
)
async def test_d35_an_empty_check_request(server: GrpcServer, request_: CheckRequest) -> None:
    """A request nothing is known of is malformed."""
    async with open_door(Proxy(), server) as door:
        answer = await door.check(request_)
    assert (answer.status.code != 0, answer.WhichOneof("http_response")) == (True, DENIED)
    assert answer.dynamic_metadata["reason"] == Reason.MALFORMED_REQUEST


@pytest.mark.parametrize("case", [c for c in CASES.values() if c.status != 200], ids=lambda c: c.word)
async def test_d36_every_refusal_has_a_status_that_is_not_zero(case: Case) -> None:
    """Zero would let it through, whatever else is set."""
    answer = CheckResponse.FromString(messages.write(await case.proxy().settle(case.request)))
    assert answer.status.code != 0
    assert answer.WhichOneof("http_response") == DENIED


class Broken(Desk):
    """A desk at which everything goes wrong."""

    def at_once(self, *_: object) -> NoReturn:
        """Raise what nobody has thought of."""
        raise RuntimeError


async def test_d37_no_exception_reaches_grpc(server: GrpcServer) -> None:
    """A fault where no fault can be is still answered with a refusal, and not with an empty message."""
    log = io.StringIO()
    broken = Broken(Proxy().authorizer, log_to(log), Metrics())
    with tempfile.TemporaryDirectory() as folder:
        door = server(broken, log_to(log))
        await door.start([f"unix:{folder}/s"])
        answer = await over(grpc.aio.insecure_channel(f"unix:{folder}/s"))
        await door.stop(0)
    assert (answer.status.code, answer.denied_response.status.code) == (13, 500)
    assert '"event": "trouble"' in log.getvalue()


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
async def test_d38_no_header_is_empty_or_raw(case: Case) -> None:
    """Envoy ignores raw values, setting empty headers; and an empty Authorization would be one."""
    answer = CheckResponse.FromString(messages.write(await case.proxy().settle(case.request)))
    options = [
        *answer.ok_response.headers,
        *answer.ok_response.response_headers_to_add,
        *answer.denied_response.headers,
    ]
    assert all(option.header.value and not option.header.raw_value for option in options)
    assert "authorization" not in answer.ok_response.headers_to_remove or not [
        option for option in answer.ok_response.headers if option.header.key == "authorization"
    ]


MESSAGES = {
    "garbage": b"\xff" * 100,
    "cut in the middle": check_request(ask(), raw=True).SerializeToString()[:-7],
    "a length beyond the end": b"\x0a\xff\xff\xff\xff\x0f",
    "a string that is not UTF-8": b"\x0a\x08\x22\x06\x12\x04\x12\x02\xff\xfe",
    "unknown fields alone": b"\xfa\x3f\x03abc" * 10,
    "an unknown wire type": b"\x0f",
}


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES.keys())
async def test_d41_malformed_messages(server: GrpcServer, message: bytes) -> None:
    """What cannot be parsed is refused in an answer of our own; an abort might be let through."""
    async with open_door(Proxy(), server) as door:
        answer = await door.check(message)
    assert answer.status.code != 0
    assert answer.denied_response.status.code == 400


async def test_d41_unknown_fields_are_skipped(server: GrpcServer) -> None:
    """A newer Envoy may send fields we do not know; they neither help nor harm."""
    message = check_request(ask(), raw=True).SerializeToString() + b"\xfa\x3f\x03abc"
    async with open_door(Proxy(), server) as door:
        assert (await door.check(message)).status.code == 0


async def test_d41_a_giant_message_is_refused_by_grpc(server: GrpcServer) -> None:
    """Four megabytes are gRPC's own bound; the door stays open for the next request."""
    async with open_door(Proxy(), server) as door:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await door.check(by_map(("x-large", "x" * 5_000_000)))
        assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (await door.check(by_map())).status.code == 0


@pytest.mark.parametrize(
    "method",
    [
        "/envoy.service.auth.v3.Authorization/check",
        "/envoy.service.auth.v2.Authorization/Check",
        "/envoy.service.auth.v3.Authorization/Check/",
        "/envoy.service.auth.v3.Authorization",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    ],
)
async def test_d41_d42_other_methods_are_not_there(server: GrpcServer, method: str) -> None:
    """A misspelt method, an older protocol, and reflection unless it was asked for: unimplemented."""
    async with open_door(Proxy(), server) as door:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await call(door, method)
    assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_d40_trouble_is_told_before_the_deadline(server: GrpcServer) -> None:
    """An authorization server slower than Envoy's patience ends in our 503, not in Envoy's timeout."""
    fortress = Fortress()

    async def never(_: httpx2.Request) -> httpx2.Response:
        await asyncio.Event().wait()
        raise AssertionError

    fortress.server.answers["/introspect"] = httpx2.ReadTimeout("slow")
    assert await fortress.refused(good()) is Reason.AS_TIMEOUT
    proxy = Proxy()
    proxy.upstream.gate = asyncio.Event()
    async with open_door(proxy, server) as door:
        answer = await door.check(by_map(), timeout=0.5)
        proxy.upstream.gate.set()
    assert answer.denied_response.status.code == 503
    assert {option.header.key: option.header.value for option in answer.denied_response.headers}["retry-after"] == "5"


@pytest.mark.parametrize("few_words", [False, True])
@pytest.mark.parametrize("mutual", [False, True])
async def test_d43_tls_on_the_port(server: GrpcServer, tmp_path: Path, mutual: bool, few_words: bool) -> None:
    """With a certificate plain text is refused; with a client CA, so is a client without its certificate.

    A CA of one's own whose certificates say little is as good as another, whichever Python this is.
    """
    authority = Authority(tmp_path, few_words=few_words)
    pair, stranger = authority.sign("server"), Authority(tmp_path, "other").sign("stranger")
    tls = TlsConfig.model_construct(
        certificate_file=str(pair.certificate),
        key_file=str(pair.key),
        client_ca_file=str(authority.certificate) if mutual else None,
    )
    log = io.StringIO()
    door = server(Proxy().desk(log), log_to(log), tls=tls)
    port = free_port()
    await door.start([f"127.0.0.1:{port}"])
    ca = authority.certificate.read_bytes()
    known = grpc.ssl_channel_credentials(ca, pair.key.read_bytes(), pair.certificate.read_bytes())
    unknown = grpc.ssl_channel_credentials(ca, stranger.key.read_bytes(), stranger.certificate.read_bytes())
    try:
        assert (await over(grpc.aio.secure_channel(f"localhost:{port}", known))).status.code == 0
        for channel in (
            grpc.aio.insecure_channel(f"localhost:{port}"),
            *([grpc.aio.secure_channel(f"localhost:{port}", unknown)] if mutual else []),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await over(channel)
            assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
    finally:  # an event loop with a door that is open would never close
        await door.stop(0)


async def test_d43_a_unix_socket_speaks_plainly(server: GrpcServer, tmp_path: Path) -> None:
    """TLS is for the network: who may open the socket, the file system says, and a certificate changes nothing."""
    pair = Authority(tmp_path).sign("server")
    tls = TlsConfig.model_construct(certificate_file=str(pair.certificate), key_file=str(pair.key), client_ca_file=None)
    log = io.StringIO()
    door = server(Proxy().desk(log), log_to(log), tls=tls)
    with tempfile.TemporaryDirectory() as folder:
        await door.start([f"unix:{folder}/s"])
        assert (await over(grpc.aio.insecure_channel(f"unix:{folder}/s"))).status.code == 0
        await door.stop(0)


@pytest.mark.parametrize(
    ("context", "host", "reason"),
    [
        ({"app": "mall"}, "api.shop.example", Reason.UNKNOWN_APP),
        ({"app": ""}, "api.shop.example", Reason.UNKNOWN_APP),
        ({"app": "bank"}, "api.shop.example", Reason.UNKNOWN_APP),
        ({"app": "shop"}, "api.bank.example", Reason.UNKNOWN_APP),
        ({"app": "shop"}, "evil.example", Reason.UNKNOWN_APP),
        ({"App": "shop"}, "api.shop.example", Reason.ROUTE_SETTING),
        ({"app": "shop", "auth": "off "}, "api.shop.example", Reason.ROUTE_SETTING),
        ({"app": "shop", "authentication": "off"}, "api.shop.example", Reason.ROUTE_SETTING),
    ],
)
async def test_d44_apps_that_contradict_each_other(context: dict[str, str], host: str, reason: Reason) -> None:
    """A route and a host that disagree, and settings nobody knows, are refused."""
    assert await Fortress().refused(ask(host=host, context=context)) is reason


async def test_d46_many_connections_and_calls(server: GrpcServer) -> None:
    """A hundred connections with ten calls each, some of them dropped, leave the door as it was."""
    async with open_door(Proxy(), server) as door:
        channels = [grpc.aio.insecure_channel(door.address) for _ in range(100)]
        calls = [asyncio.create_task(over(channel, close=False)) for channel in channels for _ in range(10)]
        for dropped in calls[::7]:
            dropped.cancel()
        answers = await asyncio.gather(*calls, return_exceptions=True)
        for channel in channels:
            await channel.close()
        assert {a.status.code for a in answers if isinstance(a, CheckResponse)} == {0}
        assert (await door.check(by_map())).status.code == 0


async def call(door: Door, method: str) -> bytes:
    """Call any method with an empty message."""
    made: Callable[..., grpc.aio.UnaryUnaryCall[bytes, bytes]] = door.channel.unary_unary(method)
    return await made(b"")


async def over(channel: grpc.aio.Channel, *, close: bool = True) -> CheckResponse:
    """A good check over this channel."""
    made: Callable[..., grpc.aio.UnaryUnaryCall[bytes, bytes]] = channel.unary_unary(CHECK)
    try:
        return CheckResponse.FromString(await made(by_map().SerializeToString()))
    finally:
        if close:
            await channel.close()


def free_port() -> int:
    """A port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
