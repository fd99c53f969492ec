"""The cookies of one app: what is in them, how they are sealed, and the exact Set-Cookie lines.

All are HttpOnly, Secure and SameSite=Strict; each is cleared with the attributes it was set with, or browsers keep it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.flow import LOGIN_SECONDS, Login
from agent.set_cookie import set_cookie
from extauthz.cookies.access_token import AccessToken
from extauthz.cookies.aes_gcm import KeyRing
from extauthz.cookies.envelope import Defect, InvalidCookie
from extauthz.cookies.header import AmbiguousCookie, CookieHeader
from extauthz.cookies.hpke import Sealer
from extauthz.cookies.marks import KnownBy, known_by
from extauthz.cookies.names import CookieNames
from extauthz.cookies.purpose import Purpose

# Under way in one browser. They go to the API as well, some 400 characters each, and of more than 16 KiB of cookies a
# proxy reads none: a page that starts logins and ends none would have every request refused.
MAX_LOGINS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What the agent itself remembers of a session. `access_token_expires_at`: seconds since the epoch.

    `began`: milliseconds; `marks`: by what else than its id it can be ended. Agents before revocations wrote neither.
    """

    claims: Mapping[str, Any] = field(repr=False)
    session_id: str
    access_token_expires_at: int | None
    marks: tuple[str, ...] = ()
    began: int = 0

    def known_by(self, app: str) -> KnownBy:
        """By what it can be ended."""
        return known_by(app, self.session_id, self.marks, self.began)

    def to_bytes(self) -> bytes:
        """The cookie's plaintext."""
        members = {
            "claims": self.claims,
            "sid": self.session_id,
            "exp": self.access_token_expires_at,
            "m": self.marks,
            "beg": self.began,
        }
        text = json.dumps(members, separators=(",", ":"), ensure_ascii=False)
        return text.encode("utf-8", "surrogatepass")  # for a name that was cut in the middle of a letter

    @classmethod
    def from_bytes(cls, plaintext: bytes) -> "Session":
        """Read what `to_bytes` wrote; the cookie is authenticated, so nothing else can be in it."""
        members = json.loads(plaintext)
        return cls(
            claims=members["claims"],
            session_id=members["sid"],
            access_token_expires_at=members["exp"],
            marks=tuple(members.get("m", ())),
            began=members.get("beg", 0),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshToken:
    """A refresh token and the session it belongs to: beside another session's claims it is worth nothing."""

    token: str = field(repr=False)
    session_id: str

    def to_bytes(self) -> bytes:
        """The cookie's plaintext."""
        return json.dumps({"rt": self.token, "sid": self.session_id}, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, plaintext: bytes) -> "RefreshToken":
        """Read what `to_bytes` wrote; the cookie is authenticated, so nothing else can be in it."""
        members = json.loads(plaintext)
        return cls(token=members["rt"], session_id=members["sid"])


@dataclass(frozen=True, slots=True, kw_only=True)
class CookieJar:
    """Reads and writes the cookies of one app. `max_age`: seconds a session outlives the browser, None: not at all."""

    app: str
    names: CookieNames
    agent_path: str
    parent_domain: str | None
    sealer: Sealer = field(repr=False)
    ring: KeyRing = field(repr=False)
    max_age: int | None = None

    def login(self, cookies: CookieHeader, flow: str) -> Login | None:
        """The login of `flow`, None when there is none. Raises InvalidCookie."""
        plaintext = self._open(cookies, self.names.login(flow))
        return None if plaintext is None else Login.from_bytes(plaintext)

    def session(self, cookies: CookieHeader) -> Session | None:
        """The session, None when there is none. Raises InvalidCookie."""
        plaintext = self._open(cookies, self.names.id_token)
        return None if plaintext is None else Session.from_bytes(plaintext)

    def refresh_token(self, cookies: CookieHeader) -> RefreshToken | None:
        """The refresh token, None when there is none. Raises InvalidCookie."""
        plaintext = self._open(cookies, self.names.refresh_token)
        return None if plaintext is None else RefreshToken.from_bytes(plaintext)

    def set_login(self, login: Login) -> str:
        """The Set-Cookie line for a login that begins."""
        name = self.names.login(login.flow)
        return self._line(name, self._seal(name, login.to_bytes()), LOGIN_SECONDS)

    def clear_abandoned(self, cookies: CookieHeader) -> list[str]:
        """The Set-Cookie lines that make room for one more login. Browsers send the oldest first."""
        return [self._clear(name) for name in cookies.names(self.names.login_prefix)[: 1 - MAX_LOGINS]]

    def set_access_token(self, token: AccessToken) -> str:
        """The Set-Cookie line the proxy will read."""
        name = self.names.access_token
        return self._lasting(
            name, self.sealer.seal(token.to_bytes()), f"an access token of {len(token.token)} characters"
        )

    def set_refresh_token(self, token: RefreshToken) -> str:
        """The Set-Cookie line for a new refresh token."""
        name = self.names.refresh_token
        return self._lasting(
            name, self._seal(name, token.to_bytes()), f"a refresh token of {len(token.token)} characters"
        )

    def set_session(self, session: Session) -> str:
        """The Set-Cookie line for the ID token's claims."""
        name = self.names.id_token
        plaintext = session.to_bytes()
        return self._lasting(name, self._seal(name, plaintext), f"ID token claims of {len(plaintext)} bytes")

    def clear_login(self, flow: str) -> str:
        """A login is used once, whatever came of it."""
        return self._clear(self.names.login(flow))

    def clear_refresh_token(self) -> str:
        """A session that has none must not go on with that of the session before."""
        return self._clear(self.names.refresh_token)

    def clear_earlier(self) -> list[str]:
        """The Set-Cookie lines for what agents before this one have set: beside it, no refresh token would count."""
        if self.parent_domain is None:
            return []
        name, path = self.names.refresh_token, self.agent_path
        return [set_cookie(name, "", path=path, domain=self.parent_domain, max_age=0)]

    def clear_session(self) -> list[str]:
        """The Set-Cookie lines that end a session."""
        return [self._clear(name) for name in (self.names.access_token, self.names.refresh_token, self.names.id_token)]

    def _open(self, cookies: CookieHeader, name: str) -> bytes | None:
        try:
            value = cookies.find(name)
        except AmbiguousCookie as error:
            raise InvalidCookie(Defect.AMBIGUOUS) from error
        return None if value is None else self.ring.open(value, Purpose(self.app, name))

    def _seal(self, name: str, plaintext: bytes) -> str:
        return self.ring.seal(plaintext, Purpose(self.app, name))

    def _clear(self, name: str) -> str:
        return self._line(name, "", 0)

    def _lasting(self, name: str, value: str, content: str) -> str:
        return self._line(name, value, self.max_age, content)

    def _line(self, name: str, value: str, max_age: int | None, content: str = "a login") -> str:
        # A sibling host must not be able to hand somebody its own login or session: those only we can have set. With a
        # Domain is only what the proxy has to see on another host.
        path = self.agent_path if name == self.names.refresh_token else "/"
        domain = self.parent_domain if name == self.names.access_token else None
        return set_cookie(name, value, path=path, domain=domain, max_age=max_age, content=content)
