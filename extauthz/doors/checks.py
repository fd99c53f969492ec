"""Envoy's service, whichever server speaks gRPC around it: bytes in, bytes out.

Nothing is raised here. An aborted call is let through by an Envoy whose failure mode is open, so even a message that
cannot be parsed, or a fault of our own, gets a refusal as its answer.
"""

import time
from collections.abc import Coroutine, Hashable

from extauthz.authorizer import Pending
from extauthz.decision import Allow, refuse
from extauthz.doors import messages
from extauthz.doors.desk import Desk
from extauthz.doors.lately import Answer, Lately
from extauthz.metrics import Counted
from extauthz.reason import Reason
from extauthz.telemetry import Log

SERVICE = "envoy.service.auth.v3.Authorization"
NAME = "grpc"
OUR_FAULT = messages.write(refuse(Reason.INTERNAL_ERROR, messages.NOTHING))


class Checks:
    """Check, as a function."""

    def __init__(self, desk: Desk, log: Log) -> None:
        self._desk, self._log = desk, log
        self._lately = Lately(desk.policies, time.monotonic)

    def answer(self, message: bytes, wait: float | None) -> bytes | Coroutine[None, None, bytes]:
        """The answer, or a coroutine where it has to be waited for; `wait`: seconds the caller will."""
        try:
            question = self._lately.question(message)
            last = self._lately.get(question)
            if last is not None:
                if self._desk.again(last.basis, last.counted):
                    return last.message
                self._lately.drop(question)
            return self._afresh(question, message, wait)
        except Exception as error:
            return self._fault(error)

    def _afresh(self, question: Hashable, message: bytes, wait: float | None) -> bytes | Coroutine[None, None, bytes]:
        found = self._desk.at_once(messages.read(message), NAME)
        if isinstance(found, Pending):
            return self._later(found, wait)
        answer = messages.write(found)
        if isinstance(found, Allow) and found.basis is not None and not self._log.tells_all:
            counted = Counted(found.app, NAME, found.passage.value, "")
            self._lately.keep(question, message, Answer(found.basis, counted, answer))
        return answer

    async def _later(self, pending: Pending, wait: float | None) -> bytes:
        try:
            return messages.write(await self._desk.later(pending, NAME, wait))
        except Exception as error:
            return self._fault(error)

    def _fault(self, error: Exception) -> bytes:
        self._log.trouble("", Reason.INTERNAL_ERROR, error)
        return OUR_FAULT
