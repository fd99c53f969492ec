"""The main path: what is answered at once, what is asked for once, and that nothing is ever raised."""

import asyncio
from dataclasses import replace

import pytest
from proxy_world.asking import BANK, COOKIE, OURS, SHOP, ask
from proxy_world.fakes import Proxy

from extauthz.authorizer import Pending
from extauthz.cookies.access_token import SealedAccessTokens
from extauthz.cookies.envelope import Defect, InvalidCookie
from extauthz.cookies.hpke import Opener, Sealer
from extauthz.cookies.keys import new_key_pair, read_private_key
from extauthz.cookies.purpose import Purpose
from extauthz.decision import Allow, Credential, Decision, Deny, examine
from extauthz.memory import cache_key
from extauthz.oauth.errors import AuthorizationServerError, Trouble
from extauthz.outcome import Refused, UpstreamToken
from extauthz.reason import Reason

KEY = read_private_key(new_key_pair("x25519")[0])
PURPOSE = Purpose("shop", COOKIE)

pytestmark = pytest.mark.anyio


async def test_the_second_request_is_answered_at_once() -> None:
    """Once a session's token is known, the decision needs no task, no cookie opened and nobody asked."""
    proxy = Proxy()
    assert isinstance(proxy.authorizer.decide(ask()), Pending)
    assert isinstance(await proxy.settle(ask()), Allow)
    again = proxy.authorizer.decide(ask(path="/other"))
    assert isinstance(again, Allow)
    assert again.set_headers == (("authorization", "Bearer h.p.s"),)
    assert (proxy.opener.opened, proxy.upstream.asked) == (["sealed"], ["opaque-sealed"])


async def test_a_flood_of_first_requests_is_one_flight() -> None:
    """A thousand first requests of one session open one cookie, ask once, and all are let through."""
    proxy = Proxy()
    gate = proxy.upstream.gate = asyncio.Event()
    waiting = [asyncio.create_task(proxy.settle(ask())) for _ in range(1000)]
    await asyncio.sleep(0)
    gate.set()
    decisions = await asyncio.gather(*waiting)
    assert all(isinstance(decision, Allow) for decision in decisions)
    assert (len(proxy.opener.opened), len(proxy.upstream.asked)) == (1, 1)


async def test_a_leader_that_gives_up_does_not_fail_the_others() -> None:
    """When the first who asked is cancelled, those who waited with it still get the answer."""
    proxy = Proxy()
    gate = proxy.upstream.gate = asyncio.Event()
    leader, *followers = [asyncio.create_task(proxy.settle(ask())) for _ in range(3)]
    await asyncio.sleep(0)
    leader.cancel()
    await asyncio.wait([leader])
    gate.set()
    assert leader.cancelled()
    decisions = await asyncio.gather(*followers, return_exceptions=True)
    assert [type(decision) for decision in decisions] == [Allow, Allow]
    assert len(proxy.upstream.asked) == 1


async def test_a_used_up_budget_is_503_and_the_answer_serves_later() -> None:
    """Who cannot wait is answered 503; the flight goes on, and its answer serves the next request."""
    proxy = Proxy()
    gate = proxy.upstream.gate = asyncio.Event()
    hurried = await proxy.settle(ask(), budget=0.0)
    assert _refusal(hurried) == (Reason.AS_TIMEOUT, 503)
    gate.set()
    assert isinstance(await proxy.settle(ask()), Allow)
    assert len(proxy.upstream.asked) == 1


@pytest.mark.parametrize("trouble", Trouble)
async def test_trouble_at_the_authorization_server_is_not_remembered(trouble: Trouble) -> None:
    """Trouble is answered 503 and reported, and the next request asks again."""
    proxy = Proxy()
    proxy.upstream.answer = error = AuthorizationServerError(trouble, "what it is")
    assert _refusal(await proxy.settle(ask())) == (Reason(trouble), 503)
    assert proxy.report.troubles == [("shop", Reason(trouble), error)]
    assert len(proxy.cache) == 0
    proxy.upstream.good_for(300)
    assert isinstance(await proxy.settle(ask()), Allow)


async def test_a_refused_token_is_remembered_for_five_seconds() -> None:
    """An inactive token is not asked about again for five seconds, and then it is."""
    proxy = Proxy()
    proxy.upstream.answer = Refused(Reason.TOKEN_INACTIVE)
    assert _refusal(await proxy.settle(ask())) == (Reason.TOKEN_INACTIVE, 401)
    proxy.wait(4.9)
    assert _refusal(proxy.authorizer.decide(ask())) == (Reason.TOKEN_INACTIVE, 401)
    proxy.wait(0.2)
    proxy.upstream.good_for(300)
    assert isinstance(await proxy.settle(ask()), Allow)


@pytest.mark.parametrize(
    ("lifetime", "max_seconds", "served_for"),
    [
        pytest.param(300, 60, 60, id="the configured maximum"),
        pytest.param(30, 60, 28, id="two seconds less than the token has left"),
        pytest.param(2, 60, 0, id="not at all in its last two seconds"),
        pytest.param(300, 0, 0, id="not at all when caching is off"),
    ],
)
async def test_how_long_a_token_serves(lifetime: float, max_seconds: float, served_for: float) -> None:
    """A token is served again until the configured maximum, or two seconds before it runs out."""
    proxy = Proxy(max_seconds=max_seconds)
    proxy.upstream.good_for(lifetime)
    assert isinstance(await proxy.settle(ask()), Allow)
    if served_for:
        proxy.wait(served_for - 0.1)
        assert isinstance(proxy.authorizer.decide(ask()), Allow)
        proxy.wait(0.1)
    assert isinstance(proxy.authorizer.decide(ask()), Pending)


async def test_caching_off_forgets_refusals_too() -> None:
    """With cache_seconds zero an inactive token is asked about every time."""
    proxy = Proxy(max_seconds=0)
    proxy.upstream.answer = Refused(Reason.TOKEN_INACTIVE)
    await proxy.settle(ask())
    assert isinstance(proxy.authorizer.decide(ask()), Pending)


async def test_an_expired_token_is_not_served_from_the_cache() -> None:
    """A token that the clock on the wall calls expired is refused, even while the cache still holds it."""
    proxy = Proxy()
    proxy.upstream.good_for(30)
    await proxy.settle(ask())
    proxy.clock.now += 30
    assert _refusal(proxy.authorizer.decide(ask())) == (Reason.TOKEN_EXPIRED, 401)


async def test_scope_is_checked_after_a_hit() -> None:
    """A token without the required scope is refused 403 the second time as the first, and asked about once."""
    proxy = Proxy()
    proxy.upstream.good_for(300, scopes=frozenset({"profile"}))
    assert _refusal(await proxy.settle(ask())) == (Reason.INSUFFICIENT_SCOPE, 403)
    assert _refusal(proxy.authorizer.decide(ask())) == (Reason.INSUFFICIENT_SCOPE, 403)
    assert len(proxy.upstream.asked) == 1


@pytest.mark.parametrize("defect", Defect)
async def test_garbage_costs_nothing(defect: Defect) -> None:
    """A cookie that fails the cheap check is refused at once, never opened, and takes no place in the cache."""
    proxy = Proxy()
    proxy.opener.rejects = InvalidCookie(defect)
    assert _refusal(proxy.authorizer.decide(ask())) == (Reason(defect), 401)
    assert (proxy.opener.opened, proxy.upstream.asked, len(proxy.cache)) == ([], [], 0)


async def test_a_cookie_that_does_not_open_asks_nobody() -> None:
    """A cookie that passes the cheap check and does not open is refused, and takes no place in the cache."""
    proxy = Proxy()
    proxy.opener.fails = InvalidCookie(Defect.UNDECRYPTABLE)
    assert _refusal(await proxy.settle(ask())) == (Reason.UNDECRYPTABLE_COOKIE, 401)
    assert (proxy.upstream.asked, len(proxy.cache)) == ([], 0)


async def test_a_hostile_plaintext_asks_nobody() -> None:
    """A cookie sealed by a stranger, with a token that is none, never reaches the authorization server."""
    proxy = Proxy()
    hostile = Sealer(KEY.public_key(), PURPOSE).seal(b'{"at":"a\\r\\nx: y","iat":1,"sid":"s"}')
    proxy.use(SealedAccessTokens(Opener([KEY], PURPOSE)))
    assert _refusal(await proxy.settle(ask(cookies=(f"{COOKIE}={hostile}",)))) == (Reason.MALFORMED_COOKIE, 401)
    assert proxy.upstream.asked == []


@pytest.mark.parametrize("place", ["admit", "open", "upstream"])
async def test_a_fault_of_ours_is_500_and_never_raised(place: str) -> None:
    """Whatever breaks in here, the answer is a refusal with status 500, reported and not remembered."""
    proxy, error = Proxy(), ZeroDivisionError("somewhere")
    if place == "admit":
        proxy.opener.rejects = error
    elif place == "open":
        proxy.opener.fails = error
    else:
        proxy.upstream.answer = error
    assert _refusal(await proxy.settle(ask())) == (Reason.INTERNAL_ERROR, 500)
    assert [(reason, raised) for _, reason, raised in proxy.report.troubles] == [(Reason.INTERNAL_ERROR, error)]
    assert len(proxy.cache) == 0


async def test_a_broken_clock_is_500() -> None:
    """Without the time no token can be judged, so none is let through."""
    proxy = Proxy()
    await proxy.settle(ask())
    proxy.clock.now = "noon"  # type: ignore[assignment]
    assert _refusal(proxy.authorizer.decide(ask())) == (Reason.INTERNAL_ERROR, 500)
    assert _refusal(await proxy.settle(ask(cookies=(f"{COOKIE}=another",)))) == (Reason.INTERNAL_ERROR, 500)


async def test_all_who_wait_for_a_fault_get_it() -> None:
    """A flight that breaks is a 500 for everyone on it."""
    proxy = Proxy()
    proxy.upstream.answer = ZeroDivisionError()
    decisions = await asyncio.gather(*(proxy.settle(ask()) for _ in range(3)))
    assert [_refusal(decision) for decision in decisions] == [(Reason.INTERNAL_ERROR, 500)] * 3
    assert len(proxy.upstream.asked) == 1


async def test_apps_share_no_answers() -> None:
    """The same sealed value sent to two apps is two questions, and two entries."""
    proxy = Proxy([SHOP, BANK])
    bank = ask(host="api.bank.example", origin=None, cookies=("__Host-Http-bank-at=sealed",))
    for request in (ask(), bank):
        assert isinstance(proxy.authorizer.decide(request), Pending)
        assert isinstance(await proxy.settle(request), Allow)
    assert (len(proxy.upstream.asked), len(proxy.cache)) == (2, 2)


async def test_sessions_share_no_answers() -> None:
    """Another cookie value is another session, and asked about for itself."""
    proxy = Proxy()
    await proxy.settle(ask())
    assert isinstance(proxy.authorizer.decide(ask(cookies=(OURS + "x",))), Pending)


@pytest.mark.parametrize(("chance", "served_for"), [(0.0, 60.0), (0.5, 57.0), (1.0, 54.0)])
async def test_sessions_are_not_asked_about_again_all_at_once(chance: float, served_for: float) -> None:
    """The time an answer serves is up to a tenth shorter, by chance, and never longer."""
    proxy = Proxy()
    proxy.chance = chance
    await proxy.settle(ask())
    proxy.wait(served_for - 0.01)
    assert isinstance(proxy.authorizer.decide(ask()), Allow)
    proxy.wait(0.02)
    assert isinstance(proxy.authorizer.decide(ask()), Pending)


@pytest.mark.parametrize(("max_age", "served_for"), [(10.0, 10), (0.0, 0), (3600.0, 60)])
async def test_no_longer_than_the_authorization_server_says(max_age: float, served_for: float) -> None:
    """The server's max-age bounds how long an answer serves, and does not lengthen it."""
    proxy = Proxy()
    assert isinstance(proxy.upstream.answer, UpstreamToken)
    proxy.upstream.answer = replace(proxy.upstream.answer, max_age=max_age)
    await proxy.settle(ask())
    proxy.wait(served_for - 0.01)
    assert isinstance(proxy.authorizer.decide(ask()), Allow) is (served_for > 0)
    proxy.wait(0.02)
    assert isinstance(proxy.authorizer.decide(ask()), Pending)


TROUBLE = AuthorizationServerError(Trouble.UNREACHABLE, "it is down")


async def test_stale_if_error() -> None:
    """Where the app allows it, a known session outlives an outage for so long; a new one does not get in."""
    proxy = Proxy(stale_seconds=100)
    await proxy.settle(ask())
    proxy.upstream.answer = TROUBLE
    proxy.wait(159)
    assert isinstance(await proxy.settle(ask()), Allow)
    assert len(proxy.report.troubles) == 1  # and the operator knows
    assert _refusal(await proxy.settle(ask(cookies=(f"{COOKIE}=another",)))) == (Reason.AS_UNREACHABLE, 503)
    proxy.wait(2)
    assert _refusal(await proxy.settle(ask())) == (Reason.AS_UNREACHABLE, 503)


async def test_stale_if_error_while_the_server_hangs() -> None:
    """A known session is served, too, when whoever asks can wait no longer."""
    proxy = Proxy(stale_seconds=100)
    await proxy.settle(ask())
    proxy.wait(61)
    proxy.upstream.gate = asyncio.Event()
    assert isinstance(await proxy.settle(ask(), budget=0.0), Allow)
    proxy.upstream.gate.set()


async def test_many_audiences_weigh() -> None:
    """What a server puts into a token counts against the bound of the memory."""
    proxy = Proxy()
    assert isinstance(proxy.upstream.answer, UpstreamToken)
    many = frozenset(f"api-{number}" for number in range(1000))
    proxy.upstream.answer = replace(proxy.upstream.answer, audiences=many)
    await proxy.settle(ask())
    assert proxy.cache.weight > 50 * 1000


async def test_stale_if_error_never_outlives_the_token() -> None:
    """Two seconds before the token runs out it is over."""
    proxy = Proxy(stale_seconds=1000)
    proxy.upstream.good_for(80)
    await proxy.settle(ask())
    proxy.upstream.answer = TROUBLE
    proxy.wait(77.9)
    assert isinstance(await proxy.settle(ask()), Allow)
    proxy.wait(0.2)
    assert _refusal(await proxy.settle(ask())) == (Reason.AS_UNREACHABLE, 503)


async def test_stale_if_error_is_no_second_chance() -> None:
    """A token found inactive does not come back when the server goes down afterwards."""
    proxy = Proxy(stale_seconds=1000)
    await proxy.settle(ask())
    proxy.wait(61)
    proxy.upstream.answer = Refused(Reason.TOKEN_INACTIVE)
    assert _refusal(await proxy.settle(ask())) == (Reason.TOKEN_INACTIVE, 401)
    proxy.upstream.answer = TROUBLE
    proxy.wait(6)
    assert _refusal(await proxy.settle(ask())) == (Reason.AS_UNREACHABLE, 503)


async def test_without_the_setting_an_outage_is_told() -> None:
    """By default nothing serves past its time."""
    proxy = Proxy()
    await proxy.settle(ask())
    proxy.upstream.answer = TROUBLE
    proxy.wait(61)
    assert _refusal(await proxy.settle(ask())) == (Reason.AS_UNREACHABLE, 503)


async def test_a_leader_that_fails_fails_all_once() -> None:
    """A thousand who wait for one answer all get the one failure, and it is reported once."""
    proxy = Proxy()
    proxy.upstream.answer, gate = TROUBLE, asyncio.Event()
    proxy.upstream.gate = gate
    waiting = [asyncio.create_task(proxy.settle(ask())) for _ in range(1000)]
    await proxy.upstream.arrived.wait()
    gate.set()
    assert {_refusal(decision) for decision in await asyncio.gather(*waiting)} == {(Reason.AS_UNREACHABLE, 503)}
    assert (len(proxy.upstream.asked), len(proxy.report.troubles)) == (1, 1)


async def test_the_cache_key_does_not_hold_the_cookie() -> None:
    """Keys are digests: of 32 bytes, whatever the cookie, and with odd characters too."""
    for value in ("sealed", "x" * 4000, "\udcff"):
        found = examine(ask(cookies=(f"{COOKIE}={value}",)), [SHOP])
        assert isinstance(found, Credential)
        assert len(cache_key(found, ())) == 32


async def test_what_the_cache_weighs_follows_the_tokens() -> None:
    """A longer JWT counts for more against the bound."""
    light, heavy = Proxy(), Proxy()
    heavy.upstream.good_for(300, jwt="h." + "p" * 1000 + ".s")
    await light.settle(ask())
    await heavy.settle(ask())
    assert heavy.cache.weight - light.cache.weight == 999


def _refusal(decision: Decision | Pending) -> tuple[Reason, int]:
    assert isinstance(decision, Deny)
    return decision.reason, decision.status
