"""A decision from the cache, without a server around it: from the bytes of the question to those of the answer."""

import time
from collections.abc import Callable

from bench.figures import Figures, in_turns
from bench.proxy import proxy
from bench.questions import as_browser, as_reference
from extauthz._pb.envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse
from extauthz.config import LogConfig
from extauthz.doors.checks import Checks
from extauthz.doors.desk import Desk
from extauthz.metrics import Counted, Metrics
from extauthz.telemetry import Log, logger

QUESTIONS = 100  # of one page, in turns
ROUNDS = 20  # in one take
FORMS = {"browser": as_browser, "reference": as_reference}
MICRO = 1e6


def measure(takes: int) -> dict[str, dict[str, Figures]]:
    """Microseconds by form of the question.

    `parse`: upb alone; `decision`: all that a door has done for an answer; `counted`: the same with the metrics;
    `over_parse`: decision as a multiple of parse.
    """
    with proxy() as subject:
        log = Log(logger(LogConfig()))
        counting = Checks(subject.desk, log)
        deciding = Checks(Desk(subject.authorizer, log, Uncounted()), log)
        found = {}
        for form, ask in FORMS.items():
            cookie = subject.cookie()
            questions = [ask(cookie, number) for number in range(QUESTIONS)]
            subject.know(questions[0])
            variants: dict[str, Callable[[bytes], object]] = {
                "parse": CheckRequest.FromString,
                "decision": lambda question: deciding.answer(question, None),
                "counted": lambda question: counting.answer(question, None),
            }
            for question in questions:
                _require_allowed(deciding.answer(question, None))
                _require_allowed(counting.answer(question, None))
            taken = in_turns({name: _timed(call, questions) for name, call in variants.items()}, takes)
            found[form] = {**taken, "over_parse": taken["decision"].over(taken["parse"])}
    return found


class Uncounted(Metrics):
    """Counts nothing."""

    def decided(self, counted: Counted, seconds: float, *, cached: bool) -> None:
        """Nothing."""


def _require_allowed(answer: object) -> None:
    if not isinstance(answer, bytes):
        raise TypeError("the measured request is not answered at once")
    response = CheckResponse.FromString(answer)
    if response.status.code or response.ok_response.headers[0].header.key != "authorization":
        raise AssertionError("the measured request is not let through")


def _timed(call: Callable[[bytes], object], questions: list[bytes]) -> Callable[[], float]:
    def take() -> float:
        started = time.process_time()
        for _ in range(ROUNDS):
            for question in questions:
                call(question)
        return (time.process_time() - started) / (ROUNDS * len(questions)) * MICRO

    return take
