"""CPU time of a Check over a real connection: our doors, and servers that decide nothing."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from bench.figures import Figures
from bench.load import Load, check
from bench.processes import free_port, python, running
from bench.serve import SERVERS


@dataclass(frozen=True, slots=True)
class Server:
    """One that listens, and a question it lets through."""

    port: int
    pid: int
    question: bytes

    def load(self) -> Load:
        """Ask it for a while."""
        return check(self.port, self.question, [self.pid])


def measure(takes: int) -> dict[str, dict[str, Figures]]:
    """For each server `cpu_micros`, CPU microseconds of a Check, and `per_second`, Checks a second of the clock."""
    loads: dict[str, list[Load]] = {name: [] for name in SERVERS}
    with ExitStack() as stack:
        servers = {name: stack.enter_context(serving(name)) for name in SERVERS}
        for server in servers.values():
            server.load()
        for _ in range(takes):
            for name, server in servers.items():
                loads[name].append(server.load())
    return {
        name: {
            "cpu_micros": Figures(tuple(load.cpu_micros for load in taken)),
            "per_second": Figures(tuple(load.calls / load.seconds for load in taken)),
        }
        for name, taken in loads.items()
    }


@contextmanager
def serving(name: str) -> Iterator[Server]:
    """One of `bench.serve`, on a port of its own."""
    port = free_port()
    with running(python("bench.serve", name, f"127.0.0.1:{port}"), stdout=subprocess.PIPE) as process:
        if process.stdout is None:
            raise AssertionError("asked for above")
        yield Server(port, process.pid, bytes.fromhex(process.stdout.readline().decode()))
