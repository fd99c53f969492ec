"""What is written down: one line a call, one a trouble, and never a secret."""

import dataclasses
import json
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import quote_plus

import httpx2
import pytest
from agent_world import AGENT, HOST, ORIGIN, SECRET, Browser, World, create_world
from starlette.requests import Request

from agent.api import Endpoint, Exchange, Members
from agent.app import create_app
from agent.errors import AgentError
from agent.flow import Login
from agent.set_cookies import Session
from agent.tokens import Tokens
from extauthz.config import LogConfig
from extauthz.cookies.purpose import Purpose
from extauthz.telemetry import Log, logger

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("level", [logging.DEBUG, logging.INFO], ids=["debug", "info"])
async def test_a_whole_journey_writes_no_secret(world: World, caplog: pytest.LogCaptureFixture, level: int) -> None:
    """Not the provider's secrets, ours, the cookies or their contents: neither in our log nor in a library's."""
    with caplog.at_level(level):
        secrets = [secret async for secret in journey(world)]
    written = world.log.getvalue() + caplog.text
    assert len(secrets) > 20
    assert [secret for secret in secrets if secret in written or quote_plus(secret) in written] == []


async def test_a_whole_journey_tells_the_app_no_token(world: World) -> None:
    """No answer's body holds what belongs into a cookie."""
    browser = world.browser()
    response = await world.respond(browser)
    bodies = [(await browser.login_end(response)).text, (await browser.session()).text]
    bodies += [(await browser.refresh()).text, (await browser.logout()).text]
    issued = (await world.server.control("secrets"))["values"]
    assert [secret for secret in [*issued, response["code"]] for body in bodies if secret in body] == []


async def test_every_call_is_one_line(world: World) -> None:
    """App, endpoint, status and code."""
    browser = await world.log_in()
    await browser.session()
    await browser.refresh({"x": "y"})
    facts = [(line["app"], line["endpoint"], line["status"], line["code"]) for line in world.lines()]
    assert facts == [
        ("shop", "/login/start", 200, "ok"),
        ("shop", "/login/end", 200, "ok"),
        ("shop", "/session", 200, "ok"),
        ("shop", "/refresh", 400, "invalid_request"),
    ]


async def test_trouble_is_told_with_its_kind(world: World) -> None:
    """The operator reads which server did what; the line of the call follows."""
    browser = await world.log_in()
    await world.server.mode(token_status=500)
    await browser.refresh()
    trouble, answered = world.lines()[-2:]
    assert (trouble["level"], trouble["event"], trouble["reason"]) == ("error", "trouble", "as_error")
    assert trouble["detail"] == "the token endpoint answered status 500"
    assert (answered["status"], answered["code"]) == (503, "temporarily_unavailable")


@pytest.mark.parametrize("call", ["login/start", "login/end", "session", "refresh", "logout"])
async def test_a_fault_of_ours_is_500_without_detail(world: World, call: str) -> None:
    """The app learns that we failed, the log where; what the exception says is nobody's to read."""
    answer = await broken(world).fetch("GET" if call == "session" else "POST", call)
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/json")
    assert answer.json()["error_code"] == "server_error"
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    trouble, answered = world.lines()[-2:]
    assert (trouble["reason"], trouble["error"], "detail" in trouble) == ("internal_error", "RuntimeError", False)
    assert "test_agent_secrets.py" in trouble["where"]
    assert (answered["status"], answered["code"]) == (500, "server_error")
    assert CANARY not in answer.text + world.log.getvalue()


async def test_an_error_code_of_the_provider_forges_no_line(world: World) -> None:
    """Line breaks and quotes of a hostile response stay out of the log."""
    browser = world.browser()
    response = {**await world.respond(browser), "error": 'x"\n{"event":"forged"}'}
    await browser.login_end(response)
    assert [line["event"] for line in world.lines()] == ["agent", "agent"]


async def test_no_repr_tells_a_secret(world: World) -> None:
    """A value printed by accident, or shown in a traceback, keeps its secrets."""
    served = world.apps["shop"]
    login = Login(state=CANARY, nonce=CANARY, verifier=CANARY, started_at=1)
    tokens = Tokens(access_token=CANARY, refresh_token=CANARY, id_token=CANARY, expires_in=1)
    exchange = Exchange(httpx2.Request("GET", HOST), [CANARY])  # type: ignore[arg-type]  # only its repr is asked for
    printed = repr([served, world.ring, login, tokens, exchange])
    assert CANARY not in printed
    assert SECRET not in printed
    assert "KeyRing()" in printed


def test_the_repr_of_a_session_names_nobody() -> None:
    """Claims are personal data, and need no place in a traceback either."""
    session = Session(claims={"email": "ada@example.com"}, session_id="s", access_token_expires_at=1)
    assert "ada@example.com" not in repr(session)


async def test_a_client_that_leaves_is_no_trouble(world: World) -> None:
    """A closed tab in the middle of a request is nothing to alarm an operator about."""

    async def receive() -> dict[str, object]:
        return {"type": "http.disconnect"}

    async def send(_: dict[str, object]) -> None:
        return None

    headers = [(b"token-handler-version", b"1"), (b"origin", ORIGIN.encode())]
    scope = {"type": "http", "method": "POST", "path": f"{AGENT}/refresh", "headers": headers}
    await world.agent({**scope, "query_string": b"", "root_path": ""}, receive, send)  # type: ignore[arg-type]
    assert [line["event"] for line in world.lines() if line["level"] == "error"] == []


CANARY = "canary-7f3a9c51e2"


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A fresh world."""
    return create_world(tmp_path)


async def journey(world: World) -> AsyncIterator[str]:
    """Everything that can happen to a person; yields every secret it met."""
    browser = world.browser()
    url = await world.start(browser)
    query = world.asked_for(url)
    for name in ("state", "nonce", "code_challenge"):
        yield query[name]
    for value in contents(world, browser):
        yield value
    response = await world.server.visit(url, user="ada")
    yield response["code"]
    await browser.login_end({**response, "iss": "https://evil.test"})
    response = await world.respond(browser)
    await browser.login_end({**response, "code": response["code"] + "x"})
    await browser.login_end(await world.respond(browser))
    for value in contents(world, browser):
        yield value
    await browser.session()
    await browser.refresh()
    for status in (400, 401, 500):
        await world.server.mode(token_status=status, body='{"error":"invalid_scope"}')
        await browser.refresh()
    await world.server.mode(token_status=None, id_token_overrides={"sub": "grace"})
    await browser.refresh()
    await world.server.mode(id_token_overrides={})
    browser = await world.log_in("grace")
    browser.replace("__Host-Http-shop-id", CANARY)
    await browser.session()
    await browser.logout()
    for value in (CANARY, *(await world.server.control("secrets"))["values"]):
        yield value


def contents(world: World, browser: Browser) -> Iterator[str]:
    """The cookies' values, and what is sealed in those of the agent."""
    for kept, value in browser.cookies.items():
        yield value
        if "login" in kept.name:
            members = json.loads(world.ring.open(value, Purpose("shop", kept.name)))
            yield from (members["verifier"], members["nonce"], members["state"])


def broken(world: World) -> Browser:
    """A browser at an agent every call of which fails for a reason of its own."""
    served = dataclasses.replace(world.apps["shop"], api=Broken())
    agent = create_app([served], Log(logger(LogConfig(level="debug", format="json"), world.log)))
    return Browser(agent, base=HOST, path=AGENT, origin=ORIGIN)


class Broken:
    """Fails at everything, and puts a secret into its exception."""

    @property
    def endpoints(self) -> list[Endpoint]:
        """The five calls."""
        calls = ["/login/start", "/login/end", "/session", "/refresh", "/logout"]
        return [Endpoint(path, ("GET", "POST"), self.fail) for path in calls]

    def guard(self, _request: Request) -> None:
        """Everybody is welcome."""

    def error(self, failure: AgentError) -> tuple[int, Members]:
        """In few words."""
        return failure.status, {"error_code": failure.code, "detailed_error": failure.message}

    async def fail(self, _call: Exchange) -> Members:
        """As a bug would."""
        raise RuntimeError(CANARY)
