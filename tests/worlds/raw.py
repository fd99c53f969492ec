"""HTTP/1.1 by hand: header lines exactly as a hostile client would write them."""

import json
import re
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


def received(answer: RawAnswer, name: str) -> list[str]:
    """The values of one header as the API received them, a byte a character."""
    return [value for key, value in answer.json()["headers"] if key == name]


def identity(answer: RawAnswer) -> list[list[str]]:
    """Every header the API received that some server would take for one of the identity headers."""
    assert answer.status == 200, answer.body
    headers: list[list[str]] = answer.json()["headers"]
    return [header for header in headers if re.sub("[^a-z0-9]", "-", header[0]) in ("x-user-id", "x-user-roles")]


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
