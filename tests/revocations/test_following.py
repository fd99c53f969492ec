"""Following a source: what it has is known, an outage stops nobody and is told once, and it is tried again."""

import asyncio
import io
import json
from collections.abc import Callable

import pytest
from proxy_world.fakes import NOW, Clock, log_to
from worlds.becoming import becomes

from extauthz.cookies.marks import Kind, KnownBy, mark
from extauthz.revocations import revocations as module
from extauthz.revocations.known import Known, Revocation
from extauthz.revocations.revocations import Revocations, RevocationsUnavailable
from extauthz.revocations.watch import LogWatch, NoWatch

pytestmark = pytest.mark.anyio

ADA = mark("shop", Kind.SUB, "ada")
AT = int(NOW * 1000)
SESSION = KnownBy((ADA,), AT)


class FakeSource:
    """Has what `there` holds; follows until `lost` is set. `away` is raised by whatever is asked of it."""

    def __init__(self) -> None:
        self.there: list[Revocation] = []
        self.away: Exception | None = None
        self.lost = asyncio.Event()
        self.followed = 0
        self.closed = False

    async def tell(self, revocation: Revocation) -> None:
        """Keep it."""
        if self.away is not None:
            raise self.away
        self.there.append(revocation)

    async def read(self, known: Known) -> None:
        """Give all."""
        if self.away is not None:
            raise self.away
        for revocation in self.there:
            known.add(revocation)

    async def follow(self, known: Known, caught_up: Callable[[], None]) -> None:
        """Give all, and then be lost when told."""
        self.followed += 1
        await self.read(known)
        caught_up()
        await self.lost.wait()
        self.lost.clear()
        raise RevocationsUnavailable("connection lost")

    async def close(self) -> None:
        """Note it."""
        self.closed = True


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses are no longer than they must be."""
    monkeypatch.setattr(module, "FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(module, "LONGEST_PAUSE_SECONDS", 0.002)


async def test_at_the_start_all_is_known() -> None:
    """A program that has started knows what ended before it was there."""
    source = FakeSource()
    source.there.append(Revocation(ADA, AT, AT + 100_000))
    revocations = Revocations(source, keep_seconds=100, clock=Clock(), watch=NoWatch())
    await revocations.start()
    assert revocations.has_ended(SESSION)
    await revocations.stop()
    assert source.closed


async def test_a_source_that_is_away_does_not_keep_a_program_from_starting() -> None:
    """It starts, says once what is wrong, goes on trying, and says when it is well."""
    source, log = FakeSource(), io.StringIO()
    source.away = RevocationsUnavailable("redis: no route")
    source.there.append(Revocation(ADA, AT, AT + 100_000))
    told = {"lost": 0, "heard": 0}
    watch = LogWatch(
        log_to(log),
        lambda: told.__setitem__("lost", told["lost"] + 1),
        lambda: told.__setitem__("heard", told["heard"] + 1),
    )
    revocations = Revocations(source, keep_seconds=100, clock=Clock(), watch=watch)
    await revocations.start()
    assert not revocations.has_ended(SESSION)
    await becomes(lambda: source.followed > 3)
    source.away = None
    await becomes(lambda: revocations.has_ended(SESSION))
    await becomes(lambda: told["heard"] == 1)
    await revocations.stop()
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [(line["event"], line.get("detail")) for line in lines] == [
        ("trouble", "redis: no route"),
        ("revocations", "heard of again"),
    ]
    assert told["lost"] >= 3


async def test_what_is_known_counts_while_the_source_is_away() -> None:
    """Losing the source brings no session back."""
    source = FakeSource()
    source.there.append(Revocation(ADA, AT, AT + 100_000))
    revocations = Revocations(source, keep_seconds=100, clock=Clock(), watch=NoWatch())
    await revocations.start()
    source.there.clear()
    source.lost.set()
    await becomes(lambda: source.followed == 2)
    assert revocations.has_ended(SESSION)
    await revocations.stop()


async def test_what_nobody_foresaw_does_not_end_it() -> None:
    """A fault in a source is reported, and it is followed again."""
    source, log = FakeSource(), io.StringIO()
    source.away = ZeroDivisionError("secret")
    revocations = Revocations(source, keep_seconds=100, clock=Clock(), watch=LogWatch(log_to(log)))
    await revocations.start()
    source.away = None
    await becomes(lambda: source.followed > 1)
    await revocations.stop()
    assert "ZeroDivisionError" in log.getvalue()
    assert "secret" not in log.getvalue()


async def test_ending_tells_the_source() -> None:
    """A session ended here is told with the time, and with how long that is to be remembered."""
    source = FakeSource()
    revocations = Revocations(source, keep_seconds=100, clock=Clock(NOW), watch=NoWatch())
    await revocations.end(ADA)
    assert source.there == [Revocation(ADA, AT, AT + 100_000)]


async def test_an_end_that_cannot_be_told_counts_here() -> None:
    """It is raised and logged each time, for the session has ended in this process alone."""
    source, log = FakeSource(), io.StringIO()
    source.away = RevocationsUnavailable("disk full")
    revocations = Revocations(source, keep_seconds=100, clock=Clock(), watch=LogWatch(log_to(log)))
    for _ in range(2):
        with pytest.raises(RevocationsUnavailable):
            await revocations.end(ADA)
    assert revocations.has_ended(SESSION)
    assert log.getvalue().count("disk full") == 2


async def test_without_a_source_it_is_known_here() -> None:
    """One process that shares with nobody remembers by itself."""
    revocations = Revocations(None, keep_seconds=100, clock=Clock(), watch=NoWatch())
    await revocations.start()
    await revocations.end(ADA)
    await revocations.read()
    assert revocations.has_ended(SESSION)
    await revocations.stop()
