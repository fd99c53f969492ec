"""Counters for operators, in Prometheus' format.

Every label has a small, fixed set of values; no client chooses one.
"""

import os
from functools import cache
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, values
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.values import MultiProcessValue

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# From a cached decision, tens of microseconds, to the longest Envoy waits.
BUCKETS = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 2.0, 5.0)

# What several processes count is in files: their names, and what each is given at once; some 800 series fit in.
FILES = ("counter", "histogram", "gauge_livemax", "gauge_livemin")
FILE_BYTES = 256 * 1024


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
        self._revocations = Gauge(
            "token_handler_revocations",
            "Sessions and users known to be logged out before their time",
            registry=self._registry,
            multiprocess_mode="livemax",  # all workers hear the same; one may be behind
        )
        self._heard = Gauge(
            "token_handler_revocations_up",
            "1 while revocations are heard of, 0 while their source is away, or there is none",
            registry=self._registry,
            multiprocess_mode="livemin",
        )
        self._lost = Counter(
            "token_handler_revocations_failures",
            "How often their source could not be read, or was lost",
            registry=self._registry,
        )

    def revocations(self, known: int) -> None:
        """So many are known now."""
        self._revocations.set(known)

    def lost(self) -> None:
        """Revocations cannot be heard of."""
        self._heard.set(0)
        self._lost.inc()

    def heard(self) -> None:
        """Revocations are heard of."""
        self._heard.set(1)

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


class Together:
    """The counters of several processes, summed; each counts in a file of its own in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def count(self, number: int) -> None:
        """From now on, what this process counts goes there. No two processes that live have the same `number`.

        One that follows a dead one counts on from where that stopped: no counter goes back, and no file is left over.
        Raises OSError where there is no room for that; then it may count for itself alone.
        """
        for name in FILES:
            _make_room(self._folder / f"{name}_{number}.db")
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(self._folder)
        values.ValueClass = MultiProcessValue(lambda: number)  # type: ignore[no-untyped-call]

    def forget(self, number: int) -> None:
        """The process of that number is no more: what it counted stays, what it last knew does not."""
        mark_process_dead(number, str(self._folder))  # type: ignore[no-untyped-call]

    def text(self) -> bytes:
        """All of it, to be scraped."""
        registry = CollectorRegistry()
        MultiProcessCollector(registry, str(self._folder))  # type: ignore[no-untyped-call]
        return generate_latest(registry)


def _make_room(path: Path) -> None:
    """Have the whole file on the disk. To write to a part for which there is no room any more would be SIGBUS."""
    if not path.exists():
        fresh = path.with_suffix(".new")
        fresh.write_bytes(bytes(FILE_BYTES))
        fresh.rename(path)
