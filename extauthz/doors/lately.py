"""Answers given lately, to give again when the same session asks the same.

The requests of a session come in bursts, and of what counts nothing changes from one to the next. What counts is all
that a decision reads of a request: a test holds the two together. To compare it, a message need not be read as a whole,
and a raw line not at all: name and value are compared together, as the bytes they came in. Questions hold the cookies
they came with; like tokens they stay in this process, and no repr shows them.
"""

import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field

from google.protobuf.message import DecodeError

from extauthz._pb.envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from extauthz._pb.token_handler.question_pb2 import Question
from extauthz.cache import Cache, size_of
from extauthz.memory import weight
from extauthz.metrics import Counted
from extauthz.outcome import Basis
from extauthz.policy import Policy
from extauthz.rules.cors import ASKED_HEADERS, ASKED_METHOD
from extauthz.rules.csrf import CSRF_HEADER

MAX_ANSWERS = 4096
MAX_BYTES = 32 * 1024 * 1024
FOREVER = float("inf")  # an answer ends with what it rests on

READ = frozenset({"authorization", "cookie", "origin", "sec-fetch-site", CSRF_HEADER, ASKED_METHOD, ASKED_HEADERS})
NO_RULE = frozenset({"app"})  # all that a route may say without its path being looked at
# A line whose name no server takes for an identity header's, but for spellings that are removed unseen (identity.py).
# It is a tag, the length of the name, the name, and the tag of its value.
_USUAL = re.compile(rb"\x0a.[a-z0-9:_-]*(?:[\x12\x1a]|\Z)", re.DOTALL).match

_parsed = Question.FromString


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered, on what basis, and how that is counted."""

    basis: Basis
    counted: Counted
    message: bytes = field(repr=False)


class Lately:
    """Answers by question, for as long as there is room. `clock`: seconds of any origin."""

    def __init__(self, policies: Sequence[Policy], clock: Callable[[], float]) -> None:
        pairs = {policy.double_submit.header for policy in policies if policy.double_submit is not None}
        self._names = tuple(READ | pairs)
        self._beginnings = tuple(map(_beginning, self._names))
        self._identities = tuple(policy.identity for policy in policies if policy.identity.claims)
        self._paths_differ = any(policy.routes for policy in policies)
        self._answers: Cache[Answer] = Cache(max_entries=MAX_ANSWERS, max_bytes=MAX_BYTES, clock=clock)

    def question(self, message: bytes) -> Hashable:
        """All that counts of a CheckRequest; None when it is refused whatever else it says."""
        try:
            asked = _parsed(message).attributes
        except DecodeError:
            return None
        http = asked.request.http
        if not http.path:
            return None
        raw = http.header_map.headers if http.HasField("header_map") else ()
        counts = http.method, http.host, self._of_lines(raw[:]) if raw else self._of_map(http.headers)
        context = asked.context_extensions
        if not context and not self._paths_differ:
            return counts
        path_counts = self._paths_differ or not context.keys() <= NO_RULE
        return counts, http.path.partition("?")[0] if path_counts else None, frozenset(context.items())

    def get(self, question: Hashable) -> Answer | None:
        """What was answered to it, if that is still kept."""
        return self._answers.get(question)

    def drop(self, question: Hashable) -> None:
        """Keep that answer no longer."""
        self._answers.drop(question)

    def keep(self, question: Hashable, message: bytes, answer: Answer) -> None:
        """Give `answer` again, unless names in `message` are not what they seem."""
        if question is not None and _is_plain(message):
            payload = size_of(question) + size_of(answer.message) + weight(answer.basis.token)
            self._answers.put(question, answer, ttl=FOREVER, payload_bytes=payload)

    def _of_lines(self, lines: Sequence[bytes]) -> tuple[bytes, ...]:
        beginnings = self._beginnings
        if not self._identities:
            return tuple([line for line in lines if line.startswith(beginnings)])
        return tuple([line for line in lines if line.startswith(beginnings) or not _USUAL(line)])

    def _of_map(self, headers: Mapping[str, str]) -> tuple[object, ...]:
        values = tuple(map(headers.get, self._names))
        if not self._identities:
            return values
        return (*values, *(identity.other_spellings(headers) for identity in self._identities))


def _beginning(name: str) -> bytes:
    """How a line of that name begins: the tag of field 1, the length of the name, and the name."""
    return b"\x0a" + bytes([len(name)]) + name.encode()


def _is_plain(message: bytes) -> bool:
    """Whether names are in lower case, and each line is written in the one way in which Envoy writes it.

    A name that is read as another, or a line that says two, would be a credential that the question does not hold.
    """
    http = CheckRequest.FromString(message).attributes.request.http
    entries, lines = http.header_map.headers, _parsed(message).attributes.request.http.header_map.headers
    names = "".join([*http.headers, *(entry.key for entry in entries)])
    as_written = [entry.SerializeToString() for entry in entries] == lines[:]
    return as_written and names.isascii() and names == names.lower()
