"""By what a session is known when it is to be ended: short digests, so that neither cookie nor list tells a name.

The session's own random id, what the authorization server calls its session (`sid`), and the user (`sub`).
"""

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

# 96 bits: nobody finds a second name for a mark, and three of them fit into a cookie.
MARK_BYTES = 12
MARK = re.compile(r"[A-Za-z0-9_-]{16}", re.ASCII)
MAX_MARKS = 4  # more than we write


class Kind(StrEnum):
    """What a mark is made of."""

    SESSION = "session"
    SID = "sid"
    SUB = "sub"


@dataclass(frozen=True, slots=True)
class KnownBy:
    """The marks of one session, and since when it has been, 0 when that is not known.

    In milliseconds since the epoch: who is logged out is back within a second where no password is asked for.
    """

    marks: tuple[str, ...]
    since: int = 0


def mark(app: str, kind: Kind, value: str) -> str:
    """The mark of all sessions of `app` that `value` is said of. NUL occurs neither in an app's name nor in a kind."""
    named = "\0".join((app, kind, value)).encode("utf-8", "surrogatepass")
    return base64.urlsafe_b64encode(hashlib.sha256(named).digest()[:MARK_BYTES]).decode()


def known_by(app: str, session_id: str, marks: Sequence[str], began: int) -> KnownBy:
    """By what a session can be ended. Its own mark is made of its id, and so stands in no cookie twice."""
    return KnownBy((mark(app, Kind.SESSION, session_id), *marks), began)


def are_marks(values: object) -> bool:
    """Whether these are marks, and not too many."""
    return (
        isinstance(values, list)
        and len(values) <= MAX_MARKS
        and all(isinstance(value, str) and MARK.fullmatch(value) for value in values)
    )
