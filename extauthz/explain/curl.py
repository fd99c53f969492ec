"""A curl command line, as it is pasted, to the request that curl would send. What it says was measured on curl 7.88.

An option that may change the request in a way we do not follow is refused, not ignored.
"""

import base64
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import unquote_to_bytes

from extauthz.explain.options import DATA, FLAGS, FORM, SHORT, VALUED
from extauthz.explain.typed import Typed, header_line, host_of, read_url, without_dot_segments
from extauthz.explain.words import UnusableCommand

# What may be repeated in an error: a mistyped option could be half a secret.
_OPTION = re.compile(r"[a-z][a-z0-9.-]{0,30}", re.ASCII)

Options = Mapping[str, Sequence[str]]


def parse(words: Sequence[str]) -> Typed:
    """The request; `words` begin with `curl`. Raises UnusableCommand."""
    if not words or words[0] != "curl":
        raise UnusableCommand("the command line does not start with curl")
    given: defaultdict[str, list[str]] = defaultdict(list)
    for name, value in _options(words[1:]):
        given[name].append(value)
    target = read_url(_one_url(given))
    headers = _headers(given, target.user)
    return Typed(
        method=_method(given),
        host=host_of(headers, target.host),
        path=target.path if "path-as-is" in given else without_dot_segments(target.path),
        headers=headers,
    )


def _options(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    rest = iter(words)
    for word in rest:
        if word == "--":
            yield from (("url", url) for url in rest)
        elif word.startswith("--"):
            yield _long(word[2:], rest)
        elif word.startswith("-"):
            yield from _short(word[1:], rest)
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
    shown = f"--{name}" if _OPTION.fullmatch(name) else "that is not one"
    raise UnusableCommand(f"an option of curl we do not follow: {shown}")


def _short(letters: str, rest: Iterator[str]) -> Iterator[tuple[str, str]]:
    for position, letter in enumerate(letters, start=1):
        name = SHORT.get(letter)
        if name is None:
            shown = f"-{letter}" if letter.isascii() and letter.isprintable() else "that is not one"
            raise UnusableCommand(f"an option of curl we do not follow: {shown}")
        if name in VALUED:
            yield name, letters[position:] or _value(f"-{letter}", rest)
            return
        yield name, ""


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


def _headers(given: Options, user_in_url: str) -> tuple[tuple[str, str], ...]:
    """Those of -H, then those that curl makes itself, unless -H has them, if only to take them away."""
    texts = given.get("header", ())
    if any(text.startswith("@") for text in texts):
        raise UnusableCommand("-H @FILE is not read; give the headers themselves")
    lines = [line for line in map(header_line, texts) if line is not None]
    named = {name.lower() for name, _ in lines}
    own = [(name, value) for name, value in (("cookie", _cookie(given)), ("authorization", _login(given, user_in_url)))]
    return (
        *((name, value) for name, value in lines if value is not None),
        *((name, value) for name, value in own if value and name not in named),
    )


def _cookie(given: Options) -> str:
    texts = [text for text in given.get("cookie", ()) if text]
    if any("=" not in text for text in texts):
        raise UnusableCommand("-b FILE is not read; give the cookies themselves")
    return ";".join(texts)


def _login(given: Options, user_in_url: str) -> str:
    if "oauth2-bearer" in given:
        return f"Bearer {given['oauth2-bearer'][-1]}"
    pair = unquote_to_bytes(user_in_url.encode("utf-8", "surrogateescape"))
    if "user" in given:
        pair = given["user"][-1].encode("utf-8", "surrogateescape")
    if not pair:
        return ""
    user, _, password = pair.partition(b":")
    return f"Basic {base64.b64encode(user + b':' + password).decode()}"
