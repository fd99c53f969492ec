"""The cookies of version 1: those of the earlier, open-source agents, which go on with them, and they with ours.

Each travels only where it is read, and is cleared with the attributes it was set with. Their format does not bind a
value to its name: what is read has to have the form of what belongs there.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt

from agent.flow import LOGIN_SECONDS, Login
from agent.set_cookie import set_cookie
from agent.v1_csrf import FORM
from extauthz.cookies.aes_gcm import KeyRing
from extauthz.cookies.envelope import Defect, InvalidCookie
from extauthz.cookies.header import AmbiguousCookie, CookieHeader
from extauthz.cookies.names import V1CookieNames
from extauthz.cookies.purpose import Purpose
from extauthz.cookies.v1 import V1Cookies


@dataclass(frozen=True, slots=True, kw_only=True)
class V1Jar:
    """Reads and writes the cookies of one app. `ring`: for the login, which no agent but ours reads.

    `max_age`: seconds a session outlives the browser, None: not at all.
    """

    app: str
    names: V1CookieNames
    agent_path: str
    parent_domain: str | None
    sealed: V1Cookies = field(repr=False)
    ring: KeyRing = field(repr=False)
    max_age: int | None = None

    def login(self, cookies: CookieHeader, flow: str) -> Login | None:
        """The login of `flow`, None when there is none. Raises InvalidCookie."""
        name = self.names.login(flow)
        value = _find(cookies, name)
        return None if value is None else Login.from_bytes(self.ring.open(value, Purpose(self.app, name)))

    def access_token(self, cookies: CookieHeader) -> str | None:
        """The access token, None when there is none. Raises InvalidCookie."""
        value = _find(cookies, self.names.access_token)
        return None if value is None else self.sealed.open(value).token

    def csrf(self, cookies: CookieHeader) -> str | None:
        """The CSRF token, None when there is none. Raises InvalidCookie."""
        text = self._text(cookies, self.names.csrf)
        if text is not None and not FORM.fullmatch(text):
            raise InvalidCookie(Defect.MALFORMED)
        return text

    def refresh_token(self, cookies: CookieHeader) -> str | None:
        """The refresh token, None when there is none. Raises InvalidCookie."""
        return self._text(cookies, self.names.refresh_token)

    def claims(self, cookies: CookieHeader) -> Mapping[str, Any] | None:
        """What the ID token says, verified when it came; None when there is none. Raises InvalidCookie."""
        text = self._text(cookies, self.names.id_token)
        if text is None:
            return None
        try:
            claims: Mapping[str, Any] = jwt.decode(text, options={"verify_signature": False})
        except jwt.InvalidTokenError as error:
            raise InvalidCookie(Defect.MALFORMED) from error
        return claims

    def set_login(self, login: Login) -> str:
        """The Set-Cookie line for a login that begins."""
        name = self.names.login(login.flow)
        return self._line(name, self.ring.seal(login.to_bytes(), Purpose(self.app, name)), LOGIN_SECONDS)

    def set_access_token(self, token: str) -> str:
        """The Set-Cookie line the proxy will read."""
        return self._lasting(self.names.access_token, token, "an access token")

    def set_csrf(self, token: str) -> str:
        """The Set-Cookie line the proxy compares the header with."""
        return self._lasting(self.names.csrf, token, "a CSRF token")

    def set_refresh_token(self, token: str | None) -> str:
        """The Set-Cookie line for a new refresh token; a session without must not go on with that of the one before."""
        name = self.names.refresh_token
        return self._clear(name) if token is None else self._lasting(name, token, "a refresh token")

    def set_id_token(self, token: str | None) -> str:
        """The same for the ID token."""
        name = self.names.id_token
        return self._clear(name) if token is None else self._lasting(name, token, "an ID token")

    def clear_login(self, flow: str) -> str:
        """A login is used once, whatever came of it."""
        return self._clear(self.names.login(flow))

    def clear_session(self) -> list[str]:
        """The Set-Cookie lines that end a session."""
        names = self.names
        return [self._clear(name) for name in (names.refresh_token, names.access_token, names.id_token, names.csrf)]

    def _text(self, cookies: CookieHeader, name: str) -> str | None:
        value = _find(cookies, name)
        return None if value is None else self.sealed.open_text(value)

    def _clear(self, name: str) -> str:
        return self._line(name, "", 0)

    def _lasting(self, name: str, token: str, what: str) -> str:
        return self._line(name, self.sealed.seal(token), self.max_age, f"{what} of {len(token)} characters")

    def _line(self, name: str, value: str, max_age: int | None, content: str = "a login") -> str:
        return set_cookie(
            name, value, path=self._path(name), domain=self.parent_domain, max_age=max_age, content=content
        )

    def _path(self, name: str) -> str:
        if name in (self.names.access_token, self.names.csrf):
            return "/"
        calls = {self.names.refresh_token: "refresh", self.names.id_token: "claims"}
        return f"{self.agent_path}/{calls.get(name, 'login/end')}"


def _find(cookies: CookieHeader, name: str) -> str | None:
    try:
        return cookies.find(name)
    except AmbiguousCookie as error:
        raise InvalidCookie(Defect.AMBIGUOUS) from error
