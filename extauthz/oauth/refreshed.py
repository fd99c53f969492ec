"""A document of the authorization server, fetched when needed, shared, and kept while the server is down."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from extauthz.oauth.errors import AuthorizationServerError

V = TypeVar("V")

# A dead server is asked once a second, not once a request.
RETRY_SECONDS = 1.0
# How long a request waits for a newer document when an older one is at hand; Envoy waits 2 s for us.
PATIENCE_SECONDS = 0.25


class Refreshed(Generic[V]):
    """One fetch at a time for all who wait. `clock`: seconds, any origin."""

    def __init__(self, fetch: Callable[[], Awaitable[V]], clock: Callable[[], float]) -> None:
        self._fetch, self._clock = fetch, clock
        self._flight: asyncio.Task[None] | None = None
        self._value: V | None = None
        self._fetched_at = float("-inf")
        self._failed_at = float("-inf")
        self._failure: AuthorizationServerError | None = None

    async def get(self, max_age: float, *, or_older: bool = True) -> V:
        """The document, fetched again when it is older than `max_age` seconds.

        While the server is down, or does not answer in a moment, an older document serves, if `or_older`. Raises
        AuthorizationServerError otherwise.
        """
        value = self._young(max_age)
        if value is not None:
            return value
        if self._resting():
            return self._older(or_older)
        flight = self._flight or self._start()
        if or_older and self._value is not None:
            await asyncio.wait([flight], timeout=PATIENCE_SECONDS)
            return self._value
        await asyncio.shield(flight)
        return self._older(or_older)

    def _young(self, max_age: float) -> V | None:
        return self._value if self._clock() < self._fetched_at + max_age else None

    def _resting(self) -> bool:
        """Whether the last fetch failed so lately that another would be too soon."""
        return self._failure is not None and self._clock() < self._failed_at + RETRY_SECONDS

    def _older(self, or_older: bool) -> V:
        if self._value is not None and (or_older or self._failure is None):
            return self._value
        if self._failure is None:
            raise AssertionError("neither a document nor a failure")
        # A new one each time: raised again and again, one exception would gather every caller's frames.
        raise AuthorizationServerError(self._failure.trouble, str(self._failure))

    def _start(self) -> "asyncio.Task[None]":
        self._flight = asyncio.ensure_future(self._refetch())
        self._flight.add_done_callback(self._land)
        return self._flight

    def _land(self, flight: "asyncio.Task[None]") -> None:
        self._flight = None
        if not flight.cancelled():
            flight.exception()  # seen; whoever waits gets it as well

    async def _refetch(self) -> None:
        try:
            self._value, self._failure = await self._fetch(), None
            self._fetched_at = self._clock()
        except AuthorizationServerError as error:
            self._failed_at, self._failure = self._clock(), error
