"""The steps of one decision as values: how each stage ended, what was to be seen there, and what to do about it."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from extauthz.decision import Allow, Deny, Passage
from extauthz.doors.desk import outcome
from extauthz.explain.facts import FACTS, policy_of, rule_of
from extauthz.explain.stage import STAGES, Stage
from extauthz.explain.witness import Case
from extauthz.reason import ADVICE, Reason
from extauthz.rules.csrf import forgery
from extauthz.telemetry import clean


class State(StrEnum):
    """How a stage ended."""

    PASSED = "ok"
    REFUSED = "REFUSED"
    WAIVED = "waived"  # missing, where nothing is needed
    UNASKED = "?"
    OUT = "-"  # not reached, or not needed


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One stage: its facts, and the reason and advice if it ended the matter."""

    stage: Stage
    state: State
    facts: str
    reason: Reason | None = None

    @property
    def advice(self) -> str:
        """What to do."""
        return "" if self.reason is None else ADVICE[self.reason]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """All steps, the decision in a line, and whether the request gets through."""

    steps: tuple[Step, ...]
    verdict: str
    passes: bool


@dataclass(frozen=True, slots=True)
class _End:
    """Where the decision fell."""

    stage: Stage
    state: State = State.PASSED
    reason: Reason | None = None


def explain(case: Case) -> Explanation:
    """How `case` came to its decision."""
    end = _end(case)
    return Explanation(
        steps=tuple(_steps(case, end)),
        verdict=_verdict(case, end),
        passes=end.state is State.UNASKED or not isinstance(case.decision, Deny),
    )


def _end(case: Case) -> _End:
    decision = case.decision
    if not case.witness.asked:
        return _End(Stage.UPSTREAM_TOKEN, State.UNASKED)
    if isinstance(decision, Deny):
        return _refused(case, decision.reason)
    return _passed(case, decision) if isinstance(decision, Allow) else _End(Stage.PREFLIGHT)


def _refused(case: Case, reason: Reason) -> _End:
    return _End(max(STAGES[reason], case.witness.begun), State.REFUSED, reason)


def _passed(case: Case, allowed: Allow) -> _End:
    match allowed.passage:
        case Passage.DRY_RUN if allowed.waived is not None:
            return _refused(case, allowed.waived)
        case Passage.ANONYMOUS:
            policy, rule = policy_of(case), rule_of(case)
            reason = allowed.waived or forgery(case.request, policy, rule.csrf) or Reason.NO_CREDENTIALS
            return _End(STAGES[reason], State.WAIVED, reason)
        case Passage.AUTH_OFF:
            return _End(Stage.AUTHENTICATION)
        case Passage.PREFLIGHT:
            return _End(Stage.PREFLIGHT)
        case _:
            return _End(Stage.UPSTREAM_HEADERS)


def _steps(case: Case, end: _End) -> Iterator[Step]:
    for stage in Stage:
        if stage is end.stage:
            yield Step(stage=stage, state=end.state, facts=_facts(case, end), reason=end.reason)
        elif stage > end.stage:
            yield _after(case, end, stage)
        elif _is_bearer(case) and Stage.AUTHORIZATION < stage < Stage.UPSTREAM_TOKEN:
            yield Step(stage=stage, state=State.OUT, facts="not needed: the client's own token counts")
        else:
            yield Step(stage=stage, state=State.PASSED, facts=FACTS[stage](case))


def _facts(case: Case, end: _End) -> str:
    """Those of the stage where it ended; a fault of ours may have come up at any."""
    facts, told = FACTS[end.stage](case), clean(case.witness.told)
    return f"{facts}; {told}" if end.reason is Reason.INTERNAL_ERROR and told not in facts else facts


def _after(case: Case, end: _End, stage: Stage) -> Step:
    """A stage behind the end: of a request that passes, the headers are still to be told."""
    passes = isinstance(case.decision, Allow) and end.state is not State.UNASKED
    if passes and stage is Stage.UPSTREAM_HEADERS:
        return Step(stage=stage, state=State.PASSED, facts=FACTS[stage](case))
    needless = passes and end.state is not State.REFUSED
    return Step(stage=stage, state=State.OUT, facts="not needed" if needless else "not reached")


def _is_bearer(case: Case) -> bool:
    return case.credential is not None and case.credential.is_bearer


def _verdict(case: Case, end: _End) -> str:
    decision = case.decision
    if end.state is State.UNASKED:
        return "would ask the authorization server"
    word, status = outcome(decision)
    if isinstance(decision, Allow) and decision.passage is Passage.DRY_RUN and decision.waived is not None:
        would = policy_of(case).answers[decision.waived].status
        return f"{status} {word}: passes without credentials; otherwise {would} {decision.waived}"
    return f"{status} {word}"
