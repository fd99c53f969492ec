"""Group G: logs and metrics."""

import json
import logging

import httpx2
import pytest
from proxy_world.asking import ask
from proxy_world.fortress import JWT, Fortress, good, sealed, with_cookies

from extauthz.reason import Reason

pytestmark = pytest.mark.anyio

CANARY = "canary-4c1d"


async def test_g66_no_secret_at_any_level(caplog: pytest.LogCaptureFixture) -> None:
    """Cookies, tokens, JWTs and queries through every door, in success and in trouble: none is in log or metrics."""
    caplog.set_level(logging.DEBUG)
    fortress, value = Fortress(), sealed(at=CANARY)
    session = with_cookies(f"__Host-Http-shop-at={value}; other={CANARY}")
    await fortress.passed(session)
    for trouble in (
        httpx2.ConnectError(CANARY),
        ZeroDivisionError(CANARY),
        httpx2.Response(500, content=CANARY.encode()),
    ):
        fortress.server.clock.now += 61
        fortress.server.answers["/introspect"] = trouble
        await fortress.refused(session)
    await fortress.refused(good(authorization=f"Bearer {CANARY}"))
    await fortress.refused(ask(path=f"/orders?token={CANARY}", cookies=(f"__Host-Http-shop-at={CANARY}",)))
    written = fortress.log.getvalue() + caplog.text + fortress.metrics.text().decode()
    assert len(fortress.log.getvalue().splitlines()) > 30
    assert [secret for secret in (CANARY, value, JWT, JWT.split(".")[2]) if secret in written] == []


async def test_g67_labels_are_few() -> None:
    """Hosts, paths, methods, origins and request ids of a client's choice make no new label."""
    fortress = Fortress()
    for number in range(300):
        await fortress.desk.decide(
            ask(host=f"{number}.example", path=f"/{number}", method=f"M{number}", x_request_id=str(number)),
            "grpc",
            None,
        )
        await fortress.desk.decide(ask(cookies=(), path=f"/{number}", origin=f"https://{number}.example"), "grpc", None)
    counted = [line for line in fortress.metrics.text().decode().splitlines() if "decisions_total{" in line]
    assert len(counted) == 2


@pytest.mark.parametrize(
    "text", ['a"b', "a\nb", "a\r\nb", "a\x1b[2Jb", "a\u2028b", "a" * 5000, '{"x":1}', "\udcff", "%0a"]
)
async def test_g68_a_log_line_is_one_line(text: str) -> None:
    """Method, host, path and request id of a client's making stay inside their fields."""
    fortress = Fortress()
    request = ask(method=text, host=text, path=f"/{text}", cookies=(), x_request_id=text)
    decision = await fortress.desk.decide(request, "core", None)
    assert decision.app is None or decision.app == "shop"
    lines = fortress.log.getvalue().split("\n")
    assert len(lines) == 2
    assert json.loads(lines[0])["decision"] in list(Reason)
    assert lines[0].isascii()
    assert len(lines[0]) < 2000
