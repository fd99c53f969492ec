"""A long load on the proxy behind a real Envoy: `python -m bench.soak --seconds 600`.

People log in, call, and leave; forged calls come between theirs; h2load calls as fast as it gets answers, so that the
connections between Envoy and the proxy are replaced all the while; the identity provider restarts. What counts is an
answer that is wrong: a call let through that should not be, or refused that should not be. A session ends with the
provider that knew it, and a 503 is right while there is none.
"""

import asyncio
import json
import re
import resource
import shutil
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import httpx2

from bench import plot
from demo.browser import CUSTOM_HEADER, Browser
from demo.settings import APP, Settings
from demo.world import LocalWorld, WorldError, free_places

AT = f"__Host-Http-{APP}-at"
CALLS_OF_A_SESSION = 500
PAUSE_SECONDS = 20.0  # from one outage of the provider to the next
RECOVERY_SECONDS = 10.0  # after it the proxy probes a server that was down, and sessions of before may still end
PATH = "/api/orders"
CROWD = ("h2load", "-c8", "-m8", "-n4000")


@dataclass
class Tally:
    """What came back. `wrong`: the first few answers that were not as they must be."""

    answers: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    wrongs: int = 0
    rss: list[int] = field(default_factory=list)
    sessions: int = 0
    outages: list[float] = field(default_factory=list)
    outage_ended: float = 0.0
    provider_up: bool = True

    def troubled(self) -> bool:
        """Whether the provider is down, or was a moment ago."""
        return not self.provider_up or time.monotonic() < self.outage_ended + RECOVERY_SECONDS

    def count(self, kind: str, response: httpx2.Response, good: bool) -> None:
        """One answer."""
        self.answers[f"{kind} {response.status_code}"] += 1
        if not good:
            self.wrongs += 1
            self.wrong = [*self.wrong, f"{kind}: {response.status_code} {response.text[:200]}"][:20]


@dataclass
class Soak:
    """One run in one world, until `end`."""

    world: LocalWorld
    end: float
    tally: Tally = field(default_factory=Tally)

    def over(self) -> bool:
        """Whether time is up."""
        return time.monotonic() > self.end

    async def run(self, people: int) -> None:
        """All of it."""
        async with asyncio.TaskGroup() as group:
            for _ in range(people):
                group.create_task(self._person())
            if shutil.which(CROWD[0]) is not None:
                group.create_task(self._crowd())
            group.create_task(self._outages())
            group.create_task(self._memory())

    async def _person(self) -> None:
        async with httpx2.AsyncClient(base_url=self.world.origin, timeout=30) as client:
            while not self.over():
                session = await asyncio.to_thread(self._log_in)
                if session is None:
                    await asyncio.sleep(0.2)  # the provider is away, and does not say until when
                else:
                    await self._calls(client, session)

    async def _crowd(self) -> None:
        while not self.over():
            begun, session = time.monotonic(), await asyncio.to_thread(self._log_in)
            if session is None:
                await asyncio.sleep(0.2)
                continue
            headers = (
                "-H",
                f"cookie: {AT}={session}",
                *(f"-H{name}: {value}" for name, value in CUSTOM_HEADER.items()),
            )
            run = await asyncio.create_subprocess_exec(
                *CROWD, *headers, self.world.origin + PATH, stdout=asyncio.subprocess.PIPE
            )
            told, _ = await run.communicate()
            self._count_crowd(told.decode(), fair=self.tally.troubled() or begun < self.tally.outage_ended)

    def _count_crowd(self, told: str, *, fair: bool) -> None:
        for number, kind in re.findall(r"(\d+) ([2-5]xx|failed)", told):
            self.tally.answers[f"crowd {kind}"] += int(number)
            if kind != "2xx" and int(number) and not fair:
                self.tally.wrongs += int(number)
                self.tally.wrong = [*self.tally.wrong, f"crowd: {number} {kind}"][:20]

    def _log_in(self) -> str | None:
        with Browser(self.world.origin) as browser, suppress(httpx2.HTTPError, KeyError, ValueError):
            browser.log_in().raise_for_status()
            self.tally.sessions += 1
            return browser.cookies()[AT]
        return None

    async def _calls(self, client: httpx2.AsyncClient, session: str) -> None:
        good, forged = {"cookie": f"{AT}={session}"}, {"cookie": f"{AT}={session[:-6]}AAAAAA"}
        begun = time.monotonic()
        for number in range(CALLS_OF_A_SESSION):
            if self.over():
                return
            if number % 20 == 7:
                await self._ask(client, "no header", good, {}, lambda r: r.status_code == 403)
            elif number % 20 == 13:
                await self._ask(client, "forged", forged, CUSTOM_HEADER, lambda r: r.status_code == 401)
            elif number % 20 == 17:
                await self._ask(client, "no cookie", {}, CUSTOM_HEADER, lambda r: r.status_code == 401)
            elif (await self._ask(client, "good", good, CUSTOM_HEADER, lambda r: self._fair(r, begun))) == 401:
                return  # the session has ended with the provider that knew it

    async def _ask(
        self,
        client: httpx2.AsyncClient,
        kind: str,
        cookie: dict[str, str],
        headers: dict[str, str],
        good: Callable[[httpx2.Response], bool],
    ) -> int:
        response = await client.get(PATH, headers={**headers, **cookie})
        self.tally.count(kind, response, good(response))
        return response.status_code

    def _fair(self, response: httpx2.Response, begun: float) -> bool:
        if response.status_code == 200:
            return bool(response.json()["claims"]["sub"] == "ada")
        if response.status_code == 503:
            return self.tally.troubled()
        return response.status_code == 401 and (self.tally.troubled() or begun < self.tally.outage_ended)

    async def _outages(self) -> None:
        while time.monotonic() + PAUSE_SECONDS < self.end:
            await asyncio.sleep(PAUSE_SECONDS)
            self.tally.provider_up = False
            await asyncio.to_thread(self.world.stop, "idp")
            await asyncio.to_thread(self.world.start, "idp")
            self.tally.provider_up, self.tally.outage_ended = True, time.monotonic()
            self.tally.outages.append(time.monotonic())

    async def _memory(self) -> None:
        pid = self.world.pid("extauthz")
        while not self.over():
            self.tally.rss.append(_resident_kib(pid))
            if self.world.ended() == "extauthz":
                raise WorldError("the proxy ended by itself")
            await asyncio.sleep(1)


def _resident_kib(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize() // 1024


@click.command()
@click.option("--seconds", default=600, show_default=True, help="How long.")
@click.option("--people", default=16, show_default=True, help="Sessions at a time.")
@click.option("--server", type=click.Choice(["fast", "grpcio"]), default="fast", show_default=True)
@click.option("--picture", type=click.Path(path_type=Path), help="Where a plot of the proxy's memory goes, as SVG.")
def main(seconds: int, people: int, server: str, picture: Path | None) -> None:
    """Run, and tell the figures as JSON; the exit status is 1 when an answer was wrong."""
    with TemporaryDirectory() as folder:
        settings = Settings(folder=Path(folder), places=free_places(), grpc_server=server)
        with LocalWorld(settings, control=True) as world:
            started = time.monotonic()
            soak = Soak(world, started + seconds)
            asyncio.run(soak.run(people))
            tally = soak.tally
    if picture is not None:
        mib, marks = [kib / 1024 for kib in tally.rss], [ended - started for ended in tally.outages]
        picture.write_text(plot.line("Memory of the proxy", mib, "MiB", seconds, marks))
    report = {
        "server": server,
        "seconds": seconds,
        "answers": dict(sorted(tally.answers.items())),
        "server_errors": sum(n for kind, n in tally.answers.items() if kind.split()[-1].startswith("5")),
        "sessions": tally.sessions,
        "outages": len(tally.outages),
        "wrong": tally.wrongs,
        "wrong_samples": tally.wrong,
        "rss_kib": {"first": tally.rss[0], "highest": max(tally.rss), "last": tally.rss[-1]},
    }
    click.echo(json.dumps(report, indent=2))
    raise SystemExit(1 if tally.wrongs else 0)


if __name__ == "__main__":
    main()
