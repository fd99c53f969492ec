"""The program `oauth-agent` as an operator meets it: a process that listens, stops, and says what is wrong."""

import asyncio
import io
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from click.testing import CliRunner

from agent.__main__ import build_server, main
from agent.build import build_app
from extauthz import http_server
from extauthz.config import ConfigError, LogConfig, Program, load
from extauthz.config.listening import listen
from extauthz.cookies.keys import new_key_pair, new_session_key
from extauthz.telemetry import Log, logger

pytestmark = pytest.mark.anyio

COMMAND = Path(sys.executable).parent / "oauth-agent"


def has_ipv6() -> bool:
    """Whether the loopback address ::1 can be listened on here."""
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


def test_it_serves_and_says_so(tmp_path: Path) -> None:
    """On the configured port /healthz answers, and the log names the address."""
    address = f"127.0.0.1:{free_port()}"
    with running(write(tmp_path, listen=address)) as (_, line):
        assert (line["event"], line["addresses"]) == ("listening", address)
        response = httpx2.get(f"http://{address}/healthz")
    assert (response.status_code, response.text) == (200, "ok")
    assert "server" not in response.headers


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_it_serves_on_ipv6(tmp_path: Path) -> None:
    """An address in brackets is an IPv6 one."""
    address = f"[::1]:{free_port(socket.AF_INET6)}"
    with running(write(tmp_path, listen=address)):
        assert httpx2.get(f"http://{address}/healthz").text == "ok"


def test_it_serves_on_a_unix_socket(tmp_path: Path) -> None:
    """A listener unix:/PATH, also where a killed process has left its socket behind."""
    path = tmp_path / "agent.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with running(write(tmp_path, listen=f"unix:{path}")):
        transport = httpx2.HTTPTransport(uds=str(path))
        with httpx2.Client(transport=transport, base_url="http://agent") as client:
            assert client.get("/healthz").text == "ok"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_when_told_to(tmp_path: Path, number: signal.Signals) -> None:
    """An orchestrator's SIGTERM and a terminal's Ctrl-C end it with status 0, and the log says so."""
    address = f"127.0.0.1:{free_port()}"
    with running(write(tmp_path, listen=address)) as (process, _):
        assert httpx2.get(f"http://{address}/healthz").text == "ok"
        process.send_signal(number)
        _, rest = process.communicate()
    assert process.returncode == 0
    assert [json.loads(line)["event"] for line in rest.splitlines()] == ["stopped"]


async def test_a_request_that_does_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A header line now and then does not hold a connection; nobody waits for the rest of it."""
    monkeypatch.setattr(http_server, "READ_SECONDS", 0.1)
    path = tmp_path / "agent.sock"
    log = Log(logger(LogConfig(), io.StringIO()))
    server = build_server(load(write(tmp_path, listen=f"unix:{path}"), Program.AGENT, {}), log)
    serving = asyncio.create_task(server.serve([listen(f"unix:{path}")]))
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")
    assert await reader.read() == b""
    writer.close()
    server.should_exit = True
    await serving


def test_what_the_http_server_has_to_say_is_a_line_of_the_log(tmp_path: Path) -> None:
    """What is no HTTP is answered 400, and told in JSON like everything else."""
    address = free_port()
    with running(write(tmp_path, listen=f"127.0.0.1:{address}")) as (process, _):
        with socket.create_connection(("127.0.0.1", address)) as connection:
            connection.sendall(b"\x16\x03\x01 not HTTP\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 400 ")
        assert process.stderr is not None
        line = json.loads(process.stderr.readline())
    assert (line["level"], line["event"]) == ("warning", "http")


def test_cookies_of_many_kilobytes_are_read(tmp_path: Path) -> None:
    """Three cookies of the largest size, and as much of other applications', are no reason to answer 431."""
    address = f"127.0.0.1:{free_port()}"
    headers = {"cookie": "; ".join(f"c{number}={'x' * 4000}" for number in range(6)), "token-handler-version": "1"}
    with running(write(tmp_path, listen=address)):
        response = httpx2.get(f"http://{address}/oauth-agent/session", headers=headers)
    assert response.json() == {"is_logged_in": False}


def test_a_busy_port_is_one_line(tmp_path: Path) -> None:
    """The operator reads which address is taken, and no traceback; the status is 2."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        status, lines = failing("serve", write(tmp_path, listen=address))
    assert (status, len(lines)) == (2, 1)
    assert lines[0].startswith(f"oauth-agent: cannot listen on {address}: Address already in use")


@pytest.mark.parametrize(
    "listen",
    [
        pytest.param("192.0.2.1:8080", id="not an address of this machine"),
        pytest.param("unix:/nowhere/at/all.sock", id="no such folder"),
    ],
)
def test_an_address_that_cannot_be_had_is_one_line(tmp_path: Path, listen: str) -> None:
    """Whatever the system says against it is said in one line that names the address and the reason."""
    status, lines = failing("serve", write(tmp_path, listen=listen))
    assert (status, len(lines)) == (2, 1)
    assert lines[0].startswith(f"oauth-agent: cannot listen on {listen}: ")
    assert not lines[0].endswith("None")


def test_a_port_that_is_none_is_a_mistake_in_the_configuration(tmp_path: Path) -> None:
    """`config check` finds it, before anything is started."""
    status, lines = failing("config", "check", write(tmp_path, listen="127.0.0.1:99999"))
    assert (status, len(lines)) == (2, 1)


def test_a_socket_path_that_is_too_long_is_said(tmp_path: Path) -> None:
    """A Unix socket's path has at most 107 bytes; the line says that this is the reason."""
    status, lines = failing("serve", write(tmp_path, listen=f"unix:/tmp/{'x' * 120}"))
    assert (status, len(lines)) == (2, 1)
    assert "too long" in lines[0]


def test_a_file_at_the_socket_s_path_is_not_removed(tmp_path: Path) -> None:
    """A path written wrongly in the configuration must not cost a file."""
    precious = tmp_path / "precious"
    precious.write_text("data")
    process = subprocess.Popen(
        [COMMAND, "serve", "--config", write(tmp_path, listen=f"unix:{precious}")], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    process.stderr.readline()
    process.kill()
    process.communicate()
    assert precious.is_file()
    assert precious.read_text() == "data"


def test_an_agent_s_path_may_not_lie_below_another_s(tmp_path: Path) -> None:
    """One agent's path below another's would make one of them unreachable, and is a mistake told by key."""
    with pytest.raises(ConfigError, match="share the agent_path /oauth-agent"):
        load(two_apps(tmp_path), Program.AGENT, {})


MISTAKES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "no client id": ({"client_id": None}, ["apps.shop.client_id: "]),
    "no secret": ({"client_secret_file": "absent"}, ["apps.shop.client_secret_file: no such file: "]),
    "secret in the file": ({"client_secret": "s3cret"}, ["apps.shop.client_secret: a secret does not belong"]),
    "issuer without TLS": ({"issuer": "http://login.test"}, ["apps.shop.issuer: must be https"]),
    "redirect elsewhere": ({"redirect_uri": "https://evil.test/"}, ["apps.shop.redirect_uri: must have the origin"]),
    "private key": (
        {"cookie": {"public_key_file": "private.pem", "session_key_files": ["session.key"]}},
        ["apps.shop.cookie.public_key_file: a private key where the public one belongs"],
    ),
    "no session key": (
        {"cookie": {"public_key_file": "public.pem"}},
        ["apps.shop.cookie.session_key_files: is needed"],
    ),
    "unknown setting": ({"colour": "red"}, ["apps.shop.colour: there is no such setting"]),
    "two at once": (
        {"colour": "red", "agent_path": "oauth-agent/"},
        ["apps.shop.agent_path: a path like", "apps.shop.colour: there is no such setting"],
    ),
}


@pytest.mark.parametrize(("change", "problems"), MISTAKES.values(), ids=MISTAKES.keys())
@pytest.mark.parametrize("command", [["serve"], ["config", "check"]], ids=["serve", "check"])
def test_a_mistake_in_the_configuration_is_told_by_its_key(
    tmp_path: Path, command: list[str], change: dict[str, Any], problems: list[str]
) -> None:
    """Every problem is a line, the status is 2, and no secret is in it."""
    result = CliRunner().invoke(main, [*command, "--config", str(write(tmp_path, **change))])
    lines = sorted(result.stderr.splitlines())
    assert result.exit_code == 2
    assert len(lines) == len(problems)
    assert all(line.startswith(f"oauth-agent: {problem}") for line, problem in zip(lines, problems, strict=True))
    assert "s3cret" not in result.output


def test_a_configuration_without_mistakes_is_good(tmp_path: Path) -> None:
    """`config check` names the apps; the file may also come from the environment."""
    result = CliRunner().invoke(main, ["config", "check"], env={"TOKEN_HANDLER_CONFIG": str(write(tmp_path))})
    assert result.exit_code == 0
    assert result.stdout.endswith(" is good: shop\n")


def test_a_configuration_is_needed(tmp_path: Path) -> None:
    """Without one, and with one that is not there, the status is 2."""
    assert CliRunner().invoke(main, ["serve"], env={"TOKEN_HANDLER_CONFIG": ""}).exit_code == 2
    result = CliRunner().invoke(main, ["serve", "--config", str(tmp_path / "absent.yaml")])
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)


def test_the_agent_needs_no_private_key(tmp_path: Path) -> None:
    """It starts where the proxy's private keys cannot be read, for it has no business with them."""
    cookie = {
        "public_key_file": "public.pem",
        "session_key_files": ["session.key"],
        "private_key_files": ["/nowhere/private.pem"],
    }
    config = load(write(tmp_path, cookie=cookie), Program.AGENT, {})
    assert build_app(config, Log(logger(LogConfig()))).routes
    assert config.apps["shop"].cookie.private_key_files == [None]


@pytest.mark.parametrize("module", ["grpc", "google.protobuf"])
def test_it_starts_without_what_only_the_proxy_needs(module: str) -> None:
    """The agent's process never imports the gRPC stack."""
    code = f"import sys, agent.__main__; sys.exit({module!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_it_tells_its_version_and_its_commands() -> None:
    """--version and --help, as a script and as a module."""
    for command in ([COMMAND], [sys.executable, "-m", "agent"]):
        version = subprocess.run([*command, "--version"], check=True, capture_output=True, text=True).stdout
        assert "version" in version
        text = subprocess.run([*command, "--help"], check=True, capture_output=True, text=True).stdout
        assert all(name in text for name in ("serve", "config"))


def write(folder: Path, listen: str = "127.0.0.1:8080", **settings: Any) -> Path:
    """A configuration file with all it names, in `folder`; settings that are None are left out."""
    private, public = new_key_pair("x25519")
    (folder / "private.pem").write_bytes(private)
    (folder / "public.pem").write_bytes(public)
    (folder / "session.key").write_bytes(new_session_key())
    (folder / "secret").write_text("s3cret")
    app = {
        "spa_url": "https://www.shop.test/",
        "issuer": "https://login.test",
        "client_id": "shop",
        "client_secret_file": "secret",
        "cookie": {"public_key_file": "public.pem", "session_key_files": ["session.key"]},
        **settings,
    }
    kept = {name: value for name, value in app.items() if value is not None}
    file = folder / "token-handler.yaml"
    file.write_text(yaml.safe_dump({"agent": {"listen": listen}, "log": {"format": "json"}, "apps": {"shop": kept}}))
    return file


def two_apps(folder: Path) -> Path:
    """One app's agent below the other's."""
    file = write(folder)
    document = yaml.safe_load(file.read_text())
    document["apps"]["admin"] = {**document["apps"]["shop"], "agent_path": "/oauth-agent/admin"}
    file.write_text(yaml.safe_dump(document, sort_keys=False))
    return file


def free_port(family: socket.AddressFamily = socket.AF_INET) -> int:
    """A port nobody listens on."""
    with socket.create_server(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0), family=family) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def running(config: Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """The program, listening, and the line in which it says so."""
    process = subprocess.Popen([COMMAND, "serve", "--config", config], stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        yield process, json.loads(line)
    finally:
        if process.returncode is None:
            process.kill()
            process.communicate()


def failing(*arguments: str | Path) -> tuple[int, list[str]]:
    """Status and error lines of the program when it does not start."""
    command = [COMMAND, *arguments[:-1], "--config", arguments[-1]]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    return result.returncode, result.stderr.splitlines()
