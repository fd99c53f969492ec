"""The parent of several workers: keeps them running, replaces them on SIGHUP, ends them on SIGTERM.

It reads the configuration and holds the HTTP listeners. It never decides a request, and does not import grpc.
"""

import asyncio
import os
import signal
from collections.abc import Callable, Collection
from contextlib import ExitStack, closing, suppress
from itertools import chain, count
from pathlib import Path

from extauthz.config import Config, ConfigError
from extauthz.config.listening import PREFIX, ListenError, listen, require_free
from extauthz.config.model import ProxyConfig
from extauthz.doors.operations import DRAINING, READY
from extauthz.http_server import GRACE_SECONDS
from extauthz.telemetry import Log
from extauthz.workers.operations import OperationsOfAll
from extauthz.workers.worker import CANNOT_LISTEN, STARTING, Task, Worker

# After a first death at once, then after 1, 2, 4 ... seconds; whoever has lived a minute died of something new.
LONGEST_PAUSE_SECONDS = 30.0
GROWN_UP_SECONDS = 60.0
NO_ROOM_SECONDS = 1.0  # after the system has refused another process
# A new worker must have heard of every authorization server by then, or the old ones stay.
READY_SECONDS = 30.0
# Beyond its draining and its grace, a worker that has not ended hangs.
PATIENCE_SECONDS = GRACE_SECONDS + 5.0
# What the workers' listeners depend on: the old and the new ones could not stand in for each other.
LASTING: dict[str, Callable[[ProxyConfig], object]] = {
    "workers": lambda settings: settings.workers,
    "listen": lambda settings: settings.listen,
    "http.listen": lambda settings: settings.http.listen,
    "operations.listen": lambda settings: settings.operations.listen,
}


def supervise(config: Config, read: Callable[[], Config], log: Log) -> None:
    """Serve with all workers until SIGTERM or SIGINT. `read`: the configuration as it is now, or ConfigError.

    Raises ListenError when a listener cannot be opened, or a worker ends before it listens.
    """
    with ExitStack() as held:
        asyncio.run(Parent(config, read, log, held).run())


class Parent:
    """All workers. `held` is closed at the end."""

    def __init__(self, config: Config, read: Callable[[], Config], log: Log, held: ExitStack) -> None:
        self._config, self._read, self._log = config, read, log
        self._draining = False
        self._living: set[Worker] = set()
        self._workers: list[Worker] = []
        self._changing = [asyncio.Lock() for _ in range(config.extauthz.workers)]
        self._operations = OperationsOfAll(config, self._state, log, held)
        self._http = [held.enter_context(closing(listen(address))) for address in config.extauthz.http.listen]
        for address in chain(*config.extauthz.worker_listeners):
            require_free(address)
        held.callback(_remove_sockets, config.extauthz)
        self._alive, write = os.pipe()
        held.callback(os.close, write)

    async def run(self) -> None:
        """Until SIGTERM or SIGINT. Raises ListenError."""
        stopped, renew = _signals()
        self._operations.start()
        working = asyncio.create_task(self._work(renew))
        told = asyncio.create_task(stopped.wait())
        await asyncio.wait({working, told}, return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        try:
            if working.done():
                working.result()
        finally:
            working.cancel()
            await self._end()

    async def _work(self, renew: asyncio.Event) -> None:
        self._workers = [self._start(place, self._config) for place in range(self._config.extauthz.workers)]
        for worker in self._workers:
            if not await worker.until(lambda state: state != STARTING and not state.startswith(CANNOT_LISTEN)):
                raise _failure(worker)
        self._log.warn_of_strangers(self._config.extauthz.http.open_to_strangers)
        self._log.note("serving", workers=len(self._workers))
        async with asyncio.TaskGroup() as group:
            for place in range(len(self._workers)):
                group.create_task(self._keep(place))
            group.create_task(self._renew_when(renew))

    def _start(self, place: int, config: Config) -> Worker:
        """Another worker. Raises ListenError where the system has no room for it."""
        taken = {worker.number for worker in self._living}
        number = next(number for number in count() if number not in taken)
        task = Task(
            config=config,
            place=place,
            number=number,
            http=self._http,
            alive=self._alive,
            together=self._operations.together,
        )
        try:
            worker = Worker(task)
        except OSError as error:
            why = error.strerror or type(error).__name__
            self._log.fail("cannot_start", worker=place, detail=why)
            raise ListenError(f"cannot start worker {place}: {why}") from error
        self._living.add(worker)
        self._log.note("started", worker=place, pid=worker.pid)
        return worker

    async def _gone(self, worker: Worker) -> None:
        await worker.end()
        if worker in self._living:  # or who heard of it first has seen to it, and another has its number now
            self._living.discard(worker)
            if self._operations.together is not None:
                self._operations.together.forget(worker.number)

    async def _keep(self, place: int) -> None:
        """Whenever the worker of this place dies, start another."""
        deaths = 0
        while True:
            worker = self._workers[place]
            await self._gone(worker)
            if worker is not self._workers[place]:
                continue  # its successor had already come
            lived = asyncio.get_running_loop().time() - worker.started
            deaths = 1 if lived >= GROWN_UP_SECONDS else deaths + 1
            pause = min(2.0 ** (deaths - 2), LONGEST_PAUSE_SECONDS) if deaths > 1 else 0.0
            why = worker.state  # "ended", if it could not say
            self._log.fail("died", worker=place, pid=worker.pid, status=worker.status or 0, detail=why, again_in=pause)
            await asyncio.sleep(pause)
            async with self._changing[place]:
                if worker is self._workers[place]:
                    self._workers[place] = await self._successor(place)

    async def _successor(self, place: int) -> Worker:
        """Another worker, as soon as there is room for it."""
        while True:
            with suppress(ListenError):
                return self._start(place, self._config)
            await asyncio.sleep(NO_ROOM_SECONDS)

    async def _renew_when(self, renew: asyncio.Event) -> None:
        while True:
            await renew.wait()
            renew.clear()
            await self._renew()

    async def _renew(self) -> None:
        """Read the configuration again, and replace the workers by others that have it, one after another."""
        config = self._read_again()
        if config is None:
            return
        for place in range(len(self._workers)):
            async with self._changing[place]:
                if not await self._replace(place, config):
                    self._log.fail("reload_refused", worker=place, detail="the new worker did not get ready")
                    if config is not self._config:
                        return
            # Time for Envoy to see that the new one serves, before another is about to leave.
            await asyncio.sleep(config.extauthz.drain_seconds)
        self._log.note("reloaded", workers=len(self._workers))

    def _read_again(self) -> Config | None:
        try:
            config = self._read()
        except ConfigError as error:
            for problem in error.problems:
                self._log.fail("reload_refused", detail=problem)
            return None
        changed = [key for key, of in LASTING.items() if of(config.extauthz) != of(self._config.extauthz)]
        for key in changed:
            self._log.fail("reload_refused", detail=f"extauthz.{key}: can change by a restart only")
        return None if changed else config

    async def _replace(self, place: int, config: Config) -> bool:
        """Start the new worker beside the old one, on the same listeners; only then let the old one leave."""
        try:
            new, old = self._start(place, config), self._workers[place]
        except ListenError:
            return False
        ready = False
        with suppress(TimeoutError):
            async with asyncio.timeout(READY_SECONDS):
                ready = await new.until(lambda state: state == READY)
        leaving = old if ready else new
        if ready:
            self._config, self._workers[place] = config, new
            self._operations.renew(config)
        await self._see_off([leaving])
        await self._gone(leaving)
        return ready

    async def _see_off(self, workers: Collection[Worker]) -> None:
        """Have them drain and leave. Those that hang are killed."""
        for worker in workers:
            worker.send(signal.SIGTERM)
        ends = [asyncio.create_task(worker.end()) for worker in workers]
        if ends:
            await asyncio.wait(ends, timeout=PATIENCE_SECONDS + max(worker.drain_seconds for worker in workers))
        for worker in [worker for worker in workers if not worker.ended]:
            self._log.fail("killed", worker=worker.place, pid=worker.pid)
            worker.send(signal.SIGKILL)
            await worker.end()

    async def _end(self) -> None:
        self._draining = True
        self._log.note("draining", seconds=self._config.extauthz.drain_seconds)
        await self._see_off([*self._living])
        await self._operations.stop()
        self._log.note("stopped")

    def _state(self) -> str:
        """READY when all workers are."""
        if self._draining or not self._workers:
            return DRAINING if self._draining else STARTING
        states = [f"worker {worker.place}: {worker.state}" for worker in self._workers if worker.state != READY]
        return "; ".join(states) or READY


def _failure(worker: Worker) -> ListenError:
    if worker.state.startswith(CANNOT_LISTEN):
        return ListenError(worker.state)
    return ListenError(f"worker {worker.place} ended with status {worker.status} before it listened")


def _remove_sockets(settings: ProxyConfig) -> None:
    for address in chain(*settings.worker_listeners, settings.http.listen):
        if address.startswith(PREFIX):
            Path(address.removeprefix(PREFIX)).unlink(missing_ok=True)


def _signals() -> tuple[asyncio.Event, asyncio.Event]:
    """To stop, and to read the configuration again."""
    stopped, renew = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    loop.add_signal_handler(signal.SIGHUP, renew.set)
    return stopped, renew
