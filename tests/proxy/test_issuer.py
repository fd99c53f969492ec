"""An authorization server that cannot be learnt of at once."""

import asyncio
import json

import httpx2
import pytest
from proxy_world.authorization_server import DISCOVERY, ISSUER, JWKS, Server, token
from proxy_world.fakes import Clock

from extauthz.oauth.errors import AuthorizationServerError
from extauthz.oauth.issuer import Issuer

pytestmark = pytest.mark.anyio


async def test_it_is_asked_again_until_it_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses double up to half a minute; every failure is reported, and then metadata and keys are there."""
    server, pauses, told = Server(), [], []
    good, server.answers[DISCOVERY] = server.answers[DISCOVERY], httpx2.ConnectError("refused")

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        server.clock.now += seconds
        if len(pauses) == 7:
            server.answers[DISCOVERY] = good

    monkeypatch.setattr(asyncio, "sleep", sleep)
    subject = Issuer(ISSUER, server.http(), server.clock)
    await subject.learn(lambda error: told.append(str(error)))
    assert pauses == [1, 2, 4, 8, 16, 30, 30]
    assert len(told) == 7
    before = len(server.asked)
    await subject.keys.verify(token())
    assert len(server.asked) == before


async def test_keys_are_part_of_it() -> None:
    """With metadata alone no token could be verified."""
    server = Server()
    server.answers[JWKS] = httpx2.Response(500)
    told: list[AuthorizationServerError] = []

    def report(error: AuthorizationServerError) -> None:
        told.append(error)
        raise Enough

    with pytest.raises(Enough):
        await Issuer(ISSUER, server.http(), Clock()).learn(report)
    assert "the key set answered status 500" in str(told[0])


async def test_what_nobody_foresaw_is_reported_and_not_the_end() -> None:
    """Readiness does not wait in silence for ever."""
    told: list[str] = []

    def report(error: AuthorizationServerError) -> None:
        told.append(str(error))
        raise Enough

    server = Server()
    server.answers[DISCOVERY] = ZeroDivisionError("canary")
    with pytest.raises(Enough):
        await Issuer(ISSUER, server.http(), server.clock).learn(report)
    assert told == ["not understood: ZeroDivisionError"]


async def test_a_url_that_cannot_be_written_is_trouble() -> None:
    """A lone surrogate is legal in JSON, and in no URL."""
    server = Server()
    document = {"issuer": ISSUER, "jwks_uri": ISSUER + "/jwks\ud800"}
    server.answers[DISCOVERY] = httpx2.Response(200, content=json.dumps(document).encode())
    with pytest.raises(AuthorizationServerError, match="is no URL"):
        await server.key_set().fetch()


async def test_a_server_without_keys_is_known_by_its_metadata() -> None:
    """Whose introspection answers in plain JSON may sign nothing at all (RFC 8414 section 2: jwks_uri is optional)."""
    server = Server()
    server.describe(jwks_uri=None)
    await Issuer(ISSUER, server.http(), server.clock).learn(lambda error: pytest.fail(str(error)))
    assert server.asked_at(JWKS) == []


async def test_a_server_without_metadata_is_known_by_the_settings() -> None:
    """Nothing is asked for but the keys, at the address that is given."""
    server = Server()
    del server.answers[DISCOVERY]
    subject = Issuer(ISSUER, server.http(), server.clock, endpoints={"jwks_uri": ISSUER + JWKS})
    await subject.learn(lambda error: pytest.fail(str(error)))
    await subject.keys.verify(token())
    assert {request.url.path for request in server.asked} == {JWKS}


class Enough(Exception):
    """Ends what would go on."""
