"""Way `phantom`: introspection answers with a JWT, and that JWT goes upstream.

Two forms of answer: the bare JWT as `application/jwt` with 204 for an inactive token, or JSON in the manner of
RFC 7662 with the JWT as member `jwt` or `phantom_token`. The content type decides which it is. The JWT is verified
before it is forwarded: it is about to become a header, and the API's word for who the user is.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from extauthz.oauth.errors import AuthorizationServerError, InvalidToken, Trouble
from extauthz.oauth.http import Reply
from extauthz.oauth.introspection import Introspection
from extauthz.oauth.jwks import COMPACT_JWS, KeySet
from extauthz.outcome import Refused, UpstreamToken
from extauthz.policy import Rule
from extauthz.reason import Reason
from extauthz.upstream import OneForAll
from extauthz.upstream.answers import SIGNED, require_answer
from extauthz.upstream.claims import judge

JWT = "application/jwt"


class Phantom(OneForAll):
    """Exchanges opaque tokens by introspection. `clock`: seconds since the epoch."""

    def __init__(
        self,
        *,
        introspection: Introspection,
        keys: KeySet,
        issuer: str,
        clock: Callable[[], float],
    ) -> None:
        self._introspection, self._keys = introspection, keys
        self._issuer, self._clock = issuer, clock

    async def __call__(self, token: str, rule: Rule) -> UpstreamToken | Refused:
        """Exchange `token`. Raises AuthorizationServerError, also for a JWT that fails its checks."""
        del rule
        reply = await self._introspection.ask(token, accept=JWT)
        jwt = read_answer(reply)
        if jwt is None:
            return Refused(Reason.TOKEN_INACTIVE)
        now = self._clock()
        try:
            header, claims = await self._keys.verify(jwt)
            phantom = judge(jwt, header, claims, issuer=self._issuer, now=now)
        except InvalidToken as error:
            # Introspection called it good, so this is no fault of the user's.
            raise AuthorizationServerError(Trouble.BAD_ANSWER, f"the phantom token: {error}") from error
        if phantom.expires_at <= now:
            return Refused(Reason.TOKEN_INACTIVE, "its JWT has run out")
        # Of a bare JWT the server says how long it may be kept; JSON is marked no-store as a matter of course.
        return replace(phantom, max_age=reply.max_age) if reply.content_type == JWT else phantom


def read_answer(reply: Reply) -> str | None:
    """The JWT in an introspection answer, None for an inactive token. Raises AuthorizationServerError."""
    if reply.status == 204:
        return None
    require_answer(reply)
    if reply.content_type == JWT:
        return _jwt(reply.body.decode("latin-1").strip())
    if reply.content_type == "application/json":
        return _from_json(reply.json())
    if reply.content_type == SIGNED:
        # RFC 9701 section 8.1: it is no access token, and says of the user more than the API may see.
        message = "introspection gave a signed answer, which never goes upstream: way: mint with introspection: jwt"
        raise AuthorizationServerError(Trouble.BAD_ANSWER, message)
    raise AuthorizationServerError(Trouble.BAD_ANSWER, "introspection answered neither application/jwt nor JSON")


def _from_json(members: Mapping[str, Any]) -> str | None:
    active = members.get("active")
    jwt = members.get("jwt", members.get("phantom_token"))
    # RFC 7662 section 2.2: a boolean. "true" and 1 are not.
    if active is False:
        return None
    if active is not True:
        raise AuthorizationServerError(Trouble.BAD_ANSWER, "introspection did not say whether the token is active")
    if not isinstance(jwt, str):
        message = "introspection was asked for a JWT and answered without one: way: mint makes one"
        raise AuthorizationServerError(Trouble.BAD_ANSWER, message)
    return _jwt(jwt)


def _jwt(text: str) -> str:
    if not COMPACT_JWS.fullmatch(text):
        raise AuthorizationServerError(Trouble.BAD_ANSWER, "introspection answered something that is no JWT")
    return text
