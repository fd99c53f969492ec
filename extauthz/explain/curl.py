"""A curl command line, as it is pasted, to the request that curl would send. What it says was measured on curl 7.88.

An option that may change the request in a way we do not follow is refused, not ignored.
"""

import base64
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from extauthz.explain.options import DATA, FLAGS, FORM, OURS, SHORT, VALUED
from extauthz.explain.typed import Typed, header_line, read_url, without_dot_segments
from extauthz.explain.words import WINDOWS, UnusableCommand

# What may be repeated in an error: a mistyped option could be half a secret.
_OPTION = re.compile(r"--[a-z][a-z0-9.-]{0,30}|-[ -~]", re.ASCII)

Options = Mapping[str, Sequence[str]]


def parse(words: Sequence[str]) -> Typed:
    """The request; `words` begin with `curl`. Raises UnusableCommand."""
    if not words or words[0] != "curl":
        raise UnusableCommand("the command line does not start with curl")
    given: defaultdict[str, list[str]] = defaultdict(list)
    for name, value in _options(words[1:]):
        given[name].append(value)
    asked = read_url(_one_url(given)).with_lines(_headers(given))
    path = asked.path if "path-as-is" in given else without_dot_segments(asked.path)
    return replace(asked, method=_method(given), path=path)


def _options(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    rest = iter(words)
    for word in rest:
        if word == "--":
            yield from (("url", url) for url in rest)
        elif word.startswith("--"):
            yield _long(word[2:], rest)
        elif word.startswith("-"):
            yield from _short(word[1:], rest)
        elif word.startswith("^"):
            raise UnusableCommand(WINDOWS)
        else:
            yield "url", word


def _long(name: str, rest: Iterator[str]) -> tuple[str, str]:
    if name in VALUED:
        return name, _value(f"--{name}", rest)
    if name in FLAGS or name.removeprefix("no-") in FLAGS:
        return name, ""
    name = name.partition("=")[0]
    if name in VALUED:
        raise UnusableCommand(f"curl's option --{name} takes its value as the next word, not behind an equals sign")
    if name in OURS:
        raise UnusableCommand(f"--{name} is an option of explain: put it before curl")
    raise _not_followed(f"--{name}")


def _short(letters: str, rest: Iterator[str]) -> Iterator[tuple[str, str]]:
    for position, letter in enumerate(letters, start=1):
        name = SHORT.get(letter)
        if name is None:
            raise _not_followed(f"-{letter}")
        if name in VALUED:
            yield name, letters[position:] or _value(f"-{letter}", rest)
            return
        yield name, ""


def _not_followed(option: str) -> UnusableCommand:
    shown = option if _OPTION.fullmatch(option) else "that is not one"
    return UnusableCommand(f"an option of curl we do not follow: {shown}")


def _value(option: str, rest: Iterator[str]) -> str:
    value = next(rest, None)
    if value is None:
        raise UnusableCommand(f"curl's option {option} needs a value")
    return value


def _one_url(given: Options) -> str:
    urls = [url for url in given.get("url", ()) if url]
    if len(urls) != 1:
        raise UnusableCommand("more than one URL; explain takes one request" if urls else "curl is given no URL")
    return urls[0]


def _method(given: Options) -> str:
    if "request" in given:
        return given["request"][-1]
    if "head" in given:
        return "HEAD"
    return "POST" if FORM & given.keys() or (DATA & given.keys() and "get" not in given) else "GET"


def _headers(given: Options) -> list[tuple[str, str | None]]:
    """Those of -H, then those that curl makes itself, unless -H has them, if only to take them away."""
    texts = given.get("header", ())
    if any(text.startswith("@") for text in texts):
        raise UnusableCommand("-H @FILE is not read; give the headers themselves")
    lines = [header_line(text) for text in texts]
    named = {name.lower() for name, _ in lines}
    own = (("cookie", _cookie(given)), ("authorization", _login(given)))
    return [*lines, *((name, value or None) for name, value in own if name not in named)]


def _cookie(given: Options) -> str:
    texts = [text for text in given.get("cookie", ()) if text]
    if any("=" not in text for text in texts):
        raise UnusableCommand("-b FILE is not read; give the cookies themselves")
    return ";".join(texts)


def _login(given: Options) -> str:
    if "oauth2-bearer" in given:
        return f"Bearer {given['oauth2-bearer'][-1]}"
    pair = given.get("user", [""])[-1]
    if not pair:
        return ""
    raw = (pair if ":" in pair else f"{pair}:").encode("utf-8", "surrogateescape")
    return f"Basic {base64.b64encode(raw).decode()}"
