"""One refresh per refresh token, however many tabs ask.

A rotating refresh token used twice looks stolen, and the authorization server ends the whole session (RFC 9700 section
4.14). So tabs that refresh together share one request, and one that comes a moment later, still with the old cookie,
gets the same answer again.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from agent.tokens import Tokens

# Long enough for a slow tab; within it a stolen, spent refresh token cookie would still be answered.
MEMO_SECONDS = 10.0


Refresh = Callable[[], Awaitable[Tokens]]


class Across(Protocol):
    """How replicas share what one of them does."""

    async def share(self, key: bytes, refresh: Refresh) -> Tokens:
        """As `Refreshes.share`, among replicas; `key` stands for the refresh token."""


@dataclass(frozen=True, slots=True)
class Flight:
    """A refresh under way or lately done. `until`: when it is forgotten, on the clock of its Refreshes."""

    tokens: asyncio.Future[Tokens] = field(repr=False)
    until: float


class Refreshes:
    """The refreshes of one app, in this process and, by `across`, in others. `clock`: seconds, any origin."""

    def __init__(self, clock: Callable[[], float], across: Across | None = None) -> None:
        self._flights: dict[bytes, Flight] = {}
        self._clock, self._across = clock, across

    async def share(self, refresh_token: str, refresh: Refresh) -> Tokens:
        """What `refresh` gives, run once for all who bring `refresh_token`. Failures are shared, not remembered."""
        self._forget()
        key = hashlib.sha256(refresh_token.encode()).digest()
        flight = self._flights.get(key)
        if flight is None:
            flight = Flight(asyncio.ensure_future(self._run(key, refresh)), self._clock() + MEMO_SECONDS)
            self._flights[key] = flight
            flight.tokens.add_done_callback(lambda done: self._land(key, done))
        # Shielded: a tab that is closed meanwhile does not take the new tokens from the others.
        return await asyncio.shield(flight.tokens)

    async def _run(self, key: bytes, refresh: Refresh) -> Tokens:
        return await (refresh() if self._across is None else self._across.share(key, refresh))

    def _land(self, key: bytes, done: asyncio.Future[Tokens]) -> None:
        if done.cancelled() or done.exception() is not None:
            self._flights.pop(key, None)

    def _forget(self) -> None:
        now = self._clock()
        for key in [key for key, flight in self._flights.items() if flight.until <= now and flight.tokens.done()]:
            del self._flights[key]
