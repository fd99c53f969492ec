"""Which ID tokens are believed: the rules of OpenID Connect Core section 3.1.3.7, alone and through a whole login."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import jwt
import pytest
from agent_world import HOME, ISSUER, START, World, create_world
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from agent.flow import Client, Login
from agent.id_token import check_id_token, check_login, check_refreshed, claims_for_app
from extauthz.oauth.errors import InvalidToken

pytestmark = pytest.mark.anyio

NOW = int(START)
CLIENT = Client(issuer=ISSUER, client_id="shop", redirect_uri=HOME, scope="openid")
LOGIN = Login(state="s", nonce="n", verifier="v", started_at=NOW)
REFUSAL = (400, "invalid_id_token")
GOOD = {"iss": ISSUER, "sub": "ada", "aud": "shop", "exp": NOW + 300, "iat": NOW, "nonce": "n"}

ACCEPTED: dict[str, dict[str, object]] = {
    "T2 as it should be": {},
    "T4 aud a list of us": {"aud": ["shop"]},
    "T4 aud a list with azp us": {"aud": ["shop", "api"], "azp": "shop"},
    "T4 azp us": {"azp": "shop"},
    "T5 expired within the skew": {"exp": NOW - 29},
    "T5 from a clock ahead": {"iat": NOW + 30},
    "T5 nbf passed": {"nbf": NOW},
    "T5 fractions of seconds": {"exp": NOW + 0.5, "iat": NOW - 0.5},
    "T2 members nobody knows": {"acr": "high", "address": {"country": "SE"}},
}
# The value None: the claim is missing.
REFUSED: dict[str, dict[str, object]] = {
    "T2 iss missing": {"iss": None},
    "T3 iss another": {"iss": "https://evil.test"},
    "T3 iss with a slash": {"iss": ISSUER + "/"},
    "T3 iss in capitals": {"iss": ISSUER.upper()},
    "T2 sub missing": {"sub": None},
    "T2 sub empty": {"sub": ""},
    "T2 sub a number": {"sub": 7},
    "T2 sub a boolean": {"sub": True},
    "T2 aud missing": {"aud": None},
    "T4 aud another": {"aud": "admin"},
    "T4 aud longer than us": {"aud": "shop2"},
    "T4 aud an empty list": {"aud": []},
    "T4 aud a list of others": {"aud": ["api", "admin"]},
    "T4 aud an object": {"aud": {"shop": True}},
    "T4 aud two, azp missing": {"aud": ["shop", "api"]},
    "T4 aud two, azp another": {"aud": ["shop", "api"], "azp": "api"},
    "T4 azp another": {"azp": "admin"},
    "T4 azp empty": {"azp": ""},
    "T2 exp missing": {"exp": None},
    "T2 exp text": {"exp": str(NOW + 300)},
    "T2 exp a boolean": {"exp": True},
    "T5 exp past": {"exp": NOW - 30},
    "T2 iat missing": {"iat": None},
    "T2 iat a boolean": {"iat": True},
    "T2 iat text": {"iat": str(NOW)},
    "T5 iat future": {"iat": NOW + 31},
    "T5 iat long before the login": {"iat": NOW - 601},
    "T5 nbf future": {"nbf": NOW + 31},
    "T2 nbf text": {"nbf": "soon"},
    "T6 nonce missing": {"nonce": None},
    "T6 nonce another": {"nonce": "m"},
    "T6 nonce empty": {"nonce": ""},
    "T6 nonce a list": {"nonce": ["n"]},
}


def refused(rule: str) -> pytest.MarkDecorator:
    """The lines of the table that break `rule`."""
    lines = [pytest.param(changes, id=line) for line, changes in REFUSED.items() if line.startswith(f"{rule} ")]
    return pytest.mark.parametrize("changes", lines)


@pytest.mark.parametrize("changes", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_these_claims_are_believed(changes: dict[str, object]) -> None:
    """A token of our issuer, for us, of now and of this login passes."""
    check({**GOOD, **changes})


@pytest.mark.parametrize("changes", REFUSED.values(), ids=REFUSED.keys())
def test_these_claims_are_not_believed(changes: dict[str, object]) -> None:
    """One claim wrong is enough."""
    with pytest.raises(InvalidToken):
        check(claims(changes))


def test_t3_an_issuer_that_is_no_text_is_not_believed() -> None:
    """A list that holds our issuer is not our issuer."""
    with pytest.raises(InvalidToken):
        check_id_token({**GOOD, "iss": [ISSUER]}, CLIENT, nonce="n", now=START)


def test_t6_a_nonce_nobody_sent_is_not_believed() -> None:
    """T6: an unexpected nonce means that the token answers another request."""
    with pytest.raises(InvalidToken):
        check_id_token(GOOD, CLIENT, nonce=None, now=START)
    check_id_token(claims({"nonce": None}), CLIENT, nonce=None, now=START)


@pytest.mark.parametrize("changes", [{"sub": "grace"}, {"sub": None}, {"iss": "https://evil.test"}])
def test_t9_a_refreshed_token_is_of_the_same_login(changes: dict[str, object]) -> None:
    """T9: issuer and subject stay what they were."""
    check_refreshed(GOOD, GOOD)
    with pytest.raises(InvalidToken):
        check_refreshed(claims(changes), GOOD)


def test_the_app_does_not_see_the_protocol_s_claims() -> None:
    """Nonce and hashes served the login; everything else is the app's."""
    protocol = {"nonce": "n", "at_hash": "h", "c_hash": "h", "s_hash": "h"}
    assert claims_for_app({**protocol, "sub": "ada", "email": "a@example.com"}) == {
        "sub": "ada",
        "email": "a@example.com",
    }


@pytest.mark.parametrize("changes", ACCEPTED.values(), ids=ACCEPTED.keys())
async def test_a_login_with_these_claims_succeeds(world: World, changes: dict[str, object]) -> None:
    """The same table through login/end, with a token the provider has signed."""
    await world.server.mode(id_token_overrides=changes)
    assert await ending(world) == (200, None)


@refused("T2")
async def test_t2_a_claim_that_is_missing_or_of_another_kind_logs_nobody_in(
    world: World, changes: dict[str, object]
) -> None:
    """Issuer, subject, audience and times are there, and times are numbers; or it is 400 and not one cookie."""
    await world.server.mode(id_token_overrides=changes)
    assert await ending(world) == REFUSAL


@refused("T3")
async def test_t3_the_issuer_is_the_configured_one_exactly(world: World, changes: dict[str, object]) -> None:
    """A slash or a capital more is another issuer."""
    await world.server.mode(id_token_overrides=changes)
    assert await ending(world) == REFUSAL


@refused("T4")
async def test_t4_a_token_for_another_client_logs_nobody_in(world: World, changes: dict[str, object]) -> None:
    """The audience has us; of several it was issued to us."""
    await world.server.mode(id_token_overrides=changes)
    assert await ending(world) == REFUSAL


@refused("T5")
async def test_t5_a_token_of_another_time_logs_nobody_in(world: World, changes: dict[str, object]) -> None:
    """Expired, not valid yet, from the future, or from long before the login."""
    await world.server.mode(id_token_overrides=changes)
    assert await ending(world) == REFUSAL


@refused("T6")
async def test_t6_a_token_of_another_login_logs_nobody_in(world: World, changes: dict[str, object]) -> None:
    """The nonce is the one that was sent."""
    await world.server.mode(id_token_overrides=changes)
    assert await ending(world) == REFUSAL


async def test_t1_a_token_signed_with_another_key_is_refused(world: World) -> None:
    """The key id is the provider's, the signature is not."""
    kid = await world.server.key_id()
    key = ec.generate_private_key(ec.SECP256R1())
    assert await ending(world, lambda good: jwt.encode(good, key, "ES256", headers={"kid": kid})) == REFUSAL


async def test_t1_a_token_of_an_unpublished_key_is_refused(world: World) -> None:
    """A key the issuer does not publish signs nothing for us."""
    key = ec.generate_private_key(ec.SECP256R1())
    assert await ending(world, lambda good: jwt.encode(good, key, "ES256", headers={"kid": "mine"})) == REFUSAL


@pytest.mark.parametrize("alg", ["none", "None", "NONE", ""])
async def test_t1_a_token_without_signature_is_refused(world: World, alg: str) -> None:
    """The algorithm "none" is no algorithm."""
    header = {"alg": alg, "kid": await world.server.key_id()}
    assert await ending(world, lambda good: compact(header, good, b"")) == REFUSAL


async def test_t1_a_token_signed_with_the_public_key_as_a_secret_is_refused(world: World) -> None:
    """HMAC with what everybody knows proves nothing (RFC 8725 section 2.1)."""
    kid = await world.server.key_id()
    secret = "x" * 32
    assert await ending(world, lambda good: jwt.encode(good, secret, "HS256", headers={"kid": kid})) == REFUSAL


@pytest.mark.parametrize("token", ["", "x", "a.b", "a.b.c", "e30.e30.e30", "....", "é.é.é"])
async def test_t1_what_is_no_jwt_is_refused(world: World, token: str) -> None:
    """Rubbish in the place of the ID token logs nobody in."""
    status, code = await ending(world, lambda _: token)
    assert (status, code) == ((503, "temporarily_unavailable") if not token else REFUSAL)


@pytest.mark.parametrize(("header", "result"), [({}, (200, None)), ({"crit": ["b64"], "b64": True}, REFUSAL)])
async def test_t1_a_critical_header_is_refused(world: World, header: dict[str, Any], result: object) -> None:
    """RFC 7515 section 4.1.11: what must be understood and is not, is refused, the signature being good."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = {**ECAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": "k", "use": "sig"}
    world.server.answers["/jwks"] = lambda _: httpx2.Response(200, json={"keys": [public]})
    assert await ending(world, lambda good: jwt.encode(good, key, "ES256", headers={"kid": "k", **header})) == result


async def test_t1_a_key_set_that_cannot_be_had_is_503(world: World) -> None:
    """Not to know the keys is the provider's trouble, not the token's fault."""
    world.server.answers["/jwks"] = lambda _: httpx2.Response(500)
    assert await ending(world) == (503, "temporarily_unavailable")


async def test_t1_a_rotated_key_is_found(world: World) -> None:
    """A key id we do not know yet is looked for at the provider once the cool-down is over."""
    await world.log_in()
    await world.server.rotate_keys()
    world.later(11)
    assert await ending(world) == (200, None)


async def test_t1_an_algorithm_that_is_no_text_is_refused(world: World) -> None:
    """A header of the wrong types is a bad token like any other."""
    header = {"alg": ["ES256"], "kid": await world.server.key_id()}
    assert await ending(world, lambda good: compact(header, good, b"x")) == REFUSAL


async def test_claims_that_json_cannot_carry_end_in_an_answer_of_ours(world: World) -> None:
    """A provider that signs a NaN gets an error answered in JSON like every other."""
    await world.server.mode(id_token_overrides={"score": float("nan")})
    assert (await ending(world))[1] is not None


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A fresh world."""
    return create_world(tmp_path)


def check(claims: dict[str, object]) -> None:
    """As the end of a login does."""
    check_id_token(claims, CLIENT, nonce="n", now=START)
    check_login(claims, LOGIN, now=START)


def claims(changes: dict[str, object]) -> dict[str, object]:
    """Good claims with `changes`."""
    return {name: value for name, value in {**GOOD, **changes}.items() if value is not None}


async def ending(world: World, forge: Callable[[dict[str, Any]], str] | None = None) -> tuple[int, str | None]:
    """Status and error code of a login whose ID token is the provider's, or what `forge` makes of good claims."""
    browser = world.browser()
    url = await world.start(browser)
    response = await world.server.visit(url, user="ada")
    if forge is not None:
        token = forge({**GOOD, "nonce": world.asked_for(url)["nonce"]})
        await world.server.mode(token_overrides={"id_token": token})
    answer = await browser.login_end(response)
    assert bool(browser.cookies) == (answer.status_code == 200)
    return answer.status_code, answer.json().get("error_code")


def compact(header: dict[str, Any], payload: dict[str, Any], signature: bytes) -> str:
    """A JWS in compact form, whatever the header says."""
    parts = [json.dumps(header).encode(), json.dumps(payload).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
