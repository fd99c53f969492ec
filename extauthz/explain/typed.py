"""The request an operator typed, whichever way, and the `Request` a door would have made of it."""

import re
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from extauthz.cookies.header import OWS, CookieHeader
from extauthz.explain.words import UnusableCommand
from extauthz.request import Request

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_URL = re.compile(r"([^/?#]*)([^#]*)", re.DOTALL)
_BLANK = re.compile(r"[\x00-\x20\x7f]")
_STANDARD = {"http": ":80", "https": ":443"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """Method, host, path with its query, and header lines in their order."""

    method: str
    host: str
    path: str = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    def request(self, context: Mapping[str, str]) -> Request:
        """As the gRPC door hands it over: every cookie line for itself, other headers joined by commas."""
        headers: dict[str, str] = {}
        for name, value in self.headers:
            name = name.lower()
            headers[name] = f"{headers[name]},{value}" if name in headers else value
        cookies = CookieHeader(tuple(value for name, value in self.headers if name.lower() == "cookie"))
        headers.pop("cookie", None)
        headers.pop("host", None)
        return Request(
            method=self.method, path=self.path, host=self.host, headers=headers, cookies=cookies, context=context
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A URL's parts. `host` with its port unless that is the scheme's own; `user` as it stands before the "@"."""

    host: str
    path: str = field(repr=False)
    user: str = field(default="", repr=False)


def header_line(text: str) -> tuple[str, str | None] | None:
    """Name and value of a line as curl reads it.

    `Name;` is a header without a value; `Name:` one that is not sent, with None for its value; all else is no header.
    """
    name, colon, value = text.partition(":")
    if colon:
        return (name.strip(OWS), value.strip(OWS) or None) if name.strip(OWS) else None
    name, semicolon, rest = text.partition(";")
    return (name.strip(OWS), "") if semicolon and not rest.strip(OWS) else None


def host_of(headers: tuple[tuple[str, str], ...], otherwise: str) -> str:
    """What the first Host line says, if there is one."""
    return next((value for name, value in headers if name.lower() == "host"), otherwise)


def read_path(text: str) -> Target:
    """A path, or a whole URL. Raises UnusableCommand."""
    if text.startswith("/"):
        return Target(host="", path=text.partition("#")[0])
    if _SCHEME.match(text):
        return read_url(text)
    raise UnusableCommand("--path needs a path that starts with a slash, or a whole URL")


def read_url(url: str) -> Target:
    """The parts of a URL of http or https, which may have no scheme. Raises UnusableCommand."""
    found = _SCHEME.match(url)
    scheme = found[1].lower() if found else "http"
    parts = _URL.match(url, found.end() if found else 0)
    if scheme not in _STANDARD or parts is None:
        raise UnusableCommand("the URL is none of http or https")
    user, _, host = parts[1].rpartition("@")
    if not host or _BLANK.search(host + parts[2]):
        raise UnusableCommand("the URL has no host, or a blank in it")
    path = parts[2] if parts[2].startswith("/") else f"/{parts[2]}"
    encoded = quote(path, safe=string.printable, errors="surrogateescape")
    return Target(host=host.removesuffix(_STANDARD[scheme]), path=encoded, user=user)


def without_dot_segments(path: str) -> str:
    """What curl and browsers send for a path with "." and ".." in it (RFC 3986 section 5.2.4)."""
    before, question, query = path.partition("?")
    segments = before.split("/")[1:]
    kept: list[str] = []
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept) + question + query
