"""Secrets with names that are easy to find, sent through everything: none of them comes out in the log or a repr."""

import base64
import io
import json
import logging
from pathlib import Path

import httpx2
import pytest
from proxy_world.asking import COOKIE, SHOP, ask
from proxy_world.authorization_server import INTROSPECT, JWKS, SECRET, Server, token
from proxy_world.fakes import FakeOpener, log_to
from proxy_world.installation import install, loaded

from extauthz.authorizer import App, Authorizer, Pending
from extauthz.cache import Cache, Entry
from extauthz.config import Program
from extauthz.cookies.access_token import AccessToken, SealedAccessTokens
from extauthz.cookies.aes_gcm import KeyRing
from extauthz.cookies.header import CookieHeader
from extauthz.cookies.hpke import Opener, Sealer
from extauthz.cookies.keys import new_key_pair, read_private_key
from extauthz.cookies.purpose import Purpose
from extauthz.decision import Allow, Credential, Decision, Deny, Passage, examine
from extauthz.doors.desk import Desk
from extauthz.memory import Memory
from extauthz.metrics import Metrics
from extauthz.oauth.client_auth import ClientSecretBasic, ClientSecretPost
from extauthz.oauth.http import Reply
from extauthz.outcome import Bearer, Outcome, UpstreamToken
from extauthz.request import Request
from extauthz.upstream.exchange import Issued

CANARY = "canary-7f3a"
KEY = read_private_key(new_key_pair("x25519")[0])
PURPOSE = Purpose("shop", COOKIE)
JWT = token({"canary": CANARY})


class Round:
    """The whole way of a request through real parts, with a debug log at its end."""

    def __init__(self) -> None:
        self.server, self.log = Server(), io.StringIO()
        self.server.introspects(JWT)
        cache: Cache[Outcome] = Cache(max_entries=100, max_bytes=100_000, clock=self.server.clock)
        opener, upstream = SealedAccessTokens(Opener([KEY], PURPOSE)), self.server.phantom()
        self.app = App(policy=SHOP, opener=opener, ways={"phantom": upstream}, max_seconds=60)
        authorizer = Authorizer([self.app], Memory(cache, cache), log_to(self.log), self.server.clock)
        self.desk = Desk(authorizer, log_to(self.log), Metrics())
        text = AccessToken(token=CANARY, issued_at=1, session_id=CANARY).to_bytes()
        self.sealed = Sealer(KEY.public_key(), PURPOSE).seal(text)

    async def decide(self, request: Request) -> Decision:
        """The decision, logged as the door logs it."""
        return await self.desk.decide(request, "test", None)

    def request(self, authorization: str | None = None) -> Request:
        """A request full of secrets."""
        cookies = (f"{COOKIE}={self.sealed}; other={CANARY}",)
        return ask(
            path=f"/orders?access_token={CANARY}", cookies=cookies, x_api_key=CANARY, authorization=authorization
        )


async def everything_that_can_happen(round_: Round) -> list[Decision]:
    """Success, every kind of trouble, every kind of refusal."""
    server = round_.server
    decisions = [await round_.decide(round_.request(authorization=f"Bearer {CANARY}"))]
    for answer in (
        httpx2.Response(500, content=f"no such token {CANARY}".encode()),
        httpx2.Response(401, content=CANARY.encode(), headers={"www-authenticate": CANARY}),
        httpx2.Response(302, headers={"location": f"https://evil.example/?{CANARY}"}),
        httpx2.Response(200, content=CANARY.encode(), headers={"content-type": "application/jwt"}),
        httpx2.Response(200, json={"active": CANARY}),
        httpx2.Response(200, content=token({"iss": CANARY}).encode(), headers={"content-type": "application/jwt"}),
        httpx2.Response(200, content=b"{" + CANARY.encode(), headers={"content-type": "application/json"}),
        httpx2.ConnectError(f"cannot connect with {CANARY}"),
        httpx2.ReadTimeout(CANARY),
        ZeroDivisionError(f"unexpected {CANARY} and {SECRET}"),
    ):
        server.answers[INTROSPECT] = answer
        decisions.append(await round_.decide(round_.request()))
    server.introspects(JWT)
    keys = server.answers[JWKS]
    server.answers[JWKS] = httpx2.ConnectError(CANARY)
    server.clock.now += 3600
    server.introspects(token({"exp": server.clock.now + 60, "canary": CANARY}))
    decisions.append(await round_.decide(round_.request()))
    server.answers[JWKS] = keys
    server.introspects('{"active":false}', content_type="application/json")
    decisions.append(await round_.decide(ask(cookies=(f"{COOKIE}={round_.sealed[:-6]}AAAAAA",))))
    decisions.append(await round_.decide(ask(cookies=(f"{COOKIE}={CANARY}",))))
    return decisions


@pytest.mark.anyio
async def test_the_log_of_a_whole_round(caplog: pytest.LogCaptureFixture) -> None:
    """Through success and every failure, no cookie, token, JWT or client secret reaches any log at any level."""
    caplog.set_level(logging.DEBUG)
    round_ = Round()
    decisions = await everything_that_can_happen(round_)
    assert {decision.status for decision in decisions if isinstance(decision, Deny)} == {400, 401, 500, 503}
    logs = round_.log.getvalue() + caplog.text
    assert len(round_.log.getvalue().splitlines()) >= 20
    basic = ClientSecretBasic("the proxy", SECRET).authenticate({})[0]["authorization"].removeprefix("Basic ")
    secrets = [CANARY, SECRET, basic, round_.sealed, JWT, *JWT.split(".")[1:]]
    assert [secret for secret in secrets if secret in logs] == []


@pytest.mark.anyio
async def test_no_answer_to_the_client_holds_a_secret() -> None:
    """What the client is told says nothing of token, JWT or secret either."""
    round_ = Round()
    answers = [decision for decision in await everything_that_can_happen(round_) if isinstance(decision, Deny)]
    told = json.dumps([(answer.headers, answer.body) for answer in answers])
    assert [secret for secret in (CANARY, SECRET, round_.sealed, JWT) if secret in told] == []


def values() -> dict[str, object]:
    """One of each thing that holds a secret, with a canary for the secret."""
    cookies = CookieHeader((f"{COOKIE}={CANARY}",))
    credential = examine(ask(cookies=(f"{COOKIE}={CANARY}",)), [SHOP])
    assert isinstance(credential, Credential)
    app = App(policy=SHOP, opener=FakeOpener(), ways={}, max_seconds=1)
    upstream = UpstreamToken(bearer=Bearer(CANARY), expires_at=1.0)
    return {
        "Request": Request(method="GET", path="/", host="", headers={"authorization": CANARY}, cookies=cookies),
        "Credential": credential,
        "Allow": Allow(app="a", passage=Passage.AUTHENTICATED, set_headers=(("a", CANARY),), remove_headers=()),
        "UpstreamToken": upstream,
        "cache Entry": Entry(upstream, 1.0, 1.0, 1),
        "Pending": Pending(credential=credential, app=app, key=CANARY.encode()),
        "KeyRing": KeyRing([CANARY.encode().ljust(32)]),
        "ClientSecretBasic": ClientSecretBasic("id", CANARY),
        "ClientSecretPost": ClientSecretPost("id", CANARY),
        "AccessToken": AccessToken(token=CANARY, issued_at=1, session_id="s"),
        "Reply": Reply(200, "text/plain", CANARY.encode()),
        "Issued": Issued(token=CANARY, expires_in=None, scopes=None),
    }


@pytest.mark.parametrize("name", values())
def test_no_repr_holds_a_secret(name: str) -> None:
    """A value that ends up in a traceback or a debugger's output does not show what it guards."""
    value = values()[name]
    for text in (repr(value), str(value), f"{value}"):
        assert CANARY not in text


def test_an_opener_does_not_show_its_keys() -> None:
    """Private keys are left out, whatever their own repr may one day say."""
    assert "keys" not in repr(Opener([KEY], PURPOSE))
    assert "PrivateKey" not in repr(Opener([KEY], PURPOSE))


@pytest.mark.parametrize("program", Program)
def test_a_configuration_does_not_show_its_secrets(tmp_path: Path, program: Program) -> None:
    """The whole configuration can be printed: neither client secret nor keys are in it."""
    install(tmp_path)
    config = loaded(tmp_path, program=program, environ={"TOKEN_HANDLER__APPS__SHOP__CLIENT_SECRET": CANARY})
    session_key = base64.urlsafe_b64decode((tmp_path / "session.key").read_bytes())
    shown = repr(config) + str(config)
    assert [secret for secret in (CANARY, str(session_key), "PrivateKey") if secret in shown] == []
