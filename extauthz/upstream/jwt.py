"""Way `jwt`: the access token already is a JWT. It is verified by the issuer's keys, and goes upstream as it is."""

from collections.abc import Callable

from extauthz.oauth.errors import InvalidToken
from extauthz.oauth.jwks import COMPACT_JWS, KeySet
from extauthz.outcome import Refused, UpstreamToken
from extauthz.policy import Rule
from extauthz.reason import Reason
from extauthz.upstream import OneForAll
from extauthz.upstream.claims import judge


class VerifiedJwt(OneForAll):
    """Verifies JWTs of one issuer. `clock`: seconds since the epoch; `profile` insists on RFC 9068."""

    def __init__(self, *, keys: KeySet, issuer: str, clock: Callable[[], float], profile: bool) -> None:
        self._keys, self._issuer, self._clock, self._profile = keys, issuer, clock, profile

    async def __call__(self, token: str, rule: Rule) -> UpstreamToken | Refused:
        """The same token, when it is good. Raises AuthorizationServerError when the keys cannot be had."""
        del rule
        now = self._clock()
        if not COMPACT_JWS.fullmatch(token):
            return Refused(
                Reason.TOKEN_INVALID, "it is no signed JWT; for opaque tokens there are way: phantom and mint"
            )
        try:
            header, claims = await self._keys.verify(token)
            verified = judge(token, header, claims, issuer=self._issuer, now=now, profile=self._profile)
        except InvalidToken as error:
            return Refused(Reason.TOKEN_INVALID, str(error))
        return verified if verified.expires_at > now else Refused(Reason.TOKEN_EXPIRED)
