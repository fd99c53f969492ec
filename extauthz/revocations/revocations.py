"""Ending sessions everywhere: what this process knows of it, whom it tells, and from whom it hears.

A source (a file, or redis) carries a revocation from the process that learnt of it to all the others. Without one,
it is known here alone. A source that is away never stops anybody: what is known goes on to count.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from extauthz.cookies.marks import KnownBy
from extauthz.revocations.known import Known, Revocation

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 5.0
CANCEL_SECONDS = 0.1
START_SECONDS = 5.0  # a source that is slow does not keep a program from starting for longer


class RevocationsUnavailable(Exception):
    """The source cannot be read or written; the message says why, and holds nothing secret."""


class Source(Protocol):
    """How revocations get from one process to another. Whatever is lost raises RevocationsUnavailable."""

    async def tell(self, revocation: Revocation) -> None:
        """Have all others know of it, those that start later included."""

    async def read(self, known: Known) -> None:
        """Add all there is to `known`."""

    async def follow(self, known: Known, caught_up: Callable[[], None]) -> None:
        """Add all there is to `known`, call `caught_up`, and then add what comes; a return is no fault, but a pause."""

    async def close(self) -> None:
        """Let go of connections."""


class Watch(Protocol):
    """Who is to know how it stands with the source."""

    def lost(self, error: Exception) -> None:
        """It cannot be followed, or not any more; told each time it is tried."""

    def heard(self) -> None:
        """All it has is known from now on."""

    def untold(self, error: Exception) -> None:
        """A session that has ended here has ended nowhere else yet."""


class Revocations:
    """`keep_seconds`: the longest a session may last; `clock`: seconds since the epoch."""

    def __init__(self, source: Source | None, *, keep_seconds: int, clock: Callable[[], float], watch: Watch) -> None:
        self.known = Known(clock)
        self._watch = watch
        self._source, self._keep_seconds, self._clock = source, keep_seconds, clock
        self._following: asyncio.Task[None] | None = None

    def has_ended(self, session: KnownBy) -> bool:
        """Whether the session is over."""
        return self.known.has_ended(session)

    async def end(self, mark: str) -> None:
        """End all sessions with this mark that have begun by now. Raises RevocationsUnavailable.

        Even then they are over here, and everywhere once the source is back.
        """
        now = int(self._clock() * 1000)
        revocation = Revocation(mark, now, now + self._keep_seconds * 1000)
        self.known.add(revocation)
        if self._source is None:
            return
        try:
            await self._source.tell(revocation)
        except RevocationsUnavailable as error:
            self._watch.untold(error)
            raise

    async def read(self) -> None:
        """Know what the source has now. Raises RevocationsUnavailable."""
        if self._source is not None:
            await self._source.read(self.known)

    async def start(self) -> None:
        """Know what the source has, from now on. Comes back once that is so, or cannot be so for now."""
        if self._source is None:
            return
        tried = asyncio.Event()
        self._following = asyncio.create_task(self._follow(self._source, tried))
        with suppress(TimeoutError):
            await asyncio.wait_for(tried.wait(), START_SECONDS)

    async def stop(self) -> None:
        """Hear no more, and let go of what the source holds."""
        while self._following is not None and not self._following.done():
            self._following.cancel()  # more than once: just when an answer arrives, redis's client swallows one
            await asyncio.wait([self._following], timeout=CANCEL_SECONDS)
        if self._source is not None:
            await self._source.close()

    async def _follow(self, source: Source, tried: asyncio.Event) -> None:
        pause = FIRST_PAUSE_SECONDS

        def caught_up() -> None:
            nonlocal pause
            pause = FIRST_PAUSE_SECONDS
            self._watch.heard()
            tried.set()

        while True:
            try:
                await source.follow(self.known, caught_up)
            except Exception as error:  # whatever we have overlooked must not end this in silence
                self._watch.lost(error)
            tried.set()
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
