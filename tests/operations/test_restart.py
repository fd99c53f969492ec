"""Restarts nobody notices: two proxies behind one Envoy, each in turn restarted under load."""

import asyncio
from collections import Counter
from collections.abc import Iterator

import httpx2
import pytest

from demo.browser import CUSTOM_HEADER, Browser
from demo.settings import APP, Settings
from demo.world import LocalWorld, free_places

AT = f"__Host-Http-{APP}-at"
CONNECTIONS = 8
MOST_CALLS = 20_000  # a bound for a machine so fast that the restart takes long in comparison


@pytest.fixture(params=["fast", "grpcio"])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalWorld]:
    """A world with two proxies."""
    places, spare = free_places(), free_places()
    settings = Settings(
        folder=tmp_path_factory.mktemp("pair"),
        places=places,
        second_proxy=spare.extauthz,
        grpc_server=request.param,
    )
    with LocalWorld(settings, control=True) as world:
        yield world


@pytest.mark.anyio
async def test_a_rolling_restart_under_load_loses_no_request(pair: LocalWorld) -> None:
    """While each proxy in turn is stopped and started, every request of eight busy connections is answered 200."""
    with Browser(pair.origin) as browser:
        browser.log_in().raise_for_status()
        headers = {**CUSTOM_HEADER, "cookie": f"{AT}={browser.cookies()[AT]}"}
    done = asyncio.Event()
    statuses: Counter[int] = Counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(load(f"{pair.origin}/api/orders", headers, done, statuses))
        for proxy in ("extauthz", "extauthz-2"):
            await asyncio.to_thread(pair.stop, proxy)
            await asyncio.to_thread(pair.start, proxy)
        done.set()
    assert set(statuses) == {200}, statuses
    assert statuses[200] > 100  # the restarts took place under load


async def load(url: str, headers: dict[str, str], done: asyncio.Event, statuses: Counter[int]) -> None:
    """Call over one connection until the restarts are done."""
    async with httpx2.AsyncClient(timeout=30) as client:
        for _ in range(MOST_CALLS):
            if done.is_set():
                return
            statuses[(await client.get(url, headers=headers)).status_code] += 1
