"""What the claims of a JWT must say before it goes upstream as an access token.

The signature has been checked. Scope and audience are not judged here: they depend on the route.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from extauthz.oauth.errors import InvalidToken
from extauthz.outcome import Bearer, UpstreamToken

# Ours and the server's clock may differ by this much; an `nbf` a little ahead is no reason to refuse.
SKEW_SECONDS = 5.0
# RFC 9068 section 2.2. https://www.rfc-editor.org/rfc/rfc9068#section-2.2
REQUIRED = ("iss", "exp", "aud", "sub", "client_id", "iat", "jti")
PROFILE = ("at+jwt", "application/at+jwt")
# Where the client stands that a token was issued to; the first is the standard's, the others older than it.
CLIENT = ("client_id", "azp", "cid", "appid")
# Names under which servers say what kind a token is of, and how the names of the other kinds begin.
KINDS = ("token_type", "token_use", "typ")
REFRESH = ("refresh", "offline")
IDENTITY = ("id", "logout")
MAX_SHARED = 1024  # characters


def judge(
    token: str, header: Mapping[str, Any], claims: Mapping[str, Any], *, issuer: str, now: float, profile: bool = False
) -> UpstreamToken:
    """The token with what it says of itself; it may have expired. `now`: seconds since the epoch.

    `profile` insists on RFC 9068: an introspected JWT comes from the authorization server, one that a client brought
    could be any JWT of the same issuer. Raises InvalidToken.
    """
    _check_type(header, claims, profile=profile)
    if claims.get("iss") != issuer:
        raise InvalidToken("its issuer is not the configured one")
    if "cnf" in claims:
        # RFC 9449 section 7.2, RFC 8705 section 3: forwarding it as a bearer token would undo the binding.
        raise InvalidToken("it is bound to a key of the client and cannot be forwarded")
    if number(claims, "nbf", 0.0) > now + SKEW_SECONDS:
        raise InvalidToken("it is not valid yet")
    return UpstreamToken(
        bearer=Bearer(token),
        expires_at=number(claims, "exp", None),
        scopes=scopes(claims),
        audiences=audiences(claims),
        claims=claims,
    )


def number(claims: Mapping[str, Any], name: str, default: float | None) -> float:
    """A time in seconds since the epoch. Raises InvalidToken when it is none."""
    value = claims.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 2**53:
        raise InvalidToken(f"its claim {name} is not a time")
    return value


def scopes(claims: Mapping[str, Any]) -> frozenset[str]:
    """The scope tokens (RFC 8693 section 4.2)."""
    scope = claims.get("scope", "")
    return _words(scope.split()) if isinstance(scope, str) else frozenset()


def audiences(claims: Mapping[str, Any]) -> frozenset[str]:
    """The audiences (RFC 7519 section 4.1.3: one, or a list)."""
    aud = claims.get("aud")
    values = aud if isinstance(aud, list) else [aud]
    return _words([value for value in values if isinstance(value, str)])


def client(claims: Mapping[str, Any]) -> object:
    """The client a token was issued to, or None."""
    return next((claims[name] for name in CLIENT if claims.get(name) is not None), None)


def require_access_token(claims: Mapping[str, Any]) -> None:
    """Raise InvalidToken for a token that is told to be another: an ID token, a logout token, a refresh token."""
    kinds = [str(claims.get(name, "")).lower() for name in KINDS]
    if any(kind.startswith(REFRESH) for kind in kinds):
        raise InvalidToken("it is a refresh token")
    if claims.keys() & {"at_hash", "events"} or any(kind.startswith(IDENTITY) for kind in kinds):
        raise InvalidToken("it is an ID token or a logout token, not an access token")


def _words(words: list[str]) -> frozenset[str]:
    # A server may name any number of them: those are not kept beyond the token.
    return _set_of(*words) if sum(map(len, words)) <= MAX_SHARED else frozenset(words)


@lru_cache(maxsize=1024)
def _set_of(*words: str) -> frozenset[str]:
    """One set for all sessions with the same words: a hundred thousand of them would take 40 MB."""
    return frozenset(words)


def _check_type(header: Mapping[str, Any], claims: Mapping[str, Any], *, profile: bool) -> None:
    # An introspection response (RFC 9701 section 8.1) or an ID token must not pass for an access token.
    accepted = PROFILE if profile else ("", "jwt", *PROFILE)
    if str(header.get("typ", "")).lower() not in accepted:
        raise InvalidToken("its type is not that of an access token")
    if "token_introspection" in claims:
        # RFC 9701 section 8.1. Its drafts had no type of their own, and the content type application/jwt.
        raise InvalidToken("it is a signed introspection answer, which is for us alone (way: mint reads it)")
    require_access_token(claims)
    if "nonce" in claims:
        raise InvalidToken("it is an ID token or a logout token, not an access token")
    missing = [name for name in REQUIRED if name not in claims] if profile else []
    if missing:
        raise InvalidToken(f"it lacks {', '.join(missing)}")
