"""Way `mint`: introspection tells what an opaque token stands for, and we sign a JWT that says so (RFC 9068).

It needs nothing of the authorization server but RFC 7662. The API trusts us as an issuer: our name stands in `iss`,
never the server's, and our public keys are at /.well-known/jwks.json.
"""

import json
import secrets
from collections.abc import Callable, Sequence

from extauthz.oauth.jwks import MAX_TOKEN_CHARACTERS
from extauthz.oauth.signing_key import SigningKey
from extauthz.outcome import Bearer, Refused, UpstreamToken
from extauthz.policy import Rule
from extauthz.reason import Reason
from extauthz.upstream.answers import bad
from extauthz.upstream.claims import SKEW_SECONDS, audiences, scopes
from extauthz.upstream.introspected import Active, Introspected

JTI_BYTES = 16
# A token that is about to run out is not worth signing: the API's clock may be ahead of ours.
LEAST_SECONDS = 1


class Mint:
    """Signs for one app, with one key. `lifetime`: seconds; `clock`: seconds since the epoch."""

    def __init__(
        self,
        *,
        introspected: Introspected,
        key: SigningKey,
        issuer: str,
        audience: str | None,
        claims: Sequence[str],
        lifetime: float,
        clock: Callable[[], float],
        new_id: Callable[[], str] = lambda: secrets.token_urlsafe(JTI_BYTES),
    ) -> None:
        self._introspected, self._key, self._kid = introspected, key, key.thumbprint()
        self._issuer, self._audience, self._claims = issuer, audience, tuple(claims)
        self._lifetime, self._clock, self._new_id = lifetime, clock, new_id

    def varies_by(self, rule: Rule) -> tuple[str, ...]:
        """The audience: it stands in the token, and what the server says of it is judged by it."""
        return (rule.audience or "",)

    async def __call__(self, token: str, rule: Rule) -> UpstreamToken | Refused:
        """A JWT in place of `token`. Raises AuthorizationServerError."""
        found = await self._introspected(token)
        if isinstance(found, Refused):
            return found
        theirs = audiences(found.members)
        if rule.audience is not None and theirs and rule.audience not in theirs:
            # RFC 9700 section 2.3: a token for one API must not become one for another.
            return Refused(Reason.WRONG_AUDIENCE, "introspection names other audiences")
        return self._minted(found, rule.audience or self._audience)

    def _minted(self, found: Active, audience: str | None) -> UpstreamToken | Refused:
        now = self._clock()
        expires_at = int(min(found.expires_at, now + self._lifetime))
        if expires_at < now + LEAST_SECONDS:
            return Refused(Reason.TOKEN_INACTIVE, "it is about to run out")
        if audience is None:
            raise AssertionError("the configuration has an audience for way mint")
        claims: dict[str, object] = {
            **{name: found.members[name] for name in self._claims if name in found.members},
            "iss": self._issuer,
            "sub": found.subject,
            "aud": audience,
            "client_id": found.client_id,
            # A clock at the API that is a little behind must not find it issued in the future.
            "iat": int(now - SKEW_SECONDS),
            "exp": expires_at,
            "jti": self._new_id(),
            **({"scope": found.scope} if found.scope else {}),
        }
        return UpstreamToken(
            bearer=self._signed(claims),
            expires_at=expires_at,
            scopes=scopes(claims),
            audiences=frozenset({audience}),
            # Identity headers may name what the JWT does not carry.
            claims={**found.members, **claims},
        )

    def _signed(self, claims: dict[str, object]) -> Bearer:
        try:
            json.dumps(claims, allow_nan=False)  # NaN and Infinity: Python writes them, nobody else reads them
            jwt = self._key.sign(claims, typ="at+jwt", kid=self._kid)
        except (ValueError, RecursionError) as error:
            raise bad("introspection answered with claims that cannot be passed on") from error
        if len(jwt) > MAX_TOKEN_CHARACTERS:
            raise bad(f"with the claims to pass on, the token has more than {MAX_TOKEN_CHARACTERS} characters")
        return Bearer(jwt)
