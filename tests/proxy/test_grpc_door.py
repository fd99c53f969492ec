"""The gRPC door as Envoy meets it: the real server, on a unix socket."""

import json

import pytest
from proxy_world.asking import COOKIE, ORIGIN, OURS
from proxy_world.door import USUAL, GrpcServer, by_header_map, by_map, open_door
from proxy_world.fakes import Proxy

from extauthz._pb.envoy.config.core.v3.base_pb2 import HeaderValueOption
from extauthz._pb.envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse
from extauthz.outcome import Refused
from extauthz.reason import ANSWERS, Reason

pytestmark = pytest.mark.anyio

WITHOUT_COOKIE = USUAL[:2]


async def test_allowed_as_envoy_needs_it(server: GrpcServer) -> None:
    """An allowed request has status zero, the Bearer token overwritten, and our headers removed."""
    async with open_door(Proxy(), server) as door:
        answer = await door.check(by_map())
    assert answer.status.code == 0
    assert answer.WhichOneof("http_response") == "ok_response"
    assert _set(answer) == {"authorization": "Bearer h.p.s"}
    assert set(answer.ok_response.headers_to_remove) == {"cookie", "token-handler-version"}
    _assert_overwritten(list(answer.ok_response.headers))


@pytest.mark.parametrize(
    ("request_", "status", "reason"),
    [
        pytest.param(by_map(usual=WITHOUT_COOKIE), 401, "no_credentials", id="no cookie"),
        pytest.param(by_map(("authorization", "Bearer x")), 400, "two_credentials", id="two credentials"),
        pytest.param(by_map(method=""), 400, "malformed_request", id="no method"),
        pytest.param(by_map(usual=USUAL[1:]), 403, "csrf_header", id="no CSRF header"),
        pytest.param(by_map(("origin", "https://evil.example")), 403, "origin_untrusted", id="two origins"),
    ],
)
async def test_denied_as_envoy_needs_it(server: GrpcServer, request_: CheckRequest, status: int, reason: str) -> None:
    """A denied request has a status that is not zero, the whole HTTP answer, and the reason for the access log."""
    async with open_door(Proxy(), server) as door:
        answer = await door.check(request_)
    assert answer.status.code != 0
    assert answer.WhichOneof("http_response") == "denied_response"
    assert answer.denied_response.status.code == status
    assert answer.denied_response.body.startswith('{"code":')
    assert answer.dynamic_metadata["reason"] == reason
    _assert_overwritten(list(answer.denied_response.headers))


@pytest.mark.parametrize("reason", Reason)
async def test_no_refusal_has_status_zero(server: GrpcServer, reason: Reason) -> None:
    """Whatever the reason, the gRPC status is not the one that would let the request through."""
    proxy = Proxy()
    proxy.upstream.answer = Refused(reason)
    async with open_door(proxy, server) as door:
        answer = await door.check(by_map())
    assert answer.status.code != 0
    assert answer.status.message == reason.value
    assert answer.denied_response.status.code == ANSWERS[reason].status


SAME = [
    pytest.param((), "GET", USUAL, id="allowed"),
    pytest.param((("x-other", "1"), ("x-other", "2")), "POST", USUAL, id="allowed with a foreign header twice"),
    pytest.param((), "GET", WITHOUT_COOKIE, id="no cookie"),
    pytest.param((("token-handler-version", "1"),), "GET", USUAL, id="the CSRF header twice"),
    pytest.param((("origin", ORIGIN),), "GET", USUAL, id="Origin twice"),
    pytest.param((("authorization", "Bearer x"),), "GET", USUAL, id="two credentials"),
    pytest.param((("cookie", f"{COOKIE}=other"),), "GET", USUAL, id="two Cookie lines with different values"),
    pytest.param((("access-control-request-method", "PUT"),), "OPTIONS", USUAL, id="preflight"),
    pytest.param((), "HEAD", WITHOUT_COOKIE, id="HEAD"),
]


@pytest.mark.parametrize(("extra", "method", "usual"), SAME)
async def test_both_forms_of_headers_are_decided_alike(
    server: GrpcServer, extra: tuple[tuple[str, str], ...], method: str, usual: tuple[tuple[str, str], ...]
) -> None:
    """Envoy's joined map and its raw header map get the same answer, byte for byte."""
    async with open_door(Proxy(), server) as door:
        first = await door.check(by_map(*extra, method=method, usual=usual))
        second = await door.check(by_header_map(*extra, method=method, usual=usual))
    assert first == second


async def test_two_cookie_lines_are_joined_upstream(server: GrpcServer) -> None:
    """Two lines in the raw header map are one Cookie header upstream, without ours, and without what is not UTF-8."""
    lines = (("cookie", b"a=1; bad=\xff; b=2"), ("COOKIE", b"c=\xc3\xa9,x"))
    async with open_door(Proxy(), server) as door:
        answer = await door.check(by_header_map(*lines))
    assert _set(answer) == {"authorization": "Bearer h.p.s", "cookie": "a=1; b=2; c=é,x"}


async def test_a_cookie_behind_a_comma_is_not_trusted(server: GrpcServer) -> None:
    """In the joined map our cookie behind a comma may be another line's: it is refused, not guessed at."""
    async with open_door(Proxy(), server) as door:
        answer = await door.check(by_map(usual=(*WITHOUT_COOKIE, ("cookie", f"a=1,{OURS}"))))
    assert answer.dynamic_metadata["reason"] == "ambiguous_cookie"


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(b"", id="an empty CheckRequest"),
        pytest.param(b"\xff\xff\xff", id="no protobuf at all"),
        pytest.param(b"\x0a\xff\x01", id="cut off"),
        pytest.param(b"\x0a\x02\x22\x00", id="no http in it"),
        pytest.param(b"\x0a\x08\x22\x06\x12\x04\x12\x02\xff\xff", id="a method that is not UTF-8"),
    ],
)
async def test_a_message_without_a_request_is_denied(server: GrpcServer, message: bytes) -> None:
    """What holds no request is answered 400; an abort would be let through by a failure mode that is open."""
    async with open_door(Proxy(), server) as door:
        answer = await door.check(message)
    assert answer.status.code == 3
    assert answer.denied_response.status.code == 400
    assert answer.dynamic_metadata["reason"] == "malformed_request"


async def test_only_the_deny_carries_metadata(server: GrpcServer) -> None:
    """An allowed request has no reason to tell."""
    async with open_door(Proxy(), server) as door:
        answer = await door.check(by_map())
    assert not answer.HasField("dynamic_metadata")


async def test_the_second_request_of_a_session_asks_nobody(server: GrpcServer) -> None:
    """The token obtained for the first request serves the second, and the log says so."""
    proxy = Proxy()
    async with open_door(proxy, server) as door:
        assert await door.check(by_map()) == await door.check(by_map())
        lines = [json.loads(line) for line in door.log.getvalue().splitlines()]
    assert len(proxy.upstream.asked) == 1
    assert [line["cached"] for line in lines] == [False, True]


def _set(answer: CheckResponse) -> dict[str, str]:
    return {option.header.key: option.header.value for option in answer.ok_response.headers}


def _assert_overwritten(options: list[HeaderValueOption]) -> None:
    """Envoy sets each of `options` in place of whatever the client sent; measured rules of ext_authz."""
    assert options
    for option in options:
        assert option.HasField("append")
        assert option.append.value is False
        assert option.append_action == HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
        assert option.header.value
        assert not option.header.raw_value
