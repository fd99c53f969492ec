"""Who is signed in at the provider: the browser's session, single sign-on's memory."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from demo.idp.config import Clock
from demo.idp.people import Person


@dataclass(frozen=True, slots=True)
class Session:
    """One sign-in; the cookie is a secret, the sid is its public name in tokens."""

    cookie: str = field(repr=False)
    sid: str
    person: Person
    auth_time: int
    acr: str | None  # how the person was asked to prove who they are


class Sessions:
    """The open sessions, by cookie."""

    def __init__(self, clock: Clock, note: Callable[[str], str]) -> None:
        self._clock = clock
        self._note = note
        self._sessions: dict[str, Session] = {}

    def open(self, person: Person, acr: str | None = None) -> Session:
        """Sign a person in. `acr`: the class of authentication; here a click is as good as a second factor."""
        cookie = self._note(secrets.token_urlsafe(32))
        self._sessions[cookie] = Session(cookie, secrets.token_urlsafe(16), person, int(self._clock()), acr)
        return self._sessions[cookie]

    def find(self, cookie: str | None) -> Session | None:
        """Return the session of a cookie."""
        return self._sessions.get(cookie or "")

    def close(self, sid: str) -> None:
        """Sign out."""
        self._sessions = {cookie: one for cookie, one in self._sessions.items() if one.sid != sid}
