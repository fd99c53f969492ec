"""A circuit breaker: a server that keeps failing is left alone, but for a probe now and then.

While it rests nobody waits for it: those who would are told at once what the last of its failures was.
"""

from collections.abc import Callable

from extauthz.oauth.errors import AuthorizationServerError

FAILURES = 5  # in a row, before it is left alone
REST_SECONDS = 2.0  # between probes


class CircuitBreaker:
    """Closed until so many failures in a row; then half-open for one probe each `rest` seconds, until one succeeds.

    `clock`: seconds, any origin.
    """

    def __init__(self, clock: Callable[[], float], *, failures: int = FAILURES, rest: float = REST_SECONDS) -> None:
        self._clock, self._limit, self._rest = clock, failures, rest
        self._failures = 0
        self._last: AuthorizationServerError | None = None
        self._next_probe = float("-inf")

    def admit(self) -> None:
        """Go ahead, or AuthorizationServerError with what went wrong the last time."""
        if self._last is None or self._failures < self._limit:
            return
        now = self._clock()
        if now < self._next_probe:
            raise AuthorizationServerError(self._last.trouble, f"not asked, after failures in a row; {self._last}")
        # A probe that never ends must not keep the next one away.
        self._next_probe = now + self._rest

    def succeeded(self) -> None:
        """There was an answer, whatever it says: it is alive."""
        self._failures, self._last = 0, None

    def failed(self, error: AuthorizationServerError) -> None:
        """There was no answer."""
        self._failures += 1
        self._last = error
        if self._failures >= self._limit:
            self._next_probe = self._clock() + self._rest
