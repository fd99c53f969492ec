"""Counters for operators, in Prometheus' format.

Every label has a small, fixed set of values; no client chooses one.
"""

from functools import cache

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# From a cached decision, tens of microseconds, to the longest Envoy waits.
BUCKETS = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 2.0, 5.0)


class Metrics:
    """What the proxy counts."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._decisions = Counter(
            "token_handler_decisions",
            "Requests decided; decision is a word of the log: how it passed, or why it was refused",
            ["app", "door", "decision", "waived"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "token_handler_decision_seconds",
            "From receipt to answer; cached: no token had to be asked for",
            ["cached"],
            buckets=BUCKETS,
            registry=self._registry,
        )
        self._dropped = Counter(
            "token_handler_log_lines_dropped",
            "Log lines for which there was no room, since whoever reads the log has fallen behind",
            registry=self._registry,
        )
        # Finding the counter for its labels takes longer than counting.
        self._decisions_of = cache(self._decisions.labels)
        self._seconds_of = {cached: self._seconds.labels("yes" if cached else "no") for cached in (True, False)}

    def decided(self, *, app: str, door: str, decision: str, waived: str, seconds: float, cached: bool) -> None:
        """Count one request."""
        self._decisions_of(app, door, decision, waived).inc()
        self._seconds_of[cached].observe(seconds)

    def dropped(self) -> None:
        """Count one log line that was not written."""
        self._dropped.inc()

    def text(self) -> bytes:
        """All of it, to be scraped."""
        return generate_latest(self._registry)
