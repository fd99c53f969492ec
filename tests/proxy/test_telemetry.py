"""The log: one line for each decision, no line a client could forge, and nothing that opens a door."""

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from proxy_world.asking import ask
from proxy_world.door import USUAL, GrpcServer, by_header_map, by_map, open_door
from proxy_world.fakes import Proxy, log_to

from extauthz.config import LogConfig
from extauthz.oauth.errors import AuthorizationServerError, Trouble
from extauthz.telemetry import LIMIT, Log, clean, logger

ESCAPES = {
    "a line": 'x\r\n{"event":"decision"}',
    "a line feed": "x\ny",
    "a colour": "x\x1b[31mred",
    "a cursor": "x\x1b]0;title\x07",
    "a line separator": "x\u2028y\u2029z",
    "a next line": "x\x85y",
    "a right-to-left mark": "x\u202egnp.exe",
    "a NUL": "x\0y",
    "half a character": "x\udcff",
    "a letter that looks like another": "p\u0430th",
    "8 KB": "x" * 8192,
}
each_escape = pytest.mark.parametrize("text", ESCAPES.values(), ids=ESCAPES.keys())


@pytest.mark.anyio
async def test_one_line_for_each_decision(server: GrpcServer) -> None:
    """Each decision, at once or after asking, for or against, is one line of JSON with what operators look for."""
    proxy = Proxy()
    async with open_door(proxy, server) as door:
        await door.check(by_map(("x-request-id", "r-1")))
        await door.check(by_map(path="/a/b?token=canary"))
        await door.check(by_map(usual=USUAL[:2], method="HEAD"))
        lines = [json.loads(line) for line in door.log.getvalue().splitlines()]
    for line in lines:
        assert line.pop("timestamp").endswith("Z")
        assert line.pop("ms") >= 0
    usual = {"event": "decision", "level": "debug", "app": "shop", "door": "grpc"}
    usual |= {"host": "api.shop.example", "method": "GET"}
    assert lines == [
        usual | {"decision": "allow", "status": 200, "path": "/orders", "request_id": "r-1", "cached": False},
        usual | {"decision": "allow", "status": 200, "path": "/a/b", "request_id": "", "cached": True},
        usual
        | {"decision": "no_credentials", "status": 401, "path": "/orders", "request_id": "", "cached": True}
        | {"method": "HEAD", "level": "info"},
    ]


@pytest.mark.anyio
@pytest.mark.parametrize("raw", [False, True], ids=["map", "header map"])
async def test_a_client_cannot_write_lines(server: GrpcServer, raw: bool) -> None:
    """Whatever a client puts into its request, the log has one line for it, and every line is JSON."""
    async with open_door(Proxy(), server) as door:
        for text in ESCAPES.values():
            legal = text.encode("utf-8", "replace").decode()
            if raw:
                request = by_header_map(("x-request-id", text.encode("utf-8", "surrogateescape")), path=legal)
            else:
                request = by_map(("x-request-id", legal), path=legal, method=legal)
            request.attributes.request.http.host = legal
            await door.check(request)
        log = door.log.getvalue()
    lines = log.split("\n")
    assert len(lines) == len(ESCAPES) + 1
    assert all(json.loads(line)["event"] == "decision" for line in lines[:-1])
    assert log.isascii()


@each_escape
@pytest.mark.parametrize("format_", ["json", "text"])
def test_no_field_of_a_client_breaks_out(format_: str, text: str) -> None:
    """In JSON as in text, a field that a client chose stays on its line, short, and without control characters."""
    out = io.StringIO()
    log = Log(logger(LogConfig(level="info", format=format_), out))  # type: ignore[arg-type]
    request = ask(method=text, path=text, host=text)
    log.decided(request, **FACTS | {"waived": text, "detail": text, "request_id": text})
    assert out.getvalue().count("\n") == 1
    assert len(out.getvalue()) < 6 * LIMIT + 1000
    assert text not in out.getvalue()


@each_escape
def test_clean(text: str) -> None:
    """What remains is printable ASCII of at most 256 characters."""
    assert clean(text).isascii()
    assert clean(text).isprintable()
    assert len(clean(text)) <= LIMIT


@pytest.mark.parametrize("path", ["/a?canary", "/a?x=canary&y", "/a?b?canary", "?canary"])
def test_the_query_is_not_logged(path: str) -> None:
    """Of the path only what stands before the first question mark is logged."""
    log = _log(lambda log: log.decided(ask(path=path), **FACTS))
    assert log["path"] == path.partition("?")[0]
    assert "canary" not in str(log)


def test_a_foreign_exception_says_where_and_not_what() -> None:
    """The message of another library's exception may hold anything, so only its place and type are logged."""

    def fail(secret: str) -> None:
        raise ValueError(f"cannot parse {secret}")

    try:
        fail("canary")
    except ValueError as error:
        caught = error
    log = _log(lambda log: log.trouble("shop", "internal_error", caught))
    assert (log["level"], log["error"], "detail" in log) == ("error", "ValueError", False)
    assert log["where"].startswith("test_telemetry.py:")
    assert "fail <" in log["where"]
    assert "canary" not in str(log)


def test_an_error_of_ours_says_what() -> None:
    """Our own messages hold nothing secret, and help."""
    error = AuthorizationServerError(Trouble.ERROR, "introspection answered status 500")
    log = _log(lambda log: log.trouble("shop", "as_error", error))
    assert (log["app"], log["reason"]) == ("shop", "as_error")
    assert (log["detail"], "where" in log) == ("introspection answered status 500", False)


@pytest.mark.parametrize(("level", "lines"), [("debug", 4), ("info", 3), ("warning", 1), ("error", 1)])
def test_levels(level: str, lines: int) -> None:
    """What passed is for debugging, what did not, or only in a dry run, is information; troubles are errors."""
    out = io.StringIO()
    log = Log(logger(LogConfig(level=level, format="json"), out))  # type: ignore[arg-type]
    log.decided(ask(), **FACTS)
    log.decided(ask(), **FACTS | {"decision": "dry_run", "waived": "no_credentials"})
    log.decided(ask(), **FACTS | {"decision": "no_credentials", "status": 401})
    log.trouble("shop", "as_error", ValueError())
    assert len(out.getvalue().splitlines()) == lines


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """So it says."""
        return True


@pytest.mark.parametrize(
    ("format_", "terminal", "is_json"),
    [("auto", False, True), ("auto", True, False), ("json", True, True), ("text", False, False)],
)
def test_formats(format_: str, terminal: bool, is_json: bool) -> None:
    """Text on a terminal and JSON elsewhere, unless one is asked for."""
    out = Terminal() if terminal else io.StringIO()
    Log(logger(LogConfig(format=format_), out)).note("listening", addresses="x")  # type: ignore[arg-type]
    assert out.getvalue().startswith("{") is is_json


FACTS: dict[str, Any] = {
    "app": "shop",
    "door": "grpc",
    "decision": "allow",
    "waived": "",
    "detail": "",
    "status": 200,
    "seconds": 0.001,
    "cached": True,
    "request_id": "",
}


def _log(write: Callable[[Log], None]) -> dict[str, Any]:
    out = io.StringIO()
    write(log_to(out))
    (line,) = out.getvalue().splitlines()
    members: dict[str, Any] = json.loads(line)
    return members
