"""Which ID tokens are believed: OpenID Connect Core sections 3.1.3.7 and 12.2, the signature having been verified.

Pure like flow.py: claims in, InvalidToken out. What each rule compares with was sealed into a cookie of ours before.
https://openid.net/specs/openid-connect-core-1_0.html#IDTokenValidation
"""

import hashlib
from collections.abc import Mapping
from hmac import compare_digest
from typing import Any, TypeGuard

from agent.flow import LOGIN_SECONDS, SKEW_SECONDS, Client, Login, base64url
from extauthz.oauth.errors import InvalidToken

# Claims that served the login and mean nothing to the app.
PROTOCOL_CLAIMS = frozenset({"nonce", "at_hash", "c_hash", "s_hash"})
# What never changes in a session: every refreshed ID token is compared with it, the nonce being hidden from the app.
OF_THE_LOGIN = frozenset({"nonce", "auth_time"})


def check_id_token(claims: Mapping[str, Any], client: Client, *, nonce: str | None, now: float) -> None:
    """Of our issuer, for us, of now, and of this login. Raises InvalidToken.

    `nonce` None: none was sent, and one that comes all the same must not be accepted.
    """
    if claims.get("iss") != client.issuer:
        raise InvalidToken("the ID token's issuer is not the configured one")
    if not isinstance(claims.get("sub"), str) or not claims["sub"]:
        raise InvalidToken("the ID token names no subject")
    _check_audience(claims, client.client_id)
    _check_times(claims, now)
    if claims.get("nonce") != nonce:
        raise InvalidToken("the ID token does not belong to this login")


def check_login(claims: Mapping[str, Any], login: Login, *, now: float) -> None:
    """Issued for this login, and the person has authenticated as lately as was asked for. Raises InvalidToken."""
    if claims["iat"] < login.started_at - LOGIN_SECONDS:
        raise InvalidToken("the ID token was issued long before this login")
    if login.max_age is None:
        return
    authenticated = claims.get("auth_time")
    if not _is_time(authenticated):
        raise InvalidToken("the ID token does not say when the user has authenticated, and max_age was sent")
    # Counted from when it was asked for: who takes minutes for a consent page has authenticated late enough.
    if not login.started_at - login.max_age - SKEW_SECONDS <= authenticated <= now + SKEW_SECONDS:
        raise InvalidToken("the user has not authenticated as lately as max_age asks")


def check_access_token(claims: Mapping[str, Any], access_token: str, algorithm: str) -> None:
    """`at_hash`, where there is one, is this access token's (section 3.1.3.8). Raises InvalidToken."""
    if "at_hash" not in claims:
        return
    # By the last digits of the algorithm; EdDSA on Ed25519 hashes with SHA-512 itself (RFC 8032 section 5.1).
    digest = hashlib.new(f"sha{algorithm[-3:]}" if algorithm != "EdDSA" else "sha512", access_token.encode()).digest()
    expected = base64url(digest[: len(digest) // 2])
    if not compare_digest(expected.encode(), str(claims["at_hash"]).encode("utf-8", "replace")):
        raise InvalidToken("the ID token belongs to another access token")


def check_refreshed(claims: Mapping[str, Any], before: Mapping[str, Any]) -> None:
    """Section 12.2: a refreshed ID token is of the same login as the one `before`. Raises InvalidToken."""
    if claims.get("iss") != before.get("iss") or claims.get("sub") != before.get("sub"):
        raise InvalidToken("the refreshed ID token is another user's")
    if not _audience(before) <= _audience(claims):
        raise InvalidToken("the refreshed ID token is for fewer than the one before")
    if "auth_time" in before and claims.get("auth_time", before["auth_time"]) != before["auth_time"]:
        raise InvalidToken("the refreshed ID token is of another authentication")
    if claims.get("nonce", before.get("nonce")) != before.get("nonce"):
        raise InvalidToken("the refreshed ID token belongs to another login")
    if claims["iat"] < before["iat"] - SKEW_SECONDS:
        raise InvalidToken("the refreshed ID token is older than the one before")


def claims_to_keep(claims: Mapping[str, Any], before: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What a session remembers of an ID token, and of the login where the one that refreshed it leaves that out."""
    first = {name: value for name, value in (before or {}).items() if name in OF_THE_LOGIN}
    return first | {name: value for name, value in claims.items() if name not in PROTOCOL_CLAIMS - OF_THE_LOGIN}


def claims_for_app(claims: Mapping[str, Any]) -> dict[str, Any]:
    """The ID token's claims as the app gets to see them."""
    return {name: value for name, value in claims.items() if name not in PROTOCOL_CLAIMS}


def _check_audience(claims: Mapping[str, Any], client_id: str) -> None:
    audience = claims.get("aud")
    members = audience if isinstance(audience, list) else [audience]
    if client_id not in members:
        raise InvalidToken("the ID token is not meant for this client")
    authorized = claims.get("azp")
    if (len(members) > 1 and authorized is None) or authorized not in (None, client_id):
        raise InvalidToken("the ID token was issued to another client")


def _check_times(claims: Mapping[str, Any], now: float) -> None:
    times = {name: claims.get(name) for name in ("exp", "iat")} | {"nbf": claims.get("nbf", 0)}
    for name, value in times.items():
        if not _is_time(value):
            raise InvalidToken(f"the ID token's {name} is not a time")
    if claims["exp"] <= now - SKEW_SECONDS:
        raise InvalidToken("the ID token has expired")
    if max(claims["iat"], times["nbf"] or 0) > now + SKEW_SECONDS:
        raise InvalidToken("the ID token is from the future")


def _is_time(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _audience(claims: Mapping[str, Any]) -> frozenset[str]:
    audience = claims.get("aud", ())
    return frozenset(str(one) for one in (audience if isinstance(audience, list | tuple) else [audience]))
