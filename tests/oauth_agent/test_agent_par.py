"""Pushed authorization requests (RFC 9126): when they are made, what is in them, and what becomes of refusals."""

from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from agent_world import HOME, ISSUER, RemoteError, World, create_world, form_of, query_of, read

from extauthz.config import ConfigError

pytestmark = pytest.mark.anyio

ENDPOINT, REQUIRED = "pushed_authorization_request_endpoint", "require_pushed_authorization_requests"
CANARY = "canary-7f3a9c51e2"


async def test_the_url_has_the_client_and_the_reference_only(world: World) -> None:
    """What the browser carries are two parameters; the endpoint's own query stays."""
    await world.server.metadata(authorization_endpoint=f"{ISSUER}/authorize?tenant=a")
    url = await world.start(world.browser())
    query = query_of(url)
    assert list(query) == ["tenant", "client_id", "request_uri"]
    assert query["client_id"] == "shop"


async def test_the_parameters_are_pushed_with_our_credentials(tmp_path: Path) -> None:
    """The form has what would be in the URL, the app's own parameters too; the header proves who we are."""
    world = create_world(tmp_path, authorization_parameters=["login_hint"])
    await world.start(world.browser(), {"scope": "openid", "login_hint": "ada&state=x é"})
    [pushed] = world.server.asked("/par")
    form = form_of(pushed)
    assert pushed.headers["authorization"].startswith("Basic ")
    assert {name: form.pop(name) for name in ("scope", "login_hint")} == {
        "scope": "openid",
        "login_hint": "ada&state=x é",
    }
    assert {name: len(form.pop(name)) for name in ("state", "nonce", "code_challenge")} == {
        "state": 43,
        "nonce": 43,
        "code_challenge": 43,
    }
    assert form == {
        "client_id": "shop",
        "redirect_uri": HOME,
        "response_type": "code",
        "code_challenge_method": "S256",
    }


async def test_each_login_is_pushed_anew(world: World) -> None:
    """A reference counts once, so no two logins share one."""
    browser = world.browser()
    first, second = [query_of(await world.start(browser))["request_uri"] for _ in range(2)]
    assert first != second


@pytest.mark.parametrize(
    ("par", "members", "pushed"),
    [
        pytest.param("auto", {}, True, id="auto where it is offered"),
        pytest.param("auto", {REQUIRED: True}, True, id="auto where it is required"),
        pytest.param("auto", {ENDPOINT: None}, False, id="auto where it is not offered"),
        pytest.param("auto", {ENDPOINT: None, REQUIRED: "true"}, False, id="auto where a text says required"),
        pytest.param("never", {}, False, id="never though offered"),
        pytest.param("required", {}, True, id="required and offered"),
    ],
)
async def test_when_parameters_are_pushed(tmp_path: Path, par: str, members: dict[str, object], pushed: bool) -> None:
    """The setting and the metadata decide; a login succeeds either way."""
    world = create_world(tmp_path, par=par)
    await world.server.metadata(**members)
    await world.log_in()
    assert bool(world.server.asked("/par")) is pushed


async def test_a_server_that_requires_it_is_content(world: World) -> None:
    """The provider refuses every other request; ours it grants."""
    await world.server.mode(require_par=True)
    await world.log_in()


@pytest.mark.parametrize(("par", "members"), [("required", {}), ("auto", {REQUIRED: True})])
async def test_required_and_not_offered_is_503(tmp_path: Path, par: str, members: dict[str, object]) -> None:
    """No login is started that would have to do without; the operator reads what is missing."""
    world = create_world(tmp_path, par=par)
    await world.server.metadata(**{ENDPOINT: None}, **members)
    browser = world.browser()
    answer = await browser.login_start()
    assert (answer.status_code, answer.json()["error_code"]) == (503, "temporarily_unavailable")
    assert browser.cookies == {}
    trouble = world.lines()[-2]
    assert (trouble["reason"], trouble["detail"]) == ("as_bad_answer", f"the metadata names no {ENDPOINT}")


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (f'{{"error":"invalid_scope","error_description":"{CANARY}"}}', "invalid_scope"),
        ('{"error":"invalid_request"}', "invalid_request"),
        (f'{{"error":"{CANARY}"}}', "an unknown error"),
        ('{"error":["invalid_scope"]}', "an unknown error"),
        ("{}", "an unknown error"),
    ],
)
async def test_what_the_server_does_not_accept_is_400(world: World, body: str, word: str) -> None:
    """The app learns that its login was refused, in words of ours, and no login begins."""
    await world.server.mode(par_status=400, body=body)
    browser = world.browser()
    answer = await browser.login_start()
    assert (answer.status_code, answer.json()["error_code"]) == (400, "authorization_error")
    assert answer.json()["detailed_error"].endswith(f": {word}")
    assert CANARY not in answer.text + world.log.getvalue()
    assert browser.cookies == {}


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (401, '{"error":"invalid_client"}', "as_refused_us"),
        (403, "", "as_refused_us"),
        (400, '{"error":"invalid_client"}', "as_refused_us"),
        (400, '{"error":"unauthorized_client"}', "as_refused_us"),
        (400, "<html>", "as_bad_answer"),
        (405, "", "as_error"),
        (413, "", "as_error"),
        (429, "", "as_error"),
        (500, "", "as_error"),
        (302, "", "as_error"),
        (200, '{"request_uri":"urn:x","expires_in":60}', "as_error"),
        (201, "<html>", "as_bad_answer"),
        (201, "[]", "as_bad_answer"),
        (201, '{"expires_in":60}', "as_bad_answer"),
        (201, '{"request_uri":"","expires_in":60}', "as_bad_answer"),
        (201, '{"request_uri":["urn:x"],"expires_in":60}', "as_bad_answer"),
        (201, '{"request_uri":"urn:\\ud800","expires_in":60}', "as_bad_answer"),
        (201, '{"request_uri":"urn:x"}', "as_bad_answer"),
        (201, '{"request_uri":"urn:x","expires_in":"60"}', "as_bad_answer"),
        (201, '{"request_uri":"urn:x","expires_in":true}', "as_bad_answer"),
        (201, '{"request_uri":"urn:x","expires_in":0}', "as_bad_answer"),
    ],
)
async def test_trouble_is_503(world: World, status: int, body: str, reason: str) -> None:
    """What is no fault of the app is an outage to it, and the operator reads its kind; nothing goes another way."""
    await world.server.mode(par_status=status, body=body)
    browser = world.browser()
    answer = await browser.login_start()
    assert (answer.status_code, answer.json()["error_code"]) == (503, "temporarily_unavailable")
    assert browser.cookies == {}
    assert world.lines()[-2]["reason"] == reason


async def test_a_reference_is_escaped(world: World) -> None:
    """A reference that looks like further parameters stays one."""
    await world.server.mode(par_status=201, body='{"request_uri":"urn:x&state=y#z é","expires_in":60}')
    query = query_of(await world.start(world.browser()))
    assert query == {"client_id": "shop", "request_uri": "urn:x&state=y#z é"}


async def test_a_connection_that_breaks_is_tried_once_more(world: World) -> None:
    """A reference nobody uses does no harm, so a second push is no danger."""
    world.server.answers["/par"] = broken_once(world)
    await world.log_in()
    assert len(world.server.asked("/par")) == 2


async def test_an_endpoint_that_is_not_https_gets_no_credentials(world: World) -> None:
    """Our secret does not travel in the clear."""
    await world.server.metadata(**{ENDPOINT: "http://login.test/par"})
    assert (await world.browser().login_start()).status_code == 503
    assert world.server.asked("/par") == []


async def test_nothing_pushed_is_logged(world: World) -> None:
    """Neither the parameters nor the reference, whatever becomes of them."""
    url = await world.start(world.browser())
    await world.server.mode(par_status=500)
    with pytest.raises(RemoteError):
        read(await world.browser().login_start())
    forms = [form_of(request) for request in world.server.asked("/par")]
    secrets = [form[name] for form in forms for name in ("state", "nonce", "code_challenge")]
    assert len(secrets) == 6
    assert [one for one in (*secrets, query_of(url)["request_uri"]) if one in world.log.getvalue()] == []


@pytest.mark.parametrize("value", ["always", True, [], ""])
def test_par_is_one_of_three_words(tmp_path: Path, value: object) -> None:
    """A word nobody knows is a mistake, told by key."""
    with pytest.raises(ConfigError, match=r"apps\.shop\.par: "):
        create_world(tmp_path, par=value)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A fresh world."""
    return create_world(tmp_path)


def broken_once(world: World) -> Callable[[httpx2.Request], httpx2.Response]:
    """Breaks the connection, and is the provider again from then on."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        del world.server.answers["/par"]
        raise httpx2.ReadError("broken", request=request)

    return answer
