"""Curl command lines to the request curl would send; what is expected here was measured on curl 7.88."""

import base64
import shlex
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import pytest
from hypothesis import given, strategies
from proxy_world.asking import UNHURRIED

from extauthz.explain.curl import parse
from extauthz.explain.typed import Typed, read_path
from extauthz.explain.words import UnusableCommand, split

URL = "https://api.example.com/api/orders"
BASIC = ("authorization", f"Basic {base64.b64encode(b'user:pw').decode()}")
CANARY = "canary-7f3a"

METHODS = {
    "nothing said": ("", "GET"),
    "-X": ("-X PUT", "PUT"),
    "-X in one word": ("-XPUT", "PUT"),
    "-X at the end of others": ("-sSkXDELETE", "DELETE"),
    "-X as it is": ("-X get", "get"),
    "--request": ("--request PATCH", "PATCH"),
    "the last -X": ("-X PUT -X PATCH", "PATCH"),
    "-d": ("-d a=b", "POST"),
    "--data-raw": ("--data-raw a", "POST"),
    "--data-binary": ("--data-binary @file", "POST"),
    "--json": ("--json {}", "POST"),
    "-F": ("-F a=b", "POST"),
    "-X over -d": ("-d a -X PUT", "PUT"),
    "-I": ("-I", "HEAD"),
    "-G": ("-G -d a=b", "GET"),
    "-F over -G": ("-G -F a=b", "POST"),
    "-I over -G": ("-d a -G -I", "HEAD"),
    "-X over -I": ("-I -X OPTIONS", "OPTIONS"),
}


@pytest.mark.parametrize(("options", "method"), METHODS.values(), ids=METHODS.keys())
def test_method(options: str, method: str) -> None:
    """-X says the method, else -I, -G, and a body."""
    assert parse(["curl", URL, *options.split()]).method == method


TARGETS = {
    "path and query": ("https://a.example/x?y=1", "a.example", "/x?y=1"),
    "no path": ("https://a.example", "a.example", "/"),
    "a query right behind the host": ("https://a.example?x=1", "a.example", "/?x=1"),
    "a fragment": ("https://a.example/x?y#z", "a.example", "/x?y"),
    "a port": ("http://a.example:8080/", "a.example:8080", "/"),
    "the scheme's own port": ("https://a.example:443/", "a.example", "/"),
    "the other scheme's port": ("http://a.example:443/", "a.example:443", "/"),
    "an IPv6 address": ("http://[::1]:80/", "[::1]", "/"),
    "no scheme": ("a.example/x", "a.example", "/x"),
    "a scheme in capitals": ("HTTPS://a.example/x", "a.example", "/x"),
    "dot segments": ("https://a.example/a/../b/./c?x=/../", "a.example", "/b/c?x=/../"),
    "dot segments at the end": ("https://a.example/a/./b/..", "a.example", "/a/"),
    "dot segments above the root": ("https://a.example/../../a", "a.example", "/a"),
    "escaped dot segments": ("https://a.example/a/%2e%2e/b", "a.example", "/a/%2e%2e/b"),
    "not ASCII": ("https://a.example/ü", "a.example", "/%C3%BC"),
}


@pytest.mark.parametrize(("url", "host", "path"), TARGETS.values(), ids=TARGETS.keys())
def test_target(url: str, host: str, path: str) -> None:
    """Host and path are those on the wire."""
    typed = parse(["curl", url])
    assert (typed.host, typed.path) == (host, path)


def test_a_path_as_it_is() -> None:
    """--path-as-is leaves dot segments where they are."""
    assert parse(["curl", "--path-as-is", "https://a.example/a/../b"]).path == "/a/../b"


HEADERS: dict[str, tuple[list[str], list[tuple[str, str]]]] = {
    "in their order": (["-H", "A: 1", "--header", "b:2"], [("A", "1"), ("b", "2")]),
    "in one word": (["-HA: 1"], [("A", "1")]),
    "without a value": (["-H", "A;"], [("A", "")]),
    "not to be sent": (["-H", "A:", "-H", ":d"], []),
    "-b": (["-b", "a=1", "--cookie", "b=2"], [("cookie", "a=1;b=2")]),
    "-b that is empty": (["-b", ""], []),
    "a Cookie header over -b": (["-b", "a=1", "-H", "Cookie: c=3"], [("Cookie", "c=3")]),
    "no Cookie header over -b": (["-b", "a=1", "-H", "Cookie:"], []),
    "two Cookie headers": (["-H", "cookie: a=1", "-H", "Cookie: b=2"], [("cookie", "a=1"), ("Cookie", "b=2")]),
    "-u": (["-u", "user:pw"], [BASIC]),
    "--oauth2-bearer over -u": (["-u", "user:pw", "--oauth2-bearer", "t"], [("authorization", "Bearer t")]),
    "an Authorization header over -u": (["-u", "user:pw", "-H", "Authorization: x"], [("Authorization", "x")]),
    "what does not matter": (
        ["--compressed", "-k", "-s", "-v", "-i", "-L", "-A", "x", "-e", "y", "--no-keepalive"],
        [],
    ),
    "a value like an option": (["-d", "-H", "-o", "--url"], []),
}


@pytest.mark.parametrize(("options", "headers"), HEADERS.values(), ids=HEADERS.keys())
def test_headers(options: list[str], headers: list[tuple[str, str]]) -> None:
    """The headers are those given, and those curl makes of other options."""
    assert list(parse(["curl", *options, URL]).headers) == headers


# A password with a slash in it ends the authority early: what is left of it looks like a port, or a path.
LOGINS = [
    f"https://user:{CANARY}@a.example/",
    f"https://{CANARY}@a.example/",
    f"https://user:pa/{CANARY}@a.example/",
    f"https://a.example:{CANARY}/",
    f"user:{CANARY}/x@a.example/",
    f"https://user:/{CANARY}@a.example/",
    f"https://a.example:80:{CANARY}/",
    f"https://[::1]{CANARY}/",
    f"https://a.example:123456/{CANARY}",
    f"https://a.example:\uff18\uff10/{CANARY}",
]


@pytest.mark.parametrize("url", LOGINS)
@pytest.mark.parametrize("read", [lambda url: parse(["curl", url]), read_path])
def test_a_login_in_the_url(read: Callable[[str], Typed], url: str) -> None:
    """Nobody can tell where a password in a URL ends, so that URL is refused, and nothing of it is shown."""
    with pytest.raises(UnusableCommand, match=r"^the URL holds a login, or a port that is no number: take it out$"):
        read(url if "://" in url else f"http://{url}")


@pytest.mark.parametrize(("lines", "host"), [(["Host: b", "host: c"], "b"), (["Host;"], ""), (["Host:"], "a.example")])
def test_another_host(lines: list[str], host: str) -> None:
    """The first Host header counts in place of the URL's host."""
    assert parse(["curl", "https://a.example/", *(word for line in lines for word in ("-H", line))]).host == host


@pytest.mark.parametrize("words", [["--url", URL], ["--", URL], ["-sS", URL, ""], [URL, "--"]])
def test_the_url_anywhere(words: list[str]) -> None:
    """The URL may stand before, behind and among the options, or behind one of its own."""
    assert parse(["curl", *words]).host == "api.example.com"


UNUSABLE = {
    "no curl": (["wget", CANARY], "does not start with curl"),
    "nothing": ([], "does not start with curl"),
    "no URL": (["curl", "-H", f"a: {CANARY}"], "no URL"),
    "no scheme, and a login": (["curl", f"user:pa/{CANARY}@a.example"], "holds a login"),
    "two URLs": (["curl", CANARY, CANARY], "more than one URL"),
    "piped on": (["curl", URL, "|", "jq"], "more than one URL"),
    "another scheme": (["curl", f"ftp://{CANARY}/"], "none of http or https"),
    "no host": (["curl", f"https:///{CANARY}"], "no host"),
    "a blank in the URL": (["curl", f"https://a/{CANARY} b"], "a blank in it"),
    "an unknown long option": (["curl", "--bogus", URL], "follow: --bogus"),
    "an unknown long option with a value": (["curl", f"--bogus={CANARY}", URL], "follow: --bogus"),
    "an unknown short option": (["curl", f"-sT{CANARY}", URL], "follow: -T"),
    "a config file": (["curl", f"-K{CANARY}"], "follow: -K"),
    "something that is no option at all": (["curl", f"--{CANARY.upper()}"], "follow: that is not one"),
    "a letter that is none": (["curl", "-é"], "follow: that is not one"),
    "another syntax": (["curl", f"--oauth2-bearer={CANARY}", URL], "--oauth2-bearer takes its value as the next word"),
    "a value that is missing": (["curl", URL, "-H"], "-H needs a value"),
    "a long option's value that is missing": (["curl", URL, "--cookie"], "--cookie needs a value"),
    "cookies in a file": (["curl", URL, "-b", CANARY], "-b FILE is not read"),
    "a header without a colon": (["curl", URL, "-H", f"x-key {CANARY}"], "a header without a colon or a name"),
    "a semicolon with something behind it": (["curl", URL, "-H", f"a; {CANARY}"], "a header without a colon or a name"),
    "a semicolon without a name": (["curl", URL, "-H", " ;"], "a header without a colon or a name"),
    "an option of explain": (["curl", URL, "--live"], "--live is an option of explain: put it before curl"),
    "an option of explain with a value": (["curl", URL, f"--app={CANARY}"], "--app is an option of explain"),
    "carets of Windows": (["curl", f"^https://{CANARY}^", "^"], "copied for Windows"),
    "a caret of Windows at the end of a line": (["curl", URL, "^"], "copied for Windows"),
    "headers in a file": (["curl", URL, "-H", f"@{CANARY}"], "-H @FILE is not read"),
}


@pytest.mark.parametrize(("words", "message"), UNUSABLE.values(), ids=UNUSABLE.keys())
def test_what_cannot_be_followed(words: list[str], message: str) -> None:
    """It is said in words that name the option, and repeat no value."""
    with pytest.raises(UnusableCommand) as raised:
        parse(words)
    assert message in str(raised.value)
    assert CANARY not in str(raised.value).lower()


CHROME = r"""curl 'https://api.example.com/api/orders?page=1' \
  -X 'PUT' \
  -H 'accept: */*' \
  -H 'content-type: application/json' \
  -b $'__Host-Http-shop-at=AbC; note=it\'s\u0021' \
  -H 'origin: https://www.example.com' \
  -H 'token-handler-version: 1' \
  --data-raw '{"a":1}' \
  --compressed"""
FIREFOX = r"""curl 'https://api.example.com/api/orders' --compressed -X POST -H 'User-Agent: Mozilla/5.0 (X11)' \
-H 'Accept: */*' -H 'Origin: https://www.example.com' -H 'Cookie: __Host-Http-shop-at=AbC' -H 'Empty;' --data-raw 'a=b'
"""


CHROME_CMD = r"""curl ^"https://api.example.com/api/orders^" ^
  -H ^"accept: */*^" ^
  -H ^"sec-ch-ua: ^\^"Not;A=Brand^\^";v=^\^"99^\^"^" ^
  --data-raw ^"^{^\^"a^\^":^\^"it's^\^"^}^"
"""
FIREFOX_CMD = 'curl "https://api.example.com/api/orders" --compressed -X POST ^\r\n  -H "Accept: */*"\r\n'


@pytest.mark.parametrize("text", [CHROME_CMD, FIREFOX_CMD, f" {CHROME_CMD.replace(chr(10), chr(13) + chr(10))}"])
def test_copied_for_windows(text: str) -> None:
    """Windows quotes in another way; what it needs instead is told."""
    with pytest.raises(UnusableCommand, match=r"^copied for Windows \(cmd\); choose Copy as cURL \(bash\) instead$"):
        parse(split(text))


def test_a_caret_that_is_only_one() -> None:
    """Within single quotes a caret is no sign of Windows."""
    assert parse(split(f"curl '{URL}' --data-raw '[ ^\"a^\" ^\n]'")).method == "POST"


def test_copied_from_chrome() -> None:
    """What Chrome copies is followed, cookie and all."""
    typed = parse(split(CHROME))
    assert (typed.method, typed.host, typed.path) == ("PUT", "api.example.com", "/api/orders?page=1")
    assert ("cookie", "__Host-Http-shop-at=AbC; note=it's!") in typed.headers
    assert typed.request({}).headers["token-handler-version"] == "1"


def test_copied_from_firefox() -> None:
    """What Firefox copies is followed, the empty header included."""
    typed = parse(split(FIREFOX))
    assert (typed.method, typed.host) == ("POST", "api.example.com")
    assert typed.request({}).cookies.find("__Host-Http-shop-at") == "AbC"
    assert typed.request({}).headers["empty"] == ""


def test_headers_as_a_door_hands_them_over() -> None:
    """Names in lower case, repeated ones joined by commas, cookie lines each for itself, and no Host."""
    lines = (("A", "1"), ("a", "2"), ("Cookie", "x=1,y"), ("cookie", "z=2"), ("Host", "b"))
    request = Typed(method="GET", host="b", path="/", headers=lines).request({"app": "shop"})
    assert request.headers == {"a": "1,2"}
    assert (request.cookies.lines, request.cookies.comma_joined) == (("x=1,y", "z=2"), False)
    assert request.context == {"app": "shop"}


@dataclass(frozen=True)
class Sent:
    """A request to write down and read again."""

    method: str
    host: str
    path: str
    headers: list[tuple[str, str]]
    flags: list[str]

    def words(self) -> list[str]:
        """As a curl command line."""
        lines = [word for name, value in self.headers for word in ("-H", f"{name}: {value}")]
        return ["curl", *self.flags, f"https://{self.host}{self.path}", "-X", self.method, *lines]


NAMES = strategies.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,20}", fullmatch=True).filter(
    lambda name: name.lower() not in ("host", "cookie", "authorization")
)
VALUES = strategies.text(strategies.characters(exclude_categories=["Cs", "Cc"]), min_size=1).map(
    lambda value: f"v{value}v"
)
SENT = strategies.builds(
    Sent,
    method=strategies.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "QUERY"]),
    host=strategies.from_regex(r"[a-z][a-z0-9.-]{0,20}(:8[0-9]{3})?", fullmatch=True),
    path=strategies.from_regex(
        r"(/[A-Za-z0-9_~%;,!$'()*+:@&=-]{1,8}){1,4}(\?[A-Za-z0-9/?&=%'\"$-]{0,9})?", fullmatch=True
    ),
    headers=strategies.lists(strategies.tuples(NAMES, VALUES), max_size=5),
    flags=strategies.lists(strategies.sampled_from(["-sS", "-k", "--compressed", "-i", "-L", "--http2", "-g"])),
)


@UNHURRIED
@given(SENT)
def test_a_request_written_and_read(sent: Sent) -> None:
    """Every request that is written as a curl command line, and quoted for a shell, is read as the same request."""
    typed = parse(split(shlex.join(sent.words())))
    assert (typed.method, typed.host, typed.path) == (sent.method, sent.host, sent.path)
    assert list(typed.headers) == sent.headers


@UNHURRIED
@given(strategies.lists(strategies.text(strategies.characters(exclude_categories=["Cs"]))))
def test_whatever_is_typed(words: list[str]) -> None:
    """No words raise anything but the one exception."""
    with suppress(UnusableCommand):
        parse(["curl", *words])
