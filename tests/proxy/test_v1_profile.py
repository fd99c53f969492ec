"""The profile of the earlier, open-source token handlers, version 1: their app behind our proxy, from settings alone.

What they answered is answered here, in the same order of checks. Where we differ, we differ on purpose: the tests
under "what is different" say so, and docs/migration.md.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from e2e_v1.v1_agent import V1Agent
from proxy_world.authorization_server import INTROSPECT, Server, token
from proxy_world.fakes import NOW, FakeReport
from proxy_world.installation import Document, install, put

from extauthz.authorizer import Authorizer, Pending
from extauthz.build import build_app, build_memory
from extauthz.config import Program, load
from extauthz.cookies.access_token import AccessToken
from extauthz.cookies.header import CookieHeader
from extauthz.cookies.hpke import Sealer
from extauthz.cookies.keys import read_private_key
from extauthz.cookies.purpose import Purpose
from extauthz.decision import Allow, Decision, Deny, Passage, Preflight
from extauthz.oauth.issuer import Issuer
from extauthz.reason import Reason
from extauthz.request import Request

MIGRATION = (Path(__file__).parent.parent.parent / "docs" / "migration.md").read_text()
ORIGIN, EVIL = "https://www.example.com", "https://evil.example"
KEY, OLD_KEY, FOREIGN_KEY = (hashlib.sha256(name).digest() for name in (b"in use", b"before", b"of somebody else"))
OPAQUE, JWT = "42c1a9f0-6a5b-4c0e-9d6c-3f7e1d2b8a90", token()
AGENT, OLD_AGENT, STRANGER = V1Agent(KEY), V1Agent(OLD_KEY), V1Agent(FOREIGN_KEY)
ADA, ALAN = AGENT.log_in(OPAQUE), AGENT.log_in(OPAQUE)
AT, CSRF = ADA.cookies["example-at"], ADA.cookies["example-csrf"]
[(CSRF_NAME, CSRF_TOKEN)] = ADA.csrf_header.items()
CHANGING = ("POST", "PUT", "PATCH", "DELETE")

CONFIG = """\
apps:
  shop:
    spa_url: https://www.example.com/
    issuer: https://as.example
    client_id: shop
    client_secret_file: client.secret
    cookie:
      format: aes-gcm
      prefix: example
      encryption_key_file: cookie.key
"""
APP = "apps.shop"
SAME_SITE: dict[str, object] = {}
WITH_CORS: dict[str, object] = {f"{APP}.cors": {"expose_headers": ["x-total", "retry-after"]}}
PROFILES = pytest.mark.parametrize("profile", [SAME_SITE, WITH_CORS], ids=["CORS off", "CORS on"])

UNAUTHORIZED = '{"code":"unauthorized","message":"Access denied due to missing or invalid credentials"}'
SERVER_ERROR = '{"code":"server_error","message":"Problem encountered processing the request"}'
ALLOWED = {"access-control-allow-origin": ORIGIN, "access-control-allow-credentials": "true"}
EXPOSED = {"access-control-expose-headers": "x-total, retry-after"}


class V1Proxy:
    """A proxy with the configuration above and these changes, and an authorization server that knows every token."""

    def __init__(self, folder: Path, changes: Mapping[str, object]) -> None:
        document: Document = yaml.safe_load(CONFIG)
        for key, value in changes.items():
            put(document, key, value)
        for name, octets in (("cookie.key", KEY), ("old.key", OLD_KEY)):
            (folder / name).write_text(octets.hex())
        config = load(install(folder, document), Program.EXTAUTHZ, {})
        self.server, self.report = Server(), FakeReport()
        self.server.introspects(JWT)
        clock = self.server.clock
        apps = [
            build_app(name, app, Issuer(app.issuer, self.server.http(), clock), wall=clock)
            for name, app in config.apps.items()
        ]
        self._authorizer = Authorizer(apps, build_memory(config, clock), self.report, clock)

    async def ask(self, request: Request) -> Decision:
        """The decision, waited for where need be."""
        decision = self._authorizer.decide(request)
        return await self._authorizer.complete(decision) if isinstance(decision, Pending) else decision

    async def passes(self, request: Request) -> Allow:
        """The decision for a request that gets through with a token."""
        decision = await self.ask(request)
        assert isinstance(decision, Allow), decision
        assert decision.passage is Passage.AUTHENTICATED
        return decision

    async def refuses(self, request: Request) -> Deny:
        """The decision for a request that does not."""
        decision = await self.ask(request)
        assert isinstance(decision, Deny), decision
        return decision


def ask(
    method: str = "GET",
    *,
    at: str | None = AT,
    csrf: str | None = CSRF,
    more: tuple[str, ...] = (),
    comma_joined: bool = False,
    context: Mapping[str, str] | None = None,
    **headers: str | None,
) -> Request:
    """A request of a logged-in page, without Origin and CSRF header until `headers` adds them; None leaves one out."""
    pairs = [f"{name}={value}" for name, value in (("example-at", at), ("example-csrf", csrf)) if value is not None]
    line = "; ".join(["a=1", *pairs, *more])
    return Request(
        method=method,
        path="/orders",
        host="api.example.com",
        headers={name.replace("_", "-"): value for name, value in headers.items() if value is not None},
        cookies=CookieHeader((line,), comma_joined),
        context=context or {},
    )


def change(method: str = "POST", **changes: Any) -> Request:
    """A changing request that is good in every respect, until `changes` spoil it."""
    return ask(method, **({"origin": ORIGIN, "x_example_csrf": CSRF_TOKEN} | changes))


def upstream(request: Request, allowed: Allow) -> dict[str, str]:
    """What reaches the API: Envoy overwrites headers, then removes some."""
    headers = {**request.headers, "cookie": "; ".join(request.cookies.lines)} | dict(allowed.set_headers)
    return {name: value for name, value in headers.items() if name not in allowed.remove_headers}


# --- what passes

PASSING: list[tuple[str, dict[str, object], Request]] = [
    ("a read without Origin, on the site's own domain", SAME_SITE, ask()),
    ("a read without a CSRF cookie", SAME_SITE, ask(csrf=None)),
    ("a read with a CSRF cookie that does not open", SAME_SITE, ask(csrf="rubbish")),
    ("a read with a CSRF header that fits nothing", SAME_SITE, ask(x_example_csrf="rubbish")),
    ("HEAD without Origin", SAME_SITE, ask("HEAD")),
    *(
        (f"a read with a trusted Origin, {name}", profile, ask(origin=ORIGIN))
        for name, profile in (("CORS off", SAME_SITE), ("CORS on", WITH_CORS))
    ),
    ("HEAD with a trusted Origin", WITH_CORS, ask("HEAD", origin=ORIGIN)),
    *((f"{method} with both halves, CORS off", SAME_SITE, change(method)) for method in CHANGING),
    *((f"{method} with both halves, CORS on", WITH_CORS, change(method)) for method in CHANGING),
    ("cookies in the other order", SAME_SITE, change(at=None, more=(f"example-at={AT}",))),
    ("the same CSRF cookie twice", SAME_SITE, change(more=(f"example-csrf={CSRF}",))),
    ("the same access token cookie twice", SAME_SITE, ask(more=(f"example-at={AT}",))),
    ("another site's cookie with a comma", SAME_SITE, change(more=('x="1,2"',), comma_joined=True)),
    ("a request of the same site, as browsers tell", SAME_SITE, change(sec_fetch_site="same-site")),
    ("OPTIONS that is no preflight", SAME_SITE, ask("OPTIONS")),
]


@pytest.mark.anyio
@pytest.mark.parametrize(("profile", "request_"), [pytest.param(*row[1:], id=row[0]) for row in PASSING])
async def test_what_passes(tmp_path: Path, profile: dict[str, object], request_: Request) -> None:
    """The API receives the JWT, and no cookie or header of ours."""
    proxy = V1Proxy(tmp_path, profile)
    received = upstream(request_, await proxy.passes(request_))
    assert received["authorization"] == f"Bearer {JWT}"
    assert "example-" not in str(received)
    assert proxy.server.form()["token"] == OPAQUE


# --- what does not, and in which order it is found

SPOILT: list[tuple[str, dict[str, Any], Reason]] = [
    ("without Origin", {"origin": None}, Reason.ORIGIN_MISSING),
    ("without the CSRF cookie", {"csrf": None}, Reason.CSRF_COOKIE),
    ("without the CSRF header", {"x_example_csrf": None}, Reason.CSRF_HEADER),
    ("with the token of another session", {"csrf": ALAN.cookies["example-csrf"]}, Reason.CSRF_MISMATCH),
    ("without the access token cookie", {"at": None}, Reason.NO_CREDENTIALS),
]
REFUSED: list[tuple[str, dict[str, object], Request, Reason]] = [
    ("no cookies", SAME_SITE, ask(at=None, csrf=None), Reason.NO_CREDENTIALS),
    ("no access token cookie", SAME_SITE, ask(at=None), Reason.NO_CREDENTIALS),
    ("an empty access token cookie", SAME_SITE, ask(at=""), Reason.NO_CREDENTIALS),
    ("an access token cookie of rubbish", SAME_SITE, ask(at="rubbish"), Reason.MALFORMED_COOKIE),
    ("a cookie under another key", SAME_SITE, ask(at=STRANGER.seal(OPAQUE)), Reason.UNDECRYPTABLE_COOKIE),
    ("two different access token cookies", SAME_SITE, ask(more=("example-at=x",)), Reason.AMBIGUOUS_COOKIE),
    (
        "an access token cookie behind a comma",
        SAME_SITE,
        ask(at=None, more=(f"b=1,example-at={AT}",), comma_joined=True),
        Reason.AMBIGUOUS_COOKIE,
    ),
    ("a cookie of another prefix", SAME_SITE, ask(at=None, more=(f"other-at={AT}",)), Reason.NO_CREDENTIALS),
    ("a read without Origin, CORS on", WITH_CORS, ask(), Reason.ORIGIN_MISSING),
    ("HEAD without Origin, CORS on", WITH_CORS, ask("HEAD"), Reason.ORIGIN_MISSING),
    ("a read from another origin, CORS on", WITH_CORS, ask(origin=EVIL), Reason.ORIGIN_UNTRUSTED),
    ("a read from the null origin", WITH_CORS, ask(origin="null"), Reason.ORIGIN_UNTRUSTED),
    ("a change from another origin", SAME_SITE, change(origin=EVIL), Reason.ORIGIN_UNTRUSTED),
    (
        "a change from an origin that begins like ours",
        SAME_SITE,
        change(origin=f"{ORIGIN}.evil"),
        Reason.ORIGIN_UNTRUSTED,
    ),
    ("a change from two origins in one", SAME_SITE, change(origin=f"{ORIGIN},{ORIGIN}"), Reason.ORIGIN_UNTRUSTED),
    *(
        (f"{method} {what}", profile, change(method, **changes), reason)
        for method in CHANGING
        for profile in (SAME_SITE, WITH_CORS)
        for what, changes, reason in SPOILT
    ),
    ("an empty CSRF cookie", SAME_SITE, change(csrf=""), Reason.CSRF_COOKIE),
    ("a CSRF cookie of rubbish", SAME_SITE, change(csrf="rubbish"), Reason.CSRF_COOKIE),
    ("a CSRF cookie under another key", SAME_SITE, change(csrf=STRANGER.seal(CSRF_TOKEN)), Reason.CSRF_COOKIE),
    (
        "two different CSRF cookies",
        SAME_SITE,
        change(more=(f"example-csrf={ALAN.cookies['example-csrf']}",)),
        Reason.CSRF_COOKIE,
    ),
    (
        "a CSRF cookie behind a comma",
        SAME_SITE,
        change(csrf=None, more=(f"b=1,example-csrf={CSRF}",), comma_joined=True),
        Reason.CSRF_COOKIE,
    ),
    ("an empty CSRF header", SAME_SITE, change(x_example_csrf=""), Reason.CSRF_HEADER),
    ("a CSRF header of rubbish", SAME_SITE, change(x_example_csrf="rubbish"), Reason.CSRF_MISMATCH),
    ("half of the CSRF token", SAME_SITE, change(x_example_csrf=CSRF_TOKEN[:32]), Reason.CSRF_MISMATCH),
    ("the CSRF token in capitals", SAME_SITE, change(x_example_csrf=CSRF_TOKEN.upper()), Reason.CSRF_MISMATCH),
    ("the CSRF header twice", SAME_SITE, change(x_example_csrf=f"{CSRF_TOKEN},{CSRF_TOKEN}"), Reason.CSRF_MISMATCH),
    ("the sealed cookie for the token", SAME_SITE, change(x_example_csrf=CSRF), Reason.CSRF_MISMATCH),
    (
        "the CSRF header of another prefix",
        SAME_SITE,
        change(x_example_csrf=None, x_other_csrf=CSRF_TOKEN),
        Reason.CSRF_HEADER,
    ),
]


@pytest.mark.anyio
@pytest.mark.parametrize(("profile", "request_", "reason"), [pytest.param(*row[1:], id=row[0]) for row in REFUSED])
async def test_what_is_refused(tmp_path: Path, profile: dict[str, object], request_: Request, reason: Reason) -> None:
    """Whatever is wrong, the client gets one status and one body, and CORS headers if its origin is trusted."""
    denied = await V1Proxy(tmp_path, profile).refuses(request_)
    assert denied.reason is reason
    assert (denied.status, denied.body) == (401, "" if request_.method == "HEAD" else UNAUTHORIZED)
    headers = dict(denied.headers)
    assert headers["content-type"] == "application/json"
    told = {name: value for name, value in headers.items() if name.startswith("access-control-")}
    trusted = request_.headers.get("origin") == ORIGIN
    assert told == (ALLOWED | (EXPOSED if profile else {}) if trusted else {})


MENDED: list[tuple[str, list[tuple[Reason | None, dict[str, Any]]]]] = [
    (
        "POST",
        [
            (Reason.ORIGIN_MISSING, {}),
            (Reason.ORIGIN_UNTRUSTED, {"origin": EVIL}),
            (Reason.CSRF_COOKIE, {"origin": ORIGIN}),
            (Reason.CSRF_HEADER, {"csrf": "rubbish"}),
            (Reason.CSRF_COOKIE, {"x_example_csrf": "rubbish"}),
            (Reason.CSRF_MISMATCH, {"csrf": CSRF}),
            (Reason.NO_CREDENTIALS, {"x_example_csrf": CSRF_TOKEN}),
            (Reason.UNDECRYPTABLE_COOKIE, {"at": STRANGER.seal(OPAQUE)}),
            (None, {"at": AT}),
        ],
    ),
    (
        "GET",
        [
            (Reason.ORIGIN_MISSING, {}),
            (Reason.ORIGIN_UNTRUSTED, {"origin": EVIL}),
            (Reason.NO_CREDENTIALS, {"origin": ORIGIN}),
            (Reason.UNDECRYPTABLE_COOKIE, {"at": STRANGER.seal(OPAQUE)}),
            (None, {"at": AT}),
        ],
    ),
]


@pytest.mark.anyio
@pytest.mark.parametrize(("method", "steps"), MENDED, ids=[method for method, _ in MENDED])
async def test_the_order_of_checks(
    tmp_path: Path, method: str, steps: list[tuple[Reason | None, dict[str, Any]]]
) -> None:
    """Of a request with nothing right, mended step by step, the reasons come in the order the profile checks."""
    proxy = V1Proxy(tmp_path, WITH_CORS)
    parts: dict[str, Any] = {"at": None, "csrf": None}
    for reason, mended in steps:
        parts |= mended
        decision = await proxy.ask(ask(method, **parts))
        assert (decision.reason if isinstance(decision, Deny) else None) is reason


@pytest.mark.anyio
async def test_nothing_is_asked_of_the_authorization_server_for_a_refusal(tmp_path: Path) -> None:
    """A request that is refused by itself costs no introspection."""
    proxy = V1Proxy(tmp_path, SAME_SITE)
    for request_ in (ask(at=None), ask(at="rubbish"), ask(at=STRANGER.seal(OPAQUE)), change(csrf=None)):
        await proxy.refuses(request_)
    assert proxy.server.asked == []


# --- CORS


def preflight(origin: str | None = ORIGIN, headers: str | None = "x-example-csrf,content-type") -> Request:
    """A preflight as browsers send it."""
    return ask(
        "OPTIONS",
        at=None,
        csrf=None,
        origin=origin,
        access_control_request_method="POST",
        access_control_request_headers=headers,
    )


METHODS = {"access-control-allow-methods": "OPTIONS, HEAD, GET, POST, PUT, PATCH, DELETE"}
ECHOED = {
    "access-control-allow-headers": "x-example-csrf,content-type",
    "vary": "Origin, Access-Control-Request-Headers",
}
A_DAY = {"access-control-max-age": "86400"}
PREFLIGHTS: list[tuple[str, dict[str, object], Request, dict[str, str]]] = [
    ("everything by default", {}, preflight(), ALLOWED | METHODS | ECHOED | A_DAY),
    (
        "no headers asked for",
        {},
        preflight(headers=None),
        ALLOWED | METHODS | A_DAY | {"vary": "Origin, Access-Control-Request-Headers"},
    ),
    (
        "exposed headers",
        {"expose_headers": ["x-total"]},
        preflight(),
        ALLOWED | METHODS | ECHOED | A_DAY | {"access-control-expose-headers": "x-total"},
    ),
    (
        "configured methods",
        {"allow_methods": ["GET", "POST"]},
        preflight(),
        ALLOWED | ECHOED | A_DAY | {"access-control-allow-methods": "GET, POST"},
    ),
    (
        "configured headers",
        {"allow_headers": ["x-example-csrf"]},
        preflight(),
        ALLOWED | METHODS | A_DAY | {"access-control-allow-headers": "x-example-csrf", "vary": "Origin"},
    ),
    ("nothing to remember", {"max_age": 0}, preflight(), ALLOWED | METHODS | ECHOED),
    ("another origin", {}, preflight(EVIL), {}),
    ("the null origin", {"expose_headers": ["x-total"]}, preflight("null"), {}),
]


@pytest.mark.anyio
@pytest.mark.parametrize(("cors", "request_", "headers"), [pytest.param(*row[1:], id=row[0]) for row in PREFLIGHTS])
async def test_preflights_with_cors_on(
    tmp_path: Path, cors: dict[str, object], request_: Request, headers: dict[str, str]
) -> None:
    """Each is answered with 204: to a trusted origin with what it needs, to any other with no CORS or vary header."""
    answer = await V1Proxy(tmp_path, {f"{APP}.cors": cors}).ask(request_)
    assert isinstance(answer, Preflight)
    assert dict(answer.headers) == headers
    assert len(answer.headers) == len(headers)


@pytest.mark.anyio
async def test_preflights_with_cors_off_go_to_the_api(tmp_path: Path) -> None:
    """The API answers a trusted origin's preflight, which reaches it without any credential."""
    request_ = ask("OPTIONS", origin=ORIGIN, access_control_request_method="PUT", authorization="Bearer x")
    decision = await V1Proxy(tmp_path, SAME_SITE).ask(request_)
    assert isinstance(decision, Allow)
    assert decision.passage is Passage.PREFLIGHT
    assert decision.response_headers == ()
    received = upstream(request_, decision)
    assert received == {"origin": ORIGIN, "access-control-request-method": "PUT", "cookie": "a=1"}


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("cors", "headers"),
    [
        (None, {}),
        ({}, ALLOWED | {"vary": "Origin"}),
        ({"expose_headers": ["x-total", "retry-after"]}, ALLOWED | EXPOSED | {"vary": "Origin"}),
    ],
    ids=["off", "on", "on, with headers exposed"],
)
async def test_cors_headers_of_the_apis_answer(
    tmp_path: Path, cors: dict[str, object] | None, headers: dict[str, str]
) -> None:
    """With CORS on the API's answer to an allowed request gets the headers the app needs to read it; off, none."""
    proxy = V1Proxy(tmp_path, {} if cors is None else {f"{APP}.cors": cors})
    for request_ in (ask(origin=ORIGIN), change()):
        allowed = await proxy.passes(request_)
        assert dict(allowed.response_headers) == headers


# --- what the API does not get to see

OWN = ("example-at", "example-csrf", "example-auth", "example-id", "example-login", "example-login-Zm9vYmFyYmF6")
FOREIGN = (
    'q="quoted, with comma"',
    "theme=d%20ark==",
    "Example-at=1",
    "example-at2=2",
    "x-example-at=3",
    "example-rt=4",
    "example-logins=5",
    "__Host-Http-example-at=6",
    "empty=",
    "nameless",
)


@pytest.mark.anyio
@PROFILES
async def test_only_our_cookies_are_removed(tmp_path: Path, profile: dict[str, object]) -> None:
    """All of ours are gone, logins under way too, and every other reaches the API byte for byte, in its order."""
    ours = [f"{OWN[1 + index % (len(OWN) - 1)]}=x" for index in range(len(FOREIGN))]
    mixed = [pair for pairs in zip(FOREIGN, ours, strict=True) for pair in pairs]
    proxy = V1Proxy(tmp_path, profile)
    request_ = ask(origin=ORIGIN, csrf=None, more=tuple(mixed))
    received = upstream(request_, await proxy.passes(request_))
    assert received["cookie"] == "; ".join(["a=1", *FOREIGN])


@pytest.mark.anyio
@pytest.mark.parametrize("name", OWN)
async def test_without_a_foreign_cookie_there_is_no_header(tmp_path: Path, name: str) -> None:
    """Where nothing but ours was sent, the API sees no Cookie header at all."""
    line = f"example-at={AT}; {name}={AT}"
    request_ = replace(ask(), cookies=CookieHeader((line,)))
    received = upstream(request_, await V1Proxy(tmp_path, SAME_SITE).passes(request_))
    assert "cookie" not in received


@pytest.mark.anyio
async def test_the_csrf_header_is_removed(tmp_path: Path) -> None:
    """Neither the CSRF header of this profile nor that of our own reaches the API; the Origin does."""
    request_ = change(token_handler_version="1", accept="*/*")
    received = upstream(request_, await V1Proxy(tmp_path, SAME_SITE).passes(request_))
    assert set(received) == {"authorization", "cookie", "origin", "accept"}


@pytest.mark.anyio
async def test_the_csrf_header_is_named_in_lower_case(tmp_path: Path) -> None:
    """A prefix with capitals has them in its cookies; headers have none."""
    proxy = V1Proxy(tmp_path, {f"{APP}.cookie.prefix": "Example"})
    cookies = (f"Example-at={AT}", f"Example-csrf={CSRF}")
    await proxy.passes(change(at=None, csrf=None, more=cookies))


# --- clients that bring a token, in place of allow_tokens

INTROSPECTED: dict[str, object] = {f"{APP}.upstream": {"bearer": "introspect"}}
VERIFIED: dict[str, object] = {f"{APP}.upstream": {"bearer": "jwt", "audience": "api"}}
RFC_9068 = {"client_id": "mobile", "iat": NOW, "jti": "1"}
ACCESS_TOKEN = token(RFC_9068, header={"typ": "at+jwt"})


def mobile(authorization: str, method: str = "POST") -> Request:
    """A request of a client that is no browser."""
    return replace(ask(method, authorization=authorization), cookies=CookieHeader())


@pytest.mark.anyio
@pytest.mark.parametrize("cors", [{}, WITH_CORS], ids=["CORS off", "CORS on"])
@pytest.mark.parametrize("method", ["GET", *CHANGING])
async def test_an_opaque_token_of_a_client_becomes_the_jwt(
    tmp_path: Path, cors: dict[str, object], method: str
) -> None:
    """With `bearer: introspect` neither Origin nor CSRF token is asked of it, and the token itself goes no further."""
    proxy = V1Proxy(tmp_path, INTROSPECTED | cors)
    request_ = mobile(f"bearer {OPAQUE}", method)
    assert upstream(request_, await proxy.passes(request_))["authorization"] == f"Bearer {JWT}"
    assert proxy.server.form()["token"] == OPAQUE


@pytest.mark.anyio
async def test_a_jwt_of_a_client_is_verified(tmp_path: Path) -> None:
    """With `bearer: jwt` an access token by RFC 9068 goes on, and the cookies of browsers work beside it."""
    proxy = V1Proxy(tmp_path, VERIFIED)
    request_ = mobile(f"Bearer {ACCESS_TOKEN}")
    assert upstream(request_, await proxy.passes(request_))["authorization"] == f"Bearer {ACCESS_TOKEN}"
    await proxy.passes(change())


TOKENS_REFUSED: list[tuple[str, dict[str, object], Request, Reason]] = [
    ("a token where none is taken", {}, mobile(f"Bearer {OPAQUE}"), Reason.ORIGIN_MISSING),
    ("a token in a read where none is taken", {}, mobile(f"Bearer {OPAQUE}", "GET"), Reason.NO_CREDENTIALS),
    ("another scheme", INTROSPECTED, mobile("Basic dTpw", "GET"), Reason.NO_CREDENTIALS),
    ("two tokens in one", INTROSPECTED, mobile(f"Bearer {OPAQUE},Bearer {OPAQUE}"), Reason.MALFORMED_BEARER),
    ("a scheme without a token", INTROSPECTED, mobile("Bearer "), Reason.MALFORMED_BEARER),
    ("a JWT of another key", VERIFIED, mobile(f"Bearer {ACCESS_TOKEN[:-4]}AAAA"), Reason.TOKEN_INVALID),
    ("a JWT that is no access token", VERIFIED, mobile(f"Bearer {JWT}"), Reason.TOKEN_INVALID),
    ("an opaque token for a JWT", VERIFIED, mobile(f"Bearer {OPAQUE}"), Reason.TOKEN_INVALID),
    *(
        (
            f"cookie and {authorization[:6]} token where {name}",
            profile,
            ask(authorization=authorization),
            Reason.TWO_CREDENTIALS,
        )
        for name, profile in (("none is taken", {}), ("opaque ones are", INTROSPECTED), ("JWTs are", VERIFIED))
        for authorization in (f"Bearer {OPAQUE}", "Basic dTpw")
    ),
]


@pytest.mark.anyio
@pytest.mark.parametrize(("profile", "request_", "reason"), [pytest.param(*r[1:], id=r[0]) for r in TOKENS_REFUSED])
async def test_tokens_that_are_refused(
    tmp_path: Path, profile: dict[str, object], request_: Request, reason: Reason
) -> None:
    """A token that does not serve, and one beside our cookie, gets the profile's one answer."""
    denied = await V1Proxy(tmp_path, profile).refuses(request_)
    assert denied.reason is reason
    assert (denied.status, denied.body) == (401, UNAUTHORIZED)


# --- a key being changed

ROTATING: dict[str, object] = {f"{APP}.cookie.previous_encryption_key_file": "old.key"}


@pytest.mark.anyio
@pytest.mark.parametrize("at", [AGENT, OLD_AGENT], ids=["the token under the new key", "the token under the old key"])
@pytest.mark.parametrize("csrf", [AGENT, OLD_AGENT], ids=["CSRF under the new key", "CSRF under the old key"])
async def test_during_a_rotation_both_keys_open(tmp_path: Path, at: V1Agent, csrf: V1Agent) -> None:
    """Cookies of the session from before the change work, and so do its halves mixed."""
    proxy = V1Proxy(tmp_path, ROTATING)
    await proxy.passes(change(at=at.seal(OPAQUE), csrf=csrf.seal(CSRF_TOKEN)))


@pytest.mark.anyio
async def test_before_the_agent_changes_its_key_the_new_one_may_be_known(tmp_path: Path) -> None:
    """Which of the two files holds the new key does not matter, so the proxies can learn it first."""
    changes = {
        f"{APP}.cookie.encryption_key_file": "old.key",
        f"{APP}.cookie.previous_encryption_key_file": "cookie.key",
    }
    proxy = V1Proxy(tmp_path, changes)
    await proxy.passes(change())
    await proxy.passes(change(at=OLD_AGENT.seal(OPAQUE), csrf=OLD_AGENT.seal(CSRF_TOKEN)))


@pytest.mark.anyio
async def test_after_a_rotation_the_old_key_opens_nothing(tmp_path: Path) -> None:
    """When the previous key is gone, so are its sessions, with the answer that makes the app log in again."""
    proxy = V1Proxy(tmp_path, SAME_SITE)
    denied = await proxy.refuses(ask(at=OLD_AGENT.seal(OPAQUE)))
    assert (denied.status, denied.body) == (401, UNAUTHORIZED)
    denied = await proxy.refuses(change(csrf=OLD_AGENT.seal(CSRF_TOKEN)))
    assert (denied.reason, denied.body) == (Reason.CSRF_COOKIE, UNAUTHORIZED)


# --- other ways for the token


@pytest.mark.anyio
async def test_an_opaque_token_may_go_on_as_it_is(tmp_path: Path) -> None:
    """With `way: opaque` the token of the cookie reaches the API, as from a proxy without a phantom token beside it."""
    changes: dict[str, object] = {f"{APP}.upstream.way": "opaque", f"{APP}.client_secret_file": None}
    proxy = V1Proxy(tmp_path, changes)
    for request_ in (ask(), change()):
        assert upstream(request_, await proxy.passes(request_))["authorization"] == f"Bearer {OPAQUE}"
    assert proxy.server.asked == []


@pytest.mark.anyio
async def test_a_jwt_in_the_cookie_is_verified_and_goes_on(tmp_path: Path) -> None:
    """With `way: jwt` the cookie holds the JWT the API expects; it is verified here, and nobody is asked about it."""
    changes: dict[str, object] = {f"{APP}.upstream.way": "jwt", f"{APP}.client_secret_file": None}
    proxy = V1Proxy(tmp_path, changes)
    request_ = change(at=AGENT.seal(JWT))
    assert upstream(request_, await proxy.passes(request_))["authorization"] == f"Bearer {JWT}"
    assert proxy.server.asked_at(INTROSPECT) == []


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("sealed", "reason"),
    [
        (token({"exp": NOW - 1}), Reason.TOKEN_EXPIRED),
        (token({"iss": "https://other.example"}), Reason.TOKEN_INVALID),
        (token({"nonce": "n"}), Reason.TOKEN_INVALID),
        (f"{JWT[:-4]}AAAA", Reason.TOKEN_INVALID),
        (OPAQUE, Reason.TOKEN_INVALID),
    ],
    ids=["expired", "of another issuer", "an ID token", "with another signature", "no JWT"],
)
async def test_a_jwt_in_the_cookie_that_does_not_serve(tmp_path: Path, sealed: str, reason: Reason) -> None:
    """It is refused like any other credential that is not good, so that the app refreshes or logs in."""
    denied = await V1Proxy(tmp_path, {f"{APP}.upstream.way": "jwt"}).refuses(ask(at=AGENT.seal(sealed)))
    assert denied.reason is reason
    assert (denied.status, denied.body) == (401, UNAUTHORIZED)


@pytest.mark.anyio
async def test_a_token_that_is_over(tmp_path: Path) -> None:
    """An inactive token is the 401 at which the app refreshes."""
    proxy = V1Proxy(tmp_path, SAME_SITE)
    proxy.server.introspects("", status=204)
    denied = await proxy.refuses(ask())
    assert (denied.reason, denied.status, denied.body) == (Reason.TOKEN_INACTIVE, 401, UNAUTHORIZED)


# --- what is different, on purpose

DIFFERENT: list[tuple[str, dict[str, object], Request, int, Reason]] = [
    # They look at the Origin of a read only with CORS on.
    ("a wrong Origin on a read is refused with CORS off", SAME_SITE, ask(origin=EVIL), 401, Reason.ORIGIN_UNTRUSTED),
    # The nginx module folds the case of letters; browsers never send capitals.
    ("an Origin in capitals is another one", WITH_CORS, ask(origin=ORIGIN.upper()), 401, Reason.ORIGIN_UNTRUSTED),
    # They take any OPTIONS for a preflight: 204 with CORS on, to the API untouched with CORS off.
    ("OPTIONS without Origin is no preflight", WITH_CORS, preflight(None), 401, Reason.ORIGIN_MISSING),
    (
        "OPTIONS without a method it asks for is no preflight",
        WITH_CORS,
        ask("OPTIONS", at=None, origin=ORIGIN),
        401,
        Reason.NO_CREDENTIALS,
    ),
    ("a stranger's preflight ends here with CORS off", SAME_SITE, preflight(EVIL), 401, Reason.ORIGIN_UNTRUSTED),
    # They have four methods in mind; every other that is not GET, HEAD or OPTIONS needs no proof there.
    ("an unknown method needs a CSRF token", SAME_SITE, ask("MERGE", origin=ORIGIN), 401, Reason.CSRF_HEADER),
    ("a method in lower case needs an Origin", SAME_SITE, ask("get"), 401, Reason.ORIGIN_MISSING),
    # There the client's Authorization may reach the API, beside ours or alone.
    (
        "Authorization beside our cookie is refused",
        SAME_SITE,
        ask(authorization="Basic x"),
        401,
        Reason.TWO_CREDENTIALS,
    ),
    # They take one of the two.
    ("two different cookies of ours are refused", SAME_SITE, ask(more=("example-at=x",)), 401, Reason.AMBIGUOUS_COOKIE),
    # They do not read it.
    (
        "what the browser says of another site counts",
        SAME_SITE,
        change(sec_fetch_site="cross-site"),
        401,
        Reason.CROSS_SITE,
    ),
    ("too many cookies are no request", SAME_SITE, ask(more=("b=2",) * 300), 400, Reason.MALFORMED_REQUEST),
    (
        "a scope that is missing is 403",
        {f"{APP}.upstream.required_scopes": ["admin"]},
        ask(),
        403,
        Reason.INSUFFICIENT_SCOPE,
    ),
    ("an audience that is missing is 403", {f"{APP}.upstream.audience": "other"}, ask(), 403, Reason.WRONG_AUDIENCE),
    ("another host than the API's is 403", {f"{APP}.hosts": ["other.example"]}, ask(), 403, Reason.UNKNOWN_APP),
]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("profile", "request_", "status", "reason"), [pytest.param(*row[1:], id=row[0]) for row in DIFFERENT]
)
async def test_what_is_different(
    tmp_path: Path, profile: dict[str, object], request_: Request, status: int, reason: Reason
) -> None:
    """Here we are stricter than the earlier proxies: on reads too only trusted origins, compared letter by letter; only
    real preflights; every method but GET, HEAD and OPTIONS proves itself; one credential, once; no Authorization of the
    client's passes untouched; and the token's scope and audience count where they are configured.
    """
    denied = await V1Proxy(tmp_path, profile).refuses(request_)
    assert (denied.reason, denied.status) == (reason, status)


@pytest.mark.anyio
async def test_the_challenge_is_different(tmp_path: Path) -> None:
    """Unlike theirs, our 401 says by RFC 6750 what kind of credential is wanted, and varies by Origin in any case."""
    denied = await V1Proxy(tmp_path, SAME_SITE).refuses(ask(at=None))
    assert dict(denied.headers) == {
        "content-type": "application/json",
        "cache-control": "no-store",
        "vary": "Origin",
        "www-authenticate": 'Bearer realm="shop"',
    }


@pytest.mark.anyio
async def test_trouble_is_different(tmp_path: Path) -> None:
    """Trouble at the authorization server is 503 with Retry-After, never the 401 that would log the user out."""
    proxy = V1Proxy(tmp_path, WITH_CORS)
    proxy.server.introspects("", status=500)
    denied = await proxy.refuses(ask(origin=ORIGIN))
    assert (denied.status, denied.reason) == (503, Reason.AS_ERROR)
    assert (ALLOWED | EXPOSED | {"retry-after": "5"}).items() <= dict(denied.headers).items()


@pytest.mark.anyio
async def test_a_fault_of_the_operator_is_the_same_500(tmp_path: Path) -> None:
    """What is wrong on our side is told in the words they used."""
    denied = await V1Proxy(tmp_path, SAME_SITE).refuses(ask(context={"auth": "sometimes"}))
    assert (denied.status, denied.body) == (500, SERVER_ERROR)


# --- on from there

NEW_COOKIE = {"private_key_files": ["cookie-private.pem"]}
SIDE_BY_SIDE: dict[str, object] = {
    f"{APP}.hosts": ["api.example.com"],
    "apps.shop-2": yaml.safe_load(CONFIG)["apps"]["shop"]
    | {"hosts": ["api.example.com"], "agent_path": "/agent", "cookie": NEW_COOKIE},
}


@pytest.mark.anyio
async def test_old_and_new_pages_work_side_by_side(tmp_path: Path) -> None:
    """On one host, where a route names the app by the header only new pages send, each session has its own format."""
    proxy = V1Proxy(tmp_path, SIDE_BY_SIDE)
    await proxy.passes(change(context={"app": "shop"}))
    name = "__Host-Http-shop-2-at"
    public = read_private_key((tmp_path / "cookie-private.pem").read_bytes()).public_key()
    sealed = Sealer(public, Purpose("shop-2", name)).seal(AccessToken(token=OPAQUE).to_bytes())
    new: dict[str, Any] = {"csrf": None, "origin": ORIGIN, "token_handler_version": "1", "context": {"app": "shop-2"}}
    request_ = ask("POST", more=(f"{name}={sealed}",), **new)
    assert upstream(request_, await proxy.passes(request_))["cookie"] == f"a=1; example-at={AT}"
    denied = await proxy.refuses(ask("POST", **new))
    assert (denied.status, denied.reason) == (401, Reason.NO_CREDENTIALS)
    denied = await proxy.refuses(change())
    assert (denied.status, denied.reason) == (403, Reason.UNKNOWN_APP)


# --- what the page for those who come from there says


def test_the_configuration_in_the_documentation_loads(tmp_path: Path) -> None:
    """The whole configuration of docs/migration.md is good, and short."""
    block = re.search(r"```yaml\n(extauthz:\n.*?)```", MIGRATION, re.DOTALL)
    assert block is not None
    (tmp_path / "token-handler.yaml").write_text(block[1])
    (tmp_path / "secrets").mkdir()
    for name, contents in (
        ("encryption.key", KEY.hex()),
        ("old-encryption.key", OLD_KEY.hex()),
        ("client-secret", "x"),
    ):
        (tmp_path / "secrets" / name).write_text(contents)
    app = load(tmp_path / "token-handler.yaml", Program.EXTAUTHZ, {}).apps["shop"]
    assert (app.cookie.format, app.cookie.prefix, app.csrf_mode) == ("aes-gcm", "example", "double-submit")
    assert app.cors is not None
    assert len(block[1].splitlines()) <= 25


def test_every_setting_the_documentation_maps_to_exists() -> None:
    """What the table of docs/migration.md names in its last column is documented in docs/configuration.md."""
    configuration = (Path(__file__).parent.parent.parent / "docs" / "configuration.md").read_text()
    table = re.findall(r"^\|(?! *-)(?:.*?)\| ([^|]+) \|$", MIGRATION, re.MULTILINE)
    named = {
        key.split(".")[-1].partition(":")[0]
        for cell in table
        for key in re.findall(r"`([a-z_.]+(?:: [a-z-]+)?)`", cell)
    }
    assert named
    assert [key for key in sorted(named) if f"`{key}`" not in configuration and f".{key}`" not in configuration] == []
