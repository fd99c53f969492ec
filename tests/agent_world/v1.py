"""The same world with an agent of version 1, and a page that calls it as the pages of version 1 do.

The page is Curity's sample app with axios: JSON in and out, and the CSRF header on every call once it is known.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx2
from e2e_v1.v1_agent import V1Agent

from agent_world.browser import Browser, Headers
from agent_world.world import AGENT, HOME, HOST, ORIGIN, World, create_world

JSON = [("content-type", "application/json")]
CSRF_HEADER = "x-example-csrf"
AT, CSRF, AUTH, ID = "example-at", "example-csrf", "example-auth", "example-id"


class V1Error(Exception):
    """What the page throws."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(status, code, message)
        self.status, self.code, self.message = status, code, message


def read_v1(response: httpx2.Response) -> dict[str, Any]:
    """The members of a success, none with 204; an error is thrown as V1Error."""
    if response.status_code == 204:
        return {}
    members: dict[str, Any] = response.json()
    if response.is_success:
        return members
    raise V1Error(response.status_code, members["code"], members["message"])


def failure(response: httpx2.Response) -> tuple[int, str]:
    """Status and code of an error, which has the form of every error."""
    assert response.headers["content-type"] == "application/json"
    assert sorted(response.json()) == ["code", "message"]
    try:
        read_v1(response)
    except V1Error as error:
        return error.status, error.code
    raise AssertionError("a success")


class V1Browser(Browser):
    """One person's browser at a page of version 1; `csrf`: what the page knows."""

    csrf: str | None = None

    async def start_login(self, extra: Sequence[Mapping[str, object]] | None = None) -> httpx2.Response:
        """POST login/start, without a body unless there are parameters."""
        return await self.call("POST", "login/start", None if extra is None else {"extraParams": extra})

    async def end_login(self, page_url: str = HOME) -> httpx2.Response:
        """POST login/end, which pages do whenever they are loaded; a CSRF token that comes is remembered."""
        response = await self.call("POST", "login/end", {"pageUrl": page_url})
        if response.is_success:
            self.csrf = response.json().get("csrf", self.csrf)
        return response

    async def refresh(self, extra: Mapping[str, str] | None = None) -> httpx2.Response:
        """POST refresh."""
        assert extra is None
        return await self.call("POST", "refresh")

    async def logout(self) -> httpx2.Response:
        """POST logout."""
        return await self.call("POST", "logout")

    async def call(self, method: str, call: str, body: object = None, *, headers: Headers = ()) -> httpx2.Response:
        """Any call of the page's."""
        content = b"" if body is None else json.dumps(body).encode()
        own = [("accept", "application/json"), ("origin", self.origin), *(JSON if content else [])]
        known = [] if self.csrf is None else [(CSRF_HEADER, self.csrf)]
        return await self.send(method, call, body=content, headers=[*own, *known, *headers])


@dataclass(frozen=True, kw_only=True)
class V1World:
    """`inner`: the world; `key`: what agent and proxy share."""

    inner: World
    key: bytes

    @property
    def foreign(self) -> V1Agent:
        """An agent of the earlier kind with the same key."""
        return V1Agent(self.key)

    def browser(self) -> V1Browser:
        """A browser without cookies, at the shop's page."""
        return V1Browser(self.inner.agent, base=HOST, path=AGENT, origin=ORIGIN)

    async def start(self, browser: V1Browser, extra: Sequence[Mapping[str, object]] | None = None) -> str:
        """Begin a login; the authorization URL."""
        return str(read_v1(await browser.start_login(extra))["authorizationRequestUrl"])

    async def respond(self, browser: V1Browser, user: str = "ada") -> dict[str, str]:
        """Begin a login and let `user` sign in; the authorization response."""
        return await self.inner.server.visit(await self.start(browser), user=user)

    async def log_in(self, user: str = "ada", browser: V1Browser | None = None) -> V1Browser:
        """A browser somebody is logged in with."""
        browser = browser or self.browser()
        read_v1(await browser.end_login(page(await self.respond(browser, user))))
        return browser

    def opened(self, browser: V1Browser, name: str) -> str:
        """What is in a cookie, as an earlier agent or proxy opens it."""
        return self.foreign.open(browser.value(name) or "")


def create_v1_world(
    folder: Path,
    *,
    key: bytes | None = None,
    previous: bytes | None = None,
    cookie_max_age: int | None = None,
    beside: World | None = None,
    **more: Any,
) -> V1World:
    """A fresh world; `previous`: the key before, `more` settings are added to the shop's."""
    key = key or os.urandom(32)
    (folder / "encryption.key").write_text(key.hex())
    cookie: dict[str, Any] = {"format": "aes-gcm", "prefix": "example", "encryption_key_file": "encryption.key"}
    if previous is not None:
        (folder / "previous.key").write_text(previous.hex())
        cookie["previous_encryption_key_file"] = "previous.key"
    if cookie_max_age is not None:
        cookie["max_age"] = cookie_max_age
    return V1World(inner=create_world(folder, beside=beside, cookie=cookie, **more), key=key)


def page(parameters: Mapping[str, str], at: str = HOME) -> str:
    """The URL of the page that a response came back to."""
    return f"{at}?{urlencode(parameters)}"
