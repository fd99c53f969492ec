"""Other processes: started, waited for, their time looked at, ended."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

NANO = 1e-9
START_SECONDS = 60.0
STOP_SECONDS = 15.0
POLL_SECONDS = 0.05


@contextmanager
def running(
    command: Sequence[str], environ: Mapping[str, str] | None = None, *, stdout: int | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process until the block ends."""
    with subprocess.Popen(command, env=environ, stdout=stdout) as process:
        try:
            yield process
        finally:
            end(process)


def python(*arguments: str) -> list[str]:
    """The command for a module in this interpreter."""
    return [sys.executable, "-m", *arguments]


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask it to stop, then make it."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()


def cpu_seconds(pid: int) -> float:
    """What its threads that live have used, system time included; to the nanosecond, unlike what times() tells."""
    files = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(file.read_text().split()[0]) for file in files) * NANO


def free_port() -> int:
    """A port nobody listens on just now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def wait_until_listening(port: int, process: subprocess.Popen[bytes]) -> None:
    """Raise RuntimeError when it ends or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        with closing(socket.socket()) as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{os.fsdecode(str(process.args))} does not listen")
        time.sleep(POLL_SECONDS)  # another process's readiness cannot be awaited
