"""Restarts nobody notices: two proxies behind one Envoy, each in turn restarted under load."""

import asyncio
from collections.abc import Iterator

import pytest
from worlds.load import load

from demo.browser import CUSTOM_HEADER, Browser
from demo.settings import APP, Settings
from demo.world import LocalWorld, free_places

AT = f"__Host-Http-{APP}-at"


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
    async with load(f"{pair.origin}/api/orders", headers) as statuses:
        for proxy in ("extauthz", "extauthz-2"):
            await asyncio.to_thread(pair.stop, proxy)
            await asyncio.to_thread(pair.start, proxy)
    assert set(statuses) == {200}, statuses
    assert statuses[200] > 100  # the restarts took place under load
