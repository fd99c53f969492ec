"""The command `extauthz explain` itself: the ways to name a request, mistakes, and that it starts fast."""

import io
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from explain.world import COOKIE, GOOD, URL, Bench, facts, verdict

from extauthz.__main__ import main
from extauthz.explain.command import MAX_INPUT_BYTES, explain
from extauthz.explain.options import OURS

CANARY = "canary-7f3a"


def test_from_standard_input(tmp_path: Path) -> None:
    """With "-" the command line is read from standard input, quoted as browsers do."""
    bench = Bench(tmp_path)
    text = (
        f"curl '{URL}' \\\n -H 'token-handler-version: 1' \\\n"
        f" -b $'{COOKIE}={bench.sealed()}; note=it\\'s\\u0021' --compressed\n"
    )
    assert verdict(bench.explain("-", stdin=text)) == "would ask the authorization server"


def test_standard_input_that_is_no_text(tmp_path: Path) -> None:
    """Bytes that are not UTF-8 are no reason to fail."""
    result = Bench(tmp_path).explain("-", stdin=b"curl https://api.shop.example/\xff -H 'a: \xff'\n")
    assert facts(result, "request") == "GET /%FF on api.shop.example; no cookies"


def test_described_by_options(tmp_path: Path) -> None:
    """Without curl the options say the same."""
    bench = Bench(tmp_path)
    headers = ("-H", GOOD[1], "--header", GOOD[3], "-H", f"cookie: {COOKIE}={bench.sealed()}", "-H", "x:")
    for where in (("--path", "/orders?x", "--host", "api.shop.example"), ("--path", URL), ("--path", "/orders")):
        host = () if len(where) > 2 or where[1] == URL else ("-H", "Host: api.shop.example")
        result = bench.explain(*where, "--method", "PUT", *headers, *host)
        assert facts(result, "request").startswith("PUT /orders on api.shop.example; ")
        assert verdict(result) == "would ask the authorization server"


MISTAKES: dict[str, tuple[list[str], str]] = {
    "no request": ([], "which request?"),
    "no curl": (["wget", CANARY], "does not start with curl"),
    "the command line as one word": ([f"curl {CANARY}"], "does not start with curl"),
    "both": (["--method", "GET", "curl", CANARY], "describe a request without curl"),
    "a host without a path": (["--host", CANARY], "which request?"),
    "a path without a slash": (["--path", CANARY], "--path needs a path that starts with a slash"),
    "a URL of another kind": (["--path", f"ftp://{CANARY}"], "none of http or https"),
    "a setting without a value": (["--context", CANARY, "--path", "/"], "--context needs KEY=VALUE"),
    "a header without a colon": (["--path", "/", "-H", CANARY], "a header without a colon or a name"),
    "a login in a URL": (["--path", f"https://user:pa/{CANARY}@host/"], "the URL holds a login"),
    "an option behind curl": (["curl", URL, "--live"], "--live is an option of explain: put it before curl"),
    "an option behind the hyphen": (["-", "--live", CANARY], 'nothing may follow "-": put options before it'),
    "options beside the hyphen": (["--path", "/", "-"], "describe a request without curl"),
    "an option of curl": (["curl", f"-T{CANARY}"], "an option of curl we do not follow: -T"),
}


@pytest.mark.parametrize(("arguments", "words"), MISTAKES.values(), ids=MISTAKES.keys())
def test_mistakes(tmp_path: Path, arguments: list[str], words: str) -> None:
    """A mistake is one line that repeats no value, and exit status 2."""
    result = Bench(tmp_path).explain(*arguments)
    [line] = result.stderr.splitlines()
    assert (result.exit_code, result.stdout, line.startswith("extauthz: ")) == (2, "", True)
    assert words in line
    assert CANARY not in line


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("curl '", "a quote is not closed"),
        ("x" * (MAX_INPUT_BYTES + 1), "longer"),
        (f"curl '{URL}' | jq", "without quotes end the command"),
        (f'curl ^"{URL}^" ^\n', "copied for Windows"),
    ],
)
def test_standard_input_that_cannot_be_followed(tmp_path: Path, text: str, words: str) -> None:
    """What is read is bounded, and half a paste is said to be one."""
    result = Bench(tmp_path).explain("-", stdin=text)
    assert result.exit_code == 2
    assert words in result.stderr


def test_a_configuration_with_mistakes(tmp_path: Path) -> None:
    """They are told as by every other command."""
    result = Bench(tmp_path, {"log.format": "xml", "apps.shop.unknown": 1}).explain("--path", "/")
    assert result.exit_code == 2
    assert [line.partition(": ")[0] for line in result.stderr.splitlines()] == ["extauthz", "extauthz"]


def test_no_configuration_named() -> None:
    """Without a configuration the option and the variable that name it are told."""
    result = CliRunner(env={"TOKEN_HANDLER_CONFIG": None}).invoke(main, ["explain", "--path", "/"])
    assert (result.exit_code, result.stderr) == (
        2,
        "extauthz: which configuration? --config FILE, or TOKEN_HANDLER_CONFIG\n",
    )


class Unread(io.BytesIO):
    """A terminal at which nobody would know what to type."""

    def read(self, size: int | None = -1) -> bytes:
        assert size == 0, "read too early"  # click looks whether it is binary
        return b""


@pytest.mark.parametrize(
    ("config", "words"),
    [((), "which configuration?"), (("--config", "nosuch.yaml"), "nosuch.yaml: "), (("--config", "/"), "/: ")],
)
def test_the_configuration_comes_before_the_paste(config: tuple[str, ...], words: str) -> None:
    """Nobody pastes a command line only to hear that a file is missing."""
    runner = CliRunner(env={"TOKEN_HANDLER_CONFIG": None})
    result = runner.invoke(main, ["explain", *config, "-"], input=Unread())
    [line] = result.stderr.splitlines()
    assert result.exit_code == 2
    assert line.startswith(f"extauthz: {words}")


def test_every_option_of_ours_is_known_behind_curl() -> None:
    """Those that curl has too go to curl."""
    names = {name.removeprefix("--") for option in explain.params for name in option.opts if name.startswith("--")}
    assert names - OURS == {"header"}
    assert OURS - names == {"help"}


def test_the_configuration_named_by_the_environment(tmp_path: Path) -> None:
    """TOKEN_HANDLER_CONFIG stands in for --config."""
    runner = CliRunner(env={"TOKEN_HANDLER_CONFIG": str(Bench(tmp_path).config)})
    assert runner.invoke(main, ["explain", "--path", "/"]).exit_code == 1


def test_the_help_keeps_cookies_out_of_the_history() -> None:
    """The help says how to keep a cookie out of the shell's history."""
    text = " ".join(CliRunner().invoke(main, ["explain", "--help"]).stdout.split())
    assert "shell's history" in text
    assert "extauthz explain --config FILE -" in text


LAZY = """
import sys
from extauthz.__main__ import main
try:
    main([{arguments}])
except SystemExit:
    pass
print(sorted(name for name in ("grpc", "httpx2", "starlette", "extauthz.authorizer") if name in sys.modules))
"""


@pytest.mark.parametrize(
    ("arguments", "loaded"), [("'--help'", "[]"), ("'explain', '--path', '/'", "['extauthz.authorizer', 'httpx2']")]
)
def test_no_more_is_imported_than_needed(tmp_path: Path, arguments: str, loaded: str) -> None:
    """The help starts fast, and explain does without gRPC and the HTTP doors."""
    result = subprocess.run(
        [sys.executable, "-c", LAZY.format(arguments=arguments)],
        env={"TOKEN_HANDLER_CONFIG": str(Bench(tmp_path).config)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.splitlines()[-1] == loaded
