"""Counters for operators, in Prometheus' format.

Every label has a small, fixed set of values; no client chooses one.
"""

import os
from bisect import bisect_left
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, values
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.values import MultiProcessValue

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# From a cached decision, tens of microseconds, to the longest Envoy waits.
BUCKETS = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 2.0, 5.0)

# What several processes count is in files: their names, and what each is given at once; some 800 series fit in.
FILES = ("counter", "histogram", "gauge_livemax", "gauge_livemin")
FILE_BYTES = 256 * 1024


class Counted(NamedTuple):
    """What a decision is counted as. `decision`: how it passed, or why it was refused; `waived`: what did not count."""

    app: str
    door: str
    decision: str
    waived: str


class SeveralAtOnce(Histogram):
    """A histogram that can be told of many observations at once.

    The library takes one at a time; this reaches into what is its own, and a test compares the two line by line.
    """

    def observed(self, taken: "Taken") -> None:
        """So many more."""
        for bucket, count in zip(self._buckets, taken.counts, strict=True):
            if count:
                bucket.inc(count)
        self._sum.inc(taken.seconds)


class Taken:
    """Times: how many in each of the BUCKETS and beyond, and their sum."""

    def __init__(self) -> None:
        self.counts, self.seconds = [0] * (len(BUCKETS) + 1), 0.0


class Metrics:
    """What the proxy counts.

    Decisions are counted in numbers of our own, which takes a third of the time, and handed to the library together:
    before they are scraped, and by `soon`, asked once for many, where it is another process that is scraped.
    """

    def __init__(self, soon: Callable[[Callable[[], None]], object] | None = None) -> None:
        self._decided: dict[Counted, int] = {}
        self._taken = {True: Taken(), False: Taken()}
        self._soon, self._due = soon, False
        self._registry = CollectorRegistry()
        self._decisions = Counter(
            "token_handler_decisions",
            "Requests decided; decision is a word of the log: how it passed, or why it was refused",
            Counted._fields,
            registry=self._registry,
        )
        self._seconds = SeveralAtOnce(
            "token_handler_decision_seconds",
            "What it took to decide; cached: no token had to be asked for",
            ["cached"],
            buckets=BUCKETS,
            registry=self._registry,
        )
        self._dropped = Counter(
            "token_handler_log_lines_dropped",
            "Log lines for which there was no room, since whoever reads the log has fallen behind",
            registry=self._registry,
        )
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

    def decided(self, counted: Counted, seconds: float, *, cached: bool) -> None:
        """Count one request."""
        self._decided[counted] = self._decided.get(counted, 0) + 1
        taken = self._taken[cached]
        taken.counts[bisect_left(BUCKETS, seconds)] += 1
        taken.seconds += seconds
        if self._soon is not None and not self._due:
            self._due = True
            self._soon(self.hand_over)

    def hand_over(self) -> None:
        """Have all that was decided seen by whoever scrapes."""
        all_decided, all_taken = self._decided, self._taken
        # First, so that a fault of the library's neither counts anything twice nor ends the handing over.
        self._decided, self._taken, self._due = {}, {True: Taken(), False: Taken()}, False
        for counted, count in all_decided.items():
            self._decisions.labels(*counted).inc(count)
        for cached, taken in all_taken.items():
            self._seconds.labels("yes" if cached else "no").observed(taken)

    def dropped(self) -> None:
        """Count one log line that was not written."""
        self._dropped.inc()

    def text(self) -> bytes:
        """All of it, to be scraped."""
        self.hand_over()
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
