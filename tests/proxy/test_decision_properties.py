"""What must hold for any request whatever, tried with many strange ones."""

from hypothesis import given
from hypothesis import strategies as st
from proxy_world.asking import BANK, COOKIE, ORIGIN, OURS, SHOP, UNHURRIED

from extauthz.cookies.header import CookieHeader
from extauthz.decision import Allow, Credential, Deny, conclude, examine
from extauthz.outcome import Bearer, UpstreamToken
from extauthz.request import Request

GOOD = UpstreamToken(bearer=Bearer("h.p.s"), expires_at=2.0, scopes=frozenset({"orders"}))
WORDS = st.text(st.characters(exclude_categories=()), max_size=12)
VALUES = WORDS | st.sampled_from(["1", "1,1", ORIGIN, "null", "cross-site", "Bearer attacker", "PUT", "x,y"])
NAMES = WORDS | st.sampled_from(
    ["authorization", "token-handler-version", "origin", "sec-fetch-site", "access-control-request-method"]
)
COOKIE_LINES = WORDS | st.sampled_from(
    [OURS, f"a=1; {OURS}", f"{COOKIE}=other", f"a=1,{OURS}", "__Secure-shop-rt=x", "b=2; __Host-Http-shop-login-1=y"]
)
# Half of the time a header set that gets far, so that the deeper branches are met as well.
HEADERS = st.dictionaries(NAMES, VALUES, max_size=6) | st.dictionaries(NAMES, VALUES, max_size=2).map(
    lambda extra: {"token-handler-version": "1", "origin": ORIGIN} | extra
)
REQUESTS = st.builds(
    Request,
    method=WORDS | st.sampled_from(["GET", "POST", "OPTIONS", "HEAD", "TRACE"]),
    path=WORDS | st.just("/orders"),
    host=WORDS | st.sampled_from(["api.shop.example", "api.bank.example:443", "a,b"]),
    headers=HEADERS,
    cookies=st.builds(CookieHeader, st.lists(COOKIE_LINES, max_size=4).map(tuple), st.booleans()),
    context=st.just({}) | st.dictionaries(st.just("app") | WORDS, st.just("shop") | WORDS, max_size=2),
)


@UNHURRIED
@given(REQUESTS)
def test_no_request_is_authenticated_by_itself(request: Request) -> None:
    """`examine` refuses, passes a preflight without credentials, or leaves it to the token; it never logs in."""
    found = examine(request, (SHOP, BANK))
    assert not isinstance(found, Allow) or not found.authenticated


@UNHURRIED
@given(REQUESTS)
def test_the_clients_authorization_never_goes_upstream(request: Request) -> None:
    """Whatever is let through has its Authorization set by us or removed, exactly one of the two."""
    found = examine(request, (SHOP, BANK))
    decision = conclude(found, GOOD, 1.0) if isinstance(found, Credential) else found
    if isinstance(decision, Allow):
        set_by_us = [value for name, value in decision.set_headers if name == "authorization"]
        assert set_by_us == (["Bearer h.p.s"] if decision.authenticated else [])
        assert ("authorization" in decision.remove_headers) is not decision.authenticated


@UNHURRIED
@given(REQUESTS)
def test_our_cookies_never_go_upstream(request: Request) -> None:
    """Whatever is let through has its cookies removed, or rewritten so that none of ours is among them."""
    found = examine(request, (SHOP, BANK))
    decision = conclude(found, GOOD, 1.0) if isinstance(found, Credential) else found
    if isinstance(decision, Allow):
        policy = SHOP if decision.app == "shop" else BANK
        upstream = dict(decision.set_headers).get("cookie")
        assert (upstream is None) is ("cookie" in decision.remove_headers)
        names = [part.partition("=")[0].strip(" \t") for part in (upstream or "").split(";")]
        assert not [name for name in names if policy.is_ours(name)]


@UNHURRIED
@given(REQUESTS)
def test_every_refusal_is_an_error_status(request: Request) -> None:
    """No refusal carries a status a client could take for success, or a redirect."""
    found = examine(request, (SHOP, BANK))
    assert not isinstance(found, Deny) or 400 <= found.status <= 599
