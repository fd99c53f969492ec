"""Matching a path against prefixes, without believing that the API reads the path as we do.

Servers disagree about escapes, dot segments, doubled slashes, backslashes, path parameters, case, formats, and what is
left of letters that are not ASCII. A prefix matches when every server would say so, and does not when none would; a
path in between, on which protection would hang, is refused. Nothing is ever normalised: the API gets what was sent.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from urllib.parse import unquote, unquote_to_bytes

_BROKEN_ESCAPE = re.compile(r"%(?![0-9a-f]{2})", re.IGNORECASE)
# Escapes that only a careless decoder takes for ASCII: IIS' own, and UTF-8 in more bytes than needed.
_CARELESS_ESCAPE = re.compile(r"%u[0-9a-f]{4}|%c[01]|%e0%[89]|%f[08]%8|%fc%8", re.IGNORECASE)
_STRUCTURAL = re.compile(r"[\x00-\x1f\x7f/\\;?#%]")
# Two dots climb; more of them do when a server drops those at the end, as Windows does, before it decodes the rest.
_CLIMBING = re.compile(r"(?:^|[/\\;?#])\.\.+(?:$|[/\\;?#])")
# A C string ends at NUL; bytes that were not UTF-8 arrive as lone surrogates (PEP 383).
_UNREADABLE = re.compile(r"[\x00\ud800-\udfff]")
_WORD = r"\.?[\w~-]++(?:\.[\w~-]++)*+"
_ORDINARY = re.compile(rf"(?:{_WORD})?(?:/++{_WORD})*+/*+", re.ASCII)
_BLANKS = frozenset(" +\ufffd")  # plain, as in forms, and what a decoder could not read
MAX_CHARACTERS = 8000  # of a path without its query; what servers take at least (RFC 9110 section 4.1)
MOST_ESCAPES = 4  # layers of percent-encoding; nobody peels more, and no honest client applies two


class AmbiguousPath(Exception):
    """Servers would read the path under different prefixes."""


def longest_match(path: str, prefixes: Iterable[str]) -> str | None:
    """The longest of `prefixes` the path lies under, by whole segments. Raises AmbiguousPath."""
    path = path.partition("?")[0]
    start, *segments = path.split("/")
    if start or len(path) > MAX_CHARACTERS or _may_climb(path):
        raise AmbiguousPath
    if segments and not segments[-1]:
        segments.pop()
    wanted = {prefix: [word for word in prefix.split("/") if word] for prefix in prefixes}
    readings = [_reading(segment) for segment in segments[: max(map(len, wanted.values()), default=0)]]
    for prefix in sorted(wanted, key=len, reverse=True):
        if _lies_under(segments, readings, wanted[prefix]):
            return prefix
    return None


def _lies_under(segments: Sequence[str], readings: Sequence[str | None], wanted: Sequence[str]) -> bool:
    """Whether the first segments are those of the prefix. Raises AmbiguousPath when only some would say so."""
    literal = True
    for number, (segment, reading, word) in enumerate(zip(segments, readings, wanted, strict=False), start=1):
        if reading is None:
            raise AmbiguousPath
        if reading != word.casefold() and not _names_format(reading, word.casefold(), segments[number:]):
            return False
        literal = literal and segment == word
    if len(segments) < len(wanted):
        return False
    if not literal:
        raise AmbiguousPath
    return True


def _names_format(reading: str, word: str, following: Sequence[str]) -> bool:
    """Whether it is the word to some, with a format at the end of the path (Rails, older Spring): /admin.json."""
    return reading.startswith(f"{word}.") and all(_reading(segment) is None for segment in following)


def _reading(segment: str) -> str | None:
    """What the most lenient server takes the segment for; None when that may be no segment, or more than one."""
    if not segment.isascii() or _BROKEN_ESCAPE.search(segment) or _CARELESS_ESCAPE.search(segment):
        return None
    try:
        text = unquote_to_bytes(segment).decode()
    except UnicodeDecodeError:
        return None
    if _STRUCTURAL.search(unicodedata.normalize("NFKD", text)):
        return None
    return _bare(text).rstrip(".") or None  # Windows ignores dots at the end of a name


def _may_climb(path: str) -> bool:
    """Whether some server could find a ".." in it, or another end."""
    if _ORDINARY.fullmatch(path):
        return False
    if _BROKEN_ESCAPE.search(path):
        return True
    text = path
    for _ in range(MOST_ESCAPES):
        decoded = unquote(text, errors="replace")
        if _CARELESS_ESCAPE.search(text) or _UNREADABLE.search(decoded):
            return True
        before, text = text, _bare(decoded)
        if text == before:
            return _CLIMBING.search(text.replace("%", "")) is not None
    return True


def _bare(text: str) -> str:
    """The text without what somebody ignores: blanks, invisible characters, accents, and the case of letters."""
    if _ORDINARY.fullmatch(text):
        return text.lower()
    letters = unicodedata.normalize("NFKD", text)
    seen = "".join(c for c in letters if c.isprintable() and c not in _BLANKS and not unicodedata.combining(c))
    return seen.upper().casefold()  # by way of upper case, where a dotless i becomes an I
