"""Revocations in a file that all programs of one machine share: a line of JSON each, appended, never changed.

Agents write, agents and proxies read. Whoever starts later reads it from the beginning. A line that was cut off by a
crash is skipped. When most of it has run out the file is written anew under the same name, and readers notice.
"""

import asyncio
import errno
import fcntl
import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from extauthz.revocations.known import Known, Revocation
from extauthz.revocations.revocations import RevocationsUnavailable

POLL_SECONDS = 0.1  # one stat of a file; a session that has ended is served for that long
COMPACT_BYTES = 256 * 1024  # some four thousand lines; below that, nobody gains by it
MAX_UNTOLD = 10_000  # kept while the disk is full; beyond that the oldest end with their tokens
LINES_AT_ONCE = 500  # some 4 ms; a file that was written anew is read from its beginning while requests wait
OWNER_ONLY = 0o600


class RevocationFile:
    """`clock`: seconds since the epoch. The folder must be there, the file need not."""

    def __init__(self, path: Path, clock: Callable[[], float], compact_bytes: int = COMPACT_BYTES) -> None:
        self._path, self._clock = path, clock
        self._compact_bytes, self._compact_above = compact_bytes, compact_bytes
        self._untold: deque[Revocation] = deque(maxlen=MAX_UNTOLD)
        self._waiting: list[Revocation] = []
        self._writing = asyncio.Lock()

    async def tell(self, revocation: Revocation) -> None:
        """Append a line, and any that could not be appended before."""
        self._waiting.append(revocation)
        async with self._writing:
            # Thousands may be logged out at once: whoever writes takes along all who wait meanwhile.
            if revocation in self._waiting:
                await self._write(revocation)

    async def read(self, known: Known) -> None:
        """Add what the file has."""
        with _Reader(self._path) as reader:
            await reader.read_on(known)

    async def follow(self, known: Known, caught_up: Callable[[], None]) -> None:
        """Add what the file has, and what is appended."""
        with _Reader(self._path) as reader:
            await reader.read_on(known)
            caught_up()
            while True:
                await asyncio.sleep(POLL_SECONDS)  # no event tells of another process's writing on every file system
                await reader.read_on(known)

    async def close(self) -> None:
        """Nothing is held open."""

    async def _write(self, mine: Revocation) -> None:
        telling = list(self._waiting)
        try:
            # A disk may take its time; whoever asks about other sessions does not wait for it.
            await asyncio.to_thread(self._append, [*self._untold, *telling])
        except OSError as error:
            self._waiting.remove(mine)  # the others try for themselves
            self._untold.append(mine)
            raise _unavailable(self._path, error) from error
        del self._waiting[: len(telling)]
        self._untold.clear()

    def _append(self, revocations: Iterable[Revocation]) -> None:
        with _locked(self._path) as file:
            size = file.seek(0, os.SEEK_END)
            lines = b"".join(map(_line, revocations))
            # Behind a line that was cut off, ours would be a part of it.
            lines = lines if _ends_with_newline(file, size) else b"\n" + lines
            if file.write(lines) != len(lines):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(file.fileno())
            if size > self._compact_above:
                self._compact_above = 2 * size
                with suppress(OSError):  # what was to be told is told: a file that stays long is no failure of that
                    self._compact(file)

    def _compact(self, file: FileIO) -> None:
        """Put a file in its place that holds only what counts, if that is less than half. `file` is locked."""
        file.seek(0)
        raw = file.read()
        known = Known(self._clock)
        for revocation in _revocations(raw):
            known.add(revocation)
        lines = b"".join(map(_line, known))
        if 2 * len(lines) < len(raw):
            fresh = self._path.with_name(self._path.name + ".new")
            fresh.unlink(missing_ok=True)
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY), "wb") as new:
                new.write(lines)
                new.flush()
                os.fsync(new.fileno())
            fresh.rename(self._path)
            raw = lines
        self._compact_above = max(self._compact_bytes, 2 * len(raw))


class _Reader:
    """Reads on where it stopped. The file it has read is kept open, so that no other gets its number meanwhile."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._offset = 0

    def __enter__(self) -> "_Reader":
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    async def read_on(self, known: Known) -> None:
        """Add what has been appended since. Raises RevocationsUnavailable."""
        try:
            if self._has_news():
                lines = await asyncio.to_thread(self._complete_lines)
                for number, revocation in enumerate(_revocations(lines)):
                    if number % LINES_AT_ONCE == 0:
                        await asyncio.sleep(0)
                    known.add(revocation)
        except OSError as error:
            raise _unavailable(self._path, error) from error

    def _has_news(self) -> bool:
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return False  # nothing has ended yet
        if self._file is None or not os.path.samestat(there, os.fstat(self._file.fileno())):
            self.__exit__()
            self._file, self._offset = self._path.open("rb"), 0
        if there.st_size < self._offset:
            self._offset = 0  # somebody has emptied it
        return there.st_size > self._offset

    def _complete_lines(self) -> bytes:
        assert self._file is not None, "opened when there was news"  # noqa: S101
        self._file.seek(self._offset)
        lines, newline, _being_written = self._file.read().rpartition(b"\n")
        self._offset += len(lines) + len(newline)
        return lines


@contextmanager
def _locked(path: Path) -> Iterator[FileIO]:
    """The file of that name, with no other writer at it; made when there is none."""
    while True:
        with FileIO(os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, OWNER_ONLY), "r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            # While we waited for the lock another may have put a fresh file in its place.
            if _is_there(path, file):
                yield file
                return


def _is_there(path: Path, file: FileIO) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _ends_with_newline(file: FileIO, size: int) -> bool:
    return size == 0 or os.pread(file.fileno(), 1, size - 1) == b"\n"


def _line(revocation: Revocation) -> bytes:
    return json.dumps(revocation.members(), separators=(",", ":")).encode() + b"\n"


def _revocations(lines: bytes) -> Iterator[Revocation]:
    for line in lines.splitlines():
        with suppress(ValueError, RecursionError):
            members = json.loads(line)
            revocation = Revocation.read(members) if isinstance(members, dict) else None
            if revocation is not None:
                yield revocation


def _unavailable(path: Path, error: OSError) -> RevocationsUnavailable:
    return RevocationsUnavailable(f"{path}: {error.strerror}")
