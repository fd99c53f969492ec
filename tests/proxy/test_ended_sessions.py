"""Sessions ended before their time: refused at once, cached or not, and nobody else is."""

import asyncio

import pytest
from proxy_world.asking import BANK, COOKIE, SHOP, ask
from proxy_world.cases import MOBILE, MOBILE_REQUEST
from proxy_world.fakes import NOW, Proxy

from extauthz.authorizer import Pending
from extauthz.cookies.marks import Kind, mark
from extauthz.decision import Allow, Decision, Deny
from extauthz.oauth.errors import AuthorizationServerError, Trouble
from extauthz.policy import BearerMode
from extauthz.reason import Reason

pytestmark = pytest.mark.anyio

SUB, SID = mark("shop", Kind.SUB, "ada"), mark("shop", Kind.SID, "of the browser")
OTHER = ask(cookies=(f"{COOKIE}=another",))


async def test_a_cached_answer_is_not_served_any_more() -> None:
    """A session the proxy knows is refused from the moment its end is known, without waiting for anything."""
    proxy = Proxy()
    assert isinstance(await proxy.settle(ask()), Allow)
    proxy.end_session()
    assert _refusal(proxy.authorizer.decide(ask())) == (Reason.SESSION_REVOKED, 401)


async def test_an_answer_given_again_is_not_given_any_more() -> None:
    """Nor is the very same question answered as it was a moment ago."""
    proxy = Proxy()
    for _ in range(3):
        assert isinstance(await proxy.settle(ask()), Allow)
    proxy.end_session()
    assert _refusal(proxy.authorizer.decide(ask())) == (Reason.SESSION_REVOKED, 401)


async def test_nobody_is_asked_about_a_session_that_was_ended() -> None:
    """A cookie the proxy has not seen yet is opened and refused, before its token goes anywhere."""
    proxy = Proxy()
    proxy.end_session()
    assert _refusal(await proxy.settle(ask())) == (Reason.SESSION_REVOKED, 401)
    assert (proxy.opener.opened, proxy.upstream.asked, len(proxy.cache)) == (["sealed"], [], 0)


async def test_a_session_that_ends_while_its_token_is_asked_for() -> None:
    """An introspection that was on its way when the session ended lets nobody through."""
    proxy = Proxy()
    gate = proxy.upstream.gate = asyncio.Event()
    waiting = asyncio.create_task(proxy.settle(ask()))
    await proxy.upstream.arrived.wait()
    proxy.end_session()
    gate.set()
    assert _refusal(await waiting) == (Reason.SESSION_REVOKED, 401)


async def test_an_outage_does_not_bring_it_back() -> None:
    """Stale-if-error is for sessions that are still to be."""
    proxy = Proxy(stale_seconds=100)
    await proxy.settle(ask())
    proxy.upstream.answer = AuthorizationServerError(Trouble.UNREACHABLE, "it is down")
    proxy.wait(61)
    proxy.end_session()
    assert _refusal(await proxy.settle(ask())) == (Reason.SESSION_REVOKED, 401)


async def test_the_slow_are_refused_too() -> None:
    """Who can wait no longer is not given the stale answer of a session that was ended."""
    proxy = Proxy(stale_seconds=100)
    await proxy.settle(ask())
    proxy.wait(61)
    proxy.upstream.gate = asyncio.Event()
    waiting = asyncio.create_task(proxy.settle(ask(), budget=0.0))
    proxy.end_session()
    assert _refusal(await waiting) == (Reason.SESSION_REVOKED, 401)
    proxy.upstream.gate.set()


async def test_other_sessions_go_on() -> None:
    """A session of the same user, and one of the same id in another app, are not touched."""
    bank = ask(host="api.bank.example", origin=None, cookies=("__Host-Http-bank-at=sealed",))
    proxy = Proxy([SHOP, BANK])
    proxy.end_session()
    assert isinstance(await proxy.settle(OTHER), Allow)
    assert isinstance(await proxy.settle(bank), Allow)
    assert isinstance(await proxy.settle(ask()), Deny)


@pytest.mark.parametrize("ended", [SUB, SID])
async def test_the_authorization_server_s_words_for_it(ended: str) -> None:
    """A session is known by the user and by the authorization server's session as well."""
    proxy = Proxy()
    proxy.opener.marks = (SID, SUB)
    await proxy.settle(ask())
    await proxy.revocations.end(ended)
    assert _refusal(proxy.authorizer.decide(ask())) == (Reason.SESSION_REVOKED, 401)


async def test_a_user_who_logs_in_again_is_let_in() -> None:
    """Ending all sessions of a user ends those there are; what begins a millisecond later is another."""
    proxy = Proxy()
    proxy.opener.marks = (SUB,)
    await proxy.revocations.end(SUB)
    proxy.wait(0.001)
    assert _refusal(await proxy.settle(ask())) == (Reason.SESSION_REVOKED, 401)
    proxy.opener.began = int(NOW * 1000) + 1
    assert isinstance(await proxy.settle(OTHER), Allow)


async def test_a_refresh_does_not_make_a_session_younger() -> None:
    """What counts is when the session began: a token obtained later, in a race with the logout, does not save it."""
    proxy = Proxy()
    proxy.opener.marks, proxy.opener.began = (SUB,), int(NOW * 1000) - 100_000
    await proxy.revocations.end(SUB)
    proxy.wait(10)
    assert _refusal(await proxy.settle(OTHER)) == (Reason.SESSION_REVOKED, 401)


async def test_a_cookie_that_does_not_say_when_it_began() -> None:
    """A session of an agent from before revocations can be ended by its id."""
    proxy = Proxy()
    proxy.opener.began = 0
    await proxy.settle(ask())
    proxy.end_session()
    assert isinstance(proxy.authorizer.decide(ask()), Deny)


async def test_a_client_s_own_token_is_of_no_session() -> None:
    """A bearer token is judged by the authorization server alone."""
    proxy = Proxy([MOBILE])
    assert MOBILE.bearer is BearerMode.INTROSPECT
    proxy.end_session()
    assert isinstance(await proxy.settle(MOBILE_REQUEST), Allow)


async def test_a_refusal_takes_no_place() -> None:
    """Who goes on sending an ended session's cookie fills no memory."""
    proxy = Proxy()
    proxy.end_session()
    for _ in range(3):
        await proxy.settle(ask())
    assert (len(proxy.cache), len(proxy.refusals)) == (0, 0)
    assert isinstance(proxy.authorizer.decide(ask()), Pending)


def _refusal(decision: Decision | Pending) -> tuple[Reason, int]:
    assert isinstance(decision, Deny)
    return decision.reason, decision.status
