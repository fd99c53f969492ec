"""Back-channel logout: OpenID Connect Back-Channel Logout 1.0, rule by rule, as the authorization server calls it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest
from agent_world import FORM, ISSUER, Browser, World, create_world, read, set_cookies

from extauthz.revocations.revocations import RevocationsUnavailable

pytestmark = pytest.mark.anyio

EVENT = "http://schemas.openid.net/event/backchannel-logout"
SUB: Mapping[str, object] = {"sub": "ada"}


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A fresh world."""
    return create_world(tmp_path)


async def tell(
    world: World,
    claims: Mapping[str, object] | None = None,
    *,
    typ: str = "logout+jwt",
    client_id: str = "shop",
    headers: tuple[tuple[str, str], ...] = (),
) -> httpx2.Response:
    """What the provider sends: a logout token for the shop's agent, by default about all of Ada's sessions."""
    token = await world.server.logout_token(client_id, SUB if claims is None else {**SUB, **claims}, typ)
    return await send(world, urlencode({"logout_token": token}), headers=headers)


async def send(
    world: World, body: str | bytes, *, content_type: str = FORM, headers: tuple[tuple[str, str], ...] = ()
) -> httpx2.Response:
    """Any body at all, without cookies, Origin and custom header."""
    octets = body.encode() if isinstance(body, str) else body
    return await world.browser().send(
        "POST", "backchannel-logout", body=octets, headers=[("content-type", content_type), *headers]
    )


async def is_over(browser: Browser) -> bool:
    """Whether session and refresh say so, and clear the cookies."""
    refreshing = Browser(browser.agent, base=browser.base, path=browser.path, origin=browser.origin)
    refreshing.cookies = dict(browser.cookies)
    session, refresh = await browser.session(), await refreshing.refresh()
    over = read(session) == {"is_logged_in": False}
    assert over is (refresh.status_code == 401)
    if over:
        assert refresh.json()["error_code"] == "session_expired"
        assert (browser.cookies, refreshing.cookies) == ({}, {})
    return over


def refused(answer: httpx2.Response) -> dict[str, Any]:
    """The members of a refusal by section 2.8."""
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    members: dict[str, Any] = answer.json()
    assert members["error"] == members["error_code"] == "invalid_request"
    assert members["error_description"] == members["detailed_error"]
    return members


async def test_a_good_token_ends_the_sessions(world: World) -> None:
    """All of the user's sessions are over, another user's is not."""
    first, second, grace = await world.log_in(), await world.log_in(), await world.log_in("grace")
    assert (await tell(world)).status_code == 200
    assert [await is_over(browser) for browser in (first, second, grace)] == [True, True, False]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_l1_only_post(world: World, method: str) -> None:
    """L1: the method is POST."""
    answer = await world.browser().send(method, "backchannel-logout")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data; boundary=x", "text/plain", ""])
async def test_l1_only_a_form(world: World, content_type: str) -> None:
    """L1: the body is application/x-www-form-urlencoded."""
    token = await world.server.logout_token("shop", SUB)
    refused(await send(world, urlencode({"logout_token": token}), content_type=content_type))


@pytest.mark.parametrize("body", ["", "logout_token=", "token=x", "logout_token"], ids=repr)
async def test_l1_without_a_token(world: World, body: str) -> None:
    """L1: the parameter logout_token has to be there."""
    refused(await send(world, body))


async def test_l1_the_token_once(world: World) -> None:
    """L1: two tokens in one request are none."""
    token = await world.server.logout_token("shop", SUB)
    refused(await send(world, urlencode([("logout_token", token), ("logout_token", token)])))


async def test_l1_other_parameters_do_not_matter(world: World) -> None:
    """L1 (section 2.5): what else is in the form is ignored."""
    ada = await world.log_in()
    token = await world.server.logout_token("shop", SUB)
    assert (await send(world, urlencode({"logout_token": token, "more": "x"}))).status_code == 200
    assert await is_over(ada)


@pytest.mark.parametrize("token", ["x", "a.b.c", "a.b", "eyJhbGciOiJub25lIn0.e30.", "é"])
async def test_l2_garbage(world: World, token: str) -> None:
    """L2: what is no signed JWT is refused; alg none is no signature."""
    refused(await send(world, urlencode({"logout_token": token})))


async def test_l2_a_forged_signature(world: World) -> None:
    """L2: the signature is verified with the provider's keys."""
    ada = await world.log_in()
    header, claims, _ = (await world.server.logout_token("shop", SUB)).split(".")
    forged = f"{header}.{claims}.{(await world.server.logout_token('shop', SUB)).split('.')[2]}"
    refused(await send(world, urlencode({"logout_token": forged})))
    assert not await is_over(ada)


async def test_l2_the_algorithm_that_was_agreed_on(tmp_path: Path) -> None:
    """L2: what ID tokens may not be signed with, logout tokens may not either."""
    refused(await tell(create_world(tmp_path, id_token_signed_response_alg="RS256")))


@pytest.mark.parametrize("typ", ["logout+jwt", "LOGOUT+JWT", "application/logout+jwt", ""])
async def test_l2_the_type(world: World, typ: str) -> None:
    """L2: the type, in any spelling a media type may have, is taken, and so is a token that names none."""
    assert (await tell(world, typ=typ)).status_code == 200


@pytest.mark.parametrize("typ", ["JWT", "at+jwt", "token-introspection+jwt", "logout+jwt2"])
async def test_l2_another_type(world: World, typ: str) -> None:
    """L2: a token that says it is something else is believed."""
    refused(await tell(world, typ=typ))


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"iss": "https://evil.test"}, id="another issuer"),
        pytest.param({"iss": None}, id="no issuer"),
        pytest.param({"iss": f"{ISSUER}/"}, id="an issuer with a slash"),
        pytest.param({"aud": "admin"}, id="another client"),
        pytest.param({"aud": ["admin", "other"]}, id="other clients"),
        pytest.param({"aud": None}, id="no audience"),
        pytest.param({"aud": {"shop": 1}}, id="an object for the audience"),
        pytest.param({"iat": None}, id="no iat"),
        pytest.param({"iat": "now"}, id="a text for iat"),
        pytest.param({"iat": True}, id="a boolean for iat"),
        pytest.param({"iat": 1_800_000_000 - 151}, id="iat of some time ago"),
        pytest.param({"iat": 1_800_000_000 + 31}, id="iat of the future"),
        pytest.param({"exp": None}, id="no exp"),
        pytest.param({"exp": "never"}, id="a text for exp"),
        pytest.param({"exp": 1_800_000_000 - 30}, id="expired"),
        pytest.param({"jti": None}, id="no jti"),
        pytest.param({"jti": ""}, id="an empty jti"),
        pytest.param({"jti": 7}, id="a number for jti"),
        pytest.param({"jti": "x" * 257}, id="a jti of any length"),
    ],
)
async def test_l3_claims(world: World, claims: dict[str, object]) -> None:
    """L3: iss, aud, a fresh iat, exp and jti are required, and looked at."""
    ada = await world.log_in()
    refused(await tell(world, claims))
    assert not await is_over(ada)


async def test_l3_one_of_several_audiences(world: World) -> None:
    """L3: a token for several clients is for us as well."""
    assert (await tell(world, {"aud": ["other", "shop"]})).status_code == 200


@pytest.mark.parametrize(
    "events",
    [None, {}, [], [EVENT], EVENT, {EVENT: None}, {EVENT: []}, {EVENT: "x"}, {"http://other": {}}],
    ids=repr,
)
async def test_l4_events(world: World, events: object) -> None:
    """L4: the event is named, and its value is an object."""
    refused(await tell(world, {"events": events}))


async def test_l4_an_event_with_members(world: World) -> None:
    """L4: the object may have members, and there may be other events."""
    assert (await tell(world, {"events": {EVENT: {"x": 1}, "http://other": 2}})).status_code == 200


@pytest.mark.parametrize(
    "claims", [{"sub": None}, {"sub": ""}, {"sub": 7}, {"sub": ["ada"]}, {"sid": ""}, {"sid": {}}], ids=repr
)
async def test_l5_nobody_is_named(world: World, claims: dict[str, object]) -> None:
    """L5: a user or a session has to be named, by a text."""
    refused(await tell(world, claims))


@pytest.mark.parametrize("sub", ["ada", None])
async def test_l5_a_sid_means_that_session(world: World, sub: str | None) -> None:
    """L5: where a session is named, with the user or without, the user's other sessions go on."""
    first, second = await world.log_in(), await world.log_in()
    sid = read(await first.session())["id_token_claims"]["sid"]
    assert (await tell(world, {"sid": sid, "sub": sub})).status_code == 200
    assert [await is_over(browser) for browser in (first, second)] == [True, False]


async def test_l5_a_session_nobody_knows(world: World) -> None:
    """L5 (section 2.7): there may be no such session any more; that is a success."""
    assert (await tell(world, {"sid": "of long ago"})).status_code == 200


@pytest.mark.parametrize("nonce", ["n", "", 0])
async def test_l6_a_nonce(world: World, nonce: object) -> None:
    """L6: what carries a nonce is an ID token, whatever else it says."""
    refused(await tell(world, {"nonce": nonce}))


async def test_l6_an_id_token_is_no_logout_token(world: World) -> None:
    """L6: the token of somebody's own login logs nobody out."""
    ada = await world.log_in()
    refused(await tell(world, {"events": None, "nonce": "n", "at_hash": "x"}, typ="JWT"))
    assert not await is_over(ada)


async def test_l7_a_replay_changes_nothing(world: World) -> None:
    """L7: the same token once more is a success, and a user who has logged in again stays so."""
    token = await world.server.logout_token("shop", SUB)
    body = urlencode({"logout_token": token})
    assert (await send(world, body)).status_code == 200
    world.later(0.01)
    again = await world.log_in()
    assert (await send(world, body)).status_code == 200
    assert not await is_over(again)


async def test_l7_another_token_ends_the_new_session(world: World) -> None:
    """L7: only the very same token is a replay."""
    assert (await tell(world)).status_code == 200
    world.later(0.01)
    again = await world.log_in()
    assert (await tell(world)).status_code == 200
    assert await is_over(again)


async def test_l7_a_server_that_calls_all_its_tokens_alike(world: World) -> None:
    """Each logs out whom it names: answering 200 to one that was not done would leave a session that is over."""
    ada, grace = await world.log_in(), await world.log_in("grace")
    for user in ("ada", "grace"):
        assert (await tell(world, {"sub": user, "jti": "1"})).status_code == 200
    assert [await is_over(ada), await is_over(grace)] == [True, True]


async def test_l7_what_is_remembered_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """L7: of many tokens the latest are remembered, and none for longer than it could be replayed."""
    monkeypatch.setattr("agent.backchannel.MAX_REMEMBERED", 3)
    for _ in range(5):
        await tell(world)
    assert len(world.back_channel._done) == 3
    world.later(400)
    await tell(world)
    assert len(world.back_channel._done) == 1


async def test_l8_success(world: World) -> None:
    """L8: 200, not to be stored, and no cookie is set: there is no browser."""
    answer = await tell(world)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert (answer.json(), set_cookies(answer)) == ({}, [])


async def test_l8_our_own_trouble_is_503(world: World) -> None:
    """L8: while the provider's keys cannot be had nothing can be said of the token; it may be sent again."""
    ada = await world.log_in()
    token = await world.server.logout_token("shop", SUB)
    world.server.down = True
    answer = await send(world.replica(), urlencode({"logout_token": token}))
    world.server.down = False
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert not await is_over(ada)


async def test_l8_a_list_that_cannot_be_written_is_503(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """L8: when others cannot be told, the provider is, and the same token may be sent again, to better effect."""
    told: list[str] = []

    async def end(mark: str) -> None:
        told.append(mark)
        if len(told) == 1:
            raise RevocationsUnavailable("redis is away")

    monkeypatch.setattr(world.shared.revocations, "end", end)
    token = await world.server.logout_token("shop", SUB)
    answers = [await send(world, urlencode({"logout_token": token})) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [503, 200, 200]
    assert answers[0].json()["error"] == "temporarily_unavailable"
    assert len(told) == 2


async def test_l9_nothing_of_a_browser_is_needed(world: World) -> None:
    """L9: without custom header, Origin and cookies it is taken, and what a server sends besides does no harm."""
    strange = (("origin", "https://login.test"), ("sec-fetch-site", "cross-site"), ("cookie", "__Host-Http-shop-id=x"))
    assert (await tell(world)).status_code == 200
    assert (await tell(world, headers=strange)).status_code == 200


async def test_l9_another_app_s_agent_does_not_take_it(world: World) -> None:
    """L9: the token says all, so one for another client of the same provider says nothing here."""
    ada = await world.log_in()
    refused(await tell(world, client_id="admin"))
    assert not await is_over(ada)


async def test_l9_no_token_reaches_the_log(world: World) -> None:
    """L9: neither a good nor a refused token is written anywhere."""
    good, bad = await world.server.logout_token("shop", SUB), await world.server.logout_token("admin", SUB)
    for token in (good, bad):
        await send(world, urlencode({"logout_token": token}))
    assert [part for token in (good, bad) for part in token.split(".")[1:] if part in world.log.getvalue()] == []
    assert [line["status"] for line in world.lines() if line["event"] == "agent"] == [200, 400]


async def test_l10_the_next_process_knows(tmp_path: Path) -> None:
    """L10: with a file, an agent that starts later refuses the session too."""
    world = create_world(tmp_path, top={"revocations": {"file": "revocations.jsonl"}})
    ada = await world.log_in()
    assert (await tell(world)).status_code == 200
    restarted = world.replica()
    await restarted.shared.revocations.start()
    later = restarted.browser()
    later.cookies = dict(ada.cookies)
    assert await is_over(later)
    await restarted.shared.close()


async def test_l11_an_id_token_without_sid(world: World) -> None:
    """L11: a session of which the provider told no sid can be ended by its user."""
    await world.server.mode(id_token_overrides={"sid": None})
    ada = await world.log_in()
    assert (await tell(world)).status_code == 200
    assert await is_over(ada)
