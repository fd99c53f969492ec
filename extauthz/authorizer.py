"""The main path of the OAuth Proxy: examine the request, use the cached answer, or open the cookie and obtain one.

`decide` is synchronous and answers whatever needs no waiting: every refusal by the request alone, and every
request of a session seen lately. Only what it returns as `Pending` costs a task: `complete` opens the cookie,
exchanges the token once for all who wait for it, and concludes. Neither ever raises.
"""

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, assert_never

from extauthz.cache import Cache
from extauthz.cookies.access_token import AccessToken
from extauthz.cookies.envelope import InvalidCookie
from extauthz.decision import Credential, Decision, Policy, Request, conclude, examine, refuse
from extauthz.oauth.errors import AuthorizationServerError
from extauthz.outcome import Fault, Outcome, Refused, UpstreamToken
from extauthz.reason import Reason
from extauthz.upstream import UpstreamWay

# A token is not served from the cache in its last moments: the API's clock may be ahead of ours.
SKEW_SECONDS = 2.0
# RFC 7662 section 4: an inactive token stays inactive, but replicas of an authorization server may lag.
NEGATIVE_SECONDS = 5.0


class OpensCookies(Protocol):
    """The access token cookie's private side."""

    def admit(self, value: str) -> None:
        """The cheap check. Raises InvalidCookie."""

    def open(self, value: str) -> bytes:
        """The plaintext. Raises InvalidCookie."""


class ReportsTrouble(Protocol):
    """Where the details go that no client may see."""

    def trouble(self, app: str, reason: Reason, error: Exception) -> None:
        """An exchange failed for a reason that is not the user's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """Everything the proxy needs to serve one app. `max_seconds`: the longest an answer may be cached."""

    policy: Policy
    opener: OpensCookies = field(repr=False)
    upstream: UpstreamWay = field(repr=False)
    max_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A credential whose token has to be asked for; `key` names it in the cache without holding it."""

    credential: Credential
    app: App
    key: bytes = field(repr=False)


class Authorizer:
    """Decides for all apps of one process. `clock`: seconds since the epoch."""

    def __init__(
        self,
        apps: Sequence[App],
        cache: Cache[Outcome],
        report: ReportsTrouble,
        clock: Callable[[], float],
    ) -> None:
        self._apps: Mapping[str, App] = {app.policy.app: app for app in apps}
        self._policies = [app.policy for app in apps]
        self._cache, self._report, self._clock = cache, report, clock

    def decide(self, request: Request) -> Decision | Pending:
        """The decision, if it can be had without waiting."""
        try:
            found = examine(request, self._policies)
            if not isinstance(found, Credential):
                return found
            return self._from_cache(found)
        except Exception as error:  # fail closed, whatever we have overlooked
            return self._internal(request, error)

    async def complete(self, pending: Pending, budget: float | None = None) -> Decision:
        """Obtain what `decide` could not know. `budget`: seconds the caller will wait, None for no bound."""
        try:
            outcome = await self._obtain(pending, budget)
            return conclude(pending.credential, outcome, self._clock())
        except Exception as error:  # fail closed, whatever we have overlooked
            return self._internal(pending.credential.request, error)

    def _from_cache(self, credential: Credential) -> Decision | Pending:
        app = self._apps[credential.policy.app]
        key = cache_key(credential)
        outcome = self._cache.get(key)
        if outcome is not None:
            return conclude(credential, outcome, self._clock())
        try:
            # Garbage ends here: no elliptic curve, no task, no place in the cache.
            app.opener.admit(credential.sealed)
        except InvalidCookie as error:
            return conclude(credential, Refused(Reason(error.defect)), self._clock())
        return Pending(credential=credential, app=app, key=key)

    async def _obtain(self, pending: Pending, budget: float | None) -> Outcome:
        try:
            async with asyncio.timeout(budget):
                return await self._cache.load(pending.key, lambda: self._exchange(pending))
        except TimeoutError:
            return Fault(Reason.AS_TIMEOUT)

    async def _exchange(self, pending: Pending) -> Outcome:
        """One flight: open the cookie, exchange the token, remember the answer."""
        app = pending.app
        try:
            token = AccessToken.from_bytes(app.opener.open(pending.credential.sealed))
        except InvalidCookie as error:
            # Not remembered: opening it again is cheap, and forged cookies must not push sessions out of the cache.
            return Refused(Reason(error.defect))
        try:
            outcome: Outcome = await app.upstream(token.token)
        except AuthorizationServerError as error:
            outcome = Fault(Reason(error.trouble))
            self._report.trouble(app.policy.app, outcome.reason, error)
        ttl, size = self._lifetime(outcome, app.max_seconds)
        self._cache.put(pending.key, outcome, ttl=ttl, payload_bytes=size)
        return outcome

    def _lifetime(self, outcome: Outcome, max_seconds: float) -> tuple[float, int]:
        """How long an answer may be served again, in seconds, and what it weighs, in bytes."""
        match outcome:
            case UpstreamToken():
                left = outcome.expires_at - self._clock() - SKEW_SECONDS
                return min(left, max_seconds), len(outcome.jwt)
            case Refused():
                return min(NEGATIVE_SECONDS, max_seconds), 0
            case Fault():
                return 0.0, 0
            case _:
                assert_never(outcome)

    def _internal(self, request: Request, error: Exception) -> Decision:
        self._report.trouble("", Reason.INTERNAL_ERROR, error)
        return refuse(Reason.INTERNAL_ERROR, request)


def cache_key(credential: Credential) -> bytes:
    """SHA-256 over the app and the sealed value. Scope is checked after a hit, so it is no part of it."""
    named = f"{credential.policy.app}\0{credential.sealed}"
    return hashlib.sha256(named.encode("utf-8", "surrogatepass")).digest()
