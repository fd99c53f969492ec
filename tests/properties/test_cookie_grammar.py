"""The Cookie header, read letter by letter as the standard's text has it, beside our own reading.

https://datatracker.ietf.org/doc/html/draft-ietf-httpbis-rfc6265bis sections 4.2 and 5.8: pairs are divided by
semicolons, a pair by its first equals sign, and what surrounds names and values are blanks and tabs alone.
"""

from dataclasses import dataclass, field

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from proxy_world.asking import UNHURRIED

from extauthz.cookies.header import MAX_CHARACTERS, MAX_PAIRS, AmbiguousCookie, CookieHeader

THOROUGH = settings(UNHURRIED, max_examples=600)
NAMES = ("th-at", "th-rt")
# What no header may hold, and what is no text: such a pair cannot be sent on.
UNSPEAKABLE = {*"\r\n\0", *map(chr, range(0xD800, 0xE000))}

BLANKS = st.sampled_from(["", "", " ", "\t", " \t ", "\u00a0", "\u2000", "\u0085", "\u200b", "\ufeff", "\v", "\n"])
OTHERS = st.sampled_from(["", "a", "xth-at", "th-at2", "th-a", "TH-AT", "$Version", '"th-at"', "th-at\0", "th at"])
VALUES = st.sampled_from(
    ["", "A", "B", '"A"', "A=", "=A", "A,th-at=B", "x, th-rt=1", ",", '"x', 'y"', "th-at=A", "\udcff", "\0", "A\rB"]
)
LETTERS = st.text(st.characters(exclude_categories=()), max_size=4)
HOSTILE = st.builds(
    "{}{}{}={}{}{}".format,
    BLANKS,
    st.sampled_from(NAMES) | OTHERS | LETTERS,
    BLANKS,
    BLANKS,
    VALUES | LETTERS,
    BLANKS,
)
PAIRS = st.one_of(HOSTILE, HOSTILE, st.sampled_from(["", "th-at", "=", "==", "flag", "th-at==A"]), LETTERS)
SEAMS = st.sampled_from([";", "; ", ";\t;", ",", ", "])
LINES = st.lists(
    st.lists(st.tuples(PAIRS, SEAMS), max_size=5).map(lambda parts: "".join(pair + seam for pair, seam in parts)),
    max_size=3,
).map(tuple)


@dataclass
class Pair:
    """One pair as it is being read: `text` is all of it, `value` stays None until an equals sign is met."""

    text: str = ""
    name: str = ""
    value: str | None = None


@dataclass
class Reader:
    """A state machine over single characters. Blanks are held back until something follows them."""

    pairs: list[Pair] = field(default_factory=list)

    def read(self, line: str) -> None:
        """Take in one field line."""
        pair, text, part = Pair(), Held(), Held()
        for character in line + ";":
            if character == ";":
                self._end(pair, text, part)
                pair, text, part = Pair(), Held(), Held()
                continue
            text.take(character)
            if character == "=" and pair.value is None:
                pair.name, pair.value, part = part.text, "", Held()
            else:
                part.take(character)

    def _end(self, pair: Pair, text: "Held", part: "Held") -> None:
        pair.text = text.text
        if pair.value is not None:
            pair.value = part.text
        self.pairs.append(pair)


@dataclass
class Held:
    """Text without its margins."""

    text: str = ""
    blanks: str = ""

    def take(self, character: str) -> None:
        """One character more."""
        if character not in ("\x20", "\x09"):
            self.text, self.blanks = self.text + self.blanks + character, ""
        elif self.text:
            self.blanks += character


def pairs_of(lines: tuple[str, ...]) -> list[Pair]:
    """All pairs of all lines, in order."""
    reader = Reader()
    for line in lines:
        reader.read(line)
    return reader.pairs


def values_of(lines: tuple[str, ...], name: str) -> list[str]:
    """Every value cookie `name` has."""
    return [pair.value for pair in pairs_of(lines) if pair.name == name and pair.value is not None]


def names_behind_commas(lines: tuple[str, ...]) -> list[str]:
    """Names that would begin a line if each comma were the seam of two."""
    pieces = [piece for line in lines for part in line.split(";") for piece in part.split(",")[1:]]
    return [pair.name for pair in pairs_of(tuple(pieces)) if pair.value is not None]


@THOROUGH
@given(LINES, st.sampled_from(NAMES), st.booleans())
@example(("th-at=A; th-at=A",), "th-at", False)
@example(("th-at=A,th-at=A",), "th-at", True)
@example(("=th-at=A; th-at", "\u2000th-at=B"), "th-at", False)
def test_find_and_mentions(lines: tuple[str, ...], name: str, comma_joined: bool) -> None:
    """A cookie is found when it has one value, refused when it has two or hides, and mentioned in either case."""
    header = CookieHeader(lines, comma_joined)
    values, hides = set(values_of(lines, name)), comma_joined and name in names_behind_commas(lines)
    assert header.mentions(name) is bool(values or hides)
    if len(values) > 1 or hides:
        with pytest.raises(AmbiguousCookie):
            header.find(name)
    else:
        assert header.find(name) == next(iter(values), None)


@THOROUGH
@given(LINES)
@example(("a=1; th-at=A", "b=2;; th-rt ; c"))
@example(("a=1\r\nx-evil: 1; b=2; th-at=A",))
def test_without_leaves_foreign_pairs_as_they_were(lines: tuple[str, ...]) -> None:
    """Every foreign pair that can be sent on is, byte for byte and in order; nothing of ours is."""
    foreign = [pair.text for pair in pairs_of(lines) if pair.value is None or pair.name not in NAMES]
    wanted = [text for text in foreign if text and not UNSPEAKABLE & set(text)]
    left = CookieHeader(lines).without(NAMES.__contains__)
    assert (left.split("; ") if left is not None else []) == wanted
    assert not [pair for pair in pairs_of((left or "",)) if pair.name in NAMES and pair.value is not None]


@THOROUGH
@given(LINES)
@example(("a=1,th-at=A,b=2",))
@example(("a=1, \tth-at =A;b=,th-rt=x,",))
def test_without_in_joined_lines(lines: tuple[str, ...]) -> None:
    """Where a comma may be a seam, no piece of ours is left behind one, and pairs without one of ours are untouched."""
    left = CookieHeader(lines, comma_joined=True).without(NAMES.__contains__)
    assert left != ""
    rest = (left or "",)
    assert not set(NAMES) & {pair.name for pair in pairs_of(rest) if pair.value is not None}
    assert not set(NAMES) & set(names_behind_commas(rest))
    untouched = [
        pair.text
        for pair in pairs_of(lines)
        if pair.text
        and not UNSPEAKABLE & set(pair.text)
        and (pair.value is None or pair.name not in NAMES)
        and not set(NAMES) & set(names_behind_commas((pair.text,)))
    ]
    kept = iter(rest[0].split("; "))
    assert all(word in kept for text in untouched for word in text.split("; ")), (
        "in order, each one found after the last"
    )


@UNHURRIED
@given(LINES, st.booleans())
def test_what_is_left_can_be_sent(lines: tuple[str, ...], comma_joined: bool) -> None:
    """Whatever came, what goes upstream is UTF-8 and ends no header before its time."""
    left = CookieHeader(lines, comma_joined).without(NAMES.__contains__) or ""
    assert not UNSPEAKABLE & set(left)
    assert left.encode().decode() == left


@UNHURRIED
@given(
    st.lists(st.tuples(st.sampled_from(["a=1", "", "x" * 90, "b=,c"]), st.integers(1, 120)), max_size=3),
    st.sampled_from([";", ",", ", "]),
    st.booleans(),
)
@example([("", MAX_PAIRS)], ";", False)
@example([("", MAX_PAIRS + 1)], ";", False)
def test_what_is_excessive(parts: list[tuple[str, int]], seam: str, comma_joined: bool) -> None:
    """A header is excessive when it has too many pairs, as they would be read, or too many characters."""
    lines = tuple(seam.join([text] * times) for text, times in parts)
    dividers = ";," if comma_joined else ";"
    pairs = sum(1 + len([character for character in line if character in dividers]) for line in lines)
    excessive = pairs > MAX_PAIRS or len("".join(lines)) > MAX_CHARACTERS
    assert CookieHeader(lines, comma_joined).excessive is excessive
