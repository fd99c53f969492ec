"""What every door does with a request it has translated: have it decided, and report it once."""

import time
from collections.abc import Sequence

from extauthz.authorizer import Authorizer, Pending
from extauthz.decision import Allow, Decision, Deny
from extauthz.metrics import Counted, Metrics
from extauthz.outcome import Basis
from extauthz.policy import Policy
from extauthz.request import Request
from extauthz.telemetry import Log

# Answering 503 takes a moment too; the gateway must hear it before its own deadline.
MARGIN_SECONDS = 0.03


class Desk:
    """An authorizer with a log and counters around it."""

    def __init__(self, authorizer: Authorizer, log: Log, metrics: Metrics) -> None:
        self._authorizer, self._log, self.metrics = authorizer, log, metrics

    @property
    def policies(self) -> Sequence[Policy]:
        """All that decisions go by."""
        return self._authorizer.policies

    async def decide(self, request: Request, door: str, wait: float | None) -> Decision:
        """The decision; `wait`: seconds the gateway will wait for it, None for no bound. Never raises."""
        found = self.at_once(request, door)
        return await self.later(found, door, wait) if isinstance(found, Pending) else found

    def at_once(self, request: Request, door: str) -> Decision | Pending:
        """The decision, if it can be had without waiting; else what to wait for with `later`. Never raises."""
        started = time.perf_counter()
        found = self._authorizer.decide(request)
        if not isinstance(found, Pending):
            self.report(request, found, door, time.perf_counter() - started, cached=True)
        return found

    def again(self, basis: Basis, counted: Counted) -> bool:
        """Whether a decision may be given again to the same question. Then it is counted, but not logged."""
        started = time.perf_counter()
        holds = self._authorizer.holds(basis)
        if holds:
            self.metrics.decided(counted, time.perf_counter() - started, cached=True)
        return holds

    async def later(self, pending: Pending, door: str, wait: float | None) -> Decision:
        """The decision that `at_once` could not make. Never raises."""
        started = time.perf_counter()
        decision = await self._authorizer.complete(pending, budget(wait))
        self.report(pending.credential.request, decision, door, time.perf_counter() - started, cached=False)
        return decision

    def report(self, request: Request, decision: Decision, door: str, seconds: float, *, cached: bool) -> None:
        """One log line and one count."""
        word, status = outcome(decision)
        waived = decision.waived or "" if isinstance(decision, Allow) else ""
        self.metrics.decided(Counted(decision.app or "", door, word, waived), seconds, cached=cached)
        self._log.decided(
            request,
            app=decision.app,
            door=door,
            decision=word,
            waived=waived,
            detail=decision.detail if isinstance(decision, Deny) else "",
            status=status,
            seconds=seconds,
            cached=cached,
            request_id=request.headers.get("x-request-id", ""),
        )


def budget(wait: float | None) -> float | None:
    """Seconds we may wait for the authorization server: what the gateway will wait for us, less a margin."""
    return None if wait is None else max(wait - MARGIN_SECONDS, 0.0)


def outcome(decision: Decision) -> tuple[str, int]:
    """The word for the log and the HTTP status it stands for."""
    match decision:
        case Allow():
            return decision.passage, 200
        case Deny():
            return decision.reason, decision.status
        case _:
            return "preflight", 204
