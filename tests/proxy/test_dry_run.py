"""A dry run: everything is decided, logged and counted, and nothing is refused."""

import io
import json
from dataclasses import replace

import pytest
from proxy_world.asking import BANK, COOKIE, OURS, SHOP, ask
from proxy_world.fakes import Proxy

from extauthz.cookies.envelope import Defect, InvalidCookie
from extauthz.decision import Allow, Deny, Passage
from extauthz.oauth.errors import AuthorizationServerError, Trouble
from extauthz.outcome import Refused
from extauthz.reason import Reason
from extauthz.request import Request

pytestmark = pytest.mark.anyio

DRY = replace(SHOP, dry_run=True)

REFUSED: list[tuple[Request, Reason]] = [
    (ask(cookies=()), Reason.NO_CREDENTIALS),
    (ask(token_handler_version=None), Reason.CSRF_HEADER),
    (ask(origin="https://evil.example"), Reason.ORIGIN_UNTRUSTED),
    (ask(cookies=(OURS, f"{COOKIE}=other")), Reason.AMBIGUOUS_COOKIE),
    (ask(authorization="Bearer x"), Reason.TWO_CREDENTIALS),
    (ask(context={"nonsense": "1"}), Reason.ROUTE_SETTING),
]


@pytest.mark.parametrize(("request_", "reason"), REFUSED, ids=[reason.value for _, reason in REFUSED])
async def test_a_refusal_lets_through_without_credentials(request_: Request, reason: Reason) -> None:
    """The API gets the request without anything the client could have meant as a credential."""
    decision = await Proxy([DRY]).settle(request_)
    assert isinstance(decision, Allow)
    assert (decision.passage, decision.waived) == (Passage.DRY_RUN, reason)
    assert "authorization" in decision.remove_headers
    assert COOKIE not in str(decision.set_headers)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Refused(Reason.TOKEN_INACTIVE), Reason.TOKEN_INACTIVE),
        (AuthorizationServerError(Trouble.TIMEOUT, "slow"), Reason.AS_TIMEOUT),
    ],
)
async def test_what_became_of_the_token_does_not_count_either(answer: Refused | Exception, reason: Reason) -> None:
    """Neither an inactive token nor an authorization server in trouble stops a request."""
    proxy = Proxy([DRY])
    proxy.upstream.answer = answer
    decision = await proxy.settle(ask())
    assert isinstance(decision, Allow)
    assert decision.waived is reason


async def test_garbage_is_let_through_without_asking_anybody() -> None:
    """A cookie that fails the cheap check is still not opened."""
    proxy = Proxy([DRY])
    proxy.opener.rejects = InvalidCookie(Defect.MALFORMED)
    decision = await proxy.settle(ask())
    assert isinstance(decision, Allow)
    assert decision.waived is Reason.MALFORMED_COOKIE
    assert proxy.opener.opened == []


async def test_a_good_session_passes_as_always() -> None:
    """Who has a session gets the JWT, in a dry run too."""
    decision = await Proxy([DRY]).settle(ask())
    assert isinstance(decision, Allow)
    assert (decision.authenticated, decision.waived) == (True, None)


async def test_one_apps_dry_run_is_not_anothers() -> None:
    """The other app on the same proxy refuses, and so does a request no app is known for."""
    proxy = Proxy([DRY, BANK])
    bank = await proxy.settle(ask(host="api.bank.example", cookies=(), origin="https://www.bank.example"))
    nobodys = await proxy.settle(ask(host="api.other.example"))
    nothing = await proxy.settle(ask(method=""))
    assert [d.reason for d in (bank, nobodys, nothing) if isinstance(d, Deny)] == [
        Reason.NO_CREDENTIALS,
        Reason.UNKNOWN_APP,
        Reason.MALFORMED_REQUEST,
    ]


async def test_a_fault_of_ours_is_no_dry_run() -> None:
    """What we did not understand is refused even then."""
    proxy = Proxy([DRY])
    proxy.opener.rejects = ZeroDivisionError()
    decision = await proxy.settle(ask())
    assert isinstance(decision, Deny)
    assert decision.reason is Reason.INTERNAL_ERROR


async def test_it_is_logged_and_counted() -> None:
    """The log line and the counter say that it would have been refused, and why."""
    log = io.StringIO()
    desk = Proxy([DRY]).desk(log)
    await desk.decide(ask(cookies=()), "grpc", None)
    line = json.loads(log.getvalue())
    assert (line["decision"], line["waived"], line["status"]) == ("dry_run", "no_credentials", 200)
    counted = 'decision="dry_run",door="grpc",waived="no_credentials"} 1.0'
    assert counted in desk.metrics.text().decode()
