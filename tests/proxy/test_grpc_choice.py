"""Which server speaks gRPC: the fast one where it can, the one asked for, or an error that says what is missing."""

import json
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from proxy_world.installation import install, loaded, minimal, put

from extauthz.config import ConfigError, Program
from extauthz.config import grpc_server as choice

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
SCRIPT = Path(sys.executable).with_name("extauthz")


def test_the_release_that_is_proved_is_the_one_that_is_installed() -> None:
    """The extra, the tests and the check at the start all name the same release of zttp, and no other."""
    pinned = f"zttp=={choice.ZTTP}"
    assert PROJECT["project"]["optional-dependencies"]["fast"] == [pinned]
    assert pinned in PROJECT["dependency-groups"]["tests"]


@pytest.mark.parametrize(
    ("installed", "reflection", "server"),
    [(choice.ZTTP, False, "fast"), (choice.ZTTP, True, "grpcio"), (None, False, "grpcio"), ("9.9", False, "grpcio")],
)
def test_auto(monkeypatch: pytest.MonkeyPatch, installed: str | None, reflection: bool, server: str) -> None:
    """Left to itself the proxy takes the fast server where zttp is installed, in this release, and can do the job."""
    monkeypatch.setattr(choice, "_installed", lambda: installed)
    assert choice.chosen("auto", reflection=reflection) == server


@pytest.mark.parametrize(
    ("installed", "problem"),
    [
        (None, f"zttp {choice.ZTTP} is needed and is not installed: pip install 'envoy-token-handler[fast]'"),
        ("9.9", f"zttp {choice.ZTTP} is needed and is installed as 9.9"),
    ],
)
def test_fast_without_zttp(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, installed: str | None, problem: str
) -> None:
    """What was asked for and cannot be had is told before anything listens, by key; the agent has no use for it."""
    monkeypatch.setattr(choice, "_installed", lambda: installed)
    with pytest.raises(ConfigError) as raised:
        loaded(tmp_path, {"extauthz.grpc_server": "fast"})
    [told] = raised.value.problems
    assert told.startswith(f"extauthz.grpc_server: {problem}")
    loaded(tmp_path, {"extauthz.grpc_server": "fast"}, program=Program.AGENT)


def test_fast_with_reflection(tmp_path: Path) -> None:
    """Two wishes that exclude each other are a mistake."""
    with pytest.raises(ConfigError, match="the fast server has no reflection"):
        loaded(tmp_path, {"extauthz.grpc_server": "fast", "extauthz.reflection": True})


@pytest.mark.parametrize("server", ["fast", "grpcio"])
def test_the_log_names_the_server(tmp_path: Path, server: str) -> None:
    """At the start, beside the addresses; and the other server is not even imported."""
    document = put(put(minimal(), "extauthz.listen", ["127.0.0.1:0"]), "extauthz.grpc_server", server)
    command = [str(SCRIPT), "serve", "--config", str(install(tmp_path, document))]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        first = json.loads(process.stderr.readline())
        mapped = Path(f"/proc/{process.pid}/maps").read_text()
        process.send_signal(signal.SIGTERM)
        process.stderr.read()
    assert (first["event"], first["grpc_server"]) == ("listening", server)
    assert ("cygrpc" in mapped, "_zttp" in mapped) == (server == "grpcio", server == "fast")
