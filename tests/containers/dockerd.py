"""Our own Docker engine: installed from Debian, started with directories of our own, stopped by pid.

Test runs side by side share it. Each holds a shared lock while it needs the engine; starting and stopping
take the lock alone, so the last one to leave stops it. Its images stay for the next run.
"""

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import IO

import docker
from docker.errors import APIError, DockerException

PATIENCE = 30.0  # seconds for dockerd to start or stop; it takes one to three
KEEP_IMAGES = "72h"  # unused images older than this go when the engine stops

_PACKAGES = ("docker.io", "iptables")


def answers(host: str | None = None) -> bool:
    """Say whether an engine answers at `host`, by default wherever the environment points."""
    url = host or os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    if url.startswith("unix://") and not _listening(url.removeprefix("unix://")):
        return False
    try:
        with closing(docker.from_env(timeout=5, environment={**os.environ, "DOCKER_HOST": url})) as client:
            return client.ping()
    except (DockerException, OSError):
        return False


def installed() -> bool:
    """Say whether an engine could be started without installing anything."""
    return bool(shutil.which("dockerd") and shutil.which("iptables"))


def install() -> None:
    """Install Debian's engine (10 to 15 seconds, 264 MB); needs root."""
    apt = ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=300"]
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    _run([*apt, "update"], env)
    _run([*apt, "install", "-y", "--no-install-recommends", *_PACKAGES], env)


@contextmanager
def shared(home: Path) -> Iterator[str]:
    """Yield the DOCKER_HOST of the engine in `home`, starting it when nobody has."""
    with (home / "lock").open("w") as lock:
        _join(lock, home)
        try:
            yield _host(home)
        finally:
            with suppress(BlockingIOError):  # somebody else still needs it
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _stop(home)


def _join(lock: IO[str], home: Path) -> None:
    while True:
        fcntl.flock(lock, fcntl.LOCK_SH)  # waits only while somebody starts or stops it
        if answers(_host(home)):
            return
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _start(home)
        time.sleep(0.1)  # another process is starting or stopping it; the lock tells when, not how it went


def _listening(path: str) -> bool:
    # The SDK leaves its socket open when nobody listens, and where warnings are errors that fails a test.
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(path) == 0


def _host(home: Path) -> str:
    return f"unix://{home}/docker.sock"


def _start(home: Path) -> None:
    _clear_remains(home)
    # setsid --fork: another test run may share it and outlive this one, and Ctrl-C is not for it.
    command = ["setsid", "--fork", "dockerd", "--host", _host(home), "--pidfile", f"{home}/docker.pid"]
    command += ["--data-root", f"{home}/data", "--exec-root", f"{home}/exec", "--shutdown-timeout", "3"]
    with (home / "log").open("w") as log:
        subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=True)
    if not _within(PATIENCE, lambda: answers(_host(home))):
        _stop(home)
        raise RuntimeError(f"dockerd did not start; see {home}/log")


def _clear_remains(home: Path) -> None:
    """Remove what an engine that was killed leaves behind and its successor stumbles over."""
    _end_orphans(f"{home}/exec/")
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in reversed(mounts):
        if mount.startswith((f"{home}/data", f"{home}/exec")):
            _run(["umount", "-l", mount])
    _remove_bridges(home / "data/network/files/local-kv.db")
    for name in ("exec", "data/network", "data/containers"):
        shutil.rmtree(home / name, ignore_errors=True)
    for name in ("docker.pid", "docker.sock"):
        (home / name).unlink(missing_ok=True)


def _end_orphans(mark: str) -> None:
    # A container's process and the shim above it outlive a killed engine; the shim's arguments name our directory.
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # gone meanwhile
            if mark in (process / "cmdline").read_text():
                children = " ".join(task.read_text() for task in process.glob("task/*/children"))
                for pid in (*children.split(), process.name):
                    os.kill(int(pid), signal.SIGKILL)


def _remove_bridges(database: Path) -> None:
    # A bridge is named after its network, and the dead engine's database names its networks.
    known = database.read_bytes() if database.exists() else b""
    for link in Path("/sys/class/net").glob("br-*"):
        if link.name.removeprefix("br-").encode() in known:
            _run(["ip", "link", "del", link.name])


def _stop(home: Path) -> None:
    with suppress(DockerException, OSError):
        _sweep(_host(home))
    pidfile = home / "docker.pid"
    with suppress(FileNotFoundError, ProcessLookupError):
        pid = int(pidfile.read_text())
        # The number may long belong to somebody else.
        if str(pidfile) in Path(f"/proc/{pid}/cmdline").read_text():
            os.kill(pid, signal.SIGTERM)
            _within(PATIENCE, lambda: not pidfile.exists())


def _sweep(host: str) -> None:
    with closing(docker.from_env(environment={**os.environ, "DOCKER_HOST": host})) as client:
        for container in client.containers.list(all=True):
            with suppress(APIError):
                container.remove(force=True, v=True)
        client.networks.prune()
        client.images.prune(filters={"dangling": False, "until": KEEP_IMAGES})


def _within(seconds: float, done: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def _run(command: list[str], env: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {(done.stderr or done.stdout).strip()[-300:]}")
