"""The request an operator typed, whichever way, and the `Request` a door would have made of it."""

import re
import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Self
from urllib.parse import quote

from extauthz.cookies.header import OWS, CookieHeader
from extauthz.explain.words import UnusableCommand
from extauthz.request import Request

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_URL = re.compile(r"([^/?#]*)([^#]*)", re.DOTALL)
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^][@:]*)(:[0-9]{1,5})?")
_BLANK = re.compile(r"[\x00-\x20\x7f]")
_STANDARD = {"http": ":80", "https": ":443"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """Method, host, path with its query, and header lines in their order."""

    method: str = "GET"
    host: str = ""
    path: str = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    def with_lines(self, lines: Iterable[tuple[str, str | None]]) -> Self:
        """With those header lines that have a value; the first Host among them says the host."""
        headers = tuple((name, value) for name, value in lines if value is not None)
        host = next((value for name, value in headers if name.lower() == "host"), self.host)
        return replace(self, host=host, headers=headers)

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


def header_line(text: str) -> tuple[str, str | None]:
    """Name and value of a line as curl reads it. Raises UnusableCommand for what curl would drop without a word.

    `Name;` is a header without a value. `Name:`, with None for its value, is not sent, nor is one without a name.
    """
    name, colon, value = (part.strip(OWS) for part in text.partition(":"))
    if colon:
        return name, (value or None) if name else None
    name, semicolon, rest = (part.strip(OWS) for part in text.partition(";"))
    if not name or not semicolon or rest:
        raise UnusableCommand("a header without a colon or a name; write -H 'Name: value', or 'Name;' for an empty one")
    return name, ""


def read_path(text: str) -> Typed:
    """A GET of a path, or of a whole URL. Raises UnusableCommand."""
    if text.startswith("/"):
        return Typed(path=text.partition("#")[0])
    if _SCHEME.match(text):
        return read_url(text)
    raise UnusableCommand("--path needs a path that starts with a slash, or a whole URL")


def read_url(url: str) -> Typed:
    """A GET of a URL of http or https, which may have no scheme. Raises UnusableCommand.

    The host is with its port, unless that is the scheme's own.
    """
    found = _SCHEME.match(url)
    scheme = found[1].lower() if found else "http"
    parts = _URL.match(url, found.end() if found else 0)
    if scheme not in _STANDARD or parts is None:
        raise UnusableCommand("the URL is none of http or https")
    host, path = parts.groups()
    if not _HOST.fullmatch(host):
        # A password may hold a slash: where it ends, and so what may be shown, nobody can tell.
        raise UnusableCommand("the URL holds a login, or a port that is no number: take it out")
    if not host or _BLANK.search(host + path):
        raise UnusableCommand("the URL has no host, or a blank in it")
    path = quote(path if path.startswith("/") else f"/{path}", safe=string.printable, errors="surrogateescape")
    return Typed(host=host.removesuffix(_STANDARD[scheme]), path=path)


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
