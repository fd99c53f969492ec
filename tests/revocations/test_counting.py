"""What operators can watch: how many are known, and whether the source is heard of."""

from proxy_world.fakes import Clock

from extauthz.cookies.marks import Kind, mark
from extauthz.metrics import Metrics
from extauthz.revocations.known import Known, Revocation


def test_the_gauges_follow() -> None:
    """The number is that of the moment of asking; the source is down until it is heard of, and losses are counted."""
    metrics, known = Metrics(), Known(Clock())
    known.changed = metrics.revocations
    assert told(metrics) == {"": 0.0, "_up": 0.0, "_failures_total": 0.0}
    known.add(Revocation(mark("shop", Kind.SUB, "ada"), 1, 2**50))
    metrics.heard()
    assert told(metrics) == {"": 1.0, "_up": 1.0, "_failures_total": 0.0}
    metrics.lost()
    metrics.lost()
    assert told(metrics) == {"": 1.0, "_up": 0.0, "_failures_total": 2.0}


def told(metrics: Metrics) -> dict[str, float]:
    """Our metrics by the ends of their names."""
    name = "token_handler_revocations"
    pairs = (line.split(" ") for line in metrics.text().decode().splitlines() if line.startswith(name))
    return {key.removeprefix(name): float(value) for key, value in pairs if not key.endswith("_created")}
