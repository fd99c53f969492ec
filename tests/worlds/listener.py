"""A server in the place of another, that writes down what it is asked and answers as it is told."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

from demo.settings import Address


@dataclass(frozen=True, slots=True)
class Heard:
    """One request: header lines in order, names in lower case, and how many bytes came after them."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: int

    def all(self, name: str) -> list[str]:
        """Every value of one header."""
        return [value for key, value in self.headers if key == name]


@dataclass(slots=True)
class Listener:
    """Where it is, what it has heard, and what it answers with next, once it `answers`."""

    place: Address
    heard: list[Heard] = field(default_factory=list)
    status: int = 200
    headers: list[tuple[str, str]] = field(default_factory=list)
    answers: Event = field(default_factory=Event)


@contextmanager
def listening() -> Iterator[Listener]:
    """A listener at work."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            headers = [(name.lower(), value) for name, value in self.headers.items()]
            listener.heard.append(Heard(self.command, self.path, headers, len(self._body())))
            listener.answers.wait()
            self.send_response(listener.status)
            for name, value in [*listener.headers, ("content-length", "0"), ("connection", "close")]:
                self.send_header(name, value)
            self.end_headers()

        do_GET = do_POST = do_PUT = do_HEAD = do_OPTIONS = handle_any  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Nothing."""

        def _body(self) -> bytes:
            if "chunked" not in self.headers.get("transfer-encoding", ""):
                return self.rfile.read(int(self.headers.get("content-length", "0")))
            return b"".join(iter(self._chunk, b""))

        def _chunk(self) -> bytes:
            chunk = self.rfile.read(int(self.rfile.readline(), 16))
            self.rfile.readline()
            return chunk

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        listener = Listener(("127.0.0.1", server.server_address[1]))
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        listener.answers.set()
        try:
            yield listener
        finally:
            listener.answers.set()
            server.shutdown()
            thread.join()
