"""Group C: paths and methods. The path opens no door; where routes hang on it, no spelling gets less protection."""

from dataclasses import replace

import pytest
from proxy_world.asking import ask
from proxy_world.fortress import Fortress, good

from extauthz.decision import Allow, Deny
from extauthz.reason import Reason

pytestmark = pytest.mark.anyio

TRICKS = [
    "/public/../orders",
    "/public/./../orders",
    "/public/%2e%2e/orders",
    "/public/%2E%2E/orders",
    "/public/.%2e/orders",
    "/public/..%2forders",
    "/public/..%2Forders",
    "/public%2f..%2forders",
    "/public/..\\orders",
    "/public\\..\\orders",
    "/public/..%5corders",
    "/public/..;/orders",
    "/public/..;a=b/orders",
    "/public/..%3b/orders",
    "/public/%00/../orders",
    "/public/..%00/orders",
    "/public/%252e%252e/orders",
    "/public/%25252e%25252e/orders",
    "/public/%c0%ae%c0%ae/orders",
    "/public/\u2025/orders",
    "//public/x",
    "/%70ublic/x",
    "/%2570ublic/x",
    "/PUBLIC/x",
    "/public;x/y",
    "/public%20/x",
    "/public./x",
    "/./public/x",
    "/public%3Fx",
]
ADMIN = ["/ADMIN", "/%61dmin", "/admin;x", "//admin", "/./admin", "/x/../admin", "/admin%2f", "/admin%00", "/admin."]


@pytest.mark.parametrize("path", TRICKS)
async def test_c29_no_spelling_makes_a_path_public(path: str) -> None:
    """Without a session none of these passes, however a server may read it."""
    assert isinstance(await Fortress().attack(ask(path=path, cookies=())), Deny)


@pytest.mark.parametrize("path", ADMIN)
async def test_c29_no_spelling_sheds_a_requirement(path: str) -> None:
    """A session without the scope does not get to the path by writing it differently."""
    assert await Fortress().refused(replace(good(), path=path)) in (Reason.AMBIGUOUS_PATH, Reason.INSUFFICIENT_SCOPE)


@pytest.mark.parametrize(
    "path",
    [
        "/orders?x=/public/",
        "/orders?.css",
        "/orders?auth=off",
        "/orders/x?/../public",
        "/orders?%2e%2e/public",
        "/orders/public",
    ],
)
async def test_c30_a_query_is_no_path(path: str) -> None:
    """What stands behind the first question mark, or deeper in the path, exempts from nothing."""
    assert await Fortress().refused(ask(path=path, cookies=())) is Reason.NO_CREDENTIALS


@pytest.mark.parametrize("path", ["https://api.shop.example/public/x", "*", "public/x", "?/public", "http:/public"])
async def test_c31_what_is_no_path(path: str) -> None:
    """The absolute form, the asterisk and everything without a leading slash are under no route."""
    request = ask(path=path, cookies=())
    fortress = Fortress()
    decision = await fortress.desk.decide(request, "core", None)
    assert isinstance(decision, Deny)


async def test_c32_options_that_is_no_preflight() -> None:
    """OPTIONS alone, with one mark of a preflight or with a stranger's origin, needs a session like anything else."""
    fortress = Fortress()
    plain = ask(method="OPTIONS", cookies=())
    assert await fortress.refused(plain) is Reason.NO_CREDENTIALS
    stranger = ask(method="OPTIONS", cookies=(), origin="https://evil.example", access_control_request_method="PUT")
    assert await fortress.refused(stranger) is Reason.ORIGIN_UNTRUSTED
    for method in ("GET", "POST", "options", "OPTIONSX"):
        dressed = ask(method=method, cookies=(), access_control_request_method="PUT")
        assert isinstance(await fortress.attack(dressed), Deny)


async def test_c32_a_preflight_carries_nothing_to_the_api() -> None:
    """A trusted one passes without the cookie and the token somebody may have put on it."""
    request = replace(good(access_control_request_method="PUT", authorization="Bearer x"), method="OPTIONS")
    passed = await Fortress().attack(request)
    assert isinstance(passed, Allow)
    assert "authorization" in passed.remove_headers
    assert not passed.set_headers


@pytest.mark.parametrize("method", ["get", "Get", "gET", "head", "TRACE", "TRACK", "CONNECT", "BREW", "GET/", "MKCOL"])
async def test_c33_methods(method: str) -> None:
    """Only GET, HEAD and OPTIONS, written so, change nothing; every other is taken to."""
    request = replace(good(origin=None, x_http_method_override="GET"), method=method)
    decision = await Fortress().desk.decide(request, "core", None)
    assert isinstance(decision, Deny)
    assert decision.reason is Reason.ORIGIN_MISSING


@pytest.mark.parametrize(
    "path", ["/healthz", "/health", "/favicon.ico", "/robots.txt", "/.well-known/x", "/x.css", "/metrics"]
)
@pytest.mark.parametrize("agent", ["kube-probe/1.31", "ELB-HealthChecker/2.0", "Envoy/HC", "GoogleHC/1.0"])
async def test_c34_nobody_is_exempt(path: str, agent: str) -> None:
    """Neither a path that looks harmless nor a client that calls itself a probe."""
    assert await Fortress().refused(ask(path=path, cookies=(), user_agent=agent)) is Reason.NO_CREDENTIALS
