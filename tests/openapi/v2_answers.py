"""How each answer that version 2 describes comes about: call, status, error code."""

from collections.abc import Mapping
from urllib.parse import urlencode

import httpx2
from agent_world import Browser, World
from openapi.scenarios import (
    Happening,
    Scenario,
    Site,
    away,
    broken,
    by_a_response,
    by_a_stranger,
    by_another_site,
    by_somebody,
    inner,
    mode,
    nothing,
    over,
    refusal,
    slowly,
    with_json,
)

from agent.flow import PERSON_NEEDED

FORM = [("content-type", "application/x-www-form-urlencoded")]
SUB = {"sub": "ada"}


def by_the_server(claims: Mapping[str, object] = SUB, after: Happening = nothing) -> Scenario[Browser]:
    """The provider says that Ada's sessions are over."""

    async def scenario(site: Site[Browser]) -> httpx2.Response:
        world = inner(site)
        token = await world.server.logout_token("shop", {**SUB, **claims})
        await after(world)
        body = urlencode({"logout_token": token}).encode()
        return await site.browser().send("POST", "backchannel-logout", body=body, headers=FORM)

    return scenario


async def ended_while_it_begins(world: World) -> None:
    """The provider ends all of Ada's sessions just after it has given the tokens of a new one."""

    async def tell() -> None:
        assert (await by_the_server()(world)).is_success

    world.server.answer_after("/token", tell)


LARGE = mode(id_token_overrides={"groups": "g" * 4096})

UNMET = "unmet_authentication_requirements"

ANSWERS: dict[str, dict[str, Scenario[Browser]]] = {
    "POST /login/start": {
        "200": by_a_stranger(Browser.login_start),
        "400 invalid_request": by_a_stranger(lambda browser: browser.login_start({"response_type": "token"})),
        "400 authorization_error": by_a_stranger(Browser.login_start, after=refusal("/par", "invalid_scope")),
        "400 unmet_authentication_requirements": by_a_stranger(Browser.login_start, after=refusal("/par", UNMET)),
        "403 forbidden": by_another_site("POST", "login/start"),
        "408 request_timeout": slowly("login/start"),
        "500 server_error": broken("POST", "login/start"),
        "503 temporarily_unavailable": by_a_stranger(Browser.login_start, after=away),
    },
    "POST /login/end": {
        "200": by_a_response(),
        "400 invalid_request": by_a_response(state="another"),
        "400 authorization_error": by_a_response(code="spent"),
        "400 invalid_id_token": by_a_response(after=mode(id_token_overrides={"aud": "admin"})),
        "401 unauthorized": by_a_response(garbage=True),
        "401 session_expired": by_a_response(after=ended_while_it_begins),
        **{f"401 {word}": by_a_response(code="", error=word) for word in PERSON_NEEDED},
        "403 forbidden": by_another_site("POST", "login/end"),
        "408 request_timeout": slowly("login/end"),
        "500 cookie_too_large": by_a_response(after=LARGE),
        "500 server_error": broken("POST", "login/end"),
        "503 temporarily_unavailable": by_a_response(after=refusal("/token", "invalid_client")),
    },
    "GET /session": {
        "200": by_somebody(Browser.session),
        "401 unauthorized": by_somebody(Browser.session, garbage=True),
        "403 forbidden": by_another_site("GET", "session"),
        "500 server_error": broken("GET", "session"),
    },
    "POST /refresh": {
        "200": by_somebody(Browser.refresh),
        "400 invalid_request": by_somebody(lambda browser: browser.refresh({"grant_type": "password"})),
        "400 authorization_error": by_somebody(Browser.refresh, after=refusal("/token", "invalid_scope")),
        "401 unauthorized": by_a_stranger(Browser.refresh),
        "401 session_expired": by_somebody(Browser.refresh, after=over),
        "403 forbidden": by_another_site("POST", "refresh"),
        "408 request_timeout": slowly("refresh"),
        "500 cookie_too_large": by_somebody(Browser.refresh, after=LARGE),
        "500 server_error": broken("POST", "refresh"),
        "503 temporarily_unavailable": by_somebody(Browser.refresh, after=away),
    },
    "POST /logout": {
        "200": by_somebody(Browser.logout),
        "400 invalid_request": with_json("logout"),
        "403 forbidden": by_another_site("POST", "logout"),
        "408 request_timeout": slowly("logout"),
        "500 server_error": broken("POST", "logout"),
    },
    "POST /backchannel-logout": {
        "200": by_the_server(),
        "400 invalid_request": by_the_server({"iss": "https://evil.test"}),
        "408 request_timeout": slowly("backchannel-logout"),
        "500 server_error": broken("POST", "backchannel-logout", "agent.backchannel.read_form"),
        "503 temporarily_unavailable": by_the_server(after=away),
    },
}
UNKNOWN_SECONDS = mode(token_overrides={"expires_in": None, "refresh_token": None})
FURTHER: dict[str, tuple[str, Scenario[Browser]]] = {
    "nobody is logged in": ("GET /session", by_a_stranger(Browser.session)),
    "the seconds are not known": ("POST /login/end", by_a_response(after=UNKNOWN_SECONDS)),
    "nor are they at refresh": ("POST /refresh", by_somebody(Browser.refresh, after=UNKNOWN_SECONDS)),
    "the login was cancelled": ("POST /login/end", by_a_response(code="", error="access_denied")),
    "the server's word is none": ("POST /login/end", by_a_response(code="", error="<script>")),
    "logged out while the server is away": ("POST /logout", by_somebody(Browser.logout, after=away)),
}
