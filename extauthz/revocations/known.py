"""The sessions this process knows to be ended: a bounded list in memory, asked on every request.

Knows nothing of where it comes from; revocations.py fills it.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from extauthz.cookies.marks import MARK, KnownBy

# About 300 bytes each. Beyond that the oldest go first, and are back to ending with their tokens.
MAX_REVOCATIONS = 1_000_000


class Revocation(NamedTuple):
    """All sessions with `mark` that began no later than `at` are over. `until`: when none of them can be left.

    Both in milliseconds since the epoch.
    """

    mark: str
    at: int
    until: int

    def members(self) -> dict[str, str | int]:
        """As it is written."""
        return {"m": self.mark, "at": self.at, "until": self.until}

    @classmethod
    def read(cls, members: Mapping[Any, Any]) -> "Revocation | None":
        """What was written, None when it is something else."""
        mark, times = members.get("m"), (members.get("at"), members.get("until"))
        if not isinstance(mark, str) or not MARK.fullmatch(mark) or any(type(time) is not int for time in times):
            return None
        return cls(mark, *times)  # type: ignore[arg-type]  # two whole numbers


class Known:
    """`clock`: seconds since the epoch; `changed` is called with how many there are. Not for use across threads."""

    def __init__(self, clock: Callable[[], float], max_entries: int = MAX_REVOCATIONS) -> None:
        # In the order in which they came, which is about that in which they go: all last equally long.
        self._by_mark: dict[str, Revocation] = {}
        self._clock, self._max_entries = clock, max_entries
        self.changed: Callable[[int], None] = lambda _: None

    def __len__(self) -> int:
        return len(self._by_mark)

    def __iter__(self) -> Iterator[Revocation]:
        return iter(list(self._by_mark.values()))

    def has_ended(self, session: KnownBy) -> bool:
        """Whether the session is over. This is on the way of every request: no clock, no search."""
        by_mark = self._by_mark
        if not by_mark:
            return False
        for mark in session.marks:
            revocation = by_mark.get(mark)
            if revocation is not None and session.since <= revocation.at:
                return True
        return False

    def add(self, revocation: Revocation) -> None:
        """Know one more. Of several for one mark the latest counts."""
        before = self._by_mark.pop(revocation.mark, revocation)
        self._by_mark[revocation.mark] = max(before, revocation)
        self._forget()
        self.changed(len(self._by_mark))

    def holds(self, revocation: Revocation) -> bool:
        """Whether this would tell nothing new."""
        known = self._by_mark.get(revocation.mark)
        return known is not None and known.at >= revocation.at

    def _forget(self) -> None:
        now = self._clock() * 1000
        while self._by_mark:
            oldest = next(iter(self._by_mark.values()))
            if oldest.until > now and len(self._by_mark) <= self._max_entries:
                break
            del self._by_mark[oldest.mark]
