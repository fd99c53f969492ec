"""Codes, access tokens and refresh tokens: what was granted, to whom, until when.

Everything issued from one sign-in belongs to one grant and dies with it.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

from demo.idp.config import Clock
from demo.idp.errors import OAuthError
from demo.idp.sessions import Session

Kind = Literal["code", "access_token", "refresh_token"]

# Opaque, but recognisable in a log by whoever looks for leaks.
PREFIXES: dict[Kind, str] = {"code": "_0C_", "access_token": "_0XA_", "refresh_token": "_1XR_"}


@dataclass(frozen=True, slots=True, eq=False)
class Grant:
    """What a person granted to a client by signing in once."""

    client_id: str
    redirect_uri: str
    scope: str
    code_challenge: str
    nonce: str | None
    session: Session
    resource: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Token:
    """Something opaque that stands for a grant."""

    kind: Kind
    value: str = field(repr=False)
    grant: Grant
    scope: str
    issued: int
    expires: int
    resource: tuple[str, ...] = ()  # what an access token is meant for (RFC 8707)
    jti: str = field(default_factory=lambda: secrets.token_urlsafe(12))


class Grants:
    """All codes and tokens ever issued, and which of them still count."""

    def __init__(self, clock: Clock, note: Callable[[str], str]) -> None:
        self._clock = clock
        self._note = note
        self._tokens: dict[str, Token] = {}
        self._spent: set[str] = set()
        self._revoked: set[Grant] = set()

    def issue(
        self, kind: Kind, grant: Grant, *, expires: int, scope: str | None = None, resource: tuple[str, ...] = ()
    ) -> Token:
        """Make a new code or token."""
        value = self._note(PREFIXES[kind] + secrets.token_urlsafe(32))
        self._tokens[value] = Token(kind, value, grant, scope or grant.scope, int(self._clock()), expires, resource)
        return self._tokens[value]

    def find(self, value: str | None) -> Token | None:
        """Return a code or token that counts now."""
        token = self._tokens.get(value or "")
        return token if token and self._counts(token) else None

    def spend(self, kind: Kind, value: str | None, client_id: str) -> Token:
        """Use a code or refresh token for the one time it can be used.

        A second use means that two parties hold it, so nobody keeps the grant (RFC 6749 section 4.1.2,
        RFC 9700 section 4.14.2).
        """
        token = self._tokens.get(value or "")
        if token is None or token.kind != kind or token.grant.client_id != client_id:
            raise OAuthError("invalid_grant", f"unknown {kind}")
        if token.value in self._spent:
            self.revoke(token.grant)
            raise OAuthError("invalid_grant", f"{kind} used before")
        if not self._counts(token):
            raise OAuthError("invalid_grant", f"expired or revoked {kind}")
        self._spent.add(token.value)
        return token

    def revoke(self, grant: Grant) -> None:
        """End a grant with all that was issued from it."""
        self._revoked.add(grant)

    def revoke_session(self, sid: str) -> None:
        """End every grant of a session."""
        self._revoked.update(token.grant for token in self._tokens.values() if token.grant.session.sid == sid)

    def took_part(self, sid: str, client_id: str) -> bool:
        """Whether a session granted anything to a client."""
        grants = (token.grant for token in self._tokens.values())
        return any(grant.session.sid == sid and grant.client_id == client_id for grant in grants)

    def expire(self, kind: Kind, value: str | None = None) -> int:
        """Let one token, or all of a kind, expire now; return how many."""
        now = int(self._clock())
        chosen = [one for one in self._tokens.values() if one.kind == kind and value in {None, one.value}]
        for token in chosen:
            self._tokens[token.value] = replace(token, expires=min(now, token.expires))
        return len(chosen)

    def _counts(self, token: Token) -> bool:
        spent = token.value in self._spent
        return not spent and token.grant not in self._revoked and self._clock() < token.expires
