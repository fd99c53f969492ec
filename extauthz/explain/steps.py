"""The steps of one decision as values: how each stage ended, what was to be seen there, and what to do about it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from extauthz.decision import Allow, Deny, Passage
from extauthz.doors.desk import outcome
from extauthz.explain.facts import FACTS, policy_of, rule_of
from extauthz.explain.stage import STAGES, Stage
from extauthz.explain.witness import Case
from extauthz.reason import Reason
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
    """One stage: its facts, and the reason if it ended the matter."""

    stage: Stage
    state: State
    facts: str
    reason: Reason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """All steps, the decision in a line, and whether the request gets through."""

    steps: tuple[Step, ...]
    verdict: str
    passes: bool


def explain(case: Case) -> Explanation:
    """How `case` came to its decision."""
    end = _end(case)
    return Explanation(
        steps=tuple(_steps(case, end)),
        verdict=_verdict(case, end),
        passes=end.state is State.UNASKED or not isinstance(case.decision, Deny),
    )


def _step(case: Case, stage: Stage, state: State = State.PASSED, reason: Reason | None = None) -> Step:
    return Step(stage=stage, state=state, facts=FACTS[stage](case), reason=reason)


def _end(case: Case) -> Step:
    """Where the decision fell."""
    match case.decision:
        case _ if not case.witness.asked:
            return _step(case, Stage.UPSTREAM_TOKEN, State.UNASKED)
        case Deny(reason=reason) | Allow(passage=Passage.DRY_RUN, waived=Reason() as reason):
            return _refused(case, reason)
        case Allow(passage=Passage.ANONYMOUS, waived=waived):
            missing = waived or forgery(case.request, policy_of(case), rule_of(case).csrf) or Reason.NO_CREDENTIALS
            return _step(case, STAGES[missing], State.WAIVED, missing)
        case Allow(passage=Passage.AUTH_OFF):
            return _step(case, Stage.AUTHENTICATION)
        case Allow(passage=Passage.AUTHENTICATED):
            return _step(case, Stage.UPSTREAM_HEADERS)
        case _:
            return _step(case, Stage.PREFLIGHT)


def _refused(case: Case, reason: Reason) -> Step:
    step = _step(case, max(STAGES[reason], case.witness.begun), State.REFUSED, reason)
    told = clean(case.witness.told)
    if reason is not Reason.INTERNAL_ERROR or told in step.facts:
        return step
    return replace(step, facts=f"{step.facts}; {told}")  # a fault of ours may have come up at any stage


def _steps(case: Case, end: Step) -> Iterator[Step]:
    by_token = case.credential is not None and case.credential.is_bearer
    for stage in Stage:
        if stage is end.stage:
            yield end
        elif stage > end.stage:
            yield _after(case, end, stage)
        elif by_token and Stage.AUTHORIZATION < stage < Stage.UPSTREAM_TOKEN:
            yield Step(stage=stage, state=State.OUT, facts="not needed: the client's own token counts")
        else:
            yield _step(case, stage)


def _after(case: Case, end: Step, stage: Stage) -> Step:
    """A stage behind the end: of a request that passes, the headers are still to be told."""
    passes = isinstance(case.decision, Allow) and end.state is not State.UNASKED
    if passes and stage is Stage.UPSTREAM_HEADERS:
        return _step(case, stage)
    needless = passes and end.state is not State.REFUSED
    return Step(stage=stage, state=State.OUT, facts="not needed" if needless else "not reached")


def _verdict(case: Case, end: Step) -> str:
    if end.state is State.UNASKED:
        return "would ask the authorization server"
    word, status = outcome(case.decision)
    match case.decision:
        case Allow(passage=Passage.DRY_RUN, waived=Reason() as reason):
            would = policy_of(case).answers[reason].status
            return f"{status} {word}: passes without credentials; otherwise {would} {reason}"
    return f"{status} {word}"
