"""Checks a second of one worker and of two, each asked on a listener of its own."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from bench.figures import Figures
from bench.load import check
from bench.processes import free_port, running, wait_until_listening
from bench.questions import as_reference
from bench.world import World, serve
from extauthz.config.model import ProxyConfig


def measure(world: World, takes: int) -> dict[int, Figures] | None:
    """Checks a second, by the number of workers; None where there is no such setting."""
    if "workers" not in ProxyConfig.model_fields:
        return None
    question = as_reference(world.cookie())
    found: dict[int, list[float]] = {1: [], 2: []}
    with _workers(world, 1) as one, _workers(world, 2) as two:
        for number in range(takes + 1):
            for ports in (one, two):
                rate = _rate(ports, question)
                if number:
                    found[len(ports)].append(rate)
    return {count: Figures(tuple(taken)) for count, taken in found.items()}


def _rate(ports: list[int], question: bytes) -> float:
    with ThreadPoolExecutor(len(ports)) as pool:
        loads = list(pool.map(lambda port: check(port, question, []), ports))
    return sum(load.calls for load in loads) / max(load.seconds for load in loads)


@contextmanager
def _workers(world: World, count: int) -> Iterator[list[int]]:
    """A proxy with so many workers, and the port of each."""
    port = free_port()
    with running(*serve(world.local, {"LISTEN": f"[127.0.0.1:{port}]", "WORKERS": str(count)})) as process:
        ports = [port + place for place in range(count)]
        for one in ports:
            wait_until_listening(one, process)
        yield ports
