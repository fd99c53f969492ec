"""What the provider's JWTs and introspection answers say."""

import base64
import hashlib

from demo.idp.config import IdpConfig
from demo.idp.grants import Grant, Token

ID_TOKEN_SECONDS = 300


def id_token_claims(config: IdpConfig, access_token: Token, *, nonce: str | None) -> dict[str, object]:
    """OpenID Connect Core section 2; a refreshed ID token has no nonce (section 12.2)."""
    session = access_token.grant.session
    claims: dict[str, object] = {
        "iss": config.issuer,
        "sub": session.person.username,
        "aud": access_token.grant.client_id,
        "exp": access_token.issued + ID_TOKEN_SECONDS,
        "iat": access_token.issued,
        "auth_time": session.auth_time,
        "at_hash": _at_hash(access_token.value),
        "sid": session.sid,
        **session.person.claims(),
    }
    acr = {"acr": session.acr} if session.acr else {}
    return {**claims, **acr, "nonce": nonce} if nonce else {**claims, **acr}


def access_token_claims(config: IdpConfig, token: Token) -> dict[str, object]:
    """RFC 9068 section 2.2: the phantom token behind an opaque access token."""
    audience = token.resource if len(token.resource) > 1 else "".join(token.resource) or config.audience
    own = {"aud": audience, "nbf": token.issued, "jti": token.jti}
    return {**refresh_token_claims(config, token), **own}


def refresh_token_claims(config: IdpConfig, token: Token) -> dict[str, object]:
    """What can be said of a refresh token: no audience, as it is meant for us alone."""
    return {
        "iss": config.issuer,
        "sub": token.grant.session.person.username,
        "exp": token.expires,
        "iat": token.issued,
        "client_id": token.grant.client_id,
        "scope": token.scope,
        "sid": token.grant.session.sid,
    }


def is_openid(grant: Grant) -> bool:
    """Whether an ID token was asked for."""
    return "openid" in grant.scope.split()


def _at_hash(access_token: str) -> str:
    # OpenID Connect Core 3.1.3.6: the left half of the hash that the signature algorithm uses.
    half = hashlib.sha256(access_token.encode()).digest()[:16]
    return base64.urlsafe_b64encode(half).rstrip(b"=").decode()
