"""A server in trouble is left alone, and found again."""

import httpx2
import pytest
from proxy_world.fakes import Clock

from extauthz.oauth.breaker import FAILURES, REST_SECONDS, CircuitBreaker
from extauthz.oauth.errors import AuthorizationServerError, Trouble
from extauthz.oauth.http import HttpClient

pytestmark = pytest.mark.anyio

URL = "https://as.example/x"


class Weather:
    """A server whose answer is what `now` says; `asked` counts."""

    def __init__(self, now: int | Exception) -> None:
        self.now, self.asked, self.clock = now, 0, Clock(0.0)
        transport = httpx2.MockTransport(self._answer)
        self.http = HttpClient(transport=transport, breaker=CircuitBreaker(self.clock))

    def _answer(self, _request: httpx2.Request) -> httpx2.Response:
        self.asked += 1
        if isinstance(self.now, Exception):
            raise self.now
        return httpx2.Response(self.now, stream=httpx2.ByteStream(b"{}"))

    async def get(self, times: int = 1) -> list[str]:
        """Ask so often; what went wrong, "" where nothing did."""
        told = []
        for _ in range(times):
            try:
                await self.http.get(URL)
                told.append("")
            except AuthorizationServerError as error:
                told.append(f"{error.trouble}: {error}")
        return told


DOWN = [
    pytest.param(httpx2.ReadTimeout("slow"), Trouble.TIMEOUT, id="it hangs"),
    pytest.param(httpx2.ConnectTimeout("slow"), Trouble.TIMEOUT, id="it does not accept"),
    pytest.param(503, Trouble.ERROR, id="503"),
    pytest.param(502, Trouble.ERROR, id="502"),
    pytest.param(504, Trouble.ERROR, id="504"),
]


@pytest.mark.parametrize(("down", "trouble"), DOWN)
async def test_a_server_that_keeps_failing_is_left_alone(down: int | Exception, trouble: Trouble) -> None:
    """After so many failures in a row it is not asked, and who would wait is told at once what it was."""
    server = Weather(down)
    await server.get(FAILURES + 3)
    assert server.asked == FAILURES
    [told] = await server.get()
    assert told.startswith(f"{trouble}: not asked, after failures in a row; {URL}")


async def test_a_probe_finds_it_again() -> None:
    """Once in a while one request tries; when it succeeds, all do."""
    server = Weather(503)
    await server.get(FAILURES)
    server.clock.now = REST_SECONDS + 0.1
    await server.get(5)
    assert server.asked == FAILURES + 1  # one probe, which failed
    server.now, server.clock.now = 200, 2 * REST_SECONDS + 0.3
    assert await server.get(5) == [""] * 5
    assert server.asked == FAILURES + 6


@pytest.mark.parametrize("alive", [200, 204, 400, 401, 403, 404, 429, 500])
async def test_a_server_that_answers_is_alive(alive: int) -> None:
    """A refusal is an answer; and a 500 or a 429 may be one client's, which must not shut out the others."""
    server = Weather(alive)
    assert await server.get(3 * FAILURES) == [""] * 3 * FAILURES


async def test_failures_between_successes_are_no_outage() -> None:
    """Only failures in a row count."""
    server = Weather(200)
    for _ in range(5):
        server.now = 503
        await server.get(FAILURES - 1)
        server.now = 200
        await server.get()
    assert server.asked == 5 * FAILURES


ENDS = [httpx2.ReadError("reset"), httpx2.WriteError("broken pipe"), httpx2.RemoteProtocolError("closed")]


async def _twice(failure: Exception, *, post: bool, repeatable: bool = False) -> int:
    """How often a server is asked that fails the first time only; 0 when its failure is told."""
    asked: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        if len(asked) == 1:
            raise failure
        return httpx2.Response(200, stream=httpx2.ByteStream(b"{}"))

    http = HttpClient(transport=httpx2.MockTransport(answer))
    try:
        await (http.post(URL, {"a": "b"}, {}, repeatable=repeatable) if post else http.get(URL))
    except AuthorizationServerError:
        assert len(asked) == 1
        return 0
    assert {request.content for request in asked} == {b"a=b" if post else b""}
    return len(asked)


@pytest.mark.parametrize("post", [False, True])
async def test_a_connection_that_fails_is_tried_once_more(post: bool) -> None:
    """Nothing has been said yet, so anything may be said again."""
    assert await _twice(httpx2.ConnectError("refused"), post=post) == 2


@pytest.mark.parametrize("failure", ENDS, ids=lambda failure: type(failure).__name__)
async def test_a_connection_that_ends_is_replaced_where_asking_twice_is_harmless(failure: Exception) -> None:
    """Introspection and documents are asked for again; a refresh token is not spent twice."""
    assert await _twice(failure, post=False) == 2
    assert await _twice(failure, post=True, repeatable=True) == 2
    assert await _twice(failure, post=True) == 0


async def test_a_server_that_stays_down_is_tried_twice_at_most() -> None:
    """One repetition, not a loop."""
    server = Weather(httpx2.ConnectError("refused"))
    await server.get()
    assert server.asked == 2
