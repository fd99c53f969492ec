"""The app's library, token-handler-js-assistant, and the fetch of the browser below it, in Python.

Each call asks first whether it may (the CORS preflight), sends, looks whether the page may read the answer, and reads
it exactly as the library does. https://fetch.spec.whatwg.org/#http-cors-protocol
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2
from starlette.types import ASGIApp

from agent_world.browser import FORM, Browser, RemoteError

SAFE_METHODS = ("GET", "HEAD", "POST")  # https://fetch.spec.whatwg.org/#cors-safelisted-method
VERSION = {"token-handler-version": "1"}


class FetchFailed(Exception):
    """The TypeError of fetch: nothing was sent, or the page may not know what came of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionResponse:
    """What `session`, `endLogin` and `onPageLoad` give; None is the library's undefined."""

    is_logged_in: bool | None
    id_token_claims: Mapping[str, Any] | None = None
    access_token_expires_in: int | None = None


class Assistant:
    """The library in a page of `browser`. `custom`: the header that a page of somebody else's would not send."""

    def __init__(self, agent: ASGIApp, browser: Browser, *, base: str, custom: Mapping[str, str] = VERSION) -> None:
        self._browser, self._custom = browser, custom
        self._http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=agent), base_url=base)

    async def start_login(self, extra_authorization_parameters: Mapping[str, str] | None = None) -> str | None:
        """The authorization URL."""
        members = await self._fetch("POST", "login/start", extra_authorization_parameters or {})
        return members.get("authorization_url")

    async def end_login(self, search_params: Mapping[str, str]) -> SessionResponse:
        """Give the agent every parameter of the page's URL."""
        return _session(await self._fetch("POST", "login/end", search_params))

    async def session(self) -> SessionResponse:
        """Who is logged in."""
        return _session(await self._fetch("GET", "session"))

    async def refresh(self, extra_refresh_parameters: Mapping[str, str] | None = None) -> int | None:
        """The seconds of the new access token."""
        members = await self._fetch("POST", "refresh", extra_refresh_parameters or {})
        return members.get("access_token_expires_in")

    async def logout(self) -> str | None:
        """Where to go next."""
        return (await self._fetch("POST", "logout")).get("logout_url")

    async def on_page_load(self, page_url: str) -> SessionResponse:
        """End the login whose response the URL is, or ask who is logged in."""
        parameters = dict(parse_qsl(urlsplit(page_url).query, keep_blank_values=True))
        plain = "state" in parameters and ("code" in parameters or "error" in parameters)
        signed = list(parameters) == ["response"]
        return await (self.end_login(parameters) if plain or signed else self.session())

    async def _fetch(self, method: str, call: str, content: Mapping[str, str] | None = None) -> dict[str, Any]:
        headers = {"accept": "application/json", **self._custom}
        if content is not None:
            # Named by the library when there is something in it, else by the browser, which adds a charset.
            headers["content-type"] = FORM if content else f"{FORM};charset=UTF-8"
        if self._custom:
            await self._preflight(method, call)
        sent = [*headers.items(), ("origin", self._browser.origin)]
        answer = await self._browser.send(method, call, body=urlencode(content or {}).encode(), headers=sent)
        self._may_read(answer)
        return _read(answer)

    async def _preflight(self, method: str, call: str) -> None:
        """https://fetch.spec.whatwg.org/#cors-preflight-fetch: no cookies; `accept` and a form's type need no leave."""
        asked = sorted(self._custom)
        headers = {
            "origin": self._browser.origin,
            "access-control-request-method": method,
            "access-control-request-headers": ",".join(asked),
        }
        answer = await self._http.options(f"{self._browser.path}/{call}", headers=headers)
        self._may_read(answer)
        # With credentials * is a name like any other.
        methods, granted = _listed(answer, "methods"), [name.lower() for name in _listed(answer, "headers")]
        refused = not answer.is_success or (method not in SAFE_METHODS and method not in methods)
        if refused or not set(asked) <= set(granted):
            raise FetchFailed("the preflight was not granted")

    def _may_read(self, answer: httpx2.Response) -> None:
        """https://fetch.spec.whatwg.org/#cors-check"""
        origins = answer.headers.get_list("access-control-allow-origin")
        credentials = answer.headers.get_list("access-control-allow-credentials")
        if origins != [self._browser.origin] or credentials != ["true"]:
            raise FetchFailed("the page may not read this")


def _listed(answer: httpx2.Response, what: str) -> list[str]:
    return [name.strip() for name in answer.headers.get(f"access-control-allow-{what}", "").split(",")]


def _read(answer: httpx2.Response) -> dict[str, Any]:
    if answer.is_success:
        members: dict[str, Any] = answer.json()  # a ValueError is the library's SyntaxError
        return members
    if answer.headers.get("content-type") != "application/json":
        raise RemoteError(answer.status_code, "server_error", answer.reason_phrase)
    told = answer.json()
    raise RemoteError(answer.status_code, told.get("error_code"), told.get("detailed_error"))


def _session(members: Mapping[str, Any]) -> SessionResponse:
    return SessionResponse(
        is_logged_in=members.get("is_logged_in"),
        id_token_claims=members.get("id_token_claims"),
        access_token_expires_in=members.get("access_token_expires_in"),
    )
