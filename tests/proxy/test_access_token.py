"""The plaintext of the access token cookie: anyone may have sealed it, so it is read like a stranger's letter."""

import json
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from proxy_world.asking import UNHURRIED

from extauthz.cookies.access_token import TOKEN, AccessToken
from extauthz.cookies.envelope import Defect, InvalidCookie
from extauthz.cookies.marks import Kind, KnownBy, mark

MARK = mark("shop", Kind.SUB, "ada")
GOOD: dict[str, object] = {"at": "opaque-token", "iat": 1_700_000_000, "sid": "s"}
LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
JSON = st.dictionaries(st.sampled_from(["at", "iat", "sid", "m", "beg", "x"]), LEAVES | st.lists(LEAVES, max_size=2))


@pytest.mark.parametrize("token", ["a", "_0XBPWQQ_2b0dd9d3-8a0f", "a.b.c", "abc==", "-._~+/", "A" * 3000])
def test_a_token_comes_back(token: str) -> None:
    """Every token of RFC 6750's alphabet comes back with its time and session."""
    written = AccessToken(token=token, issued_at=7, session_id="s")
    assert AccessToken.from_bytes(written.to_bytes()) == written


def test_what_a_session_is_known_by_comes_back() -> None:
    """Marks and beginning come back as they were written, and the session's own mark is made of its id."""
    written = AccessToken(token="t", issued_at=9, session_id="s", marks=(MARK, "b" * 16), began=7)
    read = AccessToken.from_bytes(written.to_bytes())
    assert read == written
    assert read.known_by("shop") == KnownBy((mark("shop", Kind.SESSION, "s"), MARK, "b" * 16), 7)


def test_a_cookie_from_before_revocations_opens() -> None:
    """A session of an older agent goes on; it is known by its id, and began before everything."""
    read = AccessToken.from_bytes(json.dumps(GOOD).encode())
    assert (read.marks, read.began) == ((), 0)
    assert read.known_by("shop") == KnownBy((mark("shop", Kind.SESSION, "s"),), 0)


def test_a_cookie_without_a_session_is_known_by_nothing() -> None:
    """The earlier format holds a token alone."""
    assert AccessToken(token="t").known_by("shop") is None


def test_marks_cost_little() -> None:
    """What lets a session be ended takes at most ninety characters of the sealed cookie."""
    bare = AccessToken(token="t" * 43, issued_at=1_700_000_000, session_id="s" * 22)
    marked = replace(bare, marks=(MARK, "b" * 16), began=1_700_000_000_000)
    assert (len(marked.to_bytes()) - len(bare.to_bytes())) * 4 / 3 <= 90


@pytest.mark.parametrize(
    "token",
    [
        pytest.param("", id="nothing"),
        pytest.param("a\r\nx-role: admin", id="a second header"),
        pytest.param("a\n", id="a newline at the end"),
        pytest.param("a b", id="a blank"),
        pytest.param("a\t", id="a tab"),
        pytest.param("a,b", id="a comma"),
        pytest.param("a;b", id="a semicolon"),
        pytest.param("a&token=b", id="a second form field"),
        pytest.param("a%20", id="a per cent"),
        pytest.param("a=b", id="an equals sign inside"),
        pytest.param("==", id="padding alone"),
        pytest.param("a\0", id="a NUL"),
        pytest.param('a"', id="a quote"),
        pytest.param("é", id="a letter that is not ASCII"),
        pytest.param("\uff11", id="a digit that is not ASCII"),
        pytest.param("\ud800", id="half a character"),
    ],
)
def test_a_token_that_could_mean_something_else(token: str) -> None:
    """A token that could not stand in a form and a header unchanged is refused."""
    _assert_malformed(json.dumps(GOOD | {"at": token}).encode())


@pytest.mark.parametrize(
    "members",
    [
        pytest.param(GOOD | {"at": 1}, id="a number for the token"),
        pytest.param(GOOD | {"at": ["a"]}, id="an array for the token"),
        pytest.param(GOOD | {"at": None}, id="null for the token"),
        pytest.param(GOOD | {"iat": "1700000000"}, id="a string for the time"),
        pytest.param(GOOD | {"iat": 1.5}, id="a fraction for the time"),
        pytest.param(GOOD | {"iat": None}, id="null for the time"),
        pytest.param(GOOD | {"iat": True}, id="a boolean for the time"),
        pytest.param(GOOD | {"iat": float("nan")}, id="no number for the time"),
        pytest.param(GOOD | {"sid": 7}, id="a number for the session"),
        pytest.param(GOOD | {"sid": {}}, id="an object for the session"),
        pytest.param(GOOD | {"m": "a" * 16}, id="a string for the marks"),
        pytest.param(GOOD | {"m": None}, id="null for the marks"),
        pytest.param(GOOD | {"m": [1]}, id="a number for a mark"),
        pytest.param(GOOD | {"m": ["a" * 15]}, id="a mark that is too short"),
        pytest.param(GOOD | {"m": ["a" * 15 + "="]}, id="a mark of other letters"),
        pytest.param(GOOD | {"m": [MARK] * 5}, id="more marks than there are"),
        pytest.param(GOOD | {"beg": "1"}, id="a string for the beginning"),
        pytest.param(GOOD | {"beg": True}, id="a boolean for the beginning"),
        pytest.param(GOOD | {"beg": None}, id="null for the beginning"),
        *(pytest.param({k: v for k, v in GOOD.items() if k != name}, id=f"no {name}") for name in GOOD),
        pytest.param([GOOD], id="an array"),
        pytest.param([], id="an empty array"),
        pytest.param("at", id="a string"),
        pytest.param(7, id="a number"),
        pytest.param(None, id="null"),
    ],
)
def test_members_of_the_wrong_form(members: object) -> None:
    """A member that is missing, or not of its type, spoils the cookie."""
    _assert_malformed(json.dumps(members).encode())


@pytest.mark.parametrize(
    "plaintext",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"{", id="half an object"),
        pytest.param(b"\xff\xfe\xff", id="bytes that are no text"),
        pytest.param(b"[" * 100_000, id="deep nesting"),
        pytest.param(b'{"at":' * 100_000, id="deep nesting of objects"),
        pytest.param(b'{"at":"a","iat":' + b"9" * 5000 + b',"sid":"s"}', id="a number of 5000 digits"),
        pytest.param(b'{"at":"a","iat":1,"sid":"s"} x', id="text after the object"),
    ],
)
def test_not_json(plaintext: bytes) -> None:
    """Text that is not the JSON we write is malformed, and never a fault of ours."""
    _assert_malformed(plaintext)


@UNHURRIED
@given(
    st.binary(max_size=200) | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(repr).map(str.encode)
)
def test_any_plaintext(plaintext: bytes) -> None:
    """Whatever was sealed, reading it gives a token or InvalidCookie."""
    with suppress(InvalidCookie):
        assert TOKEN.fullmatch(AccessToken.from_bytes(plaintext).token)


def _assert_malformed(plaintext: bytes) -> None:
    with pytest.raises(InvalidCookie) as refused:
        AccessToken.from_bytes(plaintext)
    assert refused.value.defect is Defect.MALFORMED
