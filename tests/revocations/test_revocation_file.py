"""Revocations in a file: several writers and readers, restarts, crashes and compaction, with real files."""
# ruff: noqa: ASYNC240  # files are what is tested here

import asyncio
import json
import os
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from proxy_world.fakes import NOW, Clock
from worlds.becoming import becomes

from extauthz.cookies.marks import Kind, KnownBy, mark
from extauthz.revocations.file import RevocationFile
from extauthz.revocations.known import Known, Revocation
from extauthz.revocations.revocations import RevocationsUnavailable

pytestmark = pytest.mark.anyio

AT = int(NOW * 1000)


def one(name: str, at: int = AT, life: int = 100) -> Revocation:
    """The end of the session called `name`."""
    return Revocation(mark("shop", Kind.SESSION, name), at, at + life * 1000)


def has(known: Known, name: str) -> bool:
    """Whether it is known that the session has ended."""
    return known.has_ended(KnownBy((mark("shop", Kind.SESSION, name),), AT))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the file will be."""
    return tmp_path / "revocations.jsonl"


@asynccontextmanager
async def following(path: Path, clock: Clock) -> AsyncIterator[Known]:
    """What another process knows."""
    known, caught_up = Known(clock), asyncio.Event()
    task = asyncio.create_task(RevocationFile(path, clock).follow(known, caught_up.set))
    await asyncio.wait([task, asyncio.create_task(caught_up.wait())], return_when=asyncio.FIRST_COMPLETED)
    try:
        yield known
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_what_one_process_writes_another_reads(path: Path) -> None:
    """A reader that was there first hears of the file's first line, and of the next."""
    clock = Clock()
    writer = RevocationFile(path, clock)
    async with following(path, clock) as known:
        await writer.tell(one("first"))
        await becomes(lambda: has(known, "first"))
        await writer.tell(one("second"))
        await becomes(lambda: has(known, "second"))


async def test_who_starts_later_knows_all(path: Path) -> None:
    """The file outlives writers and readers, and is read whole at the start."""
    clock = Clock()
    for name in ("first", "second"):
        await RevocationFile(path, clock).tell(one(name))
    known = Known(clock)
    await RevocationFile(path, clock).read(known)
    assert has(known, "first")
    assert has(known, "second")


async def test_a_long_file_holds_nobody_up(path: Path) -> None:
    """While it is read, requests are decided in between."""
    clock = Clock()
    writer = RevocationFile(path, clock)
    await asyncio.gather(*(writer.tell(one(str(number))) for number in range(3000)))
    known, seen = Known(clock), set[int]()
    reading = asyncio.create_task(RevocationFile(path, clock).read(known))
    while not reading.done():
        await asyncio.sleep(0)
        seen.add(len(known))
    assert {0, 500, 1000, 2500, 3000} <= seen


async def test_only_the_owner_reads_it(path: Path) -> None:
    """The file is made with mode 0600, whatever the umask says."""
    before = os.umask(0)
    try:
        await RevocationFile(path, Clock()).tell(one("first"))
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_no_name_stands_in_it(path: Path) -> None:
    """A line holds a digest and two times."""
    await RevocationFile(path, Clock()).tell(Revocation(mark("shop", Kind.SUB, "ada"), AT, AT + 100_000))
    assert json.loads(path.read_text()) == {"m": mark("shop", Kind.SUB, "ada"), "at": AT, "until": AT + 100_000}


async def test_a_line_that_is_being_written(path: Path) -> None:
    """Half a line is waited for, and read once the other half is there."""
    clock = Clock()
    await RevocationFile(path, clock).tell(one("whole"))
    line = path.read_bytes()
    path.write_bytes(line + line[:20])
    async with following(path, clock) as known:
        assert len(known) == 1
        await RevocationFile(path, clock).tell(one("next"))  # of another writer, whose line it must not spoil
        await becomes(lambda: has(known, "next"))


@pytest.mark.parametrize(
    "rubbish", [b"\n", b"[]\n", b"{}\n", b"\xff\xfe\n", b'{"m":\n', b"[" * 100_000 + b"\n", b"9" * 5000 + b"\n"]
)
async def test_rubbish_is_skipped(path: Path, rubbish: bytes) -> None:
    """A line nobody of ours has written hides none of the others."""
    clock = Clock()
    await RevocationFile(path, clock).tell(one("before"))
    with path.open("ab") as file:
        file.write(rubbish)
    await RevocationFile(path, clock).tell(one("behind"))
    known = Known(clock)
    await RevocationFile(path, clock).read(known)
    assert [has(known, name) for name in ("before", "behind")] == [True, True]


async def test_compaction(path: Path) -> None:
    """A file of which most has run out is written anew; readers notice, and nothing that counts is lost."""
    clock = Clock()
    writer = RevocationFile(path, clock, compact_bytes=1000)
    async with following(path, clock) as known:
        for number in range(30):
            await writer.tell(one(f"short {number}", life=10))
        await writer.tell(one("long", life=1000))
        size, inode = path.stat().st_size, path.stat().st_ino
        clock.now += 20
        for number in range(60):
            await writer.tell(one(f"later {number}", at=AT + 20_000, life=1000))
        assert path.stat().st_ino != inode
        assert b"".join(path.read_bytes().splitlines()).count(mark("shop", Kind.SESSION, "short 1").encode()) == 0
        await writer.tell(one("last", at=AT + 20_000, life=1000))
        await becomes(lambda: has(known, "last"))
    fresh = Known(clock)
    await RevocationFile(path, clock).read(fresh)
    assert has(fresh, "long")
    assert len(fresh) == 62
    assert size < path.stat().st_size
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in path.parent.iterdir()] == [path.name]


async def test_compaction_is_not_tried_at_every_line(path: Path) -> None:
    """A big file in which everything counts is left as it is."""
    clock = Clock()
    writer = RevocationFile(path, clock, compact_bytes=100)
    await writer.tell(one("first"))
    inode = path.stat().st_ino
    for number in range(50):
        await writer.tell(one(str(number)))
    assert path.stat().st_ino == inode
    assert len(path.read_bytes().splitlines()) == 51


async def test_a_file_that_cannot_be_replaced(path: Path) -> None:
    """It grows, by a line for each session that has ended, and nobody is told that his was not."""
    clock = Clock()
    writer = RevocationFile(path, clock, compact_bytes=500)
    path.with_name(path.name + ".new").mkdir()  # as where the file alone is mounted into a container
    for number in range(30):
        await writer.tell(one(f"short {number}", life=10))
        clock.now += 20
    assert len(path.read_bytes().splitlines()) == 30


async def test_writers_at_once(path: Path) -> None:
    """Many writers, some of whom compact, lose no line that counts."""
    clock = Clock()
    writers = [RevocationFile(path, clock, compact_bytes=500) for _ in range(4)]
    expired = [one(f"old {number}", at=AT - 1_000_000, life=1) for number in range(100)]
    lasting = [one(f"new {number}") for number in range(100)]
    told = [revocation for pair in zip(expired, lasting, strict=True) for revocation in pair]
    await asyncio.gather(*(writers[number % 4].tell(revocation) for number, revocation in enumerate(told)))
    known = Known(clock)
    await RevocationFile(path, clock).read(known)
    assert {revocation.mark for revocation in known} >= {revocation.mark for revocation in lasting}


async def test_thousands_at_once_are_a_line_each(path: Path) -> None:
    """When an authorization server ends all sessions together, each is written once, and all are there."""
    clock = Clock()
    writer = RevocationFile(path, clock)
    await asyncio.gather(*(writer.tell(one(str(number))) for number in range(3000)))
    assert len(path.read_bytes().splitlines()) == 3000
    known = Known(clock)
    await RevocationFile(path, clock).read(known)
    assert len(known) == 3000


async def test_nobody_who_waits_takes_a_failure_for_success(path: Path) -> None:
    """All who tell while the file cannot be written are told so, and all is made up for by the next who can."""
    clock = Clock()
    writer = RevocationFile(path, clock)
    path.mkdir()
    answers = await asyncio.gather(*(writer.tell(one(str(number))) for number in range(5)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [RevocationsUnavailable] * 5
    path.rmdir()
    await writer.tell(one("last"))
    assert len(path.read_bytes().splitlines()) == 6


async def test_a_folder_that_cannot_be_written_to(path: Path) -> None:
    """It is told in one line that names the file, and what could not be written is, once it can be."""
    clock = Clock()
    writer = RevocationFile(path, clock)
    path.mkdir()  # stands for whatever makes writing fail, for tests may run as root
    with pytest.raises(RevocationsUnavailable, match=r"revocations\.jsonl: Is a directory"):
        await writer.tell(one("first"))
    path.rmdir()
    await writer.tell(one("second"))
    known = Known(clock)
    await RevocationFile(path, clock).read(known)
    assert [has(known, name) for name in ("first", "second")] == [True, True]


async def test_a_full_disk_is_no_success() -> None:
    """A write that does not go through is told to whoever wanted the session ended."""
    with pytest.raises(RevocationsUnavailable, match="No space left"):
        await RevocationFile(Path("/dev/full"), Clock()).tell(one("first"))


async def test_a_file_that_cannot_be_read(path: Path) -> None:
    """A reader says so, and does not take it for an empty list."""
    path.mkdir()
    with pytest.raises(RevocationsUnavailable, match="Is a directory"):
        await RevocationFile(path, Clock()).read(Known(Clock()))


async def test_a_file_that_somebody_emptied(path: Path) -> None:
    """What is known stays known, and new lines are read."""
    clock = Clock()
    await RevocationFile(path, clock).tell(one("first"))
    await RevocationFile(path, clock).tell(one("second"))
    async with following(path, clock) as known:
        path.write_bytes(b"")
        await RevocationFile(path, clock).tell(one("third"))
        await becomes(lambda: has(known, "third"))
    assert has(known, "first")
