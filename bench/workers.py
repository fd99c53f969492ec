"""Checks of one worker and of two: a second of the clock, and CPU time of each.

Two h2loads ask, of two workers one each and of one both, so that there is the same load on the same cores.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

from bench.figures import Figures
from bench.load import check
from bench.processes import cpu_seconds, free_port, running, wait_until_listening
from bench.questions import as_reference
from bench.world import FAST, World, serve

LOADS = 2


@dataclass(frozen=True, slots=True)
class Workers:
    """Those of one proxy."""

    ports: Sequence[int]
    pids: Sequence[int]


def measure(world: World, takes: int) -> tuple[dict[int, Figures], dict[int, Figures]]:
    """By the number of workers: Checks a second of the clock, and CPU microseconds of a Check."""
    question = as_reference(world.cookie())
    found: dict[int, list[tuple[float, float]]] = {1: [], 2: []}
    with _workers(world, 1) as one, _workers(world, 2) as two:
        for number in range(takes + 1):
            for workers in (one, two):
                taken = _ask(workers, question)
                if number:
                    found[len(workers.ports)].append(taken)
    rates = {count: Figures(tuple(rate for rate, _ in taken)) for count, taken in found.items()}
    return rates, {count: Figures(tuple(micros for _, micros in taken)) for count, taken in found.items()}


def _ask(workers: Workers, question: bytes) -> tuple[float, float]:
    before = sum(map(cpu_seconds, workers.pids))
    with ThreadPoolExecutor(LOADS) as pool:
        ports = islice(cycle(workers.ports), LOADS)
        loads = list(pool.map(lambda port: check(port, question, []), ports))
    calls, used = sum(load.calls for load in loads), sum(map(cpu_seconds, workers.pids)) - before
    return calls / max(load.seconds for load in loads), used / calls * 1e6


@contextmanager
def _workers(world: World, count: int) -> Iterator[Workers]:
    """A proxy with so many workers."""
    port = free_port()
    with running(*serve(world.local, {**FAST, "LISTEN": f"[127.0.0.1:{port}]", "WORKERS": str(count)})) as process:
        ports = [port + place for place in range(count)]
        for one in ports:
            wait_until_listening(one, process)
        # One works itself; of several the parent does not.
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        yield Workers(ports, [process.pid] if count == 1 else [int(pid) for pid in children])
