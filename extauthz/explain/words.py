"""The words of a command line as bash reads them, `$'...'` included: so browsers write what is not plain ASCII."""

import re

_PIECE = re.compile(
    r"""
    (?P<joined> \\\r?\n )
    | (?P<blank> [ \t\r\n]+ )
    | \$'(?P<ansi> (?:[^'\\]|\\.)* )'
    | '(?P<single> [^']* )'
    | "(?P<double> (?:[^"\\]|\\.)* )"
    | \\(?P<escaped> . )
    | (?P<operator> [|;&<>] )
    | (?P<plain> [^ \t\r\n'"\\$|;&<>]+ | \$(?!') )
    """,
    re.VERBOSE | re.DOTALL,
)
_IN_DOUBLE = re.compile(r"\\(?:\r?\n|([\\\"$`]))")
_IN_ANSI = re.compile(r"\\(?:x([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{1,4})|([0-7]{1,3})|(.))", re.DOTALL)
_LETTERS = {"a": "\a", "b": "\b", "e": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_THEMSELVES = "\\'\"?"
# Before the first single quote, which Windows has not: a caret before a double quote or the end of the line.
_FOR_WINDOWS = re.compile(r"\s*curl\s[^']*?\s\^[\"\r\n]")
WINDOWS = "copied for Windows (cmd); choose Copy as cURL (bash) instead"


class UnusableCommand(Exception):
    """A command line that cannot be followed. The message names options at most, never a value."""


def split(text: str) -> list[str]:
    """The words of `text`. Raises UnusableCommand when a quote is not closed, or more than a command follows."""
    if _FOR_WINDOWS.match(text):
        raise UnusableCommand(WINDOWS)
    words: list[str] = []
    position, open_word = 0, False
    while position < len(text):
        piece = _PIECE.match(text, position)
        if piece is None:
            raise UnusableCommand("a quote is not closed")
        if piece["operator"]:
            raise UnusableCommand("| ; & < > without quotes end the command: leave out the rest, or quote the URL")
        position = piece.end()
        if piece.lastgroup == "blank":
            open_word = False
        elif piece.lastgroup != "joined":
            words += [] if open_word else [""]
            words[-1] += _plain(str(piece.lastgroup), str(piece[str(piece.lastgroup)]))
            open_word = True
    return words


def _plain(kind: str, text: str) -> str:
    if kind == "double":
        return _IN_DOUBLE.sub(lambda found: found[1] or "", text)
    if kind == "ansi":
        # Escaped bytes arrive one by one; together they may be a character.
        return _characters(_IN_ANSI.sub(_unescaped, text).encode("utf-8", "surrogateescape"))
    return text


def _unescaped(found: re.Match[str]) -> str:
    byte, character, octal, letter = found.groups()
    if character:
        # JavaScript writes UTF-16: half a pair is no character, and stays three bytes, as in bash.
        return _characters(chr(int(character, 16)).encode("utf-8", "surrogatepass"))
    if letter:
        return letter if letter in _THEMSELVES else _LETTERS.get(letter, f"\\{letter}")
    number = int(byte, 16) if byte else int(octal, 8) & 0xFF
    return _characters(bytes([number]))


def _characters(raw: bytes) -> str:
    """As everywhere: bytes that are not UTF-8 become lone surrogates, which equal nothing."""
    return raw.decode("utf-8", "surrogateescape")
