"""The Cookie header: ours is found in whatever company, and taken out without touching the others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from proxy_world.asking import UNHURRIED

from extauthz.cookies.header import AmbiguousCookie, CookieHeader

OURS = frozenset({"th-at", "th-rt"})
# What str.strip() takes for blanks, or people do, beside the two of the standard.
BLANKS = "\u2000\u0085\u00a0\u3000\u200b\ufeff\v\f\r\n\0"

FOUND: list[tuple[str, tuple[str, ...], str | None]] = [
    ("it is the only one", ("th-at=A",), "A"),
    ("it is among others", ("a=1; th-at=A; b=2",), "A"),
    ("it comes in the second line", ("a=1", "b=2; th-at=A"), "A"),
    ("it comes twice with one value", ("th-at=A; th-at=A",), "A"),
    ("it comes in two lines with one value", ("th-at=A", "th-at=A"), "A"),
    ("it is empty", ("th-at=",), ""),
    ("blanks and tabs surround name and value", ("a=1; \tth-at \t= \tA \t",), "A"),
    ("there are no blanks at all", ("a=1;th-at=A;b=2",), "A"),
    ("there are empty pairs around it", (";;; th-at=A;; ",), "A"),
    ("the value holds equals signs", ("th-at=A=B==",), "A=B=="),
    ("the value is quoted, and quotes are part of it", ('th-at="A"',), '"A"'),
    ("the value ends in a newline, which is part of it", ("th-at=A\n",), "A\n"),
    ("attributes of RFC 2109 are cookies like others", ("$Version=1; th-at=A; $Path=/",), "A"),
    ("a comma is part of a value", ("th-at=A,th-at=B",), "A,th-at=B"),
    ("another value mentions it", ("a=th-at; b=x th-at=B",), None),
    ("another name ends like it", ("xth-at=A",), None),
    ("another name begins like it", ("th-at2=A; th-at.=B; th-at-x=C",), None),
    ("it is in upper case", ("TH-AT=A; Th-At=B",), None),
    ("the name is empty and the value looks like it", ("=th-at=A",), None),
    ("it has no value", ("th-at",), None),
    ("a blank parts the name", ("th at=A; th -at=B",), None),
    ("it hides behind a comma of another's value", ("a=1,th-at=A",), None),
    *(
        (f"U+{ord(c):04X} precedes the name", (f"{c}th-at=A",), None)
        for c in "\u2000\u0085\u00a0\u3000\ufeff\v\f\r\n\0"
    ),
    *((f"U+{ord(c):04X} follows the name", (f"th-at{c}=A",), None) for c in "\u2000\u0085\u00a0\u200b\v\f\0"),
    ("twenty thousand others surround it", ("a=1; " * 10_000 + "th-at=A" + "; b=2" * 10_000,), "A"),
    ("the header is empty", ("",), None),
    ("there is no header", (), None),
]


@pytest.mark.parametrize(("lines", "value"), [pytest.param(*row[1:], id=row[0]) for row in FOUND])
def test_find(lines: tuple[str, ...], value: str | None) -> None:
    """Our cookie is found by its exact name, with its value as it stands."""
    assert CookieHeader(lines).find("th-at") == value


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(("th-at=A; th-at=B",), id="in one line"),
        pytest.param(("th-at=A", "th-at=B"), id="in two lines"),
        pytest.param(("th-at=A; th-at=A; th-at=B",), id="the third differs"),
        pytest.param(("th-at=A; th-at=",), id="one is empty"),
        pytest.param(("th-at=A; th-at=a",), id="in the case of a letter"),
        pytest.param(('th-at=A; th-at="A"',), id="in quotes"),
        pytest.param(('$Version="1; th-at=B"; th-at=A',), id="in the middle of a cookie sandwich"),
    ],
)
def test_two_values_are_ambiguous(lines: tuple[str, ...]) -> None:
    """Two different values under our name are refused; the last, or the first, may be an attacker's."""
    with pytest.raises(AmbiguousCookie):
        CookieHeader(lines).find("th-at")


@pytest.mark.parametrize(
    "line",
    ["a=1,th-at=A", "a=1, \tth-at=A", "th-at=A,th-at=B", "th-at=A,th-at=A", "th-at=A; b=2,th-at=A", "a,th-at=A; b=2"],
)
def test_behind_a_comma_of_joined_lines(line: str) -> None:
    """Where lines were joined by commas, our cookie behind one may be a neighbour's value, and is refused."""
    with pytest.raises(AmbiguousCookie):
        CookieHeader((line,), comma_joined=True).find("th-at")


@pytest.mark.parametrize(
    ("line", "value"),
    [("th-at=A", "A"), ("a=x,y; th-at=A; b=,", "A"), ("th-at=A; b=1,xth-at=B", "A"), ("a=1,2", None), (",", None)],
)
def test_commas_that_hide_nothing(line: str, value: str | None) -> None:
    """A comma elsewhere takes nothing away from a cookie that stands for itself."""
    assert CookieHeader((line,), comma_joined=True).find("th-at") == value


LEFT: list[tuple[str, tuple[str, ...], str | None]] = [
    ("ours was all there was", ("th-at=A",), None),
    ("all of ours were all there was", ("th-at=A; th-rt=B; th-at=C", "th-rt=D"), None),
    ("there was nothing", (), None),
    ("there were only blanks and semicolons", (" ; ;\t;",), None),
    ("ours goes from the middle", ("a=1; th-at=A; b=2",), "a=1; b=2"),
    ("ours goes from the beginning", ("th-at=A; b=2",), "b=2"),
    ("ours goes from the end", ("a=1;th-at=A",), "a=1"),
    ("several lines become one", ("a=1; th-at=A", "b=2", "th-rt=B"), "a=1; b=2"),
    ("names alike stay", ("xth-at=A; TH-AT=B; th-at2=C",), "xth-at=A; TH-AT=B; th-at2=C"),
    ("blanks inside stay", ("a = 1 ; th-at=A",), "a = 1"),
    ("quotes, equals signs and commas stay", ('a="x==,y"; th-at=A; b={"k":1}',), 'a="x==,y"; b={"k":1}'),
    ("equal foreign names stay", ("a=1; th-at=A; a=2; a=1",), "a=1; a=2; a=1"),
    ("names and values that are empty stay", ("=v; n=; flag; th-at=A; =",), "=v; n=; flag; ="),
    ("letters beyond ASCII stay", ("a=é☕; th-at=A",), "a=é☕"),
    ("a forged name with another blank stays what it is", ("\u2000th-at=A",), "\u2000th-at=A"),
    ("ours with blanks around it goes", ("a=1; \t th-at \t =A",), "a=1"),
    ("ours without a value is not ours", ("th-at; a=1",), "th-at; a=1"),
    ("what is not UTF-8 goes", ("a=\udcff; \udcfe=1; b=2",), "b=2"),
    ("ours inside somebody's quotes goes", ('q="x; th-at=A; y"',), 'q="x; y"'),
]


@pytest.mark.parametrize(("lines", "left"), [pytest.param(*row[1:], id=row[0]) for row in LEFT])
def test_without(lines: tuple[str, ...], left: str | None) -> None:
    """What is ours is taken out; every other pair is left byte for byte, in its order."""
    assert CookieHeader(lines).without(OURS.__contains__) == left


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ("a=1,th-at=A", "a=1"),
        ("a=1,th-at=A,b=2", "a=1,b=2"),
        ("a=1, th-rt=A,th-at=B; b=2", "a=1; b=2"),
        ("a=x,y; b=,", "a=x,y; b=,"),
        ("th-at=A,b", None),
    ],
)
def test_without_in_joined_lines(line: str, left: str | None) -> None:
    """Where lines were joined by commas, ours goes from behind a comma too; commas of others stay."""
    assert CookieHeader((line,), comma_joined=True).without(OURS.__contains__) == left


CHARACTERS = st.characters(exclude_characters=";", exclude_categories=["Cs"])
TEXTS = st.text(CHARACTERS | st.sampled_from(" \t=,"), max_size=6)
NAMES = st.sampled_from(["th-at", "th-rt", "xth-at", "TH-AT", "\u2000th-at", "a", ""]) | TEXTS
PAIRS = st.one_of(
    st.builds(
        lambda name, blank, value: f"{blank}{name}{blank}={blank}{value}",
        NAMES,
        st.sampled_from(["", " ", "\t"]),
        TEXTS,
    ),
    TEXTS,
)
LINES = st.lists(st.lists(PAIRS, max_size=6).map(";".join), max_size=4).map(tuple)


def oracle(lines: tuple[str, ...]) -> list[tuple[str | None, str, str]]:
    """Name, value and pair as RFC 6265bis divides them, character by character; no name without an equals sign."""
    pairs = []
    for line in lines:
        pair = ""
        for character in [*line, ";"]:
            if character != ";":
                pair += character
                continue
            while pair[:1] in ("\t", " ") and pair:
                pair = pair[1:]
            while pair[-1:] in ("\t", " ") and pair:
                pair = pair[:-1]
            at = pair.find("=")
            name = pair[:at].strip("\t ") if at >= 0 else None
            pairs.append((name, pair[at + 1 :].strip("\t "), pair))
            pair = ""
    return pairs


@UNHURRIED
@given(LINES)
def test_find_agrees_with_the_standard(lines: tuple[str, ...]) -> None:
    """`find` sees the cookies that a reading of the standard to the letter sees."""
    values = {value for name, value, _ in oracle(lines) if name == "th-at"}
    if len(values) > 1:
        with pytest.raises(AmbiguousCookie):
            CookieHeader(lines).find("th-at")
    else:
        assert CookieHeader(lines).find("th-at") == (values.pop() if values else None)


@UNHURRIED
@given(LINES)
def test_without_leaves_the_foreign_pairs(lines: tuple[str, ...]) -> None:
    """What is left are the foreign pairs that a header can hold, all of them, unchanged and in order."""
    pairs = [pair for name, _, pair in oracle(lines) if name not in OURS and pair]
    foreign = [pair for pair in pairs if not set(pair) & set("\r\n\0")]
    assert CookieHeader(lines).without(OURS.__contains__) == ("; ".join(foreign) or None)


@UNHURRIED
@given(LINES, st.booleans())
def test_without_leaves_none_of_ours(lines: tuple[str, ...], comma_joined: bool) -> None:
    """However lines were joined, in what is left none of ours is found, nor behind a comma where that matters."""
    left = CookieHeader(lines, comma_joined).without(OURS.__contains__)
    again = CookieHeader((left,) if left else (), comma_joined)
    assert again.without(OURS.__contains__) == left
    assert [again.find(name) for name in OURS] == [None, None]
    assert again.without(OURS.__contains__) == left
