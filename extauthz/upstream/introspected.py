"""Asking what a token stands for, and whether what is said of it lets it be used (RFC 7662).

What the server gets wrong is trouble at the server. What is wrong with a token the server calls active is the
token's, as with one that is bound to a key, or that is a refresh token.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from extauthz.oauth.errors import InvalidToken
from extauthz.oauth.introspection import Introspection
from extauthz.outcome import Refused
from extauthz.reason import Reason
from extauthz.upstream.answers import Answer, bad
from extauthz.upstream.claims import SKEW_SECONDS, audiences, client, number, require_access_token

MAX_TEXT = 1024  # characters of a user's or client's name; OpenID Connect has 255 for a user's
MAX_SCOPE = 4096
SCOPE = re.compile(r"[\x20\x21\x23-\x5B\x5D-\x7E]*", re.ASCII)  # RFC 6749 section 3.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Active:
    """A token that may be used. `expires_at`: seconds since the epoch, infinity when the server does not say."""

    subject: str
    client_id: str
    scope: str
    expires_at: float
    members: Mapping[str, Any] = field(repr=False)


class Introspected:
    """Asks one server. `clock`: seconds since the epoch."""

    def __init__(
        self, *, introspection: Introspection, answer: Answer, issuer: str, clock: Callable[[], float]
    ) -> None:
        self._introspection, self._answer = introspection, answer
        self._issuer, self._clock = issuer, clock

    async def __call__(self, token: str) -> Active | Refused:
        """What the token stands for. Raises AuthorizationServerError."""
        members = await self._answer.read(await self._introspection.ask(token, accept=self._answer.accept))
        return judge(members, issuer=self._issuer, now=self._clock())


def judge(members: Mapping[str, Any], *, issuer: str, now: float) -> Active | Refused:
    """What the server's word is worth. Raises AuthorizationServerError for one that cannot be understood."""
    active = members.get("active")
    # RFC 7662 section 2.2: a boolean. "true" and 1 are not.
    if active is False:
        return Refused(Reason.TOKEN_INACTIVE)
    if active is not True:
        raise bad("introspection did not say whether the token is active")
    if members.get("iss", issuer) != issuer:
        raise bad("introspection told of a token of another issuer than the configured one")
    if members.get("aud") is not None and not audiences(members):
        raise bad("introspection answered with an aud that is none")
    expires_at, not_before = _time(members, "exp", math.inf), _time(members, "nbf", 0.0)
    if expires_at <= now:
        return Refused(Reason.TOKEN_INACTIVE, "introspection calls it active, and its exp has passed")
    if not_before > now + SKEW_SECONDS:
        return Refused(Reason.TOKEN_INVALID, "it is not valid yet")
    return _refused(members) or _active(members, expires_at)


def _refused(members: Mapping[str, Any]) -> Refused | None:
    """Why an active token must not go on as a bearer token."""
    try:
        require_access_token(members)
    except InvalidToken as error:
        return Refused(Reason.TOKEN_INVALID, str(error))
    if "cnf" in members or str(members.get("token_type", "")).lower() == "dpop":
        # RFC 9449 section 7.2, RFC 8705 section 3: forwarding it as a bearer token would undo the binding.
        return Refused(Reason.TOKEN_INVALID, "it is bound to a key of the client and cannot be forwarded")
    if members.get("token_type") is None and not members.get("aud"):
        # A refresh token is active too, and of many servers this is all that tells it apart.
        return Refused(Reason.TOKEN_INVALID, "introspection says neither token_type nor aud, as of a refresh token")
    if members.get("token_type") is None and _looks_like_an_id_token(members):
        return Refused(Reason.TOKEN_INVALID, "introspection says no token_type, and the rest as of an ID token")
    if str(members.get("token_type") or "bearer").lower() != "bearer":
        return Refused(Reason.TOKEN_INVALID, "its token_type is not Bearer")
    return None


def _looks_like_an_id_token(members: Mapping[str, Any]) -> bool:
    owner = client(members)
    return "nonce" in members or (isinstance(owner, str) and audiences(members) == {owner})


def _active(members: Mapping[str, Any], expires_at: float) -> Active:
    client_id, scope = client(members), members.get("scope", "")
    subject = members.get("sub", client_id)
    if not _is_text(client_id):
        raise bad("introspection names no usable client_id, and the token for the API has to")
    # RFC 9068 section 2.2: without a user, the client is the subject.
    if not _is_text(subject):
        raise bad("introspection names no usable sub")
    if not isinstance(scope, str):
        scope = ""  # grants nothing, as in a JWT
    if len(scope) > MAX_SCOPE or not SCOPE.fullmatch(scope):
        raise bad("introspection answered with a scope that is none")
    return Active(subject=subject, client_id=client_id, scope=scope, expires_at=expires_at, members=members)


def _is_text(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and 0 < len(value) <= MAX_TEXT and value.isprintable()


def _time(members: Mapping[str, Any], name: str, default: float) -> float:
    if members.get(name) is None:
        return default
    try:
        return number(members, name, default)
    except InvalidToken as error:
        raise bad(f"introspection: {error}") from error
