"""One worker, as its parent sees it: a forked process that says how it is, until it ends.

Forked, and not started anew from the configuration file: a worker that takes the place of a dead one must have the
settings and keys of the others, even when the files have changed since, or have gone bad. Certificates of listeners it
reads for itself.
"""

import asyncio
import gc
import os
import signal
import socket
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NoReturn

from extauthz.backlog import Backlog
from extauthz.config import Config
from extauthz.config.listening import ListenError
from extauthz.metrics import Together
from extauthz.reason import Reason
from extauthz.seat import Seat
from extauthz.telemetry import Log, logger

STARTING, ENDED = "starting", "ended"
CANNOT_LISTEN = "cannot listen on"  # how every ListenError begins
SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
LONGEST_WORD = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a worker is to do. `alive`: a pipe that ends with the parent."""

    config: Config
    place: int
    number: int
    http: Sequence[socket.socket]
    alive: int
    together: Together | None


class Worker:
    """`state` is what it said last; `status` its exit status, negative for a signal, once it has ended.

    Raises OSError where the system has no room for another process.
    """

    def __init__(self, task: Task) -> None:
        self.place, self.number, self.state = task.place, task.number, STARTING
        self.drain_seconds = task.config.extauthz.drain_seconds
        self.status: int | None = None
        self.started = asyncio.get_running_loop().time()
        self._changed = asyncio.Event()
        self._says, told = os.pipe()
        try:
            self.pid = _fork(lambda: _work(task, told), keep=(told, task.alive, *(one.fileno() for one in task.http)))
        except OSError:
            os.close(self._says)
            raise
        finally:
            os.close(told)
        asyncio.get_running_loop().add_reader(self._says, self._hear)

    @property
    def ended(self) -> bool:
        """Whether it is no more."""
        return self.status is not None

    def send(self, number: signal.Signals) -> None:
        """Send a signal. Until its end has been heard of, the process id is nobody else's."""
        if not self.ended:
            os.kill(self.pid, number)

    async def until(self, holds: Callable[[str], bool]) -> bool:
        """Wait until its state is such. False when it ended first."""
        while not self.ended and not holds(self.state):
            await self._changed.wait()
        return not self.ended

    async def end(self) -> None:
        """Wait until it is no more."""
        await self.until(lambda _: False)

    def _hear(self) -> None:
        said = os.read(self._says, LONGEST_WORD).decode().splitlines()
        if said:
            self.state = said[-1]
        else:  # the pipe's other end was nowhere but in that process
            self._bury()
        self._changed.set()
        self._changed = asyncio.Event()

    def _bury(self) -> None:
        asyncio.get_running_loop().remove_reader(self._says)
        os.close(self._says)
        _, status = os.waitpid(self.pid, 0)
        self.status = os.waitstatus_to_exitcode(status)
        # Why it could not even start is worth keeping.
        self.state = self.state if self.state.startswith(CANNOT_LISTEN) else ENDED


def _fork(work: Callable[[], int], *, keep: Collection[int]) -> int:
    """The process id of a child that does `work` and leaves with the status it returns."""
    # A signal that arrives meanwhile must not be taken by a child that still has its parent's handlers.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        return os.fork() or _be_born(work, keep, before)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _be_born(work: Callable[[], int], keep: Collection[int], mask: Collection[int]) -> NoReturn:
    status = 1
    try:
        gc.freeze()  # the parent's sockets, closed here by number below, must never be closed again by a collector
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a terminal's goes to all; the parent sees to it
        _close_all_but(keep)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        status = work()
    finally:
        os._exit(status)  # never back into the parent's code


def _close_all_but(keep: Collection[int]) -> None:
    """What the parent closes must be closed: a connection of its own, and the pipes that end with somebody."""
    for low, high in pairwise([2, *sorted(keep), os.sysconf("SC_OPEN_MAX")]):
        os.closerange(low + 1, high)


def _work(task: Task, told: int) -> int:
    from extauthz.serve import run  # the parent does without it, and so has no threads to lose in a fork

    listen = task.config.extauthz.worker_listeners[task.place]
    seat = Seat(number=task.number, listen=listen, http=task.http, parent=task.alive, told=told)
    with Backlog() as lines:
        log = Log(logger(task.config.log, lines).bind(worker=task.place), lines)
        _count(task, log)
        try:
            run(task.config, log, seat)
        except ListenError as error:
            seat.tell(str(error))
            return 2
        except Exception as error:
            log.trouble("", Reason.INTERNAL_ERROR, error)
            return 1
    return 0


def _count(task: Task, log: Log) -> None:
    """Count where the parent sees it, before anything is counted. A full disk is no reason not to serve."""
    if task.together is not None:
        try:
            task.together.count(task.number)
        except OSError as error:
            log.fail("uncounted", detail=error.strerror or type(error).__name__)
