"""`--request-id`: a decision already made, found in a log that other programs wrote to as well."""

import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from proxy_world.asking import ask
from proxy_world.fakes import log_to

from extauthz.__main__ import main
from extauthz.explain.log import MAX_LINE_BYTES
from extauthz.reason import ADVICE, Reason

ID = "0d9c2f5e"


def written(decision: str = "csrf_header", *, waived: str = "", detail: str = "", request_id: str = ID) -> str:
    """A line as the proxy writes it."""
    stream = io.StringIO()
    log_to(stream).decided(
        ask(path="/orders?secret=1"),
        app="shop",
        door="grpc",
        decision=decision,
        waived=waived,
        detail=detail,
        status=403,
        seconds=0.1,
        cached=True,
        request_id=request_id,
    )
    return stream.getvalue()


def look_up(text: str | bytes, *options: str, request_id: str = ID) -> Result:
    """Search standard input; no configuration is named."""
    runner = CliRunner(env={"TOKEN_HANDLER_CONFIG": None})
    return runner.invoke(main, ["explain", "--request-id", request_id, *options], input=text)


def shown(result: Result) -> list[list[str]]:
    """Each decision found, as words behind each name."""
    return [block.splitlines() for block in result.stdout.removesuffix("\n").split("\n\n")]


def test_a_decision(tmp_path: Path) -> None:
    """What the line says is shown with the advice for its reason, wherever the log is."""
    path = tmp_path / "log"
    path.write_text(written() + written(request_id="other"))
    result = look_up("", "--log", str(path))
    assert result.exit_code == 0
    [[time, *rest]] = shown(result)
    assert time.startswith("time              20")
    assert rest == [
        "app               shop",
        "door              grpc",
        "request           GET /orders on api.shop.example",
        "decision          403 csrf_header",
        f"advice            {ADVICE[Reason.CSRF_HEADER]}",
    ]
    assert look_up(path.read_text()).stdout == look_up(path.read_text(), "--log", "-").stdout == result.stdout


def test_every_decision_about_it() -> None:
    """Retries have the same id, and are shown in their order; a reason that did not count is explained too."""
    text = written(detail="which check") + "noise\n" + written("dry_run", waived="token_invalid") + written("allow")
    first, second, third = shown(look_up(text))
    assert "detail            which check" in first
    assert second[-2:] == ["waived            token_invalid", f"advice            {ADVICE[Reason.TOKEN_INVALID]}"]
    assert third[-1] == "decision          403 allow"


NOISE = {
    "no JSON": "GET /orders 200\n",
    "JSON that is no object": f'["{ID}"]\n',
    "half a line": written()[:-20] + "\n",
    "another event": json.dumps({"event": "trouble", "request_id": ID}) + "\n",
    "no event": json.dumps({"request_id": ID}) + "\n",
    "nesting without end": "[" * 100_000 + "\n",
    "a line without end": '{"event":"decision","request_id":"' + ID + '","a":"' + "x" * MAX_LINE_BYTES + '"}\n',
    "no text": "\udcff\udcfe\n",
}


@pytest.mark.parametrize("noise", NOISE.values(), ids=NOISE.keys())
def test_what_is_not_ours_is_skipped(noise: str) -> None:
    """Around the one line there may be anything."""
    raw = noise.encode("utf-8", "surrogateescape")
    assert len(shown(look_up(raw + written().encode() + raw))) == 1
    result = look_up(raw)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("extauthz: no decision with this request id")
    assert len(result.stderr.splitlines()) == 1


def test_behind_what_others_put_before_it() -> None:
    """Container runtimes and journals put a prefix before each line."""
    assert look_up("proxy-1  | " + written()).exit_code == 0


def test_values_of_a_stranger() -> None:
    """A log can be written by anybody: control characters and queries do not reach the screen."""
    line = {
        "event": "decision",
        "request_id": ID,
        "path": "/a?secret",
        "host": "\u001b[2J",
        "method": ["GET"],
        "app": None,
        "door": {"a": 1},
        "decision": "no_such_reason",
        "status": 403,
        "timestamp": "x" * 1000,
    }
    [rows] = shown(look_up(json.dumps(line)))
    assert "app               -" in rows
    assert "request            /a on ?[2J" in rows
    assert max(map(len, rows)) <= 100


def test_an_id_as_it_stands_in_the_log() -> None:
    """An id with characters that the log has replaced is found all the same."""
    assert look_up(written(request_id="é"), request_id="é").exit_code == 0


MISUSED = {
    "a log that is not there": (["--request-id", ID, "--log", "nosuch"], "nosuch: No such file or directory"),
    "a folder": (["--request-id", ID, "--log", "/"], "/: Is a directory"),
    "no id": (["--log", "-"], "--log goes with --request-id"),
    "an empty id": (["--request-id", "", "--log", "-"], "--log goes with --request-id"),
    "a request as well": (["--request-id", ID, "curl", "https://a.example"], "and neither with a request"),
    "a path as well": (["--request-id", ID, "--path", "/"], "and neither with a request"),
}


@pytest.mark.parametrize(("options", "words"), MISUSED.values(), ids=MISUSED.keys())
def test_misused(options: list[str], words: str) -> None:
    """A mistake is one line and exit status 2."""
    result = CliRunner().invoke(main, ["explain", *options], input="")
    [line] = result.stderr.splitlines()
    assert (result.exit_code, line.startswith("extauthz: ")) == (2, True)
    assert words in line
