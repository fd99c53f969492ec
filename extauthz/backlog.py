"""Log lines on their way out, written by a thread of their own: a pipe that nobody reads stops whoever writes to it.

Those for which there is no room are dropped and counted: the log must not decide who gets in.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from queue import Empty, SimpleQueue
from select import select
from types import TracebackType

STDERR = 2
MAX_LINES = 4096  # at most 10 MB: a line has five fields of a client's, each cut to size
LINES_AT_ONCE = 100
LAST_SECONDS = 1.0  # to write what is left, when the program ends


class Backlog:
    """A stream for whole lines, written to the file descriptor `target`; `dropped` is called for each lost line."""

    def __init__(self, target: int = STDERR, max_lines: int = MAX_LINES) -> None:
        self._target, self._max_lines = target, max_lines
        self._lines: SimpleQueue[str | None] = SimpleQueue()
        self._writer: threading.Thread | None = None
        self._lost = 0
        self.dropped: Callable[[], None] = lambda: None

    def __enter__(self) -> "Backlog":
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Write what is left, if somebody reads it."""
        if self._writer is not None:
            self._lines.put(None)
            self._writer.join(LAST_SECONDS)

    def isatty(self) -> bool:
        """Whether a person reads it."""
        return os.isatty(self._target)

    def write(self, line: str) -> None:
        """Have it written, or drop it. Never waits."""
        if self._lines.qsize() >= self._max_lines:
            self._lost += 1
            self.dropped()
            return
        self._lines.put(line)
        if self._writer is None or not self._writer.is_alive():  # not yet, or not in this process
            self._writer = threading.Thread(target=self._write, name="log", daemon=True)
            self._writer.start()

    def flush(self) -> None:
        """Nothing: that would mean to wait."""

    def take_lost(self) -> int:
        """How many lines were dropped since this was last asked; 0 while there is little room to say so."""
        if not self._lost or self._lines.qsize() > self._max_lines // 2:
            return 0
        lost, self._lost = self._lost, 0
        return lost

    def _write(self) -> None:
        ended = False
        while not ended:
            lines = list(self._waiting())
            ended = None in lines
            # A closed pipe or a full disk is no reason to stop either.
            with suppress(OSError):
                self._send("".join(line for line in lines if line is not None).encode())

    def _waiting(self) -> Iterator[str | None]:
        yield self._lines.get()
        with suppress(Empty):
            for _ in range(LINES_AT_ONCE):
                yield self._lines.get_nowait()

    def _send(self, text: bytes) -> None:
        # Not by sys.stderr: its lock, held by a write that never returns, would keep the program from ending.
        while text:
            try:
                text = text[os.write(self._target, text) :]
            except BlockingIOError:  # whoever shares it has made it so
                select([], [self._target], [])
