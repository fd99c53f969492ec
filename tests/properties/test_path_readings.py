"""A path that some server may read differently is never the reason for less protection.

The readings are functions of their own, none of them ours: what servers, frameworks and proxies do to a path before
they look at it. Whatever chain of them is applied, the path lies where `longest_match` said, or it said nothing.
"""

import re
import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from proxy_world.asking import UNHURRIED

from extauthz.paths import AmbiguousPath, PathPrefixes

Reading = Callable[[str], str]

PREFIXES = st.sampled_from(
    [
        ("/a", "/a/b", "/p"),
        ("/", "/a/b/c", "/a-b"),
        ("/ki/sk", "/ki", "/.well-known"),
        ("/Api/v1.2", "/Api", "/Api/v1.2/x_y"),
    ]
)


def as_sent(path: str) -> str:
    """Nothing is done to it."""
    return path


def decoded(path: str) -> str:
    """Percent-escapes are bytes of UTF-8."""
    return octets(path).decode("utf-8", "surrogateescape")


def decoded_without_errors(path: str) -> str:
    """What is not UTF-8 is dropped."""
    return octets(path).decode("utf-8", "ignore")


def decoded_as_latin_1(path: str) -> str:
    """Every byte is a letter, as servers had it before UTF-8."""
    return octets(path).decode("latin-1")


def decoded_carelessly(path: str) -> str:
    """UTF-8 by its bits alone: more bytes than a letter needs are taken as well."""
    raw, text = octets(path), ""
    while raw:
        length = next((n for n, (low, high) in LEADS.items() if low <= raw[0] < high), 1)
        bits = raw[0] & (0xFF >> (length + 1)) if length > 1 else raw[0]
        for byte in raw[1:length]:
            bits = bits << 6 | byte & 0x3F
        text += chr(bits) if bits < 0x110000 else "\ufffd"
        raw = raw[length:]
    return text


LEADS = {2: (0xC0, 0xE0), 3: (0xE0, 0xF0), 4: (0xF0, 0xF8), 5: (0xF8, 0xFC), 6: (0xFC, 0xFE)}


def decoded_by_iis(path: str) -> str:
    """%u002e is a letter by its number."""
    return re.sub("%u([0-9A-Fa-f]{4})", lambda digits: chr(int(digits[1], 16)), path)


def without_bad_escapes(path: str) -> str:
    """A percent sign that begins no escape is dropped."""
    return re.sub("%(?![0-9A-Fa-f]{2})", "", path)


def decoded_as_a_form(path: str) -> str:
    """A plus is a blank."""
    return path.replace("+", " ")


def collapsed(path: str) -> str:
    """Slashes in a row are one."""
    return re.sub("/{2,}", "/", path)


def resolved(path: str) -> str:
    """Dot segments are followed (RFC 3986 section 5.2.4)."""
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[max(len(kept) - 1, 1) :]
        elif segment != ".":
            kept.append(segment)
    return "/".join(kept) or "/"


def without_parameters(path: str) -> str:
    """Each segment ends at its first semicolon."""
    return re.sub(";[^/]*", "", path)


def cut_at_parameters(path: str) -> str:
    """The path ends at its first semicolon."""
    return path.partition(";")[0]


def with_backslashes_turned(path: str) -> str:
    """A backslash is a slash."""
    return path.replace("\\", "/")


def cut_at_nul(path: str) -> str:
    """A C string ends at NUL."""
    return path.partition("\0")[0]


def without_controls(path: str) -> str:
    """Control characters are dropped."""
    return re.sub("[\x00-\x1f\x7f-\x9f]", "", path)


def without_the_invisible(path: str) -> str:
    """What cannot be seen is dropped."""
    return "".join(character for character in path if character.isprintable())


def cut_at_fragment(path: str) -> str:
    """The path ends at a number sign."""
    return path.partition("#")[0]


def cut_at_query(path: str) -> str:
    """The path ends at a question mark, once it is decoded."""
    return path.partition("?")[0]


def composed(path: str) -> str:
    """Full-width and other compatibility letters are plain ones."""
    return unicodedata.normalize("NFKC", path)


def decomposed(path: str) -> str:
    """Letters and their accents are apart."""
    return unicodedata.normalize("NFKD", path)


def as_windows_names(path: str) -> str:
    """Dots and blanks at the end of a name do not count."""
    return "/".join(name if name in (".", "..") else name.rstrip(". ") for name in path.split("/"))


def trimmed(path: str) -> str:
    """Whatever Unicode calls a blank does not count at either end of a segment."""
    return "/".join(segment.strip() for segment in path.split("/"))


def without_last_slash(path: str) -> str:
    """A directory is its name."""
    return path.rstrip("/") or "/"


def without_format(path: str) -> str:
    """A path may name a format at its end: /admin.json is /admin, to Rails and to older Springs."""
    return re.sub(r"(?<=[^./])\.[A-Za-z][A-Za-z0-9]*(/*)$", r"\1", path)


READINGS: list[Reading] = [
    without_format,
    decoded,
    decoded_without_errors,
    decoded_as_latin_1,
    decoded_carelessly,
    decoded_by_iis,
    without_bad_escapes,
    decoded_as_a_form,
    collapsed,
    resolved,
    without_parameters,
    cut_at_parameters,
    with_backslashes_turned,
    cut_at_nul,
    without_controls,
    without_the_invisible,
    cut_at_fragment,
    cut_at_query,
    composed,
    decomposed,
    as_windows_names,
    trimmed,
    without_last_slash,
]
# How a server compares what it has read with its routes.
COMPARISONS: list[Reading] = [as_sent, str.lower, str.upper, str.casefold]


def octets(path: str) -> bytes:
    """The path with its escapes as bytes; what is no escape stays."""
    raw = path.encode("utf-8", "surrogateescape")
    return re.sub(rb"%([0-9A-Fa-f]{2})", lambda digits: bytes([int(digits[1], 16)]), raw)


def unaccented(path: str) -> str:
    """Letters without their accents, as some databases compare them."""
    letters = unicodedata.normalize("NFKD", path)
    return "".join(letter for letter in letters if not unicodedata.combining(letter)).lower()


def where(path: str, prefixes: tuple[str, ...], compare: Reading) -> str | None:
    """The longest prefix by whole segments."""
    ends = f"{compare(path)}/"
    return max((p for p in prefixes if p == "/" or ends.startswith(f"{compare(p)}/")), key=len, default=None)


PLAIN = ["/", "//", ".", "..", "...", ";", "\\", "#", "?", "%", "+", ":", "2e", "2f", "A", "x", "b", "a"]
ESCAPED = ["%2e", "%2E", "%2f", "%5c", "%3b", "%3f", "%23", "%00", "%09", "%20", "%2B", "%61", "%41", "%25"]
TWICE = ["%252e", "%252f", "%2561", "%25252e", "%25c0%25ae", "%25u002e", "%u002e"]
CARELESS = [
    "%c0%ae",
    "%C0%AF",
    "%c1%9c",
    "%e0%80%ae",
    "%f0%80%80%ae",
    "%f8%80%80%80%ae",
    "%fc%80%80%80%80%ae",
    "%u002e",
]
NO_TEXT = ["%ff", "%a0", "%85", "%c2", "\udcff", "\udcc0\udcae"]
BLANKS = ["%c2%a0", "%c2%85", "%e2%80%8b", "%cc%81", "\x85", "\u200b", "\u0301"]
ALIKE = [
    "%ef%bc%8e",
    "%ef%bc%8f",
    "%ef%bc%85",
    "%e2%80%a5",
    "%e2%84%aa",
    "%c4%b1",
    "%c5%bf",
    *"\uff0e\uff0f\uff05\u2025\ufb01",
]
PIECES = st.sampled_from([*PLAIN, *ESCAPED, *TWICE, *CARELESS, *NO_TEXT, *BLANKS, *ALIKE])
# A prefix, spelt in another way in a place or two, and something behind it.
PATHS = st.builds(
    lambda prefix, more, behind, at: "".join([prefix[:at], *more, prefix[at:], behind]),
    PREFIXES.flatmap(st.sampled_from),
    st.lists(PIECES, max_size=5),
    st.sampled_from(["", "/", "/x", "/../a", "/a/b", "/..", "?x=/../p"]) | st.lists(PIECES, max_size=4).map("/".join),
    st.integers(0, 9),
)
SPELT = st.builds(
    lambda path, at, spell: path[:at] + spell(path[at : at + 1]) + path[at + 1 :],
    PATHS,
    st.integers(1, 12),
    st.sampled_from(
        [
            str,
            str.swapcase,
            lambda letter: "".join(f"%{byte:02x}" for byte in letter.encode("utf-8", "surrogateescape")),
            lambda letter: "".join(f"%25{byte:02X}" for byte in letter.encode("utf-8", "surrogateescape")),
            lambda letter: chr(ord(letter) + 0xFEE0) if "!" <= letter <= "~" else letter,
            lambda letter: {"i": "\u0131", "k": "\u212a", "s": "\u017f"}.get(letter, letter),
        ]
    ),
)


@settings(UNHURRIED, max_examples=4000)
@given(SPELT, PREFIXES, st.lists(st.sampled_from(READINGS), max_size=6))
@example("/a/..\udcff/b", ("/a",), [decoded_without_errors, resolved])
@example("/a/..%00x", ("/a",), [decoded, cut_at_nul, resolved])
@example("/a/..+", ("/a",), [decoded_as_a_form, trimmed, resolved])
@example("/a/%2e%2e%252e", ("/a",), [decoded, as_windows_names, decoded, resolved])
def test_every_reading_lies_where_it_was_said(path: str, prefixes: tuple[str, ...], readings: list[Reading]) -> None:
    """Where there is a match, each reading of the path lies under it, however the server compares; so for none."""
    try:
        found = PathPrefixes(prefixes).longest_match(path)
    except AmbiguousPath:
        return
    text = path.partition("?")[0]
    for reading in [as_sent, *readings]:
        text = reading(text)
        if not text.startswith("/"):
            return  # no server has a route for that
        for compare in COMPARISONS:
            assert where(text, prefixes, compare) == found
        if decoded_as_latin_1 not in readings:
            assert where(text, prefixes, unaccented) == found


LESS_PROTECTED = [
    ("/admin+", "a form's blank at the end of a name"),
    ("/admin%2B", "the same, escaped"),
    ("/admin%C2%85", "a blank to Unicode, and to Python"),
    ("/admin%E2%80%8B", "a blank without width"),
    ("/adm%C4%B1n", "a dotless i is I in upper case"),
    ("/admi%C5%84", "an accent"),
    ("/admin%CC%81", "an accent by itself"),
    ("/%E2%80%8B/admin", "a segment with nothing in it that can be seen"),
    ("/public/..\udcff", "a byte that is dropped"),
    ("/public/..%ff/admin", "the same, escaped"),
    ("/public/\udcc0\udcae./admin", "a dot in two bytes"),
    ("/public/%f8%80%80%80%ae./admin", "a dot in five bytes"),
    ("/public/%25c0%25ae./admin", "a dot in two bytes, escaped twice"),
    ("/public/%25u002e./admin", "a dot by its number, escaped twice"),
    ("/public/..%25/admin", "a percent sign that begins no escape"),
    ("/public/\uff052e./admin", "a wide percent sign"),
    ("/public/..+/admin", "a form's blank behind dots"),
    ("/public/..%C2%85/admin", "a blank to Unicode behind dots"),
    ("/public/..%00x/admin", "the end of a C string"),
    ("/public/%2e%2e%2e/admin", "dots at the end of a name, dropped before it is decoded"),
    ("/public/..%C1%9Cadmin", "a backslash in two bytes, in capitals"),
    ("/public/..%c1%9cadmin", "a backslash in two bytes"),
    ("/public/..%e0%80%afadmin", "a slash in three bytes"),
    ("/public/..%fc%80%80%80%80%afadmin", "a slash in six bytes"),
    ("/public/..%a/admin", "an escape of one digit"),
    ("/public/.%ff./admin", "a byte that is dropped between dots"),
    ("/public/..\u00a5admin", "a yen sign, once a slash to Windows"),
    ("/public/\u00a5../admin", "the same before the dots"),
    ("/(S(abc))/admin", "a session id that is taken out of the path"),
    ("/x%0Aadmin", "a line break, behind which a pattern may begin anew"),
    ("/x%7F", "a control character"),
    ("/admin::$DATA", "a stream of the file, to Windows"),
    ("/admin.json/;x", "a format in front of an end that may not count"),
    ("/admin%EF%BC%8Fx", "a wide slash, escaped"),
    ("/pub%C5%82ic", "a letter with a stroke, which narrow tables have without it"),
    ("/\u00a5admin", "a yen sign in front of a name"),
    ("/public/%2525252e%2525252e/admin", "dots escaped four times"),
    ("/public/" + "\ufdfa" * 400, "letters that unfold to eighteen"),
]


@pytest.mark.parametrize("path", [pytest.param(path, id=name) for path, name in LESS_PROTECTED])
def test_found_by_searching(path: str) -> None:
    """Spellings that were once taken for no match, or for a match of the public prefix."""
    with pytest.raises(AmbiguousPath):
        PathPrefixes(("/public", "/admin")).longest_match(path)


@pytest.mark.parametrize(
    ("path", "prefix"),
    [
        ("/.well-known/x", "/.well-known"),
        ("/.hidden/x", "/"),
        ("/wiki/Mr.", "/"),
        ("/wiki/C++", "/"),
        ("/wiki/J%C3%BCrgen", "/"),
        ("/wiki/%E4%BD%A0%E5%A5%BD", "/"),
        ("/wiki/%D9%85%DB%8C%E2%80%8C%D8%AE", "/"),
        ("/wiki/public/100%25", "/wiki/public"),
        ("/wiki/public/a%0Ab", "/wiki/public"),
        ("/wiki/public/%F0%9F%91%A9%E2%80%8D%F0%9F%92%BB", "/wiki/public"),
        ("/wiki/public/a+b", "/wiki/public"),
        ("/wiki/public/Mr.%20X", "/wiki/public"),
    ],
)
def test_honest_paths_are_not_refused(path: str, prefix: str) -> None:
    """Letters of every language, dots and blanks where people put them, do not make a path ambiguous."""
    assert PathPrefixes(("/", "/.well-known", "/wiki/public")).longest_match(path) == prefix


def test_the_longest_path() -> None:
    """A path of more than 8000 characters is not looked at; how long its query is does not matter."""
    longest = "/a" * 4000
    assert PathPrefixes(("/a",)).longest_match(f"{longest}?{'x' * 50_000}") == "/a"
    with pytest.raises(AmbiguousPath):
        PathPrefixes(("/a",)).longest_match(f"{longest}/")


def test_the_longest_path_with_escapes() -> None:
    """A path that takes work to understand is not looked at beyond 2000 bytes: a flood costs the others nothing."""
    longest = "/a/" + "%20" * 665 + "xx"
    assert PathPrefixes(("/a",)).longest_match(longest) == "/a"
    with pytest.raises(AmbiguousPath):
        PathPrefixes(("/a",)).longest_match(f"{longest}x")


@UNHURRIED
@given(st.text(st.characters(exclude_categories=()), max_size=20), PREFIXES)
def test_any_text_at_all(text: str, prefixes: tuple[str, ...]) -> None:
    """It matches one of the prefixes, matches none, or is refused; nothing else is raised."""
    try:
        assert PathPrefixes(prefixes).longest_match(f"/{text}") in (None, *prefixes)
    except AmbiguousPath:
        return
