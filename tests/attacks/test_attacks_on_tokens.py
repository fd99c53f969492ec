"""Group E: introspection and JWTs. What the authorization server says is believed only when it can mean one thing."""

import asyncio
import gzip
import json
from dataclasses import replace

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from proxy_world.asking import COOKIE, ask
from proxy_world.authorization_server import DISCOVERY, INTROSPECT, JWKS, SECRET, Answer, token, unsigned
from proxy_world.fakes import NOW, Proxy
from proxy_world.fortress import GUARDED, JWT, Fortress, good, sealed, with_cookies

from extauthz.authorizer import Pending
from extauthz.decision import Allow, Credential, Deny, examine
from extauthz.memory import cache_key
from extauthz.outcome import Refused
from extauthz.policy import BearerMode
from extauthz.reason import Reason

pytestmark = pytest.mark.anyio

AT_JWT = {"typ": "at+jwt"}
STRANGER = ec.generate_private_key(ec.SECP256R1())


def answer(status: int = 200, body: object = b"", content_type: str = "application/json") -> httpx2.Response:
    """An introspection answer."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return httpx2.Response(status, content=content, headers={"content-type": content_type})


ANSWERS = [
    ("204", answer(204), Reason.TOKEN_INACTIVE),
    ("active false", answer(body={"active": False}), Reason.TOKEN_INACTIVE),
    ("active missing", answer(body={"jwt": JWT}), Reason.AS_BAD_ANSWER),
    ("active a string", answer(body={"active": "true", "jwt": JWT}), Reason.AS_BAD_ANSWER),
    ("active a number", answer(body={"active": 1, "jwt": JWT}), Reason.AS_BAD_ANSWER),
    ("active twice", answer(body=b'{"active":true,"active":false,"jwt":"x"}'), Reason.TOKEN_INACTIVE),
]


@pytest.mark.parametrize(("reply", "reason"), [pytest.param(*row[1:], id=row[0]) for row in ANSWERS])
async def test_e47_activity(reply: httpx2.Response, reason: Reason) -> None:
    """Active is the boolean true, and nothing that resembles it."""
    fortress = Fortress()
    fortress.server.answers[INTROSPECT] = reply
    assert await fortress.refused(good()) is reason


def bomb(_: httpx2.Request) -> httpx2.Response:
    """A compressed answer that would unfold to ten megabytes."""
    headers = {"content-type": "application/jwt", "content-encoding": "gzip"}
    return httpx2.Response(200, headers=headers, stream=httpx2.ByteStream(gzip.compress(b"0" * 10_000_000)))


FAULTS = [
    ("another content type", answer(body=JWT.encode(), content_type="text/plain"), Reason.AS_BAD_ANSWER),
    ("HTML", answer(body=b"<html>", content_type="text/html"), Reason.AS_BAD_ANSWER),
    ("nothing", answer(body=b"", content_type="application/jwt"), Reason.AS_BAD_ANSWER),
    ("half of JSON", answer(body=b'{"active":tr'), Reason.AS_BAD_ANSWER),
    ("a list", answer(body=[True]), Reason.AS_BAD_ANSWER),
    ("10 MB", answer(body=b"x" * 10_000_000, content_type="application/jwt"), Reason.AS_BAD_ANSWER),
    ("a compressed bomb", bomb, Reason.AS_BAD_ANSWER),
    ("a redirect", httpx2.Response(302, headers={"location": "https://evil.example/"}), Reason.AS_ERROR),
    *((f"status {status}", answer(status), Reason.AS_ERROR) for status in (400, 404, 429, 500, 502, 503)),
    *((f"status {status}", answer(status), Reason.AS_REFUSED_US) for status in (401, 403)),
    ("no connection", httpx2.ConnectError("no"), Reason.AS_UNREACHABLE),
    ("no TLS", httpx2.ConnectError("certificate verify failed"), Reason.AS_UNREACHABLE),
    ("no answer", httpx2.ReadTimeout("slow"), Reason.AS_TIMEOUT),
    ("half an answer", httpx2.RemoteProtocolError("cut"), Reason.AS_UNREACHABLE),
]


@pytest.mark.parametrize(("reply", "reason"), [pytest.param(*row[1:], id=row[0]) for row in FAULTS])
async def test_e48_answers_that_are_none(reply: Answer, reason: Reason) -> None:
    """Trouble is 503, never through and never 401, and is forgotten when it is over."""
    fortress = Fortress()
    fortress.server.answers[INTROSPECT] = reply
    decision = await fortress.attack(good())
    assert isinstance(decision, Deny)
    assert (decision.reason, decision.status) == (reason, 503)
    assert dict(decision.headers)["retry-after"] == "5"
    fortress.server.introspects(JWT)
    await fortress.passed(good())


BEARER = replace(GUARDED, bearer=BearerMode.JWT)
CLAIMS: dict[str, object] = {"client_id": "mobile", "iat": NOW, "jti": "1"}
FORGED = {
    "alg none": unsigned({"alg": "none", "typ": "at+jwt"}, {"sub": "root"}, b""),
    "alg None": unsigned({"alg": "None", "typ": "at+jwt"}, {"sub": "root"}, b""),
    "HMAC with the public key": unsigned({"alg": "HS256", "kid": "k1", "typ": "at+jwt"}, {"sub": "root"}),
    "another key under our kid": token(CLAIMS, key=STRANGER, header=AT_JWT),
    "a key in the header": token(CLAIMS, key=STRANGER, header=AT_JWT | {"jwk": {"kty": "EC"}}),
    "a key set in the header": token(CLAIMS, key=STRANGER, header=AT_JWT | {"jku": "https://evil.example/k"}),
    "a certificate in the header": token(CLAIMS, key=STRANGER, header=AT_JWT | {"x5u": "https://evil.example/c"}),
    "another issuer": token(CLAIMS | {"iss": "https://evil.example"}, header=AT_JWT),
    "an issuer with a slash": token(CLAIMS | {"iss": "https://as.example/"}, header=AT_JWT),
    "exp a string": token(CLAIMS | {"exp": str(NOW + 9)}, header=AT_JWT),
    "exp huge": token(CLAIMS | {"exp": 10**30}, header=AT_JWT),
    "exp not a number": token(CLAIMS | {"exp": float("nan")}, header=AT_JWT),
    "nbf in the future": token(CLAIMS | {"nbf": NOW + 60}, header=AT_JWT),
    "a critical header": token(CLAIMS, header=AT_JWT | {"crit": ["exp"]}),
    "an ID token": token(CLAIMS | {"nonce": "n"}, header=AT_JWT),
    "no type": token(CLAIMS),
    "two parts": "a.b",
    "no signature": token(CLAIMS, header=AT_JWT).rpartition(".")[0] + ".",
}


@pytest.mark.parametrize("jwt", FORGED.values(), ids=FORGED.keys())
async def test_e49_forged_jwts(jwt: str) -> None:
    """None of them is verified, and no key is fetched from where the token says."""
    fortress = Fortress(BEARER)
    request = ask(cookies=(), authorization=f"Bearer {jwt}")
    assert await fortress.refused(request) is Reason.TOKEN_INVALID
    assert {asked.url.path for asked in fortress.server.asked} <= {DISCOVERY, JWKS}
    assert {asked.url.host for asked in fortress.server.asked} <= {"as.example"}


async def test_e49_a_flood_of_unknown_keys() -> None:
    """A thousand made-up key ids do not make a thousand requests for keys."""
    fortress = Fortress(BEARER)
    for number in range(1000):
        forged = token(CLAIMS, key=STRANGER, kid=f"k{number}", header=AT_JWT)
        await fortress.desk.decide(ask(cookies=(), authorization=f"Bearer {forged}"), "core", None)
    assert len(fortress.server.asked_at(JWKS)) <= 2


def test_e50_what_an_answer_is_remembered_under() -> None:
    """App, way, kind and value are all part of it, and no joining of them can be mistaken for another."""
    policies = [replace(GUARDED, routes=(), ways=frozenset({"phantom", "opaque"}), bearer=BearerMode.INTROSPECT)]
    requests = [
        ask(cookies=(f"{COOKIE}=a",)),
        ask(cookies=(f"{COOKIE}=b",)),
        ask(cookies=(f"{COOKIE}=a",), context={"upstream": "opaque"}),
        ask(cookies=(), authorization="Bearer a"),
    ]
    keys = set()
    for request in requests:
        credential = examine(request, policies)
        assert isinstance(credential, Credential)
        keys.add(cache_key(credential, ()))
        keys.add(cache_key(replace(credential, policy=replace(policies[0], app="shop2")), ()))
    assert len(keys) == 2 * len(requests)


async def test_e50_a_route_that_requires_more_is_checked_after_a_hit() -> None:
    """An answer remembered from a route that required less does not open one that requires more."""
    fortress = Fortress()
    session = with_cookies(f"{COOKIE}={sealed()}")
    await fortress.passed(session)
    assert await fortress.refused(replace(session, path="/admin/x")) is Reason.INSUFFICIENT_SCOPE


async def test_e51_nothing_is_served_after_its_time() -> None:
    """Neither past the token's own end, nor past the longest time an answer may be remembered."""
    fortress = Fortress()
    fortress.server.introspects(token({"exp": NOW + 10}))
    session = with_cookies(f"{COOKIE}={sealed()}")
    await fortress.desk.decide(session, "core", None)
    fortress.server.introspects("", status=204)
    fortress.server.clock.now += 9  # within its life, and within the margin we keep from its end
    assert await fortress.refused(session) is Reason.TOKEN_INACTIVE


async def test_e52_trouble_poisons_nothing() -> None:
    """Faults are not remembered, refusals shortly, and neither takes a session's place."""
    fortress = Fortress()
    await fortress.passed(good())
    before = len(fortress.answers)
    fortress.server.answers[INTROSPECT] = httpx2.ConnectError("no")
    for number in range(50):
        await fortress.desk.decide(with_cookies(f"{COOKIE}={sealed(at=f't{number}')}"), "core", None)
    assert (len(fortress.answers), len(fortress.refusals)) == (before, 0)


async def test_e53_a_stampede_asks_once() -> None:
    """A thousand first requests of one session are one introspection, though the first of them goes away."""
    proxy = Proxy()
    proxy.upstream.gate = asyncio.Event()
    pending = proxy.authorizer.decide(ask())
    assert isinstance(pending, Pending)
    leader = asyncio.create_task(proxy.authorizer.complete(pending))
    await proxy.upstream.arrived.wait()
    followers = [asyncio.create_task(proxy.authorizer.complete(pending)) for _ in range(1000)]
    leader.cancel()
    proxy.upstream.gate.set()
    decisions = await asyncio.gather(*followers)
    assert all(isinstance(decision, Allow) for decision in decisions)
    assert len(proxy.upstream.asked) == 1


@pytest.mark.parametrize("at", ["a+b/c==", "a~b.c-d_e", "%26active%3Dtrue".replace("%", "~")])
async def test_e54_tokens_are_form_encoded(at: str) -> None:
    """What the form means is the token, sign for sign."""
    fortress = Fortress()
    await fortress.desk.decide(with_cookies(f"{COOKIE}={sealed(at=at)}"), "core", None)
    assert fortress.server.form() == {"token": at, "token_type_hint": "access_token"}


@pytest.mark.parametrize("at", ["a&active=true", "a b", "a\0b", "a%00", "a\n", "ü"])
async def test_e54_what_is_no_token_is_not_asked_about(at: str) -> None:
    """A form cannot be broken by what never gets into it."""
    fortress = Fortress()
    assert await fortress.refused(with_cookies(f"{COOKIE}={sealed(at=at)}")) is Reason.MALFORMED_COOKIE
    assert fortress.server.asked == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_e55_our_secret_does_not_follow_a_redirect(status: int) -> None:
    """A redirect is trouble; nobody else is told our client credentials."""
    fortress = Fortress()
    elsewhere = {"location": "https://evil.example/introspect"}
    fortress.server.answers[INTROSPECT] = httpx2.Response(status, headers=elsewhere)
    assert await fortress.refused(good()) is Reason.AS_ERROR
    assert {asked.url.host for asked in fortress.server.asked} == {"as.example"}
    assert SECRET not in fortress.log.getvalue()


async def test_n6_a_refresh_token_is_no_access_token() -> None:
    """Introspection calls it active; it says neither audience nor JWT, and goes nowhere."""
    fortress = Fortress()
    fortress.server.answers[INTROSPECT] = answer(body={"active": True, "scope": "openid"})
    assert await fortress.refused(good()) is Reason.AS_BAD_ANSWER


async def test_a_flood_of_worthless_tokens_leaves_sessions_alone() -> None:
    """Whoever holds the public key can make sessions of nothing; they are remembered apart, and not for long."""
    proxy = Proxy()
    await proxy.settle(ask())
    proxy.upstream.answer = Refused(Reason.TOKEN_INACTIVE)
    for number in range(2000):
        await proxy.settle(ask(cookies=(f"{COOKIE}={number}",)))
    assert isinstance(proxy.authorizer.decide(ask()), Allow)
    assert len(proxy.refusals) == 100


async def test_a_flood_of_tokens_nobody_looks_into_leaves_sessions_alone() -> None:
    """The way opaque calls every token good, so it remembers none: made-up ones must not push sessions out."""
    policy = replace(GUARDED, routes=(), ways=frozenset({"phantom", "opaque"}), bearer=BearerMode.INTROSPECT)
    proxy = Proxy([policy])
    await proxy.settle(ask())
    for number in range(2000):
        await proxy.settle(ask(cookies=(), authorization=f"Bearer made-up-{number}", context={"upstream": "opaque"}))
    assert isinstance(proxy.authorizer.decide(ask()), Allow)
    assert len(proxy.cache) == 1
