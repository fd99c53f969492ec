"""A browser at the app's page: keeps cookies as RFC 6265bis says, and calls the agent as the app's library does.

The library is token-handler-js-assistant 1.2; `read` is how it reads an answer.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlencode

import httpx2
from starlette.types import ASGIApp

FORM = "application/x-www-form-urlencoded"
Headers = Sequence[tuple[str, str]]


class RemoteError(Exception):
    """What the library throws."""

    def __init__(self, status: int, code: str, details: str) -> None:
        super().__init__(status, code, details)
        self.status, self.code, self.details = status, code, details


def read(response: httpx2.Response) -> dict[str, Any]:
    """The members of a success; an error is thrown as RemoteError."""
    if response.is_success:
        members: dict[str, Any] = response.json()
        return members
    # The library compares exactly: a charset would cost the app the error code.
    if response.headers.get("content-type") == "application/json":
        raise RemoteError(response.status_code, response.json()["error_code"], response.json()["detailed_error"])
    raise RemoteError(response.status_code, "server_error", response.reason_phrase)


class Kept(NamedTuple):
    """Where a cookie is kept: another path or domain is another cookie."""

    name: str
    domain: str
    path: str


class Browser:
    """One person's browser; `base` is the agent's host, `path` the agent's path, `origin` the page's."""

    def __init__(self, agent: ASGIApp, *, base: str, path: str, origin: str) -> None:
        self.agent, self.base = agent, base
        self._client = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=agent), base_url=base)
        self.path, self.origin = path, origin
        self.cookies: dict[Kept, str] = {}

    async def login_start(self, extra: Mapping[str, str] | None = None) -> httpx2.Response:
        """`startLogin()`, or `startLogin({extraAuthorizationParameters})`."""
        return await self._post_form("login/start", extra)

    async def login_end(self, parameters: Mapping[str, str]) -> httpx2.Response:
        """`endLogin({searchParams})`: every parameter of the page's URL."""
        return await self._post_form("login/end", parameters)

    async def session(self) -> httpx2.Response:
        """`session()`."""
        return await self.fetch("GET", "session")

    async def refresh(self, extra: Mapping[str, str] | None = None) -> httpx2.Response:
        """`refresh()`, or `refresh({extraRefreshParameters})`."""
        return await self._post_form("refresh", extra)

    async def logout(self) -> httpx2.Response:
        """`logout()`: no body, no content type."""
        return await self.fetch("POST", "logout")

    async def fetch(self, method: str, call: str, *, body: bytes = b"", headers: Headers = ()) -> httpx2.Response:
        """A fetch with credentials, from the page, with what the library sends on every call."""
        own = [("accept", "application/json"), ("token-handler-version", "1"), ("origin", self.origin)]
        return await self.send(method, call, body=body, headers=[*own, *headers])

    async def send(self, method: str, call: str, *, body: bytes = b"", headers: Headers = ()) -> httpx2.Response:
        """Any request at all: the browser's cookies, and no other header than `headers`."""
        path = f"{self.path}/{call}"
        sent = [(name.encode(), value.encode()) for name, value in [*headers, *self._cookie_header(path)]]
        request = self._client.build_request(method, path, content=body or None, headers=sent)
        if not any(name == "accept" for name, _ in headers):
            del request.headers["accept"]
        response = await self._client.send(request)
        self._client.cookies.clear()
        for line in set_cookies(response):
            self._store(line)
        return response

    def value(self, name: str) -> str | None:
        """The value of the cookie of that name."""
        return next((value for kept, value in self.cookies.items() if kept.name == name), None)

    def names(self) -> set[str]:
        """The names of all cookies."""
        return {kept.name for kept in self.cookies}

    def replace(self, name: str, value: str) -> None:
        """Put another value into a cookie that is there, as malware beside the browser could."""
        kept = next(kept for kept in self.cookies if kept.name == name)
        self.cookies[kept] = value

    def plant(self, name: str, value: str, path: str = "/") -> None:
        """Put a cookie there that nobody of ours has set."""
        self.cookies[Kept(name, "", path)] = value

    def drop(self, name: str) -> None:
        """Lose a cookie."""
        self.cookies = {kept: value for kept, value in self.cookies.items() if kept.name != name}

    async def _post_form(self, call: str, parameters: Mapping[str, str] | None) -> httpx2.Response:
        charset = ";charset=UTF-8" if parameters is None else ""
        body = urlencode(parameters or {}).encode()
        return await self.fetch("POST", call, body=body, headers=[("content-type", FORM + charset)])

    def _cookie_header(self, path: str) -> list[tuple[str, str]]:
        fitting = [f"{kept.name}={value}" for kept, value in self.cookies.items() if _below(path, kept.path)]
        return [("cookie", "; ".join(fitting))] if fitting else []

    def _store(self, line: str) -> None:
        pair, *parts = line.split("; ")
        name, _, value = pair.partition("=")
        attributes = {key: value for key, _, value in (part.partition("=") for part in parts)}
        if not _acceptable(name, value, attributes):
            return
        kept = Kept(name, attributes.get("Domain", ""), attributes["Path"])
        self.cookies.pop(kept, None)
        if attributes.get("Max-Age") != "0":
            self.cookies[kept] = value


def set_cookies(response: httpx2.Response) -> list[str]:
    """The Set-Cookie lines of an answer."""
    return response.headers.get_list("set-cookie")


def _below(path: str, kept: str) -> bool:
    return path == kept or path.startswith(kept.rstrip("/") + "/")


def _acceptable(name: str, value: str, attributes: Mapping[str, str]) -> bool:
    """RFC 6265bis: sizes, and what the prefixes of names demand."""
    if len(name) + len(value) > 4096 or (name.startswith("__") and "Secure" not in attributes):
        return False
    if name.startswith("__Host-") and ("Domain" in attributes or attributes.get("Path") != "/"):
        return False
    return not name.startswith("__Host-Http-") or "HttpOnly" in attributes
