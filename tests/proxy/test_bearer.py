"""Clients that are no browsers: an Authorization header of their own, where the app takes one."""

from dataclasses import replace

import pytest
from proxy_world.asking import BANK, COOKIE, ORIGIN, OURS, SHOP, ask, with_headers
from proxy_world.fakes import Proxy

from extauthz.authorizer import Pending
from extauthz.decision import Allow, Credential, Deny, examine
from extauthz.oauth.errors import AuthorizationServerError, Trouble
from extauthz.outcome import Refused
from extauthz.policy import Auth, BearerMode, Policy, Rule
from extauthz.reason import Reason
from extauthz.request import Request

TOKEN = "0paque-T0ken_~+/=="
INTROSPECT = replace(SHOP, bearer=BearerMode.INTROSPECT)
JWT = replace(SHOP, bearer=BearerMode.JWT)


def bearer(authorization: str = f"Bearer {TOKEN}", **more: str | None) -> Request:
    """A mobile client's request: a token, and nothing a browser would send."""
    bare = ask(cookies=(), method="POST", token_handler_version=None, origin=None, authorization=authorization)
    return with_headers(bare, {name.replace("_", "-"): value for name, value in more.items()})


@pytest.mark.parametrize("policy", [INTROSPECT, JWT], ids=["introspect", "jwt"])
@pytest.mark.parametrize(
    "authorization", [f"Bearer {TOKEN}", f"bearer {TOKEN}", f"BEARER   {TOKEN}", f"Bearer {TOKEN} "]
)
def test_one_token_is_a_credential(policy: Policy, authorization: str) -> None:
    """One b64token behind the scheme, in any case of letters, needs neither cookie nor CSRF header nor Origin."""
    found = examine(bearer(authorization), [policy])
    assert isinstance(found, Credential)
    assert (found.value, found.is_bearer) == (TOKEN, True)


@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer",
        "Bearer ",
        f"Bearer {TOKEN},Bearer {TOKEN}",
        f"Bearer {TOKEN},",
        "Bearer a b",
        "Bearer a\tb",
        "Bearer a\r\nx: y",
        "Bearer =",
        'Bearer "a"',
        "Bearer é",
        "Bearer \udcff",
        "Bearer " + "a" * (16 * 1024 + 1),
    ],
    ids=lambda value: value[:20].encode("unicode_escape").decode(),
)
def test_what_is_no_token_is_400(authorization: str) -> None:
    """A header that is not one token is malformed (RFC 6750 section 3.1), and asks nobody."""
    decision = examine(bearer(authorization), [INTROSPECT])
    assert isinstance(decision, Deny)
    assert (decision.reason, decision.status) == (Reason.MALFORMED_BEARER, 400)


@pytest.mark.parametrize(
    "authorization", ["Basic YTpi", "DPoP abc", "", "Bearerx abc", "Negotiate", "Basic a,Bearer b"]
)
def test_another_scheme_is_no_credential(authorization: str) -> None:
    """Without a bearer token the request is judged by its cookie, and it has none."""
    decision = examine(
        bearer(authorization, token_handler_version="1", origin="https://www.shop.example"), [INTROSPECT]
    )
    assert isinstance(decision, Deny)
    assert decision.reason is Reason.NO_CREDENTIALS
    assert dict(decision.headers)["www-authenticate"] == 'Bearer realm="shop"'


def test_by_default_a_token_counts_for_nothing() -> None:
    """An app that has not said so takes no tokens from clients."""
    decision = examine(bearer(token_handler_version="1", origin=ORIGIN), [SHOP])
    assert isinstance(decision, Deny)
    assert decision.reason is Reason.NO_CREDENTIALS


@pytest.mark.parametrize("policy", [SHOP, INTROSPECT, JWT], ids=["deny", "introspect", "jwt"])
@pytest.mark.parametrize("cookies", [(OURS,), (f"{COOKIE}=",), (f"{OURS}; {COOKIE}=other",)], ids=str)
def test_a_token_beside_our_cookie_is_refused(policy: Policy, cookies: tuple[str, ...]) -> None:
    """Whose request it would be cannot be told."""
    decision = examine(replace(ask(authorization=f"Bearer {TOKEN}", cookies=cookies)), [policy])
    assert isinstance(decision, Deny)
    assert decision.reason is Reason.TWO_CREDENTIALS


def test_the_same_app_still_takes_cookies() -> None:
    """Browser and mobile clients use the same routes."""
    found = examine(ask(), [INTROSPECT])
    assert isinstance(found, Credential)
    assert not found.is_bearer
    forged = examine(ask(token_handler_version=None), [INTROSPECT])
    assert isinstance(forged, Deny)
    assert forged.reason is Reason.CSRF_HEADER


def test_a_jwt_is_held_to_the_profile_wherever_it_is_taken() -> None:
    """On a way of JWTs a client's own is verified as an access token for us, not as those our agent has sealed."""
    found = examine(bearer(), [replace(INTROSPECT, rule=Rule(way="jwt", audience="api"))])
    assert isinstance(found, Credential)
    assert found.way == "bearer-jwt"


def test_where_nobody_looks_into_tokens_a_clients_own_is_not_taken() -> None:
    """It would reach the API as it came."""
    opaque = replace(INTROSPECT, rule=Rule(way="opaque"))
    decision = examine(bearer(token_handler_version="1", origin=ORIGIN), [opaque])
    assert isinstance(decision, Deny)
    assert decision.reason is Reason.NO_CREDENTIALS


@pytest.mark.parametrize("policy", [INTROSPECT, JWT], ids=["introspect", "jwt"])
@pytest.mark.anyio
async def test_the_token_becomes_the_upstream_token(policy: Policy) -> None:
    """It is exchanged as it came, without opening anything, and replaced upstream."""
    proxy = Proxy([policy])
    decision = await proxy.settle(bearer())
    assert isinstance(decision, Allow)
    assert dict(decision.set_headers)["authorization"] == "Bearer h.p.s"
    assert (proxy.upstream.asked, proxy.opener.opened) == ([TOKEN], [])
    assert await proxy.settle(bearer()) == decision
    assert proxy.upstream.asked == [TOKEN]


@pytest.mark.anyio
async def test_refusals_and_troubles_of_tokens_are_those_of_cookies() -> None:
    """An inactive token is 401, an authorization server in trouble 503."""
    proxy = Proxy([INTROSPECT])
    proxy.upstream.answer = Refused(Reason.TOKEN_INACTIVE)
    inactive = await proxy.settle(bearer("Bearer one"))
    proxy.upstream.answer = AuthorizationServerError(Trouble.TIMEOUT, "slow")
    trouble = await proxy.settle(bearer("Bearer two"))
    assert [d.status for d in (inactive, trouble) if isinstance(d, Deny)] == [401, 503]


@pytest.mark.anyio
async def test_a_token_and_a_cookie_of_the_same_value_share_nothing() -> None:
    """What was learnt of a cookie is not said of a token that looks like it, nor across apps and ways."""
    ways = frozenset({"phantom", "opaque"})
    proxy = Proxy([replace(policy, bearer=BearerMode.INTROSPECT, ways=ways) for policy in (SHOP, BANK)])
    asked = [
        ask(cookies=(f"{COOKIE}=same",)),
        bearer("Bearer same"),
        replace(bearer("Bearer same"), host="api.bank.example"),
        ask(cookies=("__Host-Http-bank-at=same",), host="api.bank.example", origin="https://www.bank.example"),
        ask(cookies=(f"{COOKIE}=same",), context={"upstream": "opaque"}),
    ]
    for request in asked:
        assert isinstance(proxy.authorizer.decide(request), Pending)
        await proxy.settle(request)
    assert len(proxy.cache) == len(asked) - 1  # the opaque way remembers nothing


@pytest.mark.anyio
async def test_worthless_tokens_do_not_push_sessions_out() -> None:
    """Refusals are remembered apart from sessions, and no more than so many."""
    proxy = Proxy([INTROSPECT])
    session = ask()
    await proxy.settle(session)
    proxy.upstream.answer = Refused(Reason.TOKEN_INACTIVE)
    for number in range(1500):
        await proxy.settle(bearer(f"Bearer {number}"))
    assert isinstance(proxy.authorizer.decide(session), Allow)
    assert (len(proxy.cache), len(proxy.refusals)) == (1, 100)


def test_on_a_public_route_a_token_is_not_even_read() -> None:
    """Where nothing is required the client's token is removed, malformed or not."""
    decision = examine(bearer("Bearer a b"), [replace(INTROSPECT, rule=Rule(auth=Auth.OFF))])
    assert isinstance(decision, Allow)
    assert "authorization" in decision.remove_headers
