"""How each answer that version 1 describes comes about: call, status, error code."""

import httpx2
from agent_world.v1 import V1Browser
from openapi.scenarios import (
    Scenario,
    away,
    broken,
    by_a_response,
    by_a_stranger,
    by_another_site,
    by_somebody,
    mode,
    over,
    refusal,
    slowly,
)

from agent.flow import PERSON_NEEDED


async def start_with_a_state(browser: V1Browser) -> httpx2.Response:
    """The page wants to choose what is the agent's to choose."""
    return await browser.start_login([{"key": "state", "value": "s"}])


async def user_info(browser: V1Browser) -> httpx2.Response:
    """GET userInfo."""
    return await browser.call("GET", "userInfo")


async def claims(browser: V1Browser) -> httpx2.Response:
    """GET claims."""
    return await browser.call("GET", "claims")


async def logout_without_csrf(browser: V1Browser) -> httpx2.Response:
    """The page has forgotten the CSRF token."""
    browser.csrf = None
    return await browser.logout()


UNMET = "unmet_authentication_requirements"

ANSWERS: dict[str, dict[str, Scenario[V1Browser]]] = {
    "POST /login/start": {
        "200": by_a_stranger(V1Browser.start_login),
        "400 invalid_request": by_a_stranger(start_with_a_state),
        "400 authorization_error": by_a_stranger(V1Browser.start_login, after=refusal("/par", "invalid_scope")),
        "400 unmet_authentication_requirements": by_a_stranger(V1Browser.start_login, after=refusal("/par", UNMET)),
        "401 unauthorized_request": by_another_site("POST", "login/start"),
        "408 request_timeout": slowly("login/start"),
        "500 server_error": broken("POST", "login/start"),
        "502 authorization_server_error": by_a_stranger(V1Browser.start_login, after=away),
    },
    "POST /login/end": {
        "200": by_a_response(),
        "400 invalid_request": by_a_response(state="another"),
        "400 authorization_error": by_a_response(code="spent"),
        "401 unauthorized_request": by_a_response(garbage=True),
        **{f"401 {word}": by_a_response(code="", error=word) for word in PERSON_NEEDED},
        "408 request_timeout": slowly("login/end"),
        "500 server_error": broken("POST", "login/end"),
        "502 authorization_server_error": by_a_response(after=refusal("/token", "invalid_client")),
    },
    "GET /userInfo": {
        "200": by_somebody(user_info),
        "400 authorization_error": by_somebody(user_info, after=refusal("/userinfo", "insufficient_scope")),
        "401 unauthorized_request": by_a_stranger(user_info),
        "401 token_expired": by_somebody(user_info, after=over),
        "500 server_error": broken("GET", "userInfo"),
        "502 authorization_server_error": by_somebody(user_info, after=away),
    },
    "GET /claims": {
        "200": by_somebody(claims),
        "401 unauthorized_request": by_somebody(claims, garbage=True),
        "500 server_error": broken("GET", "claims"),
    },
    "POST /refresh": {
        "204": by_somebody(V1Browser.refresh),
        "400 authorization_error": by_somebody(V1Browser.refresh, after=refusal("/token", "invalid_scope")),
        "401 unauthorized_request": by_a_stranger(V1Browser.refresh),
        "401 session_expired": by_somebody(V1Browser.refresh, after=over),
        "500 server_error": broken("POST", "refresh"),
        "502 authorization_server_error": by_somebody(V1Browser.refresh, after=away),
    },
    "POST /logout": {
        "200": by_somebody(V1Browser.logout),
        "401 unauthorized_request": by_somebody(logout_without_csrf),
        "500 server_error": broken("POST", "logout"),
    },
}
WRONG_ID_TOKEN = mode(id_token_overrides={"aud": "admin"})
NO_REFRESH_TOKEN = mode(token_overrides={"refresh_token": None})
LARGE = mode(token_overrides={"access_token": "t" * 4096})
FURTHER: dict[str, tuple[str, Scenario[V1Browser]]] = {
    "nobody is logged in": ("POST /login/end", by_a_stranger(V1Browser.end_login)),
    "the page is loaded again": ("POST /login/end", by_somebody(V1Browser.end_login)),
    "the cookies do not open": ("POST /login/end", by_somebody(V1Browser.end_login, garbage=True)),
    "the login was cancelled": ("POST /login/end", by_a_response(code="", error="access_denied")),
    "the ID token is another client's": ("POST /login/end", by_a_response(after=WRONG_ID_TOKEN)),
    "the token fits into no cookie": ("POST /login/end", by_a_response(after=LARGE)),
    "the server gives no refresh token": (
        "POST /login/end",
        by_a_response(after=NO_REFRESH_TOKEN),
    ),
    "logged out while the server is away": ("POST /logout", by_somebody(V1Browser.logout, after=away)),
    "logged out with cookies that do not open": ("POST /logout", by_somebody(V1Browser.logout, garbage=True)),
}
