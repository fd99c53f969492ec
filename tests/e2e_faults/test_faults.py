"""An authorization server in trouble, as a client sees it through a real Envoy: never in, never logged out."""

import json
import secrets
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from e2e_faults.sick_server import ILLNESSES, NOT_ACTIVE, SickServer
from worlds.raw import RawAnswer, exchange
from worlds.tokens import sealed_for
from worlds.waiting import until

from demo.world import LocalWorld


@pytest.fixture(autouse=True)
def _ill_again(server: SickServer, world: LocalWorld) -> Iterator[None]:
    yield
    server.well = True  # so that no test begins while the server is left alone
    until(lambda: ask_anew(world, "sick", "hangs") == 200)
    server.well = False


def session(world: LocalWorld, app: str, illness: str) -> str:
    """A session nobody has seen yet, with a token that brings out this illness."""
    return sealed_for(world.settings.folder, app, f"{illness}.{secrets.token_hex(8)}")


def ask(world: LocalWorld, app: str, cookie: str) -> RawAnswer:
    """One request with a session."""
    lines = (f"host: {app}.example", "token-handler-version: 1", f"cookie: {cookie}")
    return exchange(world.origin.removeprefix("http://"), "GET", "/api/public/x", *lines)


def ask_anew(world: LocalWorld, app: str, illness: str) -> int:
    """The status for a session of its own."""
    return ask(world, app, session(world, app, illness)).status


def reached(world: LocalWorld) -> int:
    """How many requests the API has seen."""
    count: int = httpx2.get(f"{world.control('api')}/requests").json()["count"]
    return count


def reason(world: LocalWorld, app: str) -> str:
    """Why the proxy refused the last request of an app, in its log."""
    lines = [line for line in Path(world.log("extauthz")).read_text().splitlines() if '"decision"' in line]
    told = [json.loads(line) for line in lines]
    words: list[str] = [line["decision"] for line in told if line.get("app") == app]
    return words[-1] if words else ""


LINGERING = ("hangs", "slow-body")
REASONS = {
    "hangs": "as_timeout",
    "slow-body": "as_timeout",
    "cut-short": "as_unreachable",
    "status-401": "as_refused_us",
    "status-403": "as_refused_us",
    **{f"status-{status}": "as_error" for status in (201, 400, 404, 429, 500, 502, 503)},
    "redirect": "as_error",
}


@pytest.mark.parametrize("illness", [name for name in ILLNESSES if name not in NOT_ACTIVE])
def test_trouble_is_503_and_over_when_it_is_over(world: LocalWorld, server: SickServer, illness: str) -> None:
    """No illness lets anybody in or logs anybody out, and none is remembered: the session is served when it ends."""
    cookie, before = session(world, "sick", illness), reached(world)
    answer = ask(world, "sick", cookie)
    assert (answer.status, answer.json()["code"]) == (503, "temporarily_unavailable")
    assert len(answer.all("retry-after")) == 1
    assert answer.all("www-authenticate") == []
    until(lambda: reason(world, "sick") == REASONS.get(illness, "as_bad_answer"))  # no answer waits for the log
    assert reached(world) == before
    server.well = True
    if illness in LINGERING:
        # A question that is still open is not asked again; it ends some seconds after who asked it has gone.
        until(lambda: ask(world, "sick", cookie).status == 200)
    else:
        assert ask(world, "sick", cookie).status == 200
    assert reached(world) == before + 1


@pytest.mark.parametrize("illness", NOT_ACTIVE)
def test_a_token_that_is_not_active_is_401(world: LocalWorld, server: SickServer, illness: str) -> None:
    """This is no trouble but an answer, and it is remembered for a moment."""
    cookie, before = session(world, "sick", illness), server.asked.get(illness, 0)
    assert [ask(world, "sick", cookie).status for _ in range(3)] == [401] * 3
    assert server.asked[illness] == before + 1


@pytest.mark.parametrize("app", ["refused", "tls"])
def test_no_connection_is_503(world: LocalWorld, app: str) -> None:
    """A refused connection and a failed TLS handshake are told apart in the log, and not to the client."""
    before = reached(world)
    answer = ask(world, app, session(world, app, "hangs"))
    assert (answer.status, answer.json()["code"]) == (503, "temporarily_unavailable")
    until(lambda: reason(world, app) == "as_unreachable")
    assert reached(world) == before
    word = {"refused": "connection refused", "tls": "TLS, the other side does not speak it as we do"}[app]
    until(lambda: word in world.logs())


def test_a_server_in_trouble_is_left_alone(world: LocalWorld, server: SickServer) -> None:
    """After failures in a row it is hardly asked any more, and it is found again."""
    for _ in range(6):
        assert ask_anew(world, "sick", "status-503") == 503
    asked = server.asked["status-503"]
    assert [ask_anew(world, "sick", "status-503") for _ in range(20)] == [503] * 20
    assert server.asked["status-503"] <= asked + 3  # probes, if it was time for some
    server.well = True
    until(lambda: ask_anew(world, "sick", "status-503") == 200)


def test_a_revoked_token_stops_working(world: LocalWorld, server: SickServer) -> None:
    """When the answer that called it active has had its time, the token is asked about again, and is over."""
    cookie = session(world, "brief", "inactive")
    server.well = True
    assert ask(world, "brief", cookie).status == 200
    server.well = False
    until(lambda: ask(world, "brief", cookie).status == 401)
    assert ask(world, "brief", cookie).status == 401
