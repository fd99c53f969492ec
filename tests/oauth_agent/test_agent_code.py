"""The code for tokens: what the token endpoint is asked, and what its answers mean for the login."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote_plus

import anyio
import httpx2
import pytest
from agent_world import HOME, SECRET, World, create_world, form_of

from agent.errors import AgentError
from agent.tokens import GrantOver, TokenEndpoint, read
from extauthz.cookies.purpose import Purpose
from extauthz.oauth.client_auth import ClientSecretBasic
from extauthz.oauth.errors import AuthorizationServerError
from extauthz.oauth.http import HttpClient
from extauthz.oauth.metadata import Discovery

pytestmark = pytest.mark.anyio


async def test_the_code_is_redeemed_with_verifier_and_redirect_uri(world: World) -> None:
    """RFC 6749 section 4.1.3 and RFC 7636 section 4.5: four fields, and not one more."""
    browser = world.browser()
    response = await world.respond(browser)
    (name,) = browser.names()
    login = json.loads(world.ring.open(browser.value(name) or "", Purpose("shop", name)))
    assert (await browser.login_end(response)).status_code == 200
    (request,) = world.server.asked("/token")
    assert request.method == "POST"
    assert form_of(request) == {
        "grant_type": "authorization_code",
        "code": response["code"],
        "redirect_uri": HOME,
        "code_verifier": login["verifier"],
    }


async def test_the_client_proves_itself_by_basic_authentication(world: World) -> None:
    """RFC 6749 section 2.3.1: id and secret are form-encoded before base64, and stand nowhere else."""
    await world.log_in()
    (request,) = world.server.asked("/token")
    scheme, _, credentials = request.headers["authorization"].partition(" ")
    assert scheme == "Basic"
    halves = base64.b64decode(credentials, validate=True).decode().split(":")
    assert [unquote_plus(half) for half in halves] == ["shop", SECRET]
    assert halves[1] == "a%2Bb%25%3A%2F+%C3%A9+and+then+some"


async def test_a_code_used_before_is_400(world: World) -> None:
    """A code that somebody else has redeemed logs nobody in."""
    browser = world.browser()
    first, second = await world.respond(browser), await world.respond(browser)
    assert (await browser.login_end(first)).status_code == 200
    answer = await browser.login_end({**second, "code": first["code"]})
    assert (answer.status_code, answer.json()["error_code"]) == (400, "authorization_error")


async def test_a_code_that_has_expired_is_400(world: World) -> None:
    """A page that waits too long with the code has to log in again."""
    browser = world.browser()
    response = await world.respond(browser)
    world.later(61)
    answer = await browser.login_end(response)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "authorization_error")
    assert browser.cookies == {}


def status(code: int, body: str = "") -> Callable[[httpx2.Request], httpx2.Response]:
    """An answer of the token endpoint."""
    return lambda _: httpx2.Response(code, text=body)


def raising(kind: type[httpx2.HTTPError]) -> Callable[[httpx2.Request], httpx2.Response]:
    """No answer of the token endpoint."""

    def fail(_: httpx2.Request) -> httpx2.Response:
        raise kind("down")

    return fail


TROUBLE = [
    pytest.param(status(401, '{"error":"invalid_client"}'), id="401 our credentials are wrong"),
    pytest.param(status(403), id="403"),
    pytest.param(status(400, '{"error":"invalid_client"}'), id="400 invalid_client"),
    pytest.param(status(400, '{"error":"unauthorized_client"}'), id="400 unauthorized_client"),
    pytest.param(status(400, "<html>"), id="400 without JSON"),
    pytest.param(status(429), id="429"),
    pytest.param(status(500), id="500"),
    pytest.param(status(503), id="503"),
    pytest.param(status(302), id="redirect"),
    pytest.param(status(204), id="204"),
    pytest.param(status(200, "<html>"), id="HTML"),
    pytest.param(status(200, "[]"), id="not an object"),
    pytest.param(status(200, '{"access_token": "t", "token_type": "Bearer"}' + " " * 300_000), id="too long"),
    pytest.param(status(200, '{"token_type": "Bearer"}'), id="no token"),
    pytest.param(status(200, '{"access_token": "a b", "token_type": "Bearer"}'), id="token with a blank"),
    pytest.param(status(200, '{"access_token": "a\\r\\nx: y", "token_type": "Bearer"}'), id="token with CRLF"),
    pytest.param(status(200, '{"access_token": 7, "token_type": "Bearer"}'), id="token that is no text"),
    pytest.param(status(200, '{"access_token": "t"}'), id="no token type"),
    pytest.param(status(200, '{"access_token": "t", "token_type": "DPoP"}'), id="D2 DPoP"),
    pytest.param(status(200, '{"access_token": "t", "token_type": "mac"}'), id="D2 mac"),
    pytest.param(raising(httpx2.ConnectError), id="unreachable"),
    pytest.param(raising(httpx2.ReadTimeout), id="timeout"),
    pytest.param(raising(httpx2.ConnectTimeout), id="connect timeout"),
    pytest.param(raising(httpx2.RemoteProtocolError), id="not HTTP"),
]


@pytest.mark.parametrize("answer", TROUBLE)
async def test_a_server_in_trouble_is_503(world: World, answer: Callable[[httpx2.Request], httpx2.Response]) -> None:
    """Whatever ails the token endpoint, the app may log in again later, and no session begins."""
    browser = world.browser()
    response = await world.respond(browser)
    world.server.answers["/token"] = answer
    ended = await browser.login_end(response)
    assert (ended.status_code, ended.json()["error_code"]) == (503, "temporarily_unavailable")
    assert int(ended.headers["retry-after"]) > 0
    assert browser.cookies == {}
    assert [line["event"] for line in world.lines() if line["level"] == "error"] == ["trouble"]


@pytest.mark.parametrize("answer", TROUBLE)
async def test_trouble_is_not_told_to_the_app(
    world: World, answer: Callable[[httpx2.Request], httpx2.Response]
) -> None:
    """The log says what happened; the app learns neither the endpoint nor its status."""
    browser = world.browser()
    response = await world.respond(browser)
    world.server.answers["/token"] = answer
    ended = await browser.login_end(response)
    assert "token" not in ended.text
    assert "login.test" not in ended.text


@pytest.mark.parametrize("error", ["invalid_scope", "invalid_request", "unsupported_grant_type", "<script>"])
async def test_other_refusals_are_400(world: World, error: str) -> None:
    """A request the server rejects will not succeed when repeated; its words are not passed on."""
    browser = world.browser()
    response = await world.respond(browser)
    world.server.answers["/token"] = lambda _: httpx2.Response(400, json={"error": error})
    ended = await browser.login_end(response)
    assert (ended.status_code, ended.json()["error_code"]) == (400, "authorization_error")
    assert error not in ended.text


@pytest.mark.parametrize("more", ["", ',"id_token":7', ',"id_token":""', ',"id_token":null'])
async def test_t11_an_answer_without_the_id_token_that_was_asked_for_is_503(world: World, more: str) -> None:
    """The scope had openid: a server that forgets who the user is, is in trouble, and nobody is logged in."""
    browser = world.browser()
    response = await world.respond(browser)
    world.server.answers["/token"] = status(200, f'{{"access_token":"t","token_type":"Bearer"{more}}}')
    ended = await browser.login_end(response)
    assert (ended.status_code, ended.json()["error_code"]) == (503, "temporarily_unavailable")
    assert browser.cookies == {}


@pytest.mark.parametrize("token_type", ["Bearer", "bearer", "BEARER"])
def test_the_token_type_is_compared_without_case(token_type: str) -> None:
    """RFC 6749 section 5.1."""
    assert read({"access_token": "t", "token_type": token_type}).access_token == "t"


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"token_type": None}, id="no token type"),
        pytest.param({"token_type": 1}, id="token type no text"),
        pytest.param({"token_type": "DPoP"}, id="D2 DPoP"),
        pytest.param({"token_type": "N_A"}, id="D2 N_A"),
        pytest.param({"access_token": None}, id="no token"),
        pytest.param({"access_token": ""}, id="empty token"),
        pytest.param({"access_token": "a b"}, id="E10 blank"),
        pytest.param({"access_token": "a\r\nx: y"}, id="E10 line break"),
        pytest.param({"access_token": "t\n"}, id="E10 line break at the end"),
        pytest.param({"access_token": "é"}, id="E10 letter beyond ASCII"),
        pytest.param({"refresh_token": "\ud83e"}, id="refresh token with half a letter"),
        pytest.param({"refresh_token": "a\nb"}, id="refresh token with a line break"),
    ],
)
def test_a_token_we_cannot_use_is_trouble(changes: dict[str, object]) -> None:
    """One member of an otherwise good answer makes it unusable."""
    good = {"access_token": "t", "token_type": "Bearer", "expires_in": 300}
    assert read(good).expires_in == 300
    with pytest.raises(AuthorizationServerError) as thrown:
        read({**good, **changes})
    assert thrown.value.trouble == "as_bad_answer"


async def test_an_answer_without_end_is_given_up(world: World) -> None:
    """A well-formed answer of 300 KB is not read to its end."""
    await world.server.metadata(padding="x" * 300_000)
    assert (await world.browser().login_start()).status_code == 503


async def test_a_server_that_hangs_is_given_up(world: World) -> None:
    """A call is bounded as a whole, also when bytes never come."""
    http = HttpClient(transport=Hanging(), total_seconds=0)
    discovery = Discovery("https://login.test", http, lambda: world.clock[0])
    endpoint = TokenEndpoint(discovery, http, ClientSecretBasic("shop", SECRET))
    with pytest.raises(AuthorizationServerError) as thrown:
        await endpoint.exchange("code", redirect_uri=HOME, verifier="v")
    assert thrown.value.trouble == "as_timeout"


@pytest.mark.parametrize(
    ("error", "kind"),
    [("invalid_grant", GrantOver), ("invalid_scope", AgentError), ("invalid_client", AuthorizationServerError)],
)
async def test_only_invalid_grant_ends_a_grant(world: World, error: str, kind: type[Exception]) -> None:
    """The three outcomes of a refusal are three exceptions, for they mean different things to a session."""
    world.server.answers["/token"] = lambda _: httpx2.Response(400, json={"error": error})
    with pytest.raises(kind):
        await world.relying_party.tokens.refresh("refresh-token", {})


async def test_t11_without_openid_no_id_token_is_needed(tmp_path: Path) -> None:
    """An app of plain OAuth is logged in without claims."""
    world = create_world(tmp_path, scope="orders")
    browser = world.browser()
    ended = await browser.login_end(await world.respond(browser))
    assert ended.json() == {"is_logged_in": True, "id_token_claims": {}, "access_token_expires_in": 300}


async def test_an_app_may_ask_for_a_scope_without_openid(world: World) -> None:
    """A login for which the app asked no ID token ends well without one."""
    browser = world.browser()
    response = await world.server.visit(await world.start(browser, {"scope": "orders"}), user="ada")
    assert (await browser.login_end(response)).status_code == 200


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A fresh world."""
    return create_world(tmp_path)


class Hanging(httpx2.AsyncBaseTransport):
    """A server that takes the request and never answers."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Wait for what never comes."""
        await anyio.sleep_forever()
        raise AssertionError(request)
