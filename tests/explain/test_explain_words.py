"""Command lines as browsers write them, read into words as bash would."""

import shlex

import pytest
from hypothesis import given, strategies
from proxy_world.asking import UNHURRIED

from extauthz.explain.words import UnusableCommand, split

# What bash makes of each, seen with `printf '%s|' ...`.
READ = {
    "nothing": ("  \n", []),
    "blanks and lines": ("a\tb\n c\r\n", ["a", "b", "c"]),
    "a line that goes on": ("curl \\\n  -H a\\\r\nb", ["curl", "-H", "ab"]),
    "single quotes": ("'a b'\\''c'", ["a b'c"]),
    "an empty word": ("a '' \"\"", ["a", "", ""]),
    "double quotes": (r'"a\"b\$c\\d\e\`"', [r'a"b$c\d\e`']),
    "double quotes over a line": ('"a\\\nb"', ["ab"]),
    "a lone backslash": (r"a\ b", ["a b"]),
    "a dollar that is only one": ("$a '$x' a$", ["$a", "$x", "a$"]),
    "letters": (r"$'a\tb\n\e\q'", ["a\tb\n\x1b\\q"]),
    "quotes": (r"""$'it\'s \"it\" \\ \?'""", ['it\'s "it" \\ ?']),
    "bytes that are a character": (r"$'\xc3\xa9\303\251'", ["éé"]),
    "a byte that is none": (r"$'\xff'", ["\udcff"]),
    "what Chrome writes for an exclamation mark": (r"$'a\u0021b'", ["a!b"]),
    "a character by its number": (r"$'\u00e9\u20ac'", ["é€"]),
    "half a pair": (r"$'\ud83d'", ["\udced\udca0\udcbd"]),
    "what the shell would take, in quotes": (r"""'a|b;' "c&d" \> $'<'""", ["a|b;", "c&d", ">", "<"]),
    "beside other words": (r"-b $'x=\u0021'y", ["-b", "x=!y"]),
}


@pytest.mark.parametrize(("text", "words"), READ.values(), ids=READ.keys())
def test_words(text: str, words: list[str]) -> None:
    """A command line falls into the words bash gives its command."""
    assert split(text) == words


@pytest.mark.parametrize("text", ["'a", '"a', "$'a", r"$'a\'", "a\\", "a 'canary"])
def test_a_quote_that_is_not_closed(text: str) -> None:
    """Half a paste is said to be one, without repeating it."""
    with pytest.raises(UnusableCommand, match=r"^a quote is not closed$"):
        split(text)


@pytest.mark.parametrize("end", [" | jq", "|jq", ";", " && echo canary", " > canary", " 2>&1", " &", "\n< canary"])
def test_what_the_shell_would_take(end: str) -> None:
    """What is no part of the command is refused, and told without repeating it."""
    with pytest.raises(UnusableCommand, match=r"^\| ; & < > without quotes end") as raised:
        split(f"curl 'https://a.example/x'{end}")
    assert "canary" not in str(raised.value)


TEXTS = strategies.text(strategies.characters(exclude_categories=["Cs"]))


@UNHURRIED
@given(strategies.lists(TEXTS))
def test_what_python_quotes(words: list[str]) -> None:
    """Words that were quoted for a shell are the same words again."""
    assert split(shlex.join(words)) == words


@UNHURRIED
@given(strategies.text(alphabet="ab '\"\\="))
def test_as_python_splits(text: str) -> None:
    """Without a dollar, and on one line, it reads as Python's shlex does, and refuses what that refuses."""
    try:
        expected = shlex.split(text)
    except ValueError:
        with pytest.raises(UnusableCommand):
            split(text)
    else:
        assert split(text) == expected
