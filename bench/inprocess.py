"""A decision from the cache, without a server around it: from the bytes of the question to those of the answer."""

import time
from collections.abc import Callable

from bench.figures import Figures, in_turns
from bench.proxy import proxy
from bench.questions import as_browser, as_reference
from extauthz._pb.envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse
from extauthz.decision import Allow
from extauthz.doors import messages

CALLS = 2000  # in one take
FORMS = {"browser": as_browser, "reference": as_reference}
MICRO = 1e6


def measure(takes: int) -> dict[str, dict[str, Figures]]:
    """Microseconds by form of the question.

    `parse`: upb alone; `decision`: reading fields, deciding and writing the answer; `reported`: the same with the count
    and the question whether to log; `over_parse`: decision as a multiple of parse.
    """
    with proxy() as subject:
        desk, decide = subject.desk, subject.authorizer.decide
        found = {}
        for form, ask in FORMS.items():
            message = ask(subject.cookie())
            subject.know(message)
            _require_allowed(messages.write(_decided(decide(messages.read(message)))))

            def whole(message: bytes = message) -> bytes:
                return messages.write(_decided(decide(messages.read(message))))

            def reported(message: bytes = message) -> bytes:
                request = messages.read(message)
                decision = _decided(decide(request))
                desk.report(request, decision, "bench", 0.0, cached=True)
                return messages.write(decision)

            def parse(message: bytes = message) -> object:
                return CheckRequest.FromString(message)

            taken = in_turns({"parse": _timed(parse), "whole": _timed(whole), "reported": _timed(reported)}, takes)
            decision = taken["whole"].less(taken["parse"])
            found[form] = {
                "parse": taken["parse"],
                "decision": decision,
                "reported": taken["reported"].less(taken["parse"]),
                "over_parse": decision.over(taken["parse"]),
            }
    return found


def _decided(found: object) -> Allow:
    if not isinstance(found, Allow):
        raise TypeError(f"not let through from the cache: {found}")
    return found


def _require_allowed(answer: bytes) -> None:
    response = CheckResponse.FromString(answer)
    if response.status.code or response.ok_response.headers[0].header.key != "authorization":
        raise AssertionError("the measured request is not let through")


def _timed(call: Callable[[], object]) -> Callable[[], float]:
    def take() -> float:
        started = time.process_time()
        for _ in range(CALLS):
            call()
        return (time.process_time() - started) / CALLS * MICRO

    return take
