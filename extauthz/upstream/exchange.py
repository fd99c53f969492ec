"""Way `exchange`: the authorization server exchanges the token for one that is meant for the API (RFC 8693).

What the rule requires is what is asked for, so the answers for two audiences are two. The token that comes is a JWT
and verified like a phantom token, unless the configuration takes what comes without looking into it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

from extauthz.cookies.access_token import TOKEN
from extauthz.oauth.errors import AuthorizationServerError, InvalidToken, Trouble
from extauthz.oauth.http import Reply, require_success
from extauthz.oauth.jwks import MAX_TOKEN_CHARACTERS, KeySet
from extauthz.oauth.token_exchange import ACCESS_TOKEN, JWT, TokenExchange
from extauthz.outcome import Bearer, Refused, UpstreamToken
from extauthz.policy import Rule
from extauthz.reason import Reason
from extauthz.upstream.claims import audiences, judge, scopes

# How long a token serves of which nobody says when it runs out.
UNTOLD_SECONDS = 30.0
MAX_SECONDS = 2**31  # of life that a server may claim for a token: a lifetime of ours

# What an error says of: the token, or us. Words that are not here are never repeated.
MEANINGS: Mapping[str, Reason | Trouble] = {
    # RFC 8693 section 2.2.2 calls a bad subject token a bad request; servers have used the other two as well.
    "invalid_request": Reason.TOKEN_INACTIVE,
    "invalid_grant": Reason.TOKEN_INACTIVE,
    "invalid_token": Reason.TOKEN_INACTIVE,
    "invalid_client": Trouble.REFUSED_US,
    "unauthorized_client": Trouble.REFUSED_US,
    "unsupported_grant_type": Trouble.REFUSED_US,
    "invalid_target": Trouble.REFUSED_US,
    # A user without a scope is the likelier reason than a scope that nobody has.
    "invalid_scope": Reason.INSUFFICIENT_SCOPE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A token response. `expires_in`: seconds; None where the server does not say."""

    token: str = field(repr=False)
    expires_in: float | None
    scopes: frozenset[str] | None


class Exchange:
    """Exchanges tokens for those of an audience. `keys`: None looks into no token; `clock`: seconds since the epoch."""

    def __init__(
        self, *, exchange: TokenExchange, keys: KeySet | None, issuer: str, clock: Callable[[], float]
    ) -> None:
        self._exchange, self._keys = exchange, keys
        self._issuer, self._clock = issuer, clock

    def varies_by(self, rule: Rule) -> tuple[str, ...]:
        """All that is asked for: no other rule may have the answer."""
        return (_encoded(rule),)

    async def __call__(self, token: str, rule: Rule) -> UpstreamToken | Refused:
        """Exchange `token`. Raises AuthorizationServerError, also for a token that fails its checks."""
        reply = await self._exchange.ask(token, wishes(rule))
        if reply.status == 400 and (refused := read_error(reply)) is not None:
            return refused
        require_success(reply, "the token exchange")
        issued, now = read(reply.json()), self._clock()
        upstream = _unread(issued, rule, now) if self._keys is None else await self._verified(issued, self._keys, now)
        # What comes of a token that is about to run out may have no life left either.
        return upstream if upstream.expires_at > now else Refused(Reason.TOKEN_INACTIVE, "what it gave has run out")

    async def _verified(self, issued: Issued, keys: KeySet, now: float) -> UpstreamToken:
        try:
            header, claims = await keys.verify(issued.token)
            verified = judge(issued.token, header, claims, issuer=self._issuer, now=now)
        except InvalidToken as error:
            raise _bad(f"a token that does not serve: {error}") from error
        if issued.expires_in is None:
            return verified
        return replace(verified, expires_at=min(verified.expires_at, now + issued.expires_in))


def wishes(rule: Rule) -> dict[str, str]:
    """What to exchange the token for (RFC 8693 section 2.1, RFC 8707)."""
    asked = {"audience": rule.audience, "resource": rule.resource, "scope": " ".join(sorted(rule.scopes))}
    return {name: value for name, value in asked.items() if value}


def read_error(reply: Reply) -> Refused | None:
    """What an error answer says of the token; None for an answer that says nothing we know.

    Raises AuthorizationServerError for what it says of us.
    """
    error = reply.json().get("error")
    match MEANINGS.get(error) if isinstance(error, str) else None:
        case Reason() as reason:
            return Refused(reason, f"the token exchange was answered {error}")
        case Trouble() as trouble:
            raise AuthorizationServerError(trouble, f"the token exchange was answered {error}")
    return None


def read(members: Mapping[str, Any]) -> Issued:
    """Check a token response (RFC 8693 section 2.2.1). Raises AuthorizationServerError when it is of no use."""
    token, token_type = members.get("access_token"), members.get("token_type")
    if members.get("issued_token_type") not in (ACCESS_TOKEN, JWT):
        raise _bad("something that it does not call an access token")
    # N_A is no access token, and one bound to a key of ours could not be used by the API (RFC 9449 section 7.2).
    if not isinstance(token_type, str) or token_type.lower() != "bearer":
        raise _bad("a token that is no bearer token")
    if not isinstance(token, str) or len(token) > MAX_TOKEN_CHARACTERS or not TOKEN.fullmatch(token):
        raise _bad("no token that can stand in a header")
    if not isinstance(members.get("scope"), str | None):
        raise _bad("a scope that is no text")
    return Issued(
        token=token,
        expires_in=_lifetime(members),
        scopes=None if members.get("scope") is None else scopes(members),
    )


def _lifetime(members: Mapping[str, Any]) -> float | None:
    seconds = members.get("expires_in")
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < MAX_SECONDS:
        raise _bad("a lifetime that is none")
    return seconds


def _unread(issued: Issued, rule: Rule, now: float) -> UpstreamToken:
    """Nobody has looked into it: it is taken for what was asked for, or for what the server says it is."""
    return UpstreamToken(
        bearer=Bearer(issued.token),
        expires_at=now + (UNTOLD_SECONDS if issued.expires_in is None else issued.expires_in),
        # RFC 6749 section 5.1: left out when it is what was asked for.
        scopes=rule.scopes if issued.scopes is None else issued.scopes,
        audiences=audiences({"aud": rule.audience}),
    )


@lru_cache(maxsize=1024)
def _encoded(rule: Rule) -> str:
    return urlencode(wishes(rule))


def _bad(what: str) -> AuthorizationServerError:
    return AuthorizationServerError(Trouble.BAD_ANSWER, f"the token exchange gave {what}")
