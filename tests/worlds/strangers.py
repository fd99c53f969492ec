"""Pages of somebody else: an empty page under every name of this machine, which tests then run scripts in."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


class Page(BaseHTTPRequestHandler):
    """Says nothing at any path."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:  # its name in the standard library
        """Answer with the page."""
        body = b"<!doctype html><title>A stranger</title>"
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Be quiet."""


@contextmanager
def strangers() -> Iterator[int]:
    """The port they are at."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()
