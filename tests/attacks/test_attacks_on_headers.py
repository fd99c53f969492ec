"""Group B: headers. Each attack goes through the core and every door."""

import json
from dataclasses import replace

import httpx2
import pytest
from proxy_world.asking import COOKIE, ORIGIN, ask, with_headers
from proxy_world.authorization_server import INTROSPECT, token
from proxy_world.cases import FakeCsrfCookies
from proxy_world.fortress import GUARDED, JWT, Fortress, good, sealed

from extauthz.cookies.header import CookieHeader
from extauthz.decision import Allow
from extauthz.policy import BearerMode, Csrf, DoubleSubmit
from extauthz.reason import Reason
from extauthz.telemetry import LIMIT

pytestmark = pytest.mark.anyio

EVIL = "https://evil.example"


@pytest.mark.parametrize("value", ["Bearer forged", f"Bearer {JWT}", "Basic YTpi", "", "bearer a,Bearer b", "x"])
async def test_b18_the_clients_own_authorization(value: str) -> None:
    """Beside our cookie it is refused, without it it counts for nothing, and on public routes it is removed."""
    fortress = Fortress()
    assert await fortress.refused(good(authorization=value)) is Reason.TWO_CREDENTIALS
    assert await fortress.refused(ask(cookies=(), authorization=value)) is Reason.NO_CREDENTIALS
    public = await fortress.attack(ask(path="/public/x", cookies=(), authorization=value))
    assert isinstance(public, Allow)
    assert "authorization" in public.remove_headers
    assert not public.set_headers


@pytest.mark.parametrize("value", ["Bearer a,Bearer b", "Bearer a, Basic b", "Bearer"])
async def test_b18_where_tokens_are_taken(value: str) -> None:
    """Two tokens, or half of one, are refused."""
    fortress = Fortress(replace(GUARDED, bearer=BearerMode.INTROSPECT))
    assert await fortress.refused(ask(cookies=(), authorization=value)) is Reason.MALFORMED_BEARER
    assert fortress.server.asked == []


SPELLINGS = ["x-user-id", "x_user_id", "x-user_id", "x_user-id", "x.user.id", "x-user.id", "x!user!id", "x~user_id"]


@pytest.mark.parametrize("name", SPELLINGS)
async def test_b19_a_spoofed_identity(name: str) -> None:
    """In every spelling a server may take for ours it is gone, or overwritten."""
    passed = await Fortress().passed(with_headers(good(), {name: "root"}))
    assert dict(passed.set_headers)["x-user-id"] == "ada"
    assert name == "x-user-id" or name in passed.remove_headers
    public = await Fortress().attack(with_headers(ask(path="/public", cookies=()), {name: "root"}))
    assert isinstance(public, Allow)
    assert name in public.remove_headers


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("api.shop.example,evil.example", Reason.MALFORMED_REQUEST),
        ("api.shop.example,api.shop.example", Reason.MALFORMED_REQUEST),
        ("api.shop.example.", Reason.UNKNOWN_APP),
        ("evil@api.shop.example", Reason.UNKNOWN_APP),
        ("api.shop.example@evil.example", Reason.UNKNOWN_APP),
        ("api.shop.example:evil", Reason.UNKNOWN_APP),
        ("api.shop.example:443:443", Reason.UNKNOWN_APP),
        ("x.api.shop.example", Reason.UNKNOWN_APP),
        ("api.shop.example%00.evil.example", Reason.UNKNOWN_APP),
        ("api.shop.example ", Reason.UNKNOWN_APP),
        ("xn--api-shop.example", Reason.UNKNOWN_APP),
        ("ａpi.shop.example", Reason.UNKNOWN_APP),  # noqa: RUF001  # full width, on purpose
        ("[::1]", Reason.UNKNOWN_APP),
        ("", Reason.UNKNOWN_APP),
    ],
)
async def test_b20_hosts(host: str, reason: Reason) -> None:
    """A host is the app's own, letter for letter but for case and port, or nobody's."""
    fortress = Fortress()
    assert await fortress.refused(replace(good(), host=host)) is reason
    await fortress.passed(replace(good(), host="API.SHOP.example:8443"))


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "*",
        f"{ORIGIN}.evil.example",
        f"https://evil.example/{ORIGIN}",
        "https://evilwww.shop.example",
        "http://www.shop.example",
        f"{ORIGIN}:443",
        f"{ORIGIN}:8443",
        f"{ORIGIN}/",
        ORIGIN.upper(),
        f"{ORIGIN},{EVIL}",
        f"{ORIGIN},{ORIGIN}",
        f"{ORIGIN} ",
        "https://www.shop.example@evil.example",
        "\udcff",
    ],
)
async def test_b21_origins(origin: str) -> None:
    """An origin is compared whole and exactly, for reading and for changing."""
    fortress = Fortress()
    assert await fortress.refused(good(origin=origin)) is Reason.ORIGIN_UNTRUSTED
    assert await fortress.refused(replace(good(origin=origin), method="POST")) is Reason.ORIGIN_UNTRUSTED


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "post", "Get", "X-GET"])
async def test_b22_no_origin_on_a_changing_method(method: str) -> None:
    """A Referer does not stand in for it, nor does Sec-Fetch-Site."""
    request = replace(good(origin=None, referer=f"{ORIGIN}/", sec_fetch_site="same-origin"), method=method)
    assert await Fortress().refused(request) is Reason.ORIGIN_MISSING


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (None, Reason.CSRF_HEADER),
        ("", Reason.CSRF_HEADER),
        ("t0ken,t0ken", Reason.CSRF_MISMATCH),
        ("0ther-session", Reason.CSRF_MISMATCH),
        ("sealed-t0ken", Reason.CSRF_MISMATCH),
        ("T0KEN", Reason.CSRF_MISMATCH),
    ],
)
async def test_b23_the_csrf_token(header: str | None, reason: Reason) -> None:
    """Missing, twice, joined or of another session, it is not the one the cookie holds."""
    pair = DoubleSubmit(cookie="shop-csrf", header="x-shop-csrf", opener=FakeCsrfCookies())
    policy = replace(GUARDED, routes=(), double_submit=pair, rule=replace(GUARDED.rule, csrf=Csrf.DOUBLE_SUBMIT))
    request = replace(
        good(x_shop_csrf=header),
        method="POST",
        cookies=CookieHeader((f"{COOKIE}={sealed()}; shop-csrf=sealed-t0ken",)),
    )
    assert await Fortress(policy).refused(request) is reason
    await Fortress(policy).passed(with_headers(request, {"x-shop-csrf": "t0ken"}))


@pytest.mark.parametrize("value", ["authorization", "cookie", "token-handler-version, x-user-id", "close"])
async def test_b24_hop_by_hop_tricks(value: str) -> None:
    """What a client calls hop-by-hop changes nothing here; that it cannot remove the JWT is shown through Envoy."""
    passed = await Fortress().passed(good(connection=value))
    assert "connection" not in passed.remove_headers


FOREIGN = {
    "x-forwarded-server": "api.bank.example",
    "x-forwarded-for": "127.0.0.1",
    "x-forwarded-proto": "https",
    "x-envoy-original-path": "/public/x",
    "x-original-uri": "/public/x",
    "x-rewrite-url": "/public/x",
    "x-http-method-override": "GET",
    "x-method-override": "GET",
    "x-real-ip": "127.0.0.1",
    "forwarded": "for=127.0.0.1;host=api.bank.example",
    "x-envoy-auth-failure-mode-allowed": "true",
    "x-envoy-internal": "true",
}


@pytest.mark.parametrize(("name", "value"), FOREIGN.items())
async def test_b25_what_clients_say_of_their_request(name: str, value: str) -> None:
    """Such headers neither help nor harm: the decision is the one without them."""
    fortress = Fortress()
    refused = with_headers(ask(cookies=()), {name: value})
    assert await fortress.refused(refused) is Reason.NO_CREDENTIALS
    changing = replace(with_headers(good(origin=None), {name: value}), method="POST")
    assert await fortress.refused(changing) is Reason.ORIGIN_MISSING
    await fortress.passed(with_headers(good(), {name: value}))


@pytest.mark.parametrize(
    "value", ["a\r\nb: c", "\x1b[31mred", "x" * 8192, "\u202e", '"}\n{"event":"decision"', "\udcff"]
)
async def test_b26_request_ids_in_the_log(value: str) -> None:
    """A request id is cut and cleaned: no line, colour or field of a client's making."""
    fortress = Fortress()
    await fortress.passed(good(x_request_id=value))
    lines = fortress.log.getvalue().splitlines()
    assert all(json.loads(line)["event"] == "decision" for line in lines)
    assert all(len(json.loads(line)["request_id"]) <= LIMIT for line in lines)
    assert fortress.log.getvalue().isascii()
    assert "\x1b" not in fortress.log.getvalue()


@pytest.mark.parametrize(
    "jwt",
    [
        f"{JWT}\r\nx-admin: 1",
        f"{JWT} x",
        f"{JWT},x",
        f"{JWT}\x00",
        f"{JWT}\udcff",
        token({"x": "y" * 60_000}),
        "",
        "a.b",
    ],
    ids=["CRLF", "blank", "comma", "NUL", "not UTF-8", "60 KB", "empty", "two parts"],
)
async def test_b27_a_jwt_that_is_no_header(jwt: str) -> None:
    """What introspection answers becomes a header only when it can be nothing else; else it is the AS's trouble."""
    fortress = Fortress()
    fortress.server.answers[INTROSPECT] = httpx2.Response(
        200, content=jwt.encode("utf-8", "surrogateescape"), headers={"content-type": "application/jwt"}
    )
    assert await fortress.refused(good()) is Reason.AS_BAD_ANSWER


@pytest.mark.parametrize("value", [None, "", "0", "2", "1,1", "1 ", "01", "true", "\udcb1"])
async def test_b28_the_custom_header(value: str | None) -> None:
    """It is there once with its one value, or the request may be a forgery; a second spelling is another header."""
    fortress = Fortress()
    assert await fortress.refused(good(token_handler_version=value)) is Reason.CSRF_HEADER
    underscored = with_headers(good(token_handler_version=None), {"token_handler_version": "1"})
    assert await fortress.refused(underscored) is Reason.CSRF_HEADER
