"""Several workers behind a real Envoy, which has what `envoy-config` prints: what becomes of one, no user notices."""

import asyncio
import os
import secrets
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from worlds.load import load
from worlds.tokens import AT
from worlds.waiting import until
from worlds.workers import WorkersWorld, many_workers

from demo.browser import CUSTOM_HEADER, Browser
from demo.settings import APP
from extauthz.cookies.hpke import Sealer
from extauthz.cookies.keys import new_key_pair, read_public_key
from extauthz.cookies.purpose import Purpose

pytestmark = pytest.mark.anyio
Headers = dict[str, str]


@pytest.fixture(params=[False, True], ids=["tcp", "unix"])
def either(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[WorkersWorld]:
    """A world with two workers, which Envoy asks over TCP or unix sockets."""
    with WorkersWorld(many_workers(tmp_path, unix=request.param)) as made:
        yield made


@pytest.fixture
def world(tmp_path: Path) -> Iterator[WorkersWorld]:
    """A world with two workers."""
    with WorkersWorld(many_workers(tmp_path)) as made:
        yield made


async def test_the_death_and_the_replacement_of_workers(either: WorkersWorld) -> None:
    """Both workers serve; a kill costs next to no request, and the replacement of all by SIGHUP none."""
    world, headers, counted = either, session(either), [0.0]
    async with load(orders(world), headers) as statuses:
        await asyncio.to_thread(until, lambda: serving(world) == {0, 1})
        first = world.pids()
        for place in (0, 1, 0):
            await busy(statuses)
            counted.append(await asyncio.to_thread(world.decisions))
            await asyncio.to_thread(world.kill, place)
        await busy(statuses)
    # Of the many that were under way or came before Envoy had noticed; without its retries it is dozens for each kill,
    # with them none or one, and on a machine that has more to do than it can, a few.
    assert statuses.keys() <= {200, 503}, statuses
    assert statuses[503] <= 12, statuses
    second = world.pids()
    assert set(first.values()).isdisjoint(second.values())
    deaths = world.events("died")
    assert [(death["worker"], death["status"]) for death in deaths] == [(place, -signal.SIGKILL) for place in (0, 1, 0)]
    assert [death["again_in"] for death in deaths] == [0, 0, 1]
    # What the dead have counted is not forgotten, but for their last tenth of a second.
    counted.append(world.decisions())
    assert all(before < after for before, after in pairwise(counted)), counted

    async with load(orders(world), headers) as statuses:
        await busy(statuses)
        await asyncio.to_thread(world.reload)
        await busy(statuses)
    assert set(statuses) == {200}, statuses
    assert set(world.pids().values()).isdisjoint(second.values())
    assert len(world.events("reloaded")) == 1


async def test_new_keys_by_sighup(world: WorkersWorld) -> None:
    """After SIGHUP cookies of a new key are opened, by every worker, and those of the old one still are."""
    private, public = new_key_pair("x25519")
    sealer = Sealer(read_public_key(public), Purpose(APP, AT))
    old, new = session(world), {**CUSTOM_HEADER, "cookie": f"{AT}={sealer.seal(b'no token')}"}
    assert reasons(world, new) == {"unknown_cookie_key"}
    (world.own.folder / "new.pem").write_bytes(private)
    change_app(world, lambda app: app["cookie"]["private_key_files"].append("new.pem"))
    await asyncio.to_thread(world.reload)
    assert reasons(world, new) == {"malformed_cookie"}  # opened; what is in it is no access token
    assert reasons(world, old) == {"allow"}


async def test_a_broken_file_is_refused(world: WorkersWorld) -> None:
    """SIGHUP with a bad file is told in the log, and changes nothing: not even for a worker that dies later."""
    headers, before = session(world), world.pids()
    good = world.own.config.read_text()
    change_app(world, lambda app: app.update(issuer="nonsense", canary="s3cr3t"))
    await asyncio.to_thread(world.reload)
    details = [line["detail"].split(":")[0] for line in world.events("reload_refused")]
    assert sorted(details) == ["apps.shop.canary", "apps.shop.issuer"]
    assert "s3cr3t" not in world.logs()
    assert world.pids() == before
    await asyncio.to_thread(world.kill, 1)
    assert reasons(world, headers) == {"allow"}
    world.own.config.write_text(good)
    world.own.change({"drain_seconds": 0.5})
    await asyncio.to_thread(world.reload)
    assert set(world.pids().values()).isdisjoint(before.values())


async def test_what_a_restart_is_needed_for(world: WorkersWorld) -> None:
    """Other listeners cannot come by SIGHUP, nor more workers; the log says what cannot change, and all goes on."""
    before = world.pids()
    world.own.change({"workers": 1, "listen": ["127.0.0.1:0"]})
    await asyncio.to_thread(world.reload)
    needed = [f"extauthz.{key}: can change by a restart only" for key in ("workers", "listen")]
    assert [line["detail"] for line in world.events("reload_refused")] == needed
    assert world.pids() == before
    assert world.get("/readyz").status_code == 200


async def test_all_drain_together(world: WorkersWorld) -> None:
    """On SIGTERM all workers drain at once and answer meanwhile; readiness is gone, and the exit status is 0."""
    headers = session(world)
    world.own.change({"drain_seconds": 4})
    await asyncio.to_thread(world.reload)
    before, stopped = len(world.events("draining")), len(world.events("stopped"))
    async with load(orders(world), headers) as statuses:
        await busy(statuses)
        parent = world.tell_parent(signal.SIGTERM)
        await asyncio.to_thread(until, lambda: len(world.events("draining")) == before + 3)
        assert (world.get("/readyz").status_code, world.get("/readyz").text) == (503, "draining\n")
        await busy(statuses)
        assert len(world.events("stopped")) == stopped
    assert set(statuses) == {200}, statuses
    assert await asyncio.to_thread(parent.wait) == 0
    *workers, last = [line.get("worker") for line in world.events("stopped")[stopped:]]
    assert (set(workers), last) == ({0, 1}, None)


async def test_workers_do_not_outlive_their_parent(world: WorkersWorld) -> None:
    """Killed, the parent leaves nobody behind on its listeners: another can be started in its place."""
    children = world.pids().values()
    parent = world.tell_parent(signal.SIGKILL)
    await asyncio.to_thread(parent.wait)
    await asyncio.to_thread(until, lambda: not any(map(lives, children)))
    await asyncio.to_thread(world.start, "extauthz")
    assert world.get("/readyz").status_code == 200


def orders(world: WorkersWorld) -> str:
    """A URL of the API."""
    return f"{world.origin}/api/orders"


def session(world: WorkersWorld) -> Headers:
    """The headers of a user who has just logged in."""
    with Browser(world.origin) as browser:
        browser.log_in().raise_for_status()
        return {**CUSTOM_HEADER, "cookie": f"{AT}={browser.cookies()[AT]}"}


def reasons(world: WorkersWorld, headers: Headers) -> set[str]:
    """How workers have decided on some requests, at least one for each of them."""
    path = f"/api/{secrets.token_hex(8)}"  # a line of the log may come after the answer

    def decisions() -> list[dict[str, Any]]:
        return [line for line in world.events("decision") if line["path"] == path]

    def asked() -> set[int]:
        httpx2.get(f"{world.origin}{path}", headers=headers)
        return {line["worker"] for line in decisions()}

    until(lambda: asked() == {0, 1})
    return {str(line["decision"]) for line in decisions()}


async def busy(statuses: Counter[int]) -> None:
    """Until a hundred more requests have been answered."""
    enough = statuses.total() + 100
    await asyncio.to_thread(until, lambda: statuses.total() >= enough)


def serving(world: WorkersWorld) -> set[int]:
    """The workers that have decided something."""
    return {line["worker"] for line in world.events("decision")}


def change_app(world: WorkersWorld, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the settings of the app in the file."""
    config = yaml.safe_load(world.own.config.read_text())
    change(config["apps"][APP])
    world.own.config.write_text(yaml.safe_dump(config))


def lives(pid: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
