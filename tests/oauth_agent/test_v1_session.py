"""Version 1: what a page is told when it is loaded, userInfo, and claims."""

import json
from pathlib import Path

import httpx2
import jwt
import pytest
from agent_world import HOME, ISSUER, set_cookies
from agent_world.v1 import (
    AT,
    AUTH,
    CSRF,
    ID,
    V1World,
    create_v1_world,
    failure,
    read_v1,
)
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc.jwk import ECKey

pytestmark = pytest.mark.anyio

NOBODY = {"handled": False, "isLoggedIn": False}
GARBAGE = ["", "garbage", "A" * 100, "A" * 4090, "%00", "é"]
PERSON = {"name": "Ada Lovelace", "given_name": "Ada", "family_name": "Lovelace", "email": "ada@example.com"}


async def test_a_page_that_is_loaded_again_gets_its_csrf_token_back(world: V1World) -> None:
    """The token it had before, and no cookie changes."""
    browser = await world.log_in()
    before, browser.csrf = browser.csrf, None
    response = await browser.end_login()
    assert read_v1(response) == {"handled": False, "isLoggedIn": True, "csrf": before}
    assert set_cookies(response) == []


async def test_a_page_without_session(world: V1World) -> None:
    """Two members, no error, no cookie, and the authorization server is not asked."""
    response = await world.browser().end_login()
    assert (response.status_code, response.json(), set_cookies(response)) == (200, NOBODY, [])
    assert world.inner.server.requests == []


@pytest.mark.parametrize("query", ["code=c", "state=s", "error=e", "code_=c&state=s", "response=r"])
async def test_a_page_with_a_parameter_of_such_a_name(world: V1World, query: str) -> None:
    """What is no whole response is the page's own."""
    browser = await world.log_in()
    assert read_v1(await browser.end_login(f"{HOME}?{query}"))["isLoggedIn"] is True


@pytest.mark.parametrize("value", GARBAGE)
@pytest.mark.parametrize("name", [AT, CSRF])
async def test_cookies_that_do_not_open_are_nobody_s(world: V1World, name: str, value: str) -> None:
    """The page offers a login, and nothing of the session is left for whoever comes next."""
    browser = await world.log_in()
    browser.replace(name, value)
    assert read_v1(await browser.end_login()) == NOBODY
    assert browser.cookies == {}
    await world.log_in(browser=browser)
    assert read_v1(await browser.end_login())["isLoggedIn"] is True


async def test_half_a_session_is_none(world: V1World) -> None:
    """Without the CSRF cookie nothing could be changed; the page offers a login."""
    browser = await world.log_in()
    browser.drop(CSRF)
    assert read_v1(await browser.end_login()) == NOBODY
    assert browser.cookies == {}


async def test_a_csrf_cookie_alone_is_no_session(world: V1World) -> None:
    """It is what a logout at an earlier agent may leave."""
    browser = await world.log_in()
    browser.drop(AT)
    assert read_v1(await browser.end_login()) == NOBODY


@pytest.mark.parametrize("name", [AT, CSRF])
async def test_a_second_value_logs_nobody_out(world: V1World, name: str) -> None:
    """A sibling host may have set it: nobody can tell which is right, and the cookies stay."""
    browser = await world.log_in()
    browser.cookies[next(kept for kept in browser.cookies if kept.name == name)._replace(domain="test")] = "planted"
    response = await browser.end_login()
    assert (read_v1(response), set_cookies(response)) == (NOBODY, [])


@pytest.mark.parametrize("name", [AT, AUTH, ID])
async def test_no_other_cookie_is_opened_as_a_csrf_token(world: V1World, name: str) -> None:
    """Whoever got hold of a sealed token cannot have it opened by calling it a CSRF cookie."""
    browser = await world.log_in()
    browser.replace(CSRF, browser.value(name) or "")
    response = await browser.end_login()
    assert response.json() == NOBODY


async def test_user_info_is_what_the_authorization_server_says_now(world: V1World) -> None:
    """It is asked with the access token, each time."""
    browser = await world.log_in()
    told = read_v1(await browser.call("GET", "userInfo"))
    assert told == {"sub": "ada", "preferred_username": "ada", **PERSON}
    [request] = world.inner.server.asked("/userinfo")
    assert request.headers["authorization"] == f"Bearer {world.opened(browser, AT)}"
    assert request.method == "GET"


async def test_user_info_beyond_ascii(world: V1World) -> None:
    """Names arrive letter by letter."""
    browser = await world.log_in()
    world.inner.server.answers["/userinfo"] = lambda _: httpx2.Response(200, json={"name": "Žofie 李 🎉"})
    response = await browser.call("GET", "userInfo")
    assert response.json() == {"name": "Žofie 李 🎉"}
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("call", ["userInfo", "claims"])
async def test_a_name_that_was_cut_in_the_middle_of_a_letter(world: V1World, call: str) -> None:
    """Half an emoji, as a field of limited length ends, is passed on as it came."""
    world.inner.server.answers["/userinfo"] = lambda _: httpx2.Response(200, text=r'{"name":"Ada \ud83e"}')
    await world.inner.server.mode(id_token_overrides={"name": "Ada \ud83e"})
    browser = await world.log_in()
    assert (await browser.call("GET", call)).json()["name"] == "Ada \ud83e"


async def test_user_info_with_a_token_that_is_over(world: V1World) -> None:
    """`token_expired` tells the page to refresh; the cookies stay, and afterwards it works."""
    browser = await world.log_in()
    await world.inner.server.expire(access_token="all")
    assert failure(await browser.call("GET", "userInfo")) == (401, "token_expired")
    read_v1(await browser.refresh())
    assert read_v1(await browser.call("GET", "userInfo"))["sub"] == "ada"


TROUBLE = [
    (httpx2.Response(400), 400, "authorization_error"),
    (httpx2.Response(403), 400, "authorization_error"),
    (httpx2.Response(404), 502, "authorization_server_error"),
    (httpx2.Response(429), 502, "authorization_server_error"),
    (httpx2.Response(500), 502, "authorization_server_error"),
    (httpx2.Response(302, headers={"location": "https://evil.test"}), 502, "authorization_server_error"),
    (httpx2.Response(200, text="<html>"), 502, "authorization_server_error"),
    (httpx2.Response(200, text="a.signed.one"), 502, "authorization_server_error"),
    (httpx2.Response(200, json=["sub"]), 502, "authorization_server_error"),
    (httpx2.Response(200, text='{"score":NaN}'), 502, "authorization_server_error"),
    (httpx2.Response(200, text='{"score":1e999}'), 502, "authorization_server_error"),
]


@pytest.mark.parametrize(("answer", "status", "code"), TROUBLE, ids=[str(row[0].status_code) for row in TROUBLE])
async def test_user_info_that_cannot_be_had(world: V1World, answer: httpx2.Response, status: int, code: str) -> None:
    """What the server refuses is 400, what it cannot do 502, and nobody is logged out."""
    browser = await world.log_in()
    world.inner.server.answers["/userinfo"] = lambda _: answer
    response = await browser.call("GET", "userInfo")
    assert failure(response) == (status, code)
    assert ("retry-after" in response.headers) == (status == 502)
    assert len(browser.names()) == 4


async def test_a_server_without_user_info(world: V1World) -> None:
    """It is the server's matter, and the log names what is missing."""
    await world.inner.server.metadata(userinfo_endpoint=None)
    browser = await world.log_in()
    assert failure(await browser.call("GET", "userInfo")) == (502, "authorization_server_error")
    assert "userinfo_endpoint" in world.inner.lines()[-2]["detail"]


async def test_user_info_of_a_server_that_publishes_nothing(tmp_path: Path) -> None:
    """Where it is asked stands in the settings."""
    paths = {"authorization": "authorize", "token": "token", "jwks_uri": "jwks", "userinfo": "userinfo"}
    endpoints = {name: f"{ISSUER}/{path}" for name, path in paths.items()}
    world = create_v1_world(tmp_path, endpoints=endpoints, id_token_signed_response_alg="ES256")
    browser = await world.log_in()
    assert read_v1(await browser.call("GET", "userInfo"))["sub"] == "ada"


async def test_claims_are_the_payload_of_the_id_token(world: V1World) -> None:
    """All of it, as the earlier agents tell it, without asking anybody."""
    browser = await world.log_in()
    before = len(world.inner.server.requests)
    claims = read_v1(await browser.call("GET", "claims"))
    assert claims == jwt.decode(world.opened(browser, ID), options={"verify_signature": False})
    assert (claims["sub"], claims["name"]) == ("ada", "Ada Lovelace")
    assert len(world.inner.server.requests) == before


async def test_claims_beyond_ascii(world: V1World) -> None:
    """Names arrive letter by letter, and not as Latin-1."""
    await world.inner.server.mode(id_token_overrides={"name": "Žofie 李 🎉"})
    browser = await world.log_in()
    response = await browser.call("GET", "claims")
    assert json.loads(response.content)["name"] == "Žofie 李 🎉"


async def test_claims_of_an_encrypted_id_token(tmp_path: Path) -> None:
    """The cookie has it as it was signed, after login and after refresh."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "encryption.pem").write_bytes(pem)
    public = {name: str(value) for name, value in ECKey.import_key(pem).as_dict(private=False).items()}
    world = create_v1_world(tmp_path, encryption_jwk=public, decryption_key_files=["encryption.pem"])
    await world.inner.server.mode(encrypt=True)
    browser = await world.log_in()
    for _ in range(2):
        assert world.opened(browser, ID).count(".") == 2
        assert read_v1(await browser.call("GET", "claims"))["sub"] == "ada"
        assert (await browser.refresh()).status_code == 204


@pytest.mark.parametrize(("call", "name"), [("userInfo", AT), ("claims", ID)])
@pytest.mark.parametrize("value", [None, *GARBAGE])
async def test_without_a_cookie_that_opens(world: V1World, call: str, name: str, value: str | None) -> None:
    """401 as the earlier agents say it; what does not open is cleared with the rest."""
    browser = await world.log_in()
    if value is None:
        browser.drop(name)
    else:
        browser.replace(name, value)
    assert failure(await browser.call("GET", call)) == (401, "unauthorized_request")
    assert len(browser.names()) == (3 if value is None else 0)


@pytest.mark.parametrize(("call", "name"), [("userInfo", AT), ("claims", ID)])
@pytest.mark.parametrize("text", ["two words", "eyJ9", "a.b.c", "\r\nx: y", "é", "W10.W10.x"])
async def test_a_text_that_does_not_belong_there(world: V1World, call: str, name: str, text: str) -> None:
    """The format binds no value to its name: sealed with the right key, it may still be anything."""
    browser = await world.log_in()
    browser.replace(name, world.foreign.seal(text))
    world.inner.server.answers["/userinfo"] = lambda _: httpx2.Response(401)
    assert failure(await browser.call("GET", call))[0] == 401


@pytest.mark.parametrize("call", ["userInfo", "claims"])
async def test_head_is_answered_without_a_body(world: V1World, call: str) -> None:
    """HEAD is GET without what it says."""
    browser = await world.log_in()
    assert (await browser.call("HEAD", call)).status_code == 200


async def test_two_people_s_pages(world: V1World) -> None:
    """A login as somebody else replaces the CSRF token; the first page has to ask for the new one."""
    browser = await world.log_in("ada")
    ada_s = browser.csrf or ""
    await world.log_in("grace", browser)
    assert browser.csrf != ada_s
    browser.csrf = ada_s
    assert failure(await browser.refresh()) == (401, "unauthorized_request")


async def test_a_login_of_the_same_person_keeps_the_csrf_token(world: V1World) -> None:
    """What another tab of hers knows goes on being right."""
    browser = await world.log_in("ada")
    before = browser.csrf
    await world.log_in("ada", browser)
    assert browser.csrf == before
    assert read_v1(await browser.refresh()) == {}


async def test_another_session_of_the_same_person_has_another_token(world: V1World) -> None:
    """A token that leaks from one browser is worth nothing in another."""
    assert (await world.log_in("ada")).csrf != (await world.log_in("ada")).csrf


async def test_a_planted_csrf_cookie_does_not_help_after_a_login(world: V1World) -> None:
    """Grace plants the cookie of a session of hers in Ada's browser: at Ada's login it is replaced."""
    grace, browser = await world.log_in("grace"), world.browser()
    browser.plant(CSRF, grace.value(CSRF) or "")
    await world.log_in("ada", browser)
    assert browser.csrf not in (grace.csrf, None)
    browser.csrf = grace.csrf
    assert failure(await browser.refresh()) == (401, "unauthorized_request")


@pytest.mark.parametrize("planted", ["A" * 64, "u." + "A" * 64, "u." + "0" * 64, "short", "é" * 64])
async def test_a_csrf_token_nobody_made_for_the_user_is_replaced(world: V1World, planted: str) -> None:
    """Sealed with the right key, as an earlier agent's is, it says nothing of the user."""
    browser = world.browser()
    browser.plant(CSRF, world.foreign.seal(planted))
    await world.log_in(browser=browser)
    assert browser.csrf != planted
    assert browser.csrf == world.opened(browser, CSRF)


async def test_without_id_token_every_login_has_a_new_csrf_token(tmp_path: Path) -> None:
    """Nobody knows whose it is, so it is nobody's to keep."""
    world = create_v1_world(tmp_path, scope="orders")
    browser = await world.log_in()
    before = browser.csrf
    await world.log_in(browser=browser)
    assert browser.csrf != before
    assert read_v1(await browser.refresh()) == {}


@pytest.mark.parametrize("call", ["userInfo", "claims"])
async def test_reading_needs_no_csrf_header(world: V1World, call: str) -> None:
    """Pages send it once they know it; a wrong one is no fault here."""
    browser = await world.log_in()
    for csrf in (None, "wrong"):
        browser.csrf = csrf
        assert (await browser.call("GET", call)).status_code == 200


@pytest.fixture
def world(tmp_path: Path) -> V1World:
    """A fresh world."""
    return create_v1_world(tmp_path)
