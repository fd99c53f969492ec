"""Load by h2load, and what it took: time on the clock, and CPU time of those who served it."""

import re
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

from bench.processes import cpu_seconds
from extauthz.doors.checks import SERVICE

# Connections, calls at a time on each, and calls in all of one connection: zttp ends one after 4096.
CONNECTIONS = 4
STREAMS = 16
CALLS_OF_A_CONNECTION = 2000
GRPC = {"content-type": "application/grpc", "te": "trailers"}
MISSING = "h2load is not installed (Debian: nghttp2-client); what it would drive is left out"


@dataclass(frozen=True, slots=True)
class Load:
    """One run. `cpu`: seconds of each process that was looked at."""

    calls: int
    seconds: float
    cpu: tuple[float, ...]

    @property
    def cpu_micros(self) -> float:
        """CPU time of a call, all processes together."""
        return sum(self.cpu) / self.calls * 1e6


def available() -> bool:
    """Whether h2load is there."""
    return shutil.which("h2load") is not None


def check(port: int, question: bytes, pids: Sequence[int]) -> Load:
    """Ask the gRPC server on `port` the same question many times."""
    with NamedTemporaryFile() as body:
        Path(body.name).write_bytes(b"\0" + len(question).to_bytes(4, "big") + question)
        url = f"http://127.0.0.1:{port}/{SERVICE}/Check"
        return drive(url, GRPC, pids, more=(f"--data={body.name}",))


def drive(
    url: str,
    headers: Mapping[str, str],
    pids: Sequence[int],
    *,
    connections: int = CONNECTIONS,
    streams: int = STREAMS,
    calls: int = CALLS_OF_A_CONNECTION,
    more: Sequence[str] = (),
) -> Load:
    """Call `url` over HTTP/2. Raises RuntimeError unless every call is answered 200."""
    given = [option for name, value in headers.items() for option in ("-H", f"{name}: {value}")]
    wanted = connections * calls
    sizes = [f"-c{connections}", f"-m{streams}", f"-n{wanted}"]
    before, started = [cpu_seconds(pid) for pid in pids], time.perf_counter()
    told = subprocess.run(["h2load", *sizes, *given, *more, url], capture_output=True, text=True, check=True).stdout
    seconds = time.perf_counter() - started
    cpu = tuple(cpu_seconds(pid) - used for pid, used in zip(pids, before, strict=True))
    found = re.search(r"status codes: (\d+) 2xx", told)
    if found is None or int(found[1]) != wanted:
        raise RuntimeError(f"not every call was answered: {told}")
    return Load(wanted, seconds, cpu)
