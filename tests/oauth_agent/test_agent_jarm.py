"""Signed authorization responses (JARM): what is asked for, which JWTs are believed, and that no other response is."""

import base64
import json
from pathlib import Path
from typing import Any

import jwt
import pytest
from agent_world import HOME, ISSUER, START, Browser, RemoteError, World, create_world, read
from cryptography.hazmat.primitives.asymmetric import ec

from agent.flow import Client, response_in
from extauthz.oauth.errors import InvalidToken

pytestmark = pytest.mark.anyio

NOW = int(START)

# The value None: the claim is missing. What is believed of these fails later, or not at all.
BELIEVED: dict[str, dict[str, object]] = {
    "as it should be": {},
    "aud a list with us": {"aud": ["api", "shop"]},
    "expired within the skew": {"exp": NOW - 29},
    "a fraction of a second": {"exp": NOW + 0.5},
    "claims nobody knows": {"session_state": "s", "iat": NOW, "error_description": ["x"]},
}
NOT_BELIEVED: dict[str, dict[str, object]] = {
    "I3 iss missing": {"iss": None},
    "I3 iss another": {"iss": "https://evil.test"},
    "I3 iss almost": {"iss": f"{ISSUER}/"},
    "aud missing": {"aud": None},
    "aud another": {"aud": "admin"},
    "aud longer than us": {"aud": "shop2"},
    "aud a list of others": {"aud": ["admin"]},
    "aud an empty list": {"aud": []},
    "aud an object": {"aud": {"shop": True}},
    "exp missing": {"exp": None},
    "exp past": {"exp": NOW - 30},
    "exp a text": {"exp": str(NOW + 60)},
    "exp a boolean": {"exp": True},
    "state a number": {"state": 1},
    "state missing": {"state": None},
    "state another": {"state": "A" * 43},
    "code a list": {"code": ["c"]},
    "code beyond ASCII": {"code": "\ud800"},
    "error a number": {"error": 1},
    "code missing": {"code": None},
    "code empty": {"code": ""},
    "I7 an access token": {"access_token": "t"},
    "I7 an ID token": {"id_token": "t"},
}


async def test_the_signed_response_is_asked_for(world: World) -> None:
    """With the setting the authorization request says so; without, nothing is said."""
    assert world.asked_for(await world.start(world.browser()))["response_mode"] == "jwt"


@pytest.mark.parametrize("par", ["auto", "never"])
async def test_a_login_succeeds(tmp_path: Path, par: str) -> None:
    """The provider answers with one parameter, and that is all login/end needs."""
    world = create_world(tmp_path, response_mode="jwt", par=par)
    browser = world.browser()
    response = await world.respond(browser)
    assert list(response) == ["response"]
    assert read(await browser.login_end(response))["id_token_claims"]["sub"] == "ada"


@pytest.mark.parametrize("changes", BELIEVED.values(), ids=BELIEVED.keys())
async def test_these_responses_are_believed(world: World, changes: dict[str, object]) -> None:
    """Of our issuer, for us, of now."""
    await world.server.mode(jarm_overrides=changes)
    await world.log_in()


@pytest.mark.parametrize("changes", NOT_BELIEVED.values(), ids=NOT_BELIEVED.keys())
async def test_i3_what_the_jwt_says_has_to_be_right(world: World, changes: dict[str, object]) -> None:
    """One claim wrong is enough, the issuer first: no code is redeemed, nobody is logged in."""
    await world.server.mode(jarm_overrides=changes)
    browser = world.browser()
    error = await refused(browser, await world.respond(browser))
    assert (error.status, error.code) == (400, "invalid_request")
    assert world.server.asked("/token") == []
    assert not any("-at" in name for name in browser.names())


def test_i3_an_issuer_that_is_no_text_is_not_believed() -> None:
    """A list that holds our issuer is not our issuer."""
    client = Client(issuer=ISSUER, client_id="shop", redirect_uri=HOME, scope="openid", response_mode="jwt")
    with pytest.raises(InvalidToken):
        response_in({"iss": [ISSUER], "aud": "shop", "exp": NOW + 60}, client, now=START)


async def test_i6_an_error_is_told_from_inside(world: World) -> None:
    """I6: the error of a signed response is the error, and the login is over."""
    browser = world.browser()
    response = await world.server.visit(await world.start(browser), cancel="yes")
    assert list(response) == ["response"]
    error = await refused(browser, response)
    assert (error.status, error.code) == (400, "access_denied")
    assert browser.cookies == {}


async def test_i6_the_error_comes_before_the_code(world: World) -> None:
    """A response with both is an error."""
    await world.server.mode(jarm_overrides={"error": "login_required"})
    browser = world.browser()
    error = await refused(browser, await world.respond(browser))
    assert (error.status, error.code) == (401, "login_required")
    assert world.server.asked("/token") == []


async def test_i5_a_plain_response_is_refused_where_a_signed_one_was_asked_for(world: World) -> None:
    """What is in the JWT, taken out of it and put beside, has lost its signature."""
    browser = world.browser()
    signed = await world.respond(browser)
    inside = jwt.decode(signed["response"], options={"verify_signature": False})
    plain = {name: inside[name] for name in ("code", "state", "iss")}
    for response in (plain, {"error": "access_denied", "state": plain["state"]}, {}):
        error = await refused(browser, response)
        assert (error.status, error.code) == (400, "invalid_request")
    assert world.server.asked("/token") == []
    assert (await browser.login_end(signed)).status_code == 200


@pytest.mark.parametrize("name", ["code", "state", "error", "access_token", "id_token"])
async def test_i5_a_plain_parameter_beside_the_signed_response_is_refused(world: World, name: str) -> None:
    """Two responses in one are none."""
    browser = world.browser()
    error = await refused(browser, {**await world.respond(browser), name: "x"})
    assert (error.status, error.code) == (400, "invalid_request")
    assert world.server.asked("/token") == []


@pytest.mark.parametrize(("iss", "status"), [(ISSUER, 200), ("https://evil.test", 400), ("", 400)])
async def test_i3_an_iss_beside_it_is_not_needed_but_a_wrong_one_is_wrong(world: World, iss: str, status: int) -> None:
    """RFC 9207 announced or not, the JWT's own iss does the job."""
    browser = world.browser()
    assert (await browser.login_end({**await world.respond(browser), "iss": iss})).status_code == status


async def test_the_page_s_own_parameters_are_ignored(world: World) -> None:
    """The app's library sends every parameter of the page's URL."""
    browser = world.browser()
    assert (await browser.login_end({**await world.respond(browser), "utm_source": "mail"})).status_code == 200


async def test_i5_a_signed_response_is_refused_where_it_was_not_asked_for(tmp_path: Path) -> None:
    """Neither alone nor beside a plain response."""
    world = create_world(tmp_path)
    browser = world.browser()
    plain = await world.respond(browser)
    for response in ({"response": "a.b.c"}, {**plain, "response": "a.b.c"}):
        error = await refused(browser, response)
        assert (error.status, error.code) == (400, "invalid_request")
    assert world.server.asked("/token") == []


async def test_s5_a_response_counts_once(world: World) -> None:
    """S5: the same JWT a second time belongs to no login any more."""
    browser = world.browser()
    response = await world.respond(browser)
    assert (await browser.login_end(response)).status_code == 200
    assert (await refused(browser, response)).status == 400
    assert len(world.server.asked("/token")) == 1


async def test_a_response_of_another_browser_is_refused(world: World) -> None:
    """A good signature does not make it this browser's login."""
    victim = world.browser()
    await world.start(victim)
    assert (await refused(victim, await world.respond(world.browser()))).status == 400


FORGED = ["another key", "unpublished key", "none", "public key as secret", "changed", "rubbish", "empty", "no text"]


@pytest.mark.parametrize("how", FORGED)
async def test_a_forged_response_is_refused_and_costs_no_login(world: World, how: str) -> None:
    """Only the issuer's keys sign, by an asymmetric algorithm; the good response still counts afterwards."""
    browser = world.browser()
    good = await world.respond(browser)
    error = await refused(browser, {"response": forge(how, good["response"], await world.server.key_id())})
    assert (error.status, error.code) == (400, "invalid_request")
    assert world.server.asked("/token") == []
    assert (await browser.login_end(good)).status_code == 200


async def test_an_id_token_is_no_response(world: World) -> None:
    """Signed by the issuer for this client, and yet it answers no login."""
    await world.log_in()
    issued = (await world.server.control("secrets"))["values"]
    tokens = [one for one in issued if one.count(".") == 2 and "nonce" in claims_of(one)]
    assert tokens
    assert (await refused(world.browser(), {"response": tokens[0]})).status == 400


async def test_keys_that_cannot_be_had_are_503_and_cost_no_login(world: World) -> None:
    """The provider's trouble, not the response's fault: the page may try again."""
    browser = world.browser()
    response = await world.respond(browser)
    world.server.down = True
    assert (await refused(browser, response)).status == 503
    world.server.down = False
    world.later(5)
    assert (await browser.login_end(response)).status_code == 200


async def test_nothing_of_a_response_is_logged_or_repeated(world: World) -> None:
    """Neither the JWT nor what is in it, whether it is good or not."""
    browser = world.browser()
    response = (await world.respond(browser))["response"]
    written = [(await browser.login_end({"response": response + "x"})).text]
    await world.server.mode(jarm_overrides={"iss": "https://evil.test/canary"})
    written.append((await browser.login_end(await world.respond(browser))).text)
    written.append((await browser.login_end({"response": response})).text)
    inside = claims_of(response)
    for secret in (response, inside["code"], inside["state"], "canary"):
        assert secret not in world.log.getvalue() + "".join(written)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A fresh world in which the shop asks for signed responses."""
    return create_world(tmp_path, response_mode="jwt")


def claims_of(token: str) -> dict[str, Any]:
    """What a JWT says, whoever signed it."""
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


def forge(how: str, good: str, kid: str) -> str:
    """A JWT that says what `good` says, or tries to look like one."""
    claims, key = claims_of(good), ec.generate_private_key(ec.SECP256R1())
    header, payload, signature = good.split(".")
    match how:
        case "another key":
            return jwt.encode(claims, key, "ES256", headers={"kid": kid})
        case "unpublished key":
            return jwt.encode(claims, key, "ES256", headers={"kid": "mine"})
        case "none":
            return f"{encoded({'alg': 'none', 'kid': kid})}.{payload}."
        case "public key as secret":
            return jwt.encode(claims, "x" * 32, "HS256", headers={"kid": kid})
        case "changed":
            return f"{header}.{encoded({**claims, 'code': 'attacker'})}.{signature}"
        case "no text":
            return "\x00é"
        case _:
            return "" if how == "empty" else "rubbish"


def encoded(members: dict[str, Any]) -> str:
    """One part of a JWS."""
    return base64.urlsafe_b64encode(json.dumps(members).encode()).rstrip(b"=").decode()


async def refused(browser: Browser, response: dict[str, str]) -> RemoteError:
    """The error login/end answers."""
    with pytest.raises(RemoteError) as thrown:
        read(await browser.login_end(response))
    return thrown.value
