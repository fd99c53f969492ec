"""HTTP/1.1 by hand: header lines exactly as a hostile client would write them."""

import json
import socket
from dataclasses import dataclass
from http.client import HTTPResponse
from typing import Any


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """Status, headers with repetitions, and body of one answer."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    def all(self, name: str) -> list[str]:
        """Every value of one header."""
        return [value for key, value in self.headers if key.lower() == name]


def exchange(place: str, method: str, path: str, *lines: str | bytes) -> RawAnswer:
    """Send one request with these header lines, and nothing else, to HOST:PORT."""
    host, port = place.split(":")
    head = b"\r\n".join([f"{method} {path} HTTP/1.1".encode(), *map(_bytes, lines), b"connection: close", b"", b""])
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(head)
        response = HTTPResponse(connection, method=method)
        response.begin()
        return RawAnswer(response.status, response.getheaders(), response.read())


def _bytes(line: str | bytes) -> bytes:
    return line if isinstance(line, bytes) else line.encode()
