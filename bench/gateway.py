"""What asking the proxy adds to a request through a real Envoy, over TCP and over a unix socket."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory

import httpx2

from bench.figures import Figures
from bench.load import Load, drive
from bench.processes import POLL_SECONDS, START_SECONDS
from bench.questions import BROWSER, NEIGHBOURS
from bench.world import ASKED, ROUTES, World

CALLS = 1000  # one after the other, for the time each takes
BUSY_STREAMS = 4  # few enough that no call waits for as long as Envoy does
DROPPED = ("x-forwarded-for", "x-forwarded-proto", "x-request-id")  # Envoy's own


@dataclass(frozen=True, slots=True)
class Take:
    """One run. Milliseconds on the clock, microseconds of CPU for a call."""

    p50: float
    p99: float
    envoy: float
    proxy: float


def measure(world: World, takes: int) -> dict[str, dict[str, Figures]]:
    """By how Envoy asks: `p50` and `p99` in ms, `envoy` and `proxy` in CPU microseconds of a request."""
    headers = {name: value for name, value in BROWSER.items() if name[0] != ":" and name not in DROPPED}
    headers["cookie"] = f"{NEIGHBOURS}; {world.cookie()}"
    _require_asked(world, headers)
    found: dict[str, list[Take]] = {route: [] for route in ROUTES}
    for number in range(takes + 1):
        for route, taken in found.items():
            url = f"http://127.0.0.1:{world.ports[route]}/api/orders"
            take = _take(world, url, headers, fast=ASKED.get(route) == "fast")
            if number:
                taken.append(take)
    return {
        route: {
            name: Figures(tuple(getattr(take, name) for take in taken)) for name in ("p50", "p99", "envoy", "proxy")
        }
        for route, taken in found.items()
    }


def _take(world: World, url: str, headers: Mapping[str, str], *, fast: bool) -> Take:
    pids = [world.local.pid("envoy"), world.fast if fast else world.local.pid("extauthz")]
    busy = drive(url, headers, pids, streams=BUSY_STREAMS, calls=CALLS // 2)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "times"
        more = (f"--log-file={file}",)
        drive(url, headers, pids, connections=1, streams=1, calls=CALLS, more=more)
        times = [int(line.split("\t")[2]) / 1000 for line in file.read_text().splitlines()]
    cuts = quantiles(times, n=100)
    return Take(p50=cuts[49], p99=cuts[98], envoy=_micros(busy, 0), proxy=_micros(busy, 1))


def _micros(load: Load, place: int) -> float:
    return load.cpu[place] / load.calls * 1e6


def _require_asked(world: World, headers: Mapping[str, str]) -> None:
    """Raise AssertionError unless the proxy is asked where it should be, and lets the measured request through."""
    bare = {name: value for name, value in headers.items() if name != "cookie"}
    for route, port in world.ports.items():
        url, deadline = f"http://127.0.0.1:{port}/api/orders", time.monotonic() + START_SECONDS
        while httpx2.get(url, headers=dict(headers)).status_code == 503 and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)  # Envoy has not looked after this proxy's health again yet
        statuses = (httpx2.get(url, headers=dict(headers)).status_code, httpx2.get(url, headers=bare).status_code)
        if statuses != (200, 200 if route == "none" else 401):
            raise AssertionError(f"{route}: {statuses}")
