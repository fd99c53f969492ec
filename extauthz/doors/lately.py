"""Answers given lately, to give again when the same session asks the same.

The requests of a session come in bursts, and of what counts nothing changes from one to the next. To see that, nothing
is read that need not be: a header is compared as the bytes it came in, name and value together. What does not count is
named here; everything else does, known to us or not.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field

from google.protobuf.message import DecodeError

from extauthz._pb.token_handler.question_pb2 import Question
from extauthz.cache import Cache
from extauthz.decision import Basis
from extauthz.metrics import Counted
from extauthz.policy import Policy

_parsed = Question.FromString

# For the sessions seen last; what is remembered of all of them, the cache of outcomes bounds.
MAX_ANSWERS = 4096
MAX_BYTES = 32 * 1024 * 1024
PART_BYTES = 100  # what a line weighs beside its text; measured, rounded up
FOREVER = float("inf")  # an answer ends with what it rests on

NO_RULE = frozenset({"app"})  # all that a route may say without its path being looked at

# What differs among the requests of one page, and no decision reads.
IGNORED = frozenset({":path", "accept", "content-length", "content-type", "referer", "traceparent", "x-request-id"})


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered, on what basis, and how that is counted."""

    basis: Basis
    counted: Counted
    message: bytes = field(repr=False)


class Lately:
    """Answers by question, for as long as there is room. `clock`: seconds of any origin."""

    def __init__(self, policies: Sequence[Policy], clock: Callable[[], float]) -> None:
        self._paths_differ = any(policy.routes for policy in policies)
        self._ignored = tuple(_beginning(name) for name in sorted(IGNORED))
        self._answers: Cache[Answer] = Cache(max_entries=MAX_ANSWERS, max_bytes=MAX_BYTES, clock=clock)
        self.get = self._answers.get

    def question(self, message: bytes) -> Hashable:
        """All that counts of a CheckRequest; None when it cannot be parsed."""
        try:
            asked = _parsed(message).attributes
        except DecodeError:
            return None
        http, ignored = asked.request.http, self._ignored
        if not http.path:  # it is refused
            return None
        raw = http.HasField("header_map") and http.header_map.headers
        lines = [line for line in (raw or http.headers)[:] if not line.startswith(ignored)]
        # The lines of a request have an order, the entries of a map have none.
        counts = http.method, http.host, tuple(lines) if raw else frozenset(lines)
        context = asked.context_extensions
        if not context and not self._paths_differ:
            return counts
        path_counts = self._paths_differ or not context.keys() <= NO_RULE
        return counts, http.path.partition("?")[:2] if path_counts else None, frozenset(context.items())

    def keep(self, question: Hashable, answer: Answer) -> None:
        """Give `answer` again."""
        weight = len(answer.message) + _weight(question)
        self._answers.put(question, answer, ttl=FOREVER, payload_bytes=weight)


def _beginning(name: str) -> bytes:
    """How a header of that name begins: the tag of field 1, the length of the name, and the name."""
    return b"\x0a" + bytes([len(name)]) + name.encode()


def _weight(part: object) -> int:
    """Bytes of a question: most of what it says, a client chose."""
    if isinstance(part, str | bytes):
        return PART_BYTES + len(part)
    return sum(map(_weight, part)) if isinstance(part, tuple | frozenset) else 0
