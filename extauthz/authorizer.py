"""The main path of the OAuth Proxy: examine the request, use the cached answer, or open the cookie and obtain one.

`decide` is synchronous and answers whatever needs no waiting: every refusal by the request alone, and every
request of a session seen lately. Only what it returns as `Pending` costs a task: `complete` opens the cookie,
exchanges the token once for all who wait for it, and concludes. Neither ever raises. A decision with a `Basis` may be
given again to the same question, while that `holds`.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import random
from typing import Protocol, assert_never

from extauthz.cookies.access_token import AccessToken
from extauthz.cookies.envelope import InvalidCookie
from extauthz.cookies.marks import KnownBy
from extauthz.decision import Allow, Credential, Decision, Deny, conclude, examine, let_through, refuse
from extauthz.memory import Memory, cache_key
from extauthz.oauth.errors import AuthorizationServerError
from extauthz.outcome import Basis, Fault, Outcome, Refused, UpstreamToken
from extauthz.policy import OPAQUE, Policy
from extauthz.reason import Reason
from extauthz.request import Request
from extauthz.upstream import UpstreamWay

# A token is not served from the cache in its last moments: the API's clock may be ahead of ours.
SKEW_SECONDS = 2.0
# RFC 7662 section 4: an inactive token stays inactive, but replicas of an authorization server may lag.
NEGATIVE_SECONDS = 5.0
# Sessions that began together are not all asked about again together: each is, up to this part of the time, earlier.
JITTER = 0.1


class OpensCookies(Protocol):
    """The access token cookie's private side."""

    def admit(self, value: str) -> None:
        """The cheap check. Raises InvalidCookie."""

    def open(self, value: str) -> AccessToken:
        """What it holds. Raises InvalidCookie."""


class KnowsEnded(Protocol):
    """Which sessions were ended before their time."""

    def has_ended(self, session: KnownBy) -> bool:
        """Whether this one was. On the way of every request."""


class ReportsTrouble(Protocol):
    """Where the details go that no client may see."""

    def trouble(self, app: str, reason: Reason, error: Exception) -> None:
        """An exchange failed for a reason that is not the user's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """Everything the proxy needs to serve one app.

    `max_seconds`: the longest an answer may be cached; `stale_seconds`: for how much longer it serves while the
    authorization server is in trouble (RFC 5861 section 4); `claims`: those somebody downstream will ask for.
    """

    policy: Policy
    opener: OpensCookies = field(repr=False)
    ways: Mapping[str, UpstreamWay] = field(repr=False)
    max_seconds: float
    stale_seconds: float = 0.0
    claims: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A credential whose token has to be asked for; `key` names it in the cache without holding it."""

    credential: Credential
    app: App
    key: bytes = field(repr=False)


class NothingEnded:
    """Where nobody tells of sessions that end."""

    def has_ended(self, session: KnownBy) -> bool:
        """No."""
        del session
        return False


NOTHING_ENDED = NothingEnded()


class Authorizer:
    """Decides for all apps of one process. `clock`: seconds since the epoch; `chance`: from 0 to 1, at random."""

    def __init__(
        self,
        apps: Sequence[App],
        memory: Memory,
        report: ReportsTrouble,
        clock: Callable[[], float],
        chance: Callable[[], float] = random,
        revocations: KnowsEnded = NOTHING_ENDED,
    ) -> None:
        self._apps: Mapping[str, App] = {app.policy.app: app for app in apps}
        self.policies = [app.policy for app in apps]
        self._memory, self._report, self._clock, self._chance = memory, report, clock, chance
        self._revocations = revocations

    def decide(self, request: Request) -> Decision | Pending:
        """The decision, if it can be had without waiting."""
        try:
            found = examine(request, self.policies)
            decided = self._from_memory(found) if isinstance(found, Credential) else found
            return self._final(decided, request) if isinstance(decided, Deny) else decided
        except Exception as error:  # fail closed, whatever we have overlooked
            return self._internal(request, error)

    async def complete(self, pending: Pending, budget: float | None = None) -> Decision:
        """Obtain what `decide` could not know. `budget`: seconds the caller will wait, None for no bound."""
        request = pending.credential.request
        try:
            outcome = await self._obtain(pending, budget)
            decided = self._conclude(pending.credential, outcome)
            return self._final(decided, request) if isinstance(decided, Deny) else decided
        except Exception as error:  # fail closed, whatever we have overlooked
            return self._internal(request, error)

    def holds(self, basis: Basis) -> bool:
        """Whether the session is remembered as it was, and its token good: whatever ends a session belongs here."""
        token = basis.token
        return (
            self._memory.answers.get(basis.key) is token
            and token.expires_at > self._clock()
            and not self._has_ended(token)
        )

    def _from_memory(self, credential: Credential) -> Decision | Pending:
        app = self._apps[credential.policy.app]
        key = cache_key(credential, app.ways[credential.way].varies_by(credential.rule))
        outcome = self._memory.get(key)
        if outcome is not None:
            decided = self._conclude(credential, outcome)
            if isinstance(decided, Allow) and isinstance(outcome, UpstreamToken):
                return replace(decided, basis=Basis(key, outcome))
            return decided
        try:
            # Garbage ends here: no elliptic curve, no task, no place in the cache.
            if not credential.is_bearer:
                app.opener.admit(credential.value)
        except InvalidCookie as error:
            return conclude(credential, Refused(Reason(error.defect)), self._clock())
        return Pending(credential=credential, app=app, key=key)

    def _conclude(self, credential: Credential, outcome: Outcome) -> Decision:
        """The decision, unless the session has ended since the token was asked for, a minute ago or just now."""
        if isinstance(outcome, UpstreamToken) and self._has_ended(outcome):
            outcome = Refused(Reason.SESSION_REVOKED)
        return conclude(credential, outcome, self._clock())

    def _has_ended(self, token: UpstreamToken) -> bool:
        return token.session is not None and self._revocations.has_ended(token.session)

    async def _obtain(self, pending: Pending, budget: float | None) -> Outcome:
        try:
            async with asyncio.timeout(budget):
                return await self._memory.answers.load(pending.key, lambda: self._exchange(pending))
        except TimeoutError:
            return self._memory.answers.stale(pending.key) or Fault(Reason.AS_TIMEOUT)

    async def _exchange(self, pending: Pending) -> Outcome:
        """One flight: open the cookie, exchange the token, remember the answer."""
        app, credential = pending.app, pending.credential
        try:
            token, session = _opened(credential, app)
        except InvalidCookie as error:
            # Not remembered: opening it again is cheap, and forged cookies must not push sessions out of the cache.
            return Refused(Reason(error.defect))
        if session is not None and self._revocations.has_ended(session):
            return Refused(Reason.SESSION_REVOKED)
        try:
            outcome = await app.ways[credential.way](token, credential.rule)
        except AuthorizationServerError as error:
            reason = Reason(error.trouble)
            self._report.trouble(app.policy.app, reason, error)
            # Trouble is not remembered: it is over when it is over.
            return self._memory.answers.stale(pending.key) or Fault(reason, str(error))
        if isinstance(outcome, UpstreamToken):
            outcome = replace(outcome, session=session)
        self._remember(pending, outcome)
        return outcome

    def _remember(self, pending: Pending, outcome: UpstreamToken | Refused) -> None:
        app = pending.app
        match outcome:
            case UpstreamToken() if pending.credential.way == OPAQUE:
                pass  # nobody has called it good: made-up tokens would push sessions out
            case UpstreamToken():
                left = outcome.expires_at - self._clock() - SKEW_SECONDS
                ttl = min(left, outcome.max_age, app.max_seconds) * (1 - JITTER * self._chance())
                grace = min(app.stale_seconds, left - ttl)
                self._memory.keep(pending.key, outcome, app.claims, ttl=ttl, grace=grace)
            case Refused():
                self._memory.refuse(pending.key, outcome, ttl=min(NEGATIVE_SECONDS, app.max_seconds))
            case _:
                assert_never(outcome)

    def _final(self, denied: Deny, request: Request) -> Decision:
        app = self._apps.get(denied.app or "")
        return denied if app is None else let_through(denied, request, app.policy)

    def _internal(self, request: Request, error: Exception) -> Decision:
        self._report.trouble("", Reason.INTERNAL_ERROR, error)
        return refuse(Reason.INTERNAL_ERROR, request)


def _opened(credential: Credential, app: App) -> tuple[str, KnownBy | None]:
    """The token, and whose session it is of. Raises InvalidCookie."""
    if credential.is_bearer:
        return credential.value, None
    opened = app.opener.open(credential.value)
    return opened.token, opened.known_by(app.policy.app)
