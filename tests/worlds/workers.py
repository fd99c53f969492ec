"""A world whose proxy is several workers, behind an Envoy that has what `envoy-config` prints for them."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx2
import yaml

from demo.settings import Address, Settings
from demo.world import LocalWorld, free_places
from worlds.waiting import until

SCRIPT = Path(sys.executable).with_name("extauthz")


@dataclass(frozen=True, slots=True, kw_only=True)
class ManyWorkers(Settings):
    """`operations` is where the parent answers; `unix`: Envoy asks over unix sockets."""

    workers: int = 2
    operations: Address
    unix: bool = False

    def write(self) -> None:
        """Write all files."""
        Settings.write(self)
        self.change({"workers": self.workers, "listen": self.listeners, "operations": {"listen": [self.health]}})
        printed = yaml.safe_load(envoy_config(self.config))
        envoy = json.loads(self.envoy.read_text())
        # A worker that a busy machine lets wait is not taken for an ill one: that is not what is tested.
        printed["clusters"][0]["connect_timeout"] = printed["clusters"][0]["health_checks"][0]["timeout"] = "30s"
        swap(envoy["static_resources"]["clusters"], printed["clusters"])
        manager = envoy["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
        swap(manager["http_filters"], printed["http_filters"])
        self.envoy.write_text(json.dumps(envoy))

    @property
    def health(self) -> str:
        """HOST:PORT of the operations listener."""
        return "{}:{}".format(*self.operations)

    @property
    def listeners(self) -> list[str]:
        """The first is the one Envoy is told about."""
        return [*([f"unix:{self.folder}/proxy.sock"] if self.unix else []), self.listener("extauthz")]

    def change(self, settings: Mapping[str, Any]) -> None:
        """Put settings into the proxy's part of the configuration."""
        config = yaml.safe_load(self.config.read_text())
        config["extauthz"] |= settings
        self.config.write_text(yaml.safe_dump(config, sort_keys=False))


class WorkersWorld(LocalWorld):
    """A world around them, without the page, which has no business here."""

    def __init__(self, settings: ManyWorkers) -> None:
        super().__init__(settings, control=True)
        self.own = settings

    def __enter__(self) -> "WorkersWorld":
        super().__enter__()
        return self

    def get(self, path: str) -> httpx2.Response:
        """What the parent answers."""
        return httpx2.get(f"http://{self.own.health}{path}")

    def events(self, *names: str) -> list[dict[str, Any]]:
        """All log lines of these kinds; the last line may be still being written."""
        *lines, _ = self.log("extauthz").read_text().split("\n")
        return [line for line in map(json.loads, lines) if line["event"] in names]

    def pids(self) -> dict[int, int]:
        """The process of each worker, as started last."""
        return {line["worker"]: line["pid"] for line in self.events("started")}

    def reload(self) -> None:
        """Send SIGHUP, and wait for what becomes of it."""
        ends = ("reloaded", "reload_refused")
        before = len(self.events(*ends))
        self.tell_parent(signal.SIGHUP)
        until(lambda: len(self.events(*ends)) > before)

    def kill(self, place: int) -> None:
        """Kill a worker, of which Envoy believes that all are well, and wait until another has come."""
        until(lambda: self.healthy() == self.own.workers)
        listening = len(self.events("listening"))
        os.kill(self.pids()[place], signal.SIGKILL)
        until(lambda: len(self.events("listening")) > listening)
        self.wait_until_ready()

    def tell_parent(self, number: signal.Signals) -> subprocess.Popen[bytes]:
        """Send the parent a signal."""
        process = self._running["extauthz"]
        process.send_signal(number)
        return process

    def healthy(self) -> int:
        """How many workers Envoy takes for healthy."""
        host, port = self.settings.places.admin
        lines = httpx2.get(f"http://{host}:{port}/clusters").text.splitlines()
        return sum(line.startswith("extauthz::") and line.endswith("::health_flags::healthy") for line in lines)

    def decisions(self) -> float:
        """All that Prometheus is told of."""
        lines = self.get("/metrics").text.splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith("token_handler_decisions_total{"))

    def wait_until_ready(self) -> None:
        """Until the parent says that all are ready."""
        until(lambda: self.get("/readyz").status_code == 200)

    def _programs(self) -> list[str]:
        return [program for program in super()._programs() if program != "spa"]

    def _serves(self, program: str) -> bool:
        if program != "extauthz":
            return super()._serves(program)
        try:
            return self.get("/readyz").status_code == 200
        except httpx2.TransportError:
            return False


def envoy_config(config: Path, *options: str) -> str:
    """What the command prints."""
    command = [str(SCRIPT), "envoy-config", "--config", str(config), *options]
    printed: str = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return printed


def swap(pieces: list[dict[str, Any]], printed: list[dict[str, Any]]) -> None:
    """Put each printed piece in the place of the one with its name."""
    for piece in printed:
        [old] = [number for number, one in enumerate(pieces) if one["name"] == piece["name"]]
        pieces[old] = piece


def many_workers(folder: Path, *, unix: bool = False, workers: int = 2) -> ManyWorkers:
    """Settings for a world on this machine, on ports that are free now."""
    places = replace(free_places(), extauthz=("127.0.0.1", free_in_a_row(workers)))
    return ManyWorkers(
        folder=folder,
        places=places,
        operations=free_places().extauthz,
        unix=unix,
        workers=workers,
        log_level="debug",  # a line for each request that passed, with its worker
    )


def free_in_a_row(ports: int) -> int:
    """The first of some free ports; below those the system gives to others meanwhile."""
    for first in range(20_000 + os.getpid() % 1000 * 10, 32_000, 10):
        with ExitStack() as probes, suppress(OSError):
            for port in range(first, first + ports):
                probes.enter_context(socket.create_server(("127.0.0.1", port)))
            return first
    raise AssertionError("no free ports")
