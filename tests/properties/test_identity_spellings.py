"""Identity headers: no claim breaks out of its value, and no spelling of a protected name gets past."""

import math
import re
from itertools import product
from urllib.parse import unquote

from hypothesis import example, given
from hypothesis import strategies as st
from proxy_world.asking import UNHURRIED

from extauthz.identity import IdentityHeaders, header_value

NAMES = ("x-user-id", "x-roles", "tenant", "x-a-b-c")
IDENTITY = IdentityHeaders({name: name for name in NAMES})

# What JSON can hold, lone surrogates included.
TEXTS = st.text(st.characters(exclude_categories=()) | st.sampled_from(' \t\r\n\0%,;"\\\x7f\x85\ud800'), max_size=12)
SCALARS = TEXTS | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.none()
CLAIMS = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=2), max_leaves=6
)
# All that a header's name may hold beside letters and digits (RFC 9110 section 5.6.2).
SEPARATORS = st.sampled_from("!#$%&'*+-.^_`|~")
PRINTABLE = re.compile(r"[\x20-\x7e]*", re.ASCII)


def in_header(text: str) -> str:
    """What can be said of a text in UTF-8, which has no lone surrogates."""
    return "".join("?" if "\ud800" <= letter <= "\udfff" else letter for letter in text)


def spelt(name: str, separators: list[str], capitals: list[bool]) -> str:
    """The name with other separators and capitals, for as many letters as there are."""
    signs = iter([*separators, *"-" * len(name)])
    letters = [next(signs) if letter == "-" else letter for letter in name]
    capitals = [*capitals, *[False] * len(letters)]
    return "".join(letter.upper() if capital else letter for letter, capital in zip(letters, capitals, strict=False))


SPELLINGS = st.builds(
    spelt, st.sampled_from(NAMES), st.lists(SEPARATORS, max_size=3), st.lists(st.booleans(), max_size=9)
)


@UNHURRIED
@given(CLAIMS)
@example("ada\r\nx-admin: 1")
@example([" ", "a\0"])
def test_a_value_is_printable_ascii(claim: object) -> None:
    """Whatever a claim holds, its header has printable ASCII alone, and no blanks at its ends to be lost."""
    value = header_value(claim)
    assert PRINTABLE.fullmatch(value)
    assert value == value.strip(" ")


@UNHURRIED
@given(TEXTS)
def test_a_text_can_be_recovered(text: str) -> None:
    """Decoding the percent-escapes gives back the text."""
    assert unquote(header_value(text), errors="strict") == in_header(text)


@UNHURRIED
@given(st.lists(TEXTS, max_size=5))
def test_a_list_can_be_recovered(texts: list[str]) -> None:
    """So it does for each item between commas; a comma inside one is escaped. Empty items say nothing."""
    value = header_value(texts)
    items = value.split(",") if value else []
    assert [unquote(item, errors="strict") for item in items] == [in_header(text) for text in texts if text]


@UNHURRIED
@given(st.booleans() | st.integers() | st.floats())
def test_numbers_are_what_they_were(claim: bool | float) -> None:
    """Numbers are written as Python reads them, truth in lower case as JSON has it; in lists too."""
    value = header_value(claim)
    assert header_value([claim]) == value
    if isinstance(claim, bool):
        assert value == str(claim).lower()
    else:
        assert type(claim)(value) == claim or math.isnan(claim)


@UNHURRIED
@given(st.dictionaries(st.sampled_from(NAMES) | TEXTS, CLAIMS, max_size=5))
def test_headers_are_overwritten_or_removed(claims: dict[str, object]) -> None:
    """Each protected header has a value of ours or is removed, never both, and no other claim becomes a header."""
    given_ = IDENTITY.from_claims(claims)
    removed = IDENTITY.to_remove([], given_)
    ours = [name for name, _ in given_]
    assert all(value for _, value in given_)
    assert sorted([*ours, *(name for name in removed if name in NAMES)]) == sorted(NAMES)


@UNHURRIED
@given(st.lists(SPELLINGS | TEXTS, max_size=6), st.lists(st.sampled_from(NAMES), unique=True))
@example(["x_user\nid", "x-user-id\r\nx-admin"], [])
def test_every_spelling_that_was_sent_is_removed(sent: list[str], overwritten: list[str]) -> None:
    """Whatever separators and capitals a protected name is sent with, it is removed; what we overwrite is not."""
    lines = [name.lower() for name in sent]  # as doors hand them over
    removed = IDENTITY.to_remove(lines, [(name, "ours") for name in overwritten])
    for name in lines:
        alike = re.sub(r"[!#$%&'*+.^_`|~]", "-", name)
        if alike in NAMES:
            assert (name in removed) is (name not in overwritten)
        else:
            assert name not in removed
    assert not set(overwritten) & set(removed)
    assert not re.search(r"[\r\n\0, ]", "".join(removed))


def test_every_spelling_with_underscores_is_removed_unseen() -> None:
    """Also where the gateway did not show us all headers: underscores and hyphens in every mixture."""
    for name in NAMES:
        words = name.split("-")
        for signs in product("-_", repeat=len(words) - 1):
            spelling = "".join(word + sign for word, sign in zip(words, [*signs, ""], strict=True))
            assert spelling in IDENTITY.to_remove([])
