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
# What stands beside them may be a slash to somebody, as a yen sign was to Windows in Japan.
_CLIMBING = re.compile(r"(?:^|[^A-Za-z0-9_.~-])\.\.+(?:$|[^A-Za-z0-9_.~-])")
# A session id that ASP.NET takes out of the path before it looks at it: /(S(abc))/admin.
_COOKIELESS = re.compile(r"\([a-z]\(.*\)\)")
# A C string ends at NUL; bytes that were not UTF-8 arrive as lone surrogates (PEP 383).
_UNREADABLE = re.compile(r"[\x00\ud800-\udfff]")
_WORD = r"\.?[\w~-]++(?:\.[\w~-]++)*+"
_ORDINARY = re.compile(rf"(?:{_WORD})?(?:/++{_WORD})*+/*+", re.ASCII)
_BLANKS = frozenset(" +\ufffd")  # plain, as in forms, and what a decoder could not read
MAX_CHARACTERS = 8000  # of a path without its query; what servers take at least (RFC 9110 section 4.1)
MAX_ODD_BYTES = 2000  # of a path with escapes and the like: looking into one takes up to a microsecond a byte
MOST_ESCAPES = 4  # layers of percent-encoding; nobody peels more, and no honest client applies two


class AmbiguousPath(Exception):
    """Servers would read the path under different prefixes."""


class PathPrefixes:
    """Prefixes of whole segments, made ready once for many paths."""

    def __init__(self, prefixes: Iterable[str]) -> None:
        wanted = {prefix: [word for word in prefix.split("/") if word] for prefix in prefixes}
        # The longest first.
        ordered = sorted(wanted.items(), key=lambda item: len(item[1]), reverse=True)
        self._prefixes = [(prefix, words, [word.casefold() for word in words]) for prefix, words in ordered]
        self._depth = max(map(len, wanted.values()), default=0)

    def longest_match(self, path: str) -> str | None:
        """The longest prefix the path lies under. Raises AmbiguousPath."""
        path = path.partition("?")[0]
        start, *segments = path.split("/")
        if start or _too_long(path) or _may_climb(path):
            raise AmbiguousPath
        if segments and not segments[-1]:
            segments.pop()
        readings = [_reading(segment) for segment in segments[: self._depth]]
        # Where the end cannot be read, the path may end before it.
        ends_at = len(segments) if not segments or _reading(segments[-1]) is not None else 0
        for prefix, words, folded in self._prefixes:
            if _lies_under(readings, folded, ends_at) and len(segments) >= len(words):
                if segments[: len(words)] != words:
                    raise AmbiguousPath
                return prefix
        return None


def _lies_under(readings: Sequence[str | None], wanted: Sequence[str], ends_at: int) -> bool:
    """Whether some server would say so of these segments. Raises AmbiguousPath where one cannot be read."""
    for number, (reading, word) in enumerate(zip(readings, wanted, strict=False), start=1):
        if reading is None:
            raise AmbiguousPath
        if reading != word and not _taken_for(reading, word, ends=ends_at <= number):
            return False
    return True


def _taken_for(reading: str, word: str, *, ends: bool) -> bool:
    """Whether some server would take a segment for the word although it is another."""
    if reading.startswith(f"{word}:") or (ends and reading.startswith(f"{word}.")):
        # A stream of the file, to Windows, or a format at the end of the path, to Rails and older Springs: /admin.json.
        return True
    # A letter that is not ASCII may end as one that is, where it does not fit into a table of letters.
    return (
        not reading.isascii()
        and len(reading) == len(word)
        and all(ours == theirs or theirs > "\x7f" for ours, theirs in zip(word, reading, strict=True))
    )


def _too_long(path: str) -> bool:
    """Whether looking into it would take longer than any other part of a decision."""
    if len(path) > MAX_CHARACTERS:
        return True
    return not _ORDINARY.fullmatch(path) and len(path.encode("utf-8", "surrogatepass")) > MAX_ODD_BYTES


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
    bare = _bare(text).rstrip(".")  # Windows ignores dots at the end of a name
    return bare if bare and not _COOKIELESS.fullmatch(bare) else None


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
        if len(unicodedata.normalize("NFKD", decoded)) > 2 * MAX_ODD_BYTES:
            return True  # there are letters that unfold to eighteen
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
