"""What a refused client is told: every header and body, to the letter, and nothing that tells it more."""

import json

import pytest
from proxy_world.asking import BANK, COOKIE, ORIGIN, OURS, SHOP, ask

from extauthz.cookies.envelope import Defect
from extauthz.decision import Credential, Deny, conclude, examine, refuse
from extauthz.oauth.errors import Trouble
from extauthz.outcome import Fault, Refused
from extauthz.reason import ADVICE, ANSWERS, Reason

APPS = (SHOP, BANK)
MISSING = '{"code":"unauthorized","message":"Access denied due to missing or invalid credentials"}'
INVALID = '{"code":"%s","message":"Access denied due to invalid request details"}'
UNAVAILABLE = '{"code":"temporarily_unavailable","message":"Authorization is temporarily unavailable"}'
COOKIE_DEFECTS = (
    Reason.MALFORMED_COOKIE,
    Reason.UNKNOWN_COOKIE_KEY,
    Reason.UNDECRYPTABLE_COOKIE,
    Reason.SESSION_REVOKED,
    Reason.TOKEN_INACTIVE,
    Reason.TOKEN_EXPIRED,
    Reason.TOKEN_INVALID,
)

BODIES = {
    Reason.NO_CREDENTIALS: MISSING,
    **dict.fromkeys((Reason.AMBIGUOUS_COOKIE, *COOKIE_DEFECTS), MISSING),
    Reason.CSRF_HEADER: INVALID % "forbidden",
    Reason.UNKNOWN_APP: INVALID % "forbidden",
    Reason.TWO_CREDENTIALS: INVALID % "bad_request",
    Reason.INSUFFICIENT_SCOPE: (
        '{"code":"insufficient_scope","message":"The token does not contain the required scope"}'
    ),
    Reason.AS_TIMEOUT: UNAVAILABLE,
    Reason.AS_REFUSED_US: UNAVAILABLE,
    Reason.INTERNAL_ERROR: '{"code":"server_error","message":"Problem encountered processing the request"}',
}
CHALLENGES = {
    Reason.NO_CREDENTIALS: 'Bearer realm="shop"',
    **dict.fromkeys((Reason.AMBIGUOUS_COOKIE, *COOKIE_DEFECTS), 'Bearer realm="shop", error="invalid_token"'),
    Reason.INSUFFICIENT_SCOPE: 'Bearer realm="shop", error="insufficient_scope", scope="orders"',
    Reason.MALFORMED_REQUEST: 'Bearer realm="shop", error="invalid_request"',
    Reason.TWO_CREDENTIALS: 'Bearer realm="shop", error="invalid_request"',
    Reason.MALFORMED_BEARER: 'Bearer realm="shop", error="invalid_request"',
    Reason.AMBIGUOUS_PATH: 'Bearer realm="shop", error="invalid_request"',
}


@pytest.mark.parametrize(("reason", "body"), BODIES.items())
def test_body(reason: Reason, body: str) -> None:
    """The body is JSON of code and message, in the words token handlers have always used."""
    assert refuse(reason, ask(), SHOP).body == body


@pytest.mark.parametrize("reason", Reason)
def test_challenge(reason: Reason) -> None:
    """The challenge is RFC 6750's: the realm alone without credentials, an error for bad ones, none for the rest."""
    assert _headers(refuse(reason, ask(), SHOP, SHOP.rule)).get("www-authenticate") == CHALLENGES.get(reason)


@pytest.mark.parametrize("reason", Reason)
def test_retry_after(reason: Reason) -> None:
    """Only trouble at the authorization server is worth another try, in five seconds."""
    expected = "5" if reason.value.startswith("as_") else None
    assert _headers(refuse(reason, ask(), SHOP)).get("retry-after") == expected


@pytest.mark.parametrize("reason", Reason)
def test_no_answer_is_kept_or_mixed_up(reason: Reason) -> None:
    """No refusal may be stored, and each says that it depends on the Origin."""
    headers = _headers(refuse(reason, ask(origin=None)))
    assert headers["cache-control"] == "no-store"
    assert headers["vary"] == "Origin"
    assert headers["content-type"] == "application/json"


@pytest.mark.parametrize("reason", Reason)
def test_the_app_may_read_why_it_was_refused(reason: Reason) -> None:
    """A trusted origin gets the CORS headers on every refusal, its own name in them, never a star."""
    headers = _headers(refuse(reason, ask(), SHOP))
    assert headers["access-control-allow-origin"] == ORIGIN
    assert headers["access-control-allow-credentials"] == "true"


@pytest.mark.parametrize("origin", [None, "null", "https://evil.example", "https://www.bank.example", f"{ORIGIN}.evil"])
def test_no_other_origin_may_read_it(origin: str | None) -> None:
    """An origin that is not trusted gets no CORS header at all."""
    denied = examine(ask(origin=origin, cookies=()), APPS)
    assert isinstance(denied, Deny)
    assert not [name for name in _headers(denied) if name.startswith("access-control-")]


def test_an_unknown_app_trusts_nobody() -> None:
    """Where no app is known there is no realm to name and no origin to trust."""
    denied = examine(ask(host="nowhere.example"), APPS)
    assert isinstance(denied, Deny)
    assert denied.app is None
    assert set(_headers(denied)) == {"content-type", "cache-control", "vary"}


@pytest.mark.parametrize("reason", Reason)
def test_head_has_no_body(reason: Reason) -> None:
    """An answer to HEAD has the headers of the answer to GET, and no body."""
    head, get = refuse(reason, ask(method="HEAD"), SHOP), refuse(reason, ask(), SHOP)
    assert head.body == ""
    assert (head.status, head.headers) == (get.status, get.headers)


def test_cookie_defects_look_the_same_from_outside() -> None:
    """Whatever is wrong with a cookie, the client is answered the same bytes, and learns nothing from them."""
    credential = examine(ask(), APPS)
    assert isinstance(credential, Credential)
    answers = [conclude(credential, Refused(reason), 0.0) for reason in COOKIE_DEFECTS]
    answers.append(examine(ask(cookies=(f"{OURS}; {COOKIE}=other",)), APPS))  # type: ignore[arg-type]
    seen = {(a.status, a.headers, a.body) for a in answers if isinstance(a, Deny)}
    assert len(seen) == 1
    assert len({a.reason for a in answers if isinstance(a, Deny)}) == len(COOKIE_DEFECTS) + 1


def test_troubles_look_the_same_from_outside() -> None:
    """Which trouble there is at the authorization server is the operator's business alone."""
    credential = examine(ask(), APPS)
    assert isinstance(credential, Credential)
    answers = [conclude(credential, Fault(Reason(trouble)), 0.0) for trouble in Trouble]
    assert len({(a.status, a.headers, a.body) for a in answers if isinstance(a, Deny)}) == 1


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_answered_and_explained(reason: Reason) -> None:
    """Each reason has an answer whose body is JSON with an error status, and a sentence for the operator."""
    denied = refuse(reason, ask(), SHOP)
    assert denied.status == ANSWERS[reason].status
    assert denied.status >= 400
    assert set(json.loads(denied.body)) == {"code", "message"}
    assert ADVICE[reason].endswith((".", "?"))


@pytest.mark.parametrize("word", [*Defect, *Trouble])
def test_defects_and_troubles_are_reasons(word: str) -> None:
    """Every word for a bad cookie or a bad authorization server is a reason too."""
    assert Reason(word).value == word


def _headers(denied: Deny) -> dict[str, str]:
    names = [name for name, _ in denied.headers]
    assert len(set(names)) == len(names)
    return dict(denied.headers)
