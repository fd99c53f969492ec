"""Requests and policies of a shop and a bank, good in every respect until a test spoils one."""

from collections.abc import Mapping
from dataclasses import replace

from hypothesis import settings

from extauthz.cookies.header import CookieHeader
from extauthz.policy import Policy, Rule
from extauthz.request import Request

COOKIE = "__Host-Http-shop-at"
OURS = f"{COOKIE}=sealed"
ORIGIN = "https://www.shop.example"

SHOP = Policy(
    app="shop",
    cookie_name=COOKIE,
    login_cookie_prefixes=("__Host-Http-shop-login-",),
    own_cookies=frozenset({COOKIE, "__Secure-shop-rt", "__Host-Http-shop-id"}),
    trusted_origins=frozenset({ORIGIN}),
    hosts=frozenset({"api.shop.example"}),
    rule=Rule(scopes=frozenset({"orders"})),
)
BANK = Policy(
    app="bank",
    cookie_name="__Host-Http-bank-at",
    login_cookie_prefixes=("__Host-Http-bank-login-",),
    own_cookies=frozenset({"__Host-Http-bank-at", "__Secure-bank-rt", "__Host-Http-bank-id"}),
    trusted_origins=frozenset({"https://www.bank.example"}),
    hosts=frozenset({"api.bank.example"}),
)

# The shop where it is the only app, on whatever host.
SOLE = replace(SHOP, hosts=frozenset())

# Shared machines are slow at times; how long an example takes is not what these tests are about.
UNHURRIED = settings(deadline=None, max_examples=200)


def ask(
    *,
    method: str = "GET",
    path: str = "/orders",
    host: str = "api.shop.example",
    cookies: tuple[str, ...] = (OURS,),
    comma_joined: bool = False,
    context: Mapping[str, str] | None = None,
    **headers: str | None,
) -> Request:
    """A request that would be let through; `headers` with underscores for hyphens, None to leave one out."""
    usual: dict[str, str | None] = {"token_handler_version": "1", "origin": ORIGIN, "accept": "application/json"}
    return Request(
        method=method,
        path=path,
        host=host,
        headers={k.replace("_", "-"): v for k, v in (usual | headers).items() if v is not None},
        cookies=CookieHeader(cookies, comma_joined),
        context=context or {},
    )


def with_headers(request: Request, headers: Mapping[str, str | None]) -> Request:
    """The request with these headers changed; None leaves one out."""
    changed = {**request.headers, **headers}
    return replace(request, headers={name: value for name, value in changed.items() if value is not None})
