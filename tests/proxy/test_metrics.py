"""What was decided is counted once each, whoever scrapes, and whenever."""

import asyncio
import io
from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry, Histogram
from proxy_world.asking import ask
from proxy_world.fakes import Proxy, log_to

from extauthz.doors.desk import Desk
from extauthz.metrics import BUCKETS, Counted, Metrics
from extauthz.reason import Reason

SECONDS = "token_handler_decision_seconds"
ALLOWED, REFUSED = Counted("shop", "grpc", "allow", ""), Counted("shop", "grpc", Reason.NO_CREDENTIALS, "")


def seen(metrics: Metrics, counted: Counted) -> float | None:
    """How many of these somebody who scrapes would see, if nothing more was handed over."""
    return metrics._registry.get_sample_value("token_handler_decisions_total", counted._asdict())


def of_seconds(text: bytes) -> list[str]:
    """The lines of the times of cached decisions."""
    return [line for line in text.decode().splitlines() if line.startswith(f"{SECONDS}_") and 'cached="yes"' in line]


def test_each_decision_is_counted_once() -> None:
    """However often it is scraped in between, the counters are of all that was decided, and of nothing twice."""
    metrics = Metrics()
    for times in (1, 2, 3):
        for _ in range(times):
            metrics.decided(ALLOWED, 0.0, cached=True)
            metrics.decided(REFUSED, 0.0, cached=False)
        metrics.text()
        metrics.text()
    assert (seen(metrics, ALLOWED), seen(metrics, REFUSED)) == (6.0, 6.0)
    assert metrics._registry.get_sample_value(f"{SECONDS}_count", {"cached": "no"}) == 6.0


def test_times_are_what_the_library_would_have_made_of_them() -> None:
    """On the bound of a bucket, between two, beyond the last, and summed: line for line as told one by one."""
    registry, metrics = CollectorRegistry(), Metrics()
    one_by_one = Histogram(SECONDS, "told one by one", ["cached"], buckets=BUCKETS, registry=registry)
    times = [0.0, *BUCKETS, *(bound * 1.5 for bound in BUCKETS), 0.3]
    for seconds in times:
        metrics.decided(ALLOWED, seconds, cached=True)
        one_by_one.labels("yes").observe(seconds)
    ours = {line.partition(" ")[0]: float(line.rpartition(" ")[2]) for line in of_seconds(metrics.text())}
    for line, told in ours.items():
        name, _, labels = line.rstrip("}").partition("{")
        if not name.endswith("_created"):
            wanted = dict(pair.replace('"', "").split("=") for pair in labels.split(","))
            assert told == pytest.approx(registry.get_sample_value(name, wanted))
    assert len(ours) >= len(BUCKETS) + 3


def test_one_of_several_hands_over_soon_and_once() -> None:
    """It is asked for once for many, again for those that follow, and a scrape in between doubles nothing."""
    asked: list[Callable[[], None]] = []
    metrics = Metrics(asked.append)
    for _ in range(3):
        metrics.decided(ALLOWED, 0.0, cached=True)
    assert (len(asked), seen(metrics, ALLOWED)) == (1, None)
    asked.pop()()
    assert seen(metrics, ALLOWED) == 3.0
    metrics.decided(ALLOWED, 0.0, cached=True)
    metrics.text()
    metrics.decided(ALLOWED, 0.0, cached=True)
    for hand_over in asked:
        hand_over()
    assert (len(asked), seen(metrics, ALLOWED)) == (2, 5.0)


def test_by_itself_it_asks_nobody_to_be_called() -> None:
    """Whoever is scraped itself needs no timer: all is there when it is asked for."""
    metrics = Metrics()
    metrics.decided(ALLOWED, 0.0, cached=True)
    assert seen(metrics, ALLOWED) is None
    assert b'decision="allow",door="grpc",waived=""} 1.0' in metrics.text()


def test_an_answer_that_no_longer_holds_is_not_counted() -> None:
    """It is decided afresh, and counted as what that comes to."""
    proxy, metrics = Proxy(), Metrics()
    request = ask()
    asyncio.run(proxy.settle(request))
    basis = getattr(proxy.authorizer.decide(request), "basis", None)
    assert basis is not None
    desk = Desk(proxy.authorizer, log_to(io.StringIO()), metrics)
    assert desk.again(basis, ALLOWED)
    metrics.text()
    taken = metrics._registry.get_sample_value(f"{SECONDS}_sum", {"cached": "yes"})
    assert taken is not None
    assert taken > 0
    proxy.end_session()
    assert not desk.again(basis, ALLOWED)
    metrics.text()
    assert seen(metrics, ALLOWED) == 1.0


def test_a_fault_in_handing_over_ends_neither_counting_nor_doubles_it() -> None:
    """What has been handed over is not handed over again, and the next decision asks for the next time."""
    asked: list[Callable[[], None]] = []
    metrics = Metrics(asked.append)
    times = metrics._seconds

    class Full:
        """No room on the disk."""

        def labels(self, *_: str) -> None:
            """None."""
            raise OSError

    metrics.decided(ALLOWED, 0.0, cached=True)
    metrics._seconds = Full()  # type: ignore[assignment]
    with pytest.raises(OSError):  # noqa: PT011
        asked.pop()()
    metrics._seconds = times
    metrics.decided(ALLOWED, 0.0, cached=True)
    assert len(asked) == 1
    asked.pop()()
    assert seen(metrics, ALLOWED) == 2.0
