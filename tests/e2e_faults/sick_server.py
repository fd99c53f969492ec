"""An authorization server with every illness there is; which one, the token it is asked about says."""

import gzip
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

KEY = ec.generate_private_key(ec.SECP256R1())
JWT = "application/jwt"
JSON = "application/json"


@dataclass(slots=True)
class Answer:
    """What it says. `held`: after the head, nothing more; `cut`: half of the body is missing."""

    status: int = 200
    content_type: str = JSON
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    silent: bool = False
    held: bool = False
    cut: bool = False


@dataclass(slots=True)
class SickServer:
    """Ill until it is `well`; `asked` counts introspections by illness, and nothing is answered but through `gate`."""

    url: str
    nowhere: str
    well: bool = False
    ended: Event = field(default_factory=Event)
    gate: Event = field(default_factory=Event)
    asked_once: Event = field(default_factory=Event)
    asked: dict[str, int] = field(default_factory=dict)

    def metadata(self, app: str) -> dict[str, str]:
        """The metadata of one app's issuer."""
        issuer = f"{self.url}/{app}"
        introspection = {"refused": self.nowhere, "tls": issuer.replace("http:", "https:")}.get(app, issuer)
        return {
            "issuer": issuer,
            "jwks_uri": f"{issuer}/jwks",
            "introspection_endpoint": f"{introspection}/introspect",
        }

    def phantom(self, app: str) -> str:
        """A good JWT."""
        claims = {"iss": f"{self.url}/{app}", "aud": "api", "sub": "ada", "exp": int(time.time()) + 300}
        return jwt.encode(claims, KEY, "ES256", headers={"kid": "k", "typ": "at+jwt"})

    def introspect(self, app: str, token: str) -> Answer:
        """The answer about a token, by the illness it names."""
        illness = token.partition(".")[0]
        self.asked[illness] = self.asked.get(illness, 0) + 1
        self.asked_once.set()
        self.gate.wait(30)
        if self.well:
            return Answer(content_type=JWT, body=self.phantom(app).encode())
        return ILLNESSES[illness](self, app)


def _status(status: int, **headers: str) -> Callable[[SickServer, str], Answer]:
    return lambda _server, _app: Answer(status, body=b'{"error":"x"}', headers=headers)


def _says(body: bytes, content_type: str = JSON, **headers: str) -> Callable[[SickServer, str], Answer]:
    return lambda _server, _app: Answer(content_type=content_type, body=body, headers=headers)


ILLNESSES: dict[str, Callable[[SickServer, str], Answer]] = {
    "hangs": lambda *_: Answer(silent=True),
    "slow-body": lambda *_: Answer(body=b"{}", held=True),
    "cut-short": lambda *_: Answer(body=b'{"active":false}', cut=True),
    **{f"status-{status}": _status(status) for status in (201, 400, 401, 403, 404, 429, 500, 502, 503)},
    "redirect": _status(302, location="http://evil.example/"),
    "html": _says(b"<h1>Maintenance</h1>", "text/html"),
    "empty": _says(b"", JWT),
    "empty-json": _says(b""),
    "truncated-json": _says(b'{"active":tr'),
    "ten-megabytes": _says(b'{"active":true,"x":"' + b"x" * 10_000_000 + b'"}'),
    "gzip-bomb": _says(gzip.compress(b"0" * 100_000_000), JSON, **{"content-encoding": "gzip"}),
    "active-as-text": lambda server, app: Answer(body=_json(active="true", jwt=server.phantom(app))),
    "active-as-number": lambda server, app: Answer(body=_json(active=1, jwt=server.phantom(app))),
    "active-missing": lambda server, app: Answer(body=_json(jwt=server.phantom(app))),
    "no-jwt": _says(b'{"active":true}'),
    "wrong-content-type": lambda server, app: Answer(content_type="text/plain", body=server.phantom(app).encode()),
    "another-issuers-jwt": lambda server, _app: Answer(content_type=JWT, body=server.phantom("another").encode()),
}
NOT_ACTIVE: dict[str, Callable[[SickServer, str], Answer]] = {
    "status-204": lambda *_: Answer(204),
    "inactive": _says(b'{"active":false}'),
}
ILLNESSES |= NOT_ACTIVE


def _json(**members: Any) -> bytes:
    return json.dumps(members).encode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    sick: SickServer

    def handle_error(self, *_: object) -> None:
        """Clients that hang up are what this is about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def sick(self) -> SickServer:
        assert isinstance(self.server, _Server)
        return self.server.sick

    def do_GET(self) -> None:
        app, document = self.path.strip("/").split("/", 1)
        key = {**ECAlgorithm.to_jwk(KEY.public_key(), as_dict=True), "kid": "k", "use": "sig", "alg": "ES256"}
        members: dict[str, Any] = {"keys": [key]} if document == "jwks" else dict(self.sick.metadata(app))
        self._send(Answer(body=_json(**members)))

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
        self._send(self.sick.introspect(self.path.strip("/").split("/")[0], form["token"][0]))

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def _send(self, answer: Answer) -> None:
        if answer.silent:
            self.sick.ended.wait(30)
            return
        self.send_response(answer.status)
        length = {} if answer.status == 204 else {"content-length": str(len(answer.body))}
        for name, value in {"content-type": answer.content_type, **length, **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if answer.held:
            self.sick.ended.wait(30)
        self.wfile.write(answer.body[: len(answer.body) // 2] if answer.cut else answer.body)
        self.close_connection = answer.cut or answer.held


@contextmanager
def sick_server(nowhere: str) -> Iterator[SickServer]:
    """The server at work on a free port; `nowhere`: a URL nobody answers."""
    with _Server(("127.0.0.1", 0), _Handler) as listener:
        listener.sick = SickServer(f"http://127.0.0.1:{listener.server_address[1]}", nowhere)
        listener.sick.gate.set()
        thread = Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield listener.sick
        finally:
            listener.sick.ended.set()
            listener.shutdown()
            thread.join()
