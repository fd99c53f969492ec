"""All programs of the demo as processes of this machine: started in order, watched, and stopped in order.

Everything a program writes goes to a file of its own, for people and for the tests that look for secrets in it.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import httpx2

from demo.settings import Places, Settings

START_SECONDS = 60.0
STOP_SECONDS = 15.0
POLL_SECONDS = 0.05
# Several Envoys on one machine; access log lines within a tenth of a second instead of ten.
ENVOY_OPTIONS = ("--use-dynamic-base-id", "--concurrency", "1", "--file-flush-interval-msec", "100")


class WorldError(Exception):
    """The world could not be built; one line says why."""


class LocalWorld:
    """A context manager around all processes; without `gateway`, whoever wants one brings it along."""

    def __init__(self, settings: Settings, *, control: bool = False, gateway: bool = True) -> None:
        self.settings = settings
        self._gateway = ["envoy"] if gateway else []
        self._control = ["--control"] if control else []
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def origin(self) -> str:
        """Where the browser goes."""
        return self.settings.places.origin

    @property
    def issuer(self) -> str:
        """Where the identity provider answers."""
        return self.settings.places.issuer

    @property
    def resolve(self) -> dict[str, str]:
        """Where a client finds the hosts named in URLs; here they are what they say."""
        return {}

    def control(self, program: str) -> str:
        """The base URL of a program's test control."""
        host, port = getattr(self.settings.places, program)
        return f"http://{host}:{port}/_control"

    def __enter__(self) -> "LocalWorld":
        require_free(self.settings.places)
        self.settings.write()
        try:
            for program in self._programs():
                self.start(program)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        # A second Ctrl-C must not leave half of them running.
        before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
        for program in reversed(list(self._running)):
            self.stop(program)
        for number, handler in before.items():
            signal.signal(number, handler)

    def start(self, program: str) -> None:
        """Start one program and wait until it serves."""
        # In our process group: a terminal's Ctrl-C reaches the programs too, should we not live to end them.
        with self.log(program).open("ab") as log:
            self._running[program] = subprocess.Popen(
                self._command(program),
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self._environment(program)},
            )
        self._wait(program)

    def stop(self, program: str, number: signal.Signals = signal.SIGTERM) -> None:
        """End one program and wait until it is gone."""
        process = self._running.pop(program)
        if process.poll() is not None:
            return
        process.send_signal(number)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def process(self, program: str) -> "subprocess.Popen[bytes]":
        """A program that was started."""
        return self._running[program]

    def ended(self) -> str | None:
        """The name of a program that ended by itself."""
        return next((name for name, process in self._running.items() if process.poll() is not None), None)

    def log(self, program: str) -> Path:
        """What the program has written."""
        return self.settings.folder / f"{program}.log"

    def logs(self) -> str:
        """What all programs have written."""
        return "\n".join(path.read_text(errors="replace") for path in sorted(self.settings.folder.glob("*.log")))

    def _programs(self) -> list[str]:
        proxies = ["extauthz"] if self.settings.second_proxy is None else ["extauthz", "extauthz-2"]
        return ["idp", "api", "spa", "agent", *proxies, *self._gateway]

    def _environment(self, program: str) -> dict[str, str]:
        if program != "extauthz-2" or self.settings.second_proxy is None:
            return {}
        own = "[{}:{}]".format(*self.settings.second_proxy)
        return {"TOKEN_HANDLER__EXTAUTHZ__LISTEN": own, "TOKEN_HANDLER__EXTAUTHZ__HTTP__LISTEN": "[]"}

    def _command(self, program: str) -> list[str]:
        program = program.removesuffix("-2")
        settings, listen = self.settings, ["--listen", self.settings.listener(program)]
        installed = Path(sys.executable).parent
        python = [sys.executable, "-m"]
        issuer = ["--issuer", settings.places.issuer]
        commands = {
            "idp": [*python, "demo.idp", *issuer, *listen, "--clients", str(settings.clients), *self._control],
            "api": [*python, "demo.api", *(settings.api_trusts or issuer), *listen, *self._control],
            "spa": [*python, "demo.serve", *listen],
            "agent": [str(installed / "oauth-agent"), "serve", "--config", str(settings.config)],
            "extauthz": [str(installed / "extauthz"), "serve", "--config", str(settings.config)],
            "envoy": [
                str(installed / "envoy"),
                "-c",
                str(settings.envoy),
                *ENVOY_OPTIONS,
            ],
        }
        return commands[program]

    def _wait(self, program: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self._serves(program):
            if self._running[program].poll() is not None:
                raise WorldError(f"{program} ended while starting: {last_line(self.log(program))}")
            if time.monotonic() > deadline:
                raise WorldError(f"{program} did not start within {START_SECONDS:.0f} s: {self.log(program)}")
            time.sleep(POLL_SECONDS)  # another process's readiness cannot be awaited

    def _serves(self, program: str) -> bool:
        places = self.settings.places
        if program == "extauthz":
            return all(_connects(place) for place in (places.extauthz, places.extauthz_http) if place is not None)
        if program == "extauthz-2" and self.settings.second_proxy is not None:
            return _connects(self.settings.second_proxy)
        paths = {"api": "/_control/healthz", "envoy": "/ready"}
        host, port = places.admin if program == "envoy" else getattr(places, program)
        try:
            return httpx2.get(f"http://{host}:{port}{paths.get(program, '/healthz')}").status_code == 200
        except httpx2.TransportError:
            return False


def require_free(places: Places) -> None:
    """Raise WorldError, with one line, when something else listens on one of the addresses."""
    for name, address in places.items():
        with closing(socket.socket()) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(address)
            except OSError as error:
                raise WorldError(
                    f"port {address[1]} for {name} is in use; stop what uses it, or add --free-ports"
                ) from error


def free_places(*, http: bool = False) -> Places:
    """Places on ports that are free now; `http`: with one for the HTTP doors."""
    names = ("envoy", "admin", "idp", "extauthz", "agent", "api", "spa", *(["extauthz_http"] if http else []))
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in names]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    addresses = {name: ("127.0.0.1", port) for name, port in zip(names, ports, strict=True)}
    return Places(origin=f"http://localhost:{ports[0]}", issuer=f"http://localhost:{ports[2]}", **addresses)


def _connects(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=1.0).close()
    except OSError:
        return False
    return True


def last_line(log: Path) -> str:
    """What a program said last."""
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it wrote nothing"
