"""One table of cases through the core, a second time from the cache, and through every door: one decision."""

import io
import json
from collections.abc import Callable, Iterable, Mapping

import pytest
from proxy_world.cases import CASES, Case
from proxy_world.door import GrpcServer, check_request, open_door
from proxy_world.fakes import log_to
from proxy_world.http_door import (
    HttpAnswer,
    Lines,
    as_envoy,
    as_forwarded,
    as_original,
    as_resolved,
    ask_http,
)

from extauthz._pb.envoy.config.core.v3.base_pb2 import HeaderValueOption
from extauthz._pb.envoy.service.auth.v3.external_auth_pb2 import CheckResponse
from extauthz.decision import Allow, Decision, Deny, Preflight
from extauthz.doors import resolver
from extauthz.doors.desk import outcome
from extauthz.doors.dialects import ENVOY, FORWARD, NGINX, REMOVE_HEADER, Dialect
from extauthz.doors.http import doors
from extauthz.request import Request

pytestmark = pytest.mark.anyio

HTTP_CASES = {name: case for name, case in CASES.items() if case.over_http}
MAP_CASES = {name: case for name, case in CASES.items() if case.by_map}
# Envoy's HTTP service has the client's own start line, which always has a path.
ENVOY_CASES = {name: case for name, case in HTTP_CASES.items() if case.request.path}
RESOLVER = resolver.dialect("x-authgear-")

Say = Callable[[Request], tuple[str, str, Lines]]


def table(cases: Mapping[str, Case]) -> pytest.MarkDecorator:
    """Run a test over these cases."""
    return pytest.mark.parametrize("case", cases.values(), ids=cases.keys())


@table(CASES)
async def test_the_core(case: Case) -> None:
    """The table is what the core decides."""
    assert outcome(await decided(case)) == (case.word, case.status)


@table(CASES)
async def test_the_cache(case: Case) -> None:
    """Asked again, and answered from the cache where there is anything to remember, it is the same decision."""
    proxy = case.proxy()
    first = await proxy.settle(case.request)
    asked = list(proxy.upstream.asked)
    assert await proxy.settle(case.request) == first
    if isinstance(first, Allow) and first.authenticated and case.remembered:
        assert proxy.upstream.asked == asked
        again = proxy.authorizer.decide(case.request)  # without a task or a coroutine
        assert again == first


@table(MAP_CASES)
async def test_grpc_by_map(server: GrpcServer, case: Case) -> None:
    """Envoy's joined map of headers, through the real gRPC server."""
    await check(case, server, raw=False)


@table(CASES)
async def test_grpc_by_header_map(server: GrpcServer, case: Case) -> None:
    """Envoy's raw header lines, through the real gRPC server."""
    await check(case, server, raw=True)


@table(ENVOY_CASES)
async def test_http_envoy(case: Case) -> None:
    """Envoy's HTTP service: 200 and nothing else lets through; headers to remove travel in a header of their own."""
    decision, answer = await decided(case), await ask(case, ENVOY, as_envoy)
    match decision:
        case Allow():
            removed = ", ".join(decision.remove_headers)
            assert answer.status == 200
            assert ours(answer) == [*decision.set_headers, (REMOVE_HEADER, removed), *decision.response_headers]
        case Preflight():
            assert (answer.status, ours(answer)) == (204, list(decision.headers))
        case Deny():
            assert answer.status == case.status
            assert (ours(answer), answer.body) == (list(decision.headers), decision.body)


@table(HTTP_CASES)
async def test_http_forward(case: Case) -> None:
    """Traefik and Caddy: 200 lets through with the headers to copy; a refusal goes to the client as it is."""
    await forwarded(case, FORWARD, as_forwarded, {})


@table(HTTP_CASES)
async def test_http_nginx(case: Case) -> None:
    """nginx: only 200, 401 and 403 are decisions, everything else is trouble."""
    answer = await forwarded(case, NGINX, as_original, {400: 403})
    assert answer.status in (200, 401, 403, 500, 503)


@table(HTTP_CASES)
async def test_http_resolver(case: Case) -> None:
    """The resolver: 200 and a state told by headers, or trouble; never a refusal, never a token."""
    answer = await ask(case, RESOLVER, as_resolved)
    valid = answer.get("x-authgear-session-valid")
    assert answer.status in (200, 500, 503)
    assert not answer.get("authorization")
    if case.status >= 500 and not case.policies[0].dry_run:
        assert answer.status >= 500
    if valid == ["true"]:
        assert answer.get("x-authgear-user-id") == ["ada"]
    else:
        assert not [name for name, _ in answer.headers if name.startswith("x-authgear-user")]
        assert valid in ([], ["false"])


async def decided(case: Case) -> Decision:
    """What the core says."""
    return await case.proxy().settle(case.request)


async def check(case: Case, server: GrpcServer, *, raw: bool) -> None:
    """The gRPC answer is the core's decision in Envoy's words, and the log has the table's word for it."""
    async with open_door(case.proxy(), server) as door:
        answer = await door.check(check_request(case.request, raw=raw))
        assert json.loads(door.log.getvalue().splitlines()[-1])["decision"] == case.word
    match await decided(case):
        case Allow() as allow:
            assert answer.status.code == 0
            assert pairs(answer.ok_response.headers) == list(allow.set_headers)
            assert tuple(answer.ok_response.headers_to_remove) == allow.remove_headers
            assert pairs(answer.ok_response.response_headers_to_add) == list(allow.response_headers)
        case Preflight() as preflight:
            assert_instead(answer, 204, list(preflight.headers), "")
        case Deny() as denied:
            assert_instead(answer, case.status, list(denied.headers), denied.body)


def assert_instead(answer: CheckResponse, status: int, headers: list[tuple[str, str]], body: str) -> None:
    """The client is answered in the API's place."""
    assert answer.status.code != 0
    assert answer.denied_response.status.code == status
    assert pairs(answer.denied_response.headers) == headers
    assert answer.denied_response.body == body


async def forwarded(case: Case, dialect: Dialect, say: Say, statuses: Mapping[int, int]) -> HttpAnswer:
    """The answer of a forward-auth dialect is the core's decision, with `statuses` in place of others."""
    decision, answer = await decided(case), await ask(case, dialect, say)
    match decision:
        case Allow():
            assert answer.status == 200
            assert ours(answer) == [*decision.set_headers, ("cache-control", "no-store")]
        case Preflight():
            assert answer.status == (200 if decision.headers else 403)
            assert ours(answer) == [("cache-control", "no-store")]
        case Deny():
            assert answer.status == statuses.get(case.status, case.status)
            assert (ours(answer), answer.body) == (list(decision.headers), decision.body)
    return answer


async def ask(case: Case, dialect: Dialect, say: Say) -> HttpAnswer:
    """What the door answers, after it has logged the table's word; a resolver's question is another one."""
    log = io.StringIO()
    app = doors([dialect], case.proxy().desk(log), log_to(log), secret=None, wait=60)
    answer = await ask_http(app, *say(case.request))
    word = json.loads(log.getvalue().splitlines()[-1])["decision"]
    assert word == case.word or dialect is RESOLVER
    return answer


def ours(answer: HttpAnswer) -> list[tuple[str, str]]:
    """The headers, but for the length of the body."""
    return [(name, value) for name, value in answer.headers if name != "content-length"]


def pairs(options: Iterable[HeaderValueOption]) -> list[tuple[str, str]]:
    """Names and values."""
    return [(option.header.key, option.header.value) for option in options]
