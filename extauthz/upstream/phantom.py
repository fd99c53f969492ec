"""Way `phantom`: introspection answers with a JWT, and that JWT goes upstream.

Two forms of answer: the bare JWT as `application/jwt` with 204 for an inactive token, or JSON in the manner of
RFC 7662 with the JWT as member `jwt` or `phantom_token`. The content type decides which it is. The JWT is verified
before it is forwarded: it is about to become a header, and the API's word for who the user is.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from extauthz.oauth.errors import AuthorizationServerError, InvalidToken, Trouble
from extauthz.oauth.http import Reply, require_success
from extauthz.oauth.introspection import Introspection
from extauthz.oauth.jwks import KeySet
from extauthz.outcome import Jwt, Refused, UpstreamToken
from extauthz.reason import Reason

COMPACT_JWS = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)
# Ours and the server's clock may differ by this much; an `nbf` a little ahead is no reason to refuse.
SKEW_SECONDS = 5.0


class Phantom:
    """Exchanges opaque tokens by introspection. `clock`: seconds since the epoch; `audience`: None takes any."""

    def __init__(
        self,
        *,
        introspection: Introspection,
        keys: KeySet,
        issuer: str,
        audience: str | None,
        clock: Callable[[], float],
    ) -> None:
        self._introspection, self._keys = introspection, keys
        self._issuer, self._audience, self._clock = issuer, audience, clock

    async def __call__(self, token: str) -> UpstreamToken | Refused:
        """Exchange `token`. Raises AuthorizationServerError, also for a JWT that fails its checks."""
        jwt = read_answer(await self._introspection.ask(token, accept="application/jwt"))
        if jwt is None:
            return Refused(Reason.TOKEN_INACTIVE)
        try:
            header, claims = await self._keys.verify(jwt)
            return self._judge(jwt, header, claims)
        except InvalidToken as error:
            # Introspection called it good, so this is no fault of the user's.
            raise AuthorizationServerError(Trouble.BAD_ANSWER, f"the phantom token: {error}") from error

    def _judge(self, jwt: Jwt, header: Mapping[str, Any], claims: Mapping[str, Any]) -> UpstreamToken | Refused:
        now = self._clock()
        # An introspection response (RFC 9701 section 8.1) or an ID token must not pass for an access token.
        if str(header.get("typ", "")).lower() not in ("", "jwt", "at+jwt", "application/at+jwt"):
            raise InvalidToken("its type is not that of an access token")
        if claims.keys() & {"nonce", "at_hash"}:
            raise InvalidToken("it is an ID token, not an access token")
        if claims.get("iss") != self._issuer:
            raise InvalidToken("its issuer is not the configured one")
        if self._audience is not None and self._audience not in _as_list(claims.get("aud")):
            raise InvalidToken("it is not meant for the configured audience")
        if "cnf" in claims:
            # RFC 9449 section 7.2, RFC 8705 section 3: forwarding it as a bearer token would undo the binding.
            raise InvalidToken("it is bound to a key of the client and cannot be forwarded")
        if _number(claims, "nbf", 0.0) > now + SKEW_SECONDS:
            raise InvalidToken("it is not valid yet")
        expires_at = _number(claims, "exp", None)
        if expires_at <= now:
            return Refused(Reason.TOKEN_INACTIVE)
        return UpstreamToken(jwt=jwt, expires_at=expires_at, scopes=_scopes(claims))


def read_answer(reply: Reply) -> Jwt | None:
    """The JWT in an introspection answer, None for an inactive token. Raises AuthorizationServerError."""
    if reply.status == 204:
        return None
    require_success(reply, "introspection")
    if reply.content_type == "application/jwt":
        return _jwt(reply.body.decode("latin-1").strip())
    if reply.content_type == "application/json":
        return _from_json(reply.json())
    raise AuthorizationServerError(Trouble.BAD_ANSWER, "introspection answered neither application/jwt nor JSON")


def _from_json(members: Mapping[str, Any]) -> Jwt | None:
    active = members.get("active")
    jwt = members.get("jwt", members.get("phantom_token"))
    # RFC 7662 section 2.2: a boolean. "true" and 1 are not.
    if active is False:
        return None
    if active is not True:
        raise AuthorizationServerError(Trouble.BAD_ANSWER, "introspection did not say whether the token is active")
    if not isinstance(jwt, str):
        raise AuthorizationServerError(Trouble.BAD_ANSWER, "introspection was asked for a JWT and answered without one")
    return _jwt(jwt)


def _jwt(text: str) -> Jwt:
    if not COMPACT_JWS.fullmatch(text):
        raise AuthorizationServerError(Trouble.BAD_ANSWER, "introspection answered something that is no JWT")
    return Jwt(text)


def _number(claims: Mapping[str, Any], name: str, default: float | None) -> float:
    value = claims.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 2**53:
        raise InvalidToken(f"its claim {name} is not a time")
    return value


def _scopes(claims: Mapping[str, Any]) -> frozenset[str]:
    scope = claims.get("scope", "")
    return frozenset(scope.split() if isinstance(scope, str) else ())


def _as_list(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]
