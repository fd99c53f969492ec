"""The Cookie request header: find our cookie in it, and take ours out of it.

Our own reading: `http.cookies` drops what follows a neighbour it dislikes, unquotes values, and lets the
last of two equal names win. We follow the server side of RFC 6265bis section 5.8: split at ";", trim blanks and
tabs (and nothing else: str.strip() would also trim U+2000 and so accept a forged `__Host-` name), divide at the
first "=", leave values as they are. https://datatracker.ietf.org/doc/html/draft-ietf-httpbis-rfc6265bis
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

OWS = " \t"
# More than any browser in its right mind sends; reading a header takes time in proportion to both.
MAX_CHARACTERS = 16 * 1024
MAX_PAIRS = 200
# Bytes that were not UTF-8 arrive as lone surrogates (PEP 383).
_UNWRITABLE = re.compile(r"[\r\n\0\ud800-\udfff]")


class AmbiguousCookie(Exception):
    """Our cookie is there more than once with different values, or where a proxy may have joined two lines."""


@dataclass(frozen=True, slots=True)
class CookieHeader:
    """The Cookie field lines of one request.

    `comma_joined`: repeated lines were joined by a comma before we saw them, as Envoy does in its `headers` map.
    Then a comma may be part of a value or the seam of two lines; nobody can tell which.
    """

    lines: tuple[str, ...] = field(default=(), repr=False)
    comma_joined: bool = False

    @property
    def excessive(self) -> bool:
        """Whether the header is too large to be looked at."""
        pairs = characters = 0
        for line in self.lines:
            pairs += 1 + line.count(";") + (line.count(",") if self.comma_joined else 0)
            characters += len(line)
        return pairs > MAX_PAIRS or characters > MAX_CHARACTERS

    def mentions(self, name: str) -> bool:
        """Whether cookie `name` is there, or may be, with whatever value."""
        if not any(name in line for line in self.lines):
            return False
        return any(own == name for own, _ in self._pairs(name)) or self._hides(name.__eq__)

    def find(self, name: str) -> str | None:
        """The value of cookie `name`, None when absent, AmbiguousCookie when it cannot be told."""
        if not any(name in line for line in self.lines):
            return None
        values = {value for own, value in self._pairs(name) if own == name}
        if len(values) > 1 or self._hides(name.__eq__):
            raise AmbiguousCookie
        return values.pop() if values else None

    def names(self, prefix: str) -> list[str]:
        """The names that begin with `prefix`, in the order in which they came."""
        return [name for name, _ in self._pairs(prefix) if name.startswith(prefix)]

    def without(self, is_ours: Callable[[str], bool]) -> str | None:
        """The header to send upstream: every foreign pair byte for byte, or None when nothing is left.

        A pair that cannot be written is dropped: not UTF-8, for Envoy's answer is a protobuf string, or with what no
        header may hold, for it would end the header before its time (RFC 9110 section 5.5).
        """
        kept = (part for line in self.lines for part in line.split(";") if not is_ours(_name(part)))
        if self.comma_joined:
            kept = (_without_seams(part, is_ours) for part in kept)
        return "; ".join(part.strip(OWS) for part in kept if part.strip(OWS) and _is_writable(part)) or None

    def _pairs(self, wanted: str) -> Iterator[tuple[str, str]]:
        """Names and values; of the pairs that hold the text `wanted` nowhere, none."""
        for line in self.lines:
            for part in line.split(";"):
                if wanted in part:
                    name, equals, value = part.partition("=")
                    if equals:
                        yield name.strip(OWS), value.strip(OWS)

    def _hides(self, is_ours: Callable[[str], bool]) -> bool:
        """Whether one of our cookies stands behind a comma, where it may be a neighbour's value or a line's start."""
        if not self.comma_joined:
            return False
        parts = (part for line in self.lines if "," in line for part in line.split(";"))
        return any(is_ours(_name(piece)) for part in parts for piece in part.split(",")[1:])


def _name(part: str) -> str:
    name, equals, _ = part.partition("=")
    return name.strip(OWS) if equals else ""


def _without_seams(part: str, is_ours: Callable[[str], bool]) -> str:
    first, *rest = part.split(",")
    return ",".join([first, *(piece for piece in rest if not is_ours(_name(piece)))])


def _is_writable(part: str) -> bool:
    return _UNWRITABLE.search(part) is None
