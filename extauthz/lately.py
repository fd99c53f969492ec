"""Answers given lately, to give again when the same session asks the same.

The requests of a session come in bursts, and of most that counts nothing has changed but the time and the path. What
counts is all that the decision reads of a request: a test holds the two together.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field

from extauthz.cache import Cache
from extauthz.decision import Allow
from extauthz.outcome import UpstreamToken
from extauthz.policy import Policy
from extauthz.request import Request
from extauthz.rules.cors import ASKED_HEADERS, ASKED_METHOD
from extauthz.rules.csrf import CSRF_HEADER

# For the sessions seen last; what is remembered of all of them, the cache of outcomes bounds.
MAX_ANSWERS = 4096
MAX_BYTES = 32 * 1024 * 1024
COPIES = 4  # of what an answer sets: in the decision, in the bytes of a door, and some of each apart

READ = frozenset({"authorization", "origin", "sec-fetch-site", CSRF_HEADER})
READ_OF_OPTIONS = READ | {ASKED_METHOD, ASKED_HEADERS}
NO_RULE = frozenset({"app"})  # all that a route may say without its path being looked at


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered, and from what: it holds for as long as `key` is remembered as `token`."""

    decision: Allow
    key: bytes = field(repr=False)
    token: UpstreamToken


class Lately:
    """Answers by question. `clock`: seconds of any origin."""

    def __init__(self, policies: Sequence[Policy], clock: Callable[[], float]) -> None:
        pairs = {policy.double_submit.header for policy in policies if policy.double_submit is not None}
        self._names, self._names_of_options = tuple(READ | pairs), tuple(READ_OF_OPTIONS | pairs)
        self._paths_differ = any(policy.routes for policy in policies)
        self._identities = tuple(policy.identity for policy in policies if policy.identity.claims)
        self._answers: Cache[Answer] = Cache(max_entries=MAX_ANSWERS, max_bytes=MAX_BYTES, clock=clock)
        self.get = self._answers.get

    def question(self, request: Request) -> Hashable:
        """All that counts of a request."""
        headers, cookies = request.headers, request.cookies
        path_counts = self._paths_differ or bool(request.context and not request.context.keys() <= NO_RULE)
        names = self._names_of_options if request.method == "OPTIONS" else self._names
        counts = (
            request.method,
            request.path.partition("?")[:2] if path_counts else bool(request.path),
            request.host,
            cookies.lines,
            cookies.comma_joined,
            frozenset(request.context.items()) if request.context else None,
            *map(headers.get, names),
        )
        if not self._identities:
            return counts
        return (*counts, *(identity.other_spellings(headers) for identity in self._identities))

    def keep(self, question: Hashable, answer: Answer, seconds: float) -> None:
        """Give `answer` again for at most `seconds`."""
        set_headers = sum(len(value) for _, value in answer.decision.set_headers)
        self._answers.put(question, answer, ttl=seconds, payload_bytes=COPIES * set_headers + _weight(question))


def _weight(part: object) -> int:
    """The characters in it: most of what a question says, a client chose."""
    if isinstance(part, str):
        return len(part)
    return sum(map(_weight, part)) if isinstance(part, tuple | frozenset) else 0
