"""Several workers: what the settings allow, and what their parent says when it cannot start them. Without Envoy."""

import json
import os
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
from click.testing import CliRunner, Result
from proxy_world.installation import Document, install, loaded, minimal, put
from worlds.waiting import until
from worlds.workers import SCRIPT, free_in_a_row

from extauthz.__main__ import main
from extauthz.config import ConfigError
from extauthz.config.listening import of_worker
from extauthz.metrics import FILE_BYTES, FILES, Counted, Metrics, Together

LISTEN, WORKERS = "extauthz.listen", "extauthz.workers"


@pytest.mark.parametrize(
    ("address", "second"),
    [
        ("127.0.0.1:9191", "127.0.0.1:9192"),
        ("[::1]:9191", "[::1]:9192"),
        ("unix:/run/x.sock", "unix:/run/x-1.sock"),
        ("unix:/run.d/extauthz", "unix:/run.d/extauthz-1"),
    ],
)
def test_each_worker_has_a_listener_of_its_own(address: str, second: str) -> None:
    """The next port, or a number before the end of the socket's name."""
    assert of_worker(address, 1) == second


def test_one_worker_listens_where_it_is_told(tmp_path: Path) -> None:
    """Without several, nothing is counted on, and a port the system chooses may stand twice."""
    listen = ["127.0.0.1:65535", "127.0.0.1:0", "unix:/run/x.sock"]
    config = loaded(tmp_path, {LISTEN: listen, "extauthz.http.listen": ["127.0.0.1:0"]})
    assert config.extauthz.worker_listeners == [["127.0.0.1:65535", "127.0.0.1:0", "unix:/run/x.sock"]]


MISTAKES: dict[str, tuple[dict[str, object], str]] = {
    "none": ({WORKERS: 0}, "extauthz.workers: must be greater than or equal to 1"),
    "fewer": ({WORKERS: -2}, "extauthz.workers: must be greater than or equal to 1"),
    "too many": ({WORKERS: 129}, "extauthz.workers: must be less than or equal to 128"),
    "a word": ({WORKERS: "auto"}, "extauthz.workers: a whole number is needed"),
    "ports run out": ({WORKERS: 3, LISTEN: ["127.0.0.1:65534"]}, "extauthz.listen: 3 workers take 3 ports from 65534"),
    "port 0": ({WORKERS: 2, LISTEN: ["127.0.0.1:0"]}, "extauthz.listen: several workers count from a port on"),
    "two in a row": ({WORKERS: 2, LISTEN: ["127.0.0.1:9191", "127.0.0.1:9192"]}, "extauthz.listen: 127.0.0.1:9192"),
    "the HTTP door's": (
        {WORKERS: 2, "extauthz.http.listen": ["127.0.0.1:9192"]},
        "extauthz.http: listen: 127.0.0.1:9192",
    ),
    "operations'": (
        {WORKERS: 2, "extauthz.operations.listen": ["127.0.0.1:9192"]},
        "extauthz.operations: listen: 127.0.0.1:9192",
    ),
}


@pytest.mark.parametrize(("changes", "problem"), MISTAKES.values(), ids=MISTAKES)
def test_what_cannot_be(tmp_path: Path, changes: dict[str, object], problem: str) -> None:
    """Each mistake is told by its key, before anything listens."""
    with pytest.raises(ConfigError) as failure:
        loaded(tmp_path, changes)
    (line,) = failure.value.problems
    assert line.startswith(problem)


@pytest.mark.parametrize("workers", ["0", "-1", "129", "two", "1.5", ""])
@pytest.mark.parametrize("command", ["serve", "envoy-config"])
def test_an_option_that_cannot_be(tmp_path: Path, command: str, workers: str) -> None:
    """A number of workers that is none is exit status 2 and a line that names the option."""
    result = run(command, "--config", str(install(tmp_path)), "--workers", workers)
    assert result.exit_code == 2
    assert "--workers" in result.stderr.splitlines()[-1]


def test_the_option_is_checked_with_the_rest(tmp_path: Path) -> None:
    """The ports that the option needs are looked at like those of the setting."""
    path = install(tmp_path, put(minimal(), LISTEN, ["127.0.0.1:65535"]))
    result = run("serve", "--config", str(path), "--workers", "2")
    assert result.exit_code == 2
    assert result.stderr.startswith("extauthz: extauthz.listen: 2 workers take 2 ports from 65535")


@pytest.mark.parametrize("kind", ["the second worker's", "http", "operations", "unix"])
def test_an_address_in_use(tmp_path: Path, kind: str) -> None:
    """Whichever listener is taken, the line names it, the exit status is 2, and no worker is left behind."""
    port = free_in_a_row(4)
    document = put(minimal(), LISTEN, [f"127.0.0.1:{port}", f"unix:{tmp_path}/s"])
    put(document, "extauthz.http.listen", [f"127.0.0.1:{port + 2}"])
    put(document, "extauthz.operations.listen", [f"127.0.0.1:{port + 3}"])
    addresses = {
        "the second worker's": f"127.0.0.1:{port + 1}",
        "http": f"127.0.0.1:{port + 2}",
        "operations": f"127.0.0.1:{port + 3}",
        "unix": f"unix:{tmp_path}/s-1",
    }
    with taken(addresses[kind]):
        command = [str(SCRIPT), "serve", "--config", str(install(tmp_path, document)), "--workers", "2"]
        ended = subprocess.run(command, check=False, capture_output=True, text=True)
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1].startswith(f"extauthz: cannot listen on {addresses[kind]}: ")
    assert "Traceback" not in ended.stderr


def test_a_worker_that_cannot_listen_ends_all(tmp_path: Path) -> None:
    """Where only the worker itself can find out, the parent still names the address, and ends with status 2."""
    folder = tmp_path / ("x" * (106 - len(str(tmp_path)) - len("/s-0") - 1))
    folder.mkdir()
    path = install(tmp_path, put(minimal(), LISTEN, [f"unix:{folder}/s"]))
    command = [str(SCRIPT), "serve", "--config", str(path), "--workers", "2"]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1].startswith(f"extauthz: cannot listen on unix:{folder}/s-")


@pytest.mark.parametrize("server", ["fast", "grpcio"])
def test_a_socket_that_a_dead_worker_did_not_get_to_rename(tmp_path: Path, server: str) -> None:
    """A worker killed between making its socket and putting it in its place keeps no later one from starting."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{tmp_path}/s-0.0")
    with serving(tmp_path, put(simple(tmp_path), "extauthz.grpc_server", server)) as process:
        lines_until(process, "serving")


def test_ready_when_all_are(tmp_path: Path) -> None:
    """While the authorization server has not been heard of, /readyz is 503 and says so for every worker."""
    port = free_in_a_row(3)
    document = put(minimal(), LISTEN, [f"127.0.0.1:{port}"])
    put(document, "extauthz.operations.listen", [f"127.0.0.1:{port + 2}"])
    put(put(document, "apps.shop.issuer", "http://127.0.0.1:1"), "extauthz.drain_seconds", 0)
    with serving(tmp_path, document):
        waiting = "waiting for the authorization server of shop"
        url = f"http://127.0.0.1:{port + 2}"
        until(lambda: httpx2.get(f"{url}/readyz").text == f"worker 0: {waiting}; worker 1: {waiting}\n")
        assert httpx2.get(f"{url}/readyz").status_code == 503
        assert httpx2.get(f"{url}/healthz").status_code == 200


def test_an_open_door_is_told_once(tmp_path: Path) -> None:
    """Two workers share the HTTP door, and one line warns of it; its connections go to both."""
    port = free_in_a_row(2)
    document = put(minimal(), LISTEN, [f"127.0.0.1:{port}"])
    put(put(document, "apps.shop.upstream", {"way": "opaque"}), "extauthz.drain_seconds", 0)
    put(document, "extauthz.http.listen", ["0.0.0.0:0"])
    with serving(tmp_path, document) as process:
        said = lines_until(process, "serving")
    assert [line["event"] for line in said].count("open") == 1


def test_one_process_leaves_in_peace_on_sighup(tmp_path: Path) -> None:
    """It cannot take new settings; it drains, and ends with status 0 as by SIGTERM."""
    document = put(put(minimal(), LISTEN, [f"unix:{tmp_path}/s"]), "extauthz.drain_seconds", 0)
    put(document, "apps.shop.upstream", {"way": "opaque"})
    command = [str(SCRIPT), "serve", "--config", str(install(tmp_path, document))]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        process.stderr.readline()
        process.send_signal(signal.SIGHUP)
        events = [json.loads(line)["event"] for line in process.stderr]
    assert (events, process.returncode) == (["draining", "stopped"], 0)


def test_the_parent_does_without_grpc() -> None:
    """A process that forks must have no threads of a library's, which a child would not have."""
    code = "import sys, extauthz.workers.parent; print(*[name for name in ('grpc', 'uvloop') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "\n"


def _count_one(metrics: Metrics) -> None:
    metrics.decided(Counted("shop", "grpc", "allow", ""), 0.1, cached=True)
    metrics.hand_over()


def test_counters_of_several_processes(tmp_path: Path) -> None:
    """They are summed, and a process that follows a dead one counts on from there."""
    together = Together(tmp_path)
    for number in (0, 1, 0):
        child = os.fork()
        if child == 0:
            together.count(number)
            _count_one(Metrics())
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
    assert 'token_handler_decisions_total{app="shop",decision="allow",door="grpc",waived=""} 3.0' in (
        together.text().decode()
    )
    assert sorted(path.name for path in tmp_path.glob("counter*")) == ["counter_0.db", "counter_1.db"]


def test_what_a_process_knew_ends_with_it(tmp_path: Path) -> None:
    """Whether revocations are heard of, and how many, the living say; one that has left without has no word in it."""
    together = Together(tmp_path)
    for number, heard in enumerate([False, True]):
        child = os.fork()
        if child == 0:
            together.count(number)
            metrics = Metrics()
            metrics.heard() if heard else metrics.lost()
            metrics.revocations(3 if heard else 7)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
    assert b"token_handler_revocations_up 0.0" in together.text()
    together.forget(0)
    said = together.text().decode().splitlines()
    assert {"token_handler_revocations_up 1.0", "token_handler_revocations 3.0"} <= {*said}
    assert "token_handler_revocations_failures_total 1.0" in said  # what was counted stays


def test_the_room_for_counters_is_there_from_the_start(tmp_path: Path) -> None:
    """A disk that fills up later takes nothing from under a process that counts, which would die of it (SIGBUS)."""
    together = Together(tmp_path)
    child = os.fork()
    if child == 0:
        together.count(0)
        _count_one(Metrics())
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    sizes = {path.name: path.stat() for path in tmp_path.iterdir()}
    assert sizes.keys() == {f"{name}_0.db" for name in FILES}
    assert all(size.st_size == FILE_BYTES <= size.st_blocks * 512 for size in sizes.values())


def test_no_room_for_counters(tmp_path: Path) -> None:
    """Workers that cannot count where the parent sees it say so, and serve."""
    port = free_in_a_row(1)
    document = put(simple(tmp_path), "extauthz.operations.listen", [f"127.0.0.1:{port}"])
    with serving(tmp_path, document, "import resource as r; r.setrlimit(r.RLIMIT_FSIZE, (1000, 1000))") as process:
        said = lines_until(process, "serving")
        assert "token_handler" not in metrics(port)
    assert {line["worker"]: line["detail"] for line in said if line["event"] == "uncounted"} == {
        0: "File too large",
        1: "File too large",
    }


NO_FOLDER = """
import tempfile
from pathlib import Path
from extauthz.workers import operations
operations.MEMORY, tempfile.tempdir = Path("/nowhere"), "/nowhere"
"""


def test_no_folder_for_counters(tmp_path: Path) -> None:
    """Where nothing can be written to, one line says so, and the exit status is 2."""
    document = put(simple(tmp_path), "extauthz.operations.listen", ["127.0.0.1:0"])
    ended = subprocess.run(command(tmp_path, document, NO_FOLDER), check=False, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (
        2,
        "extauthz: cannot make a folder for counters, in TMPDIR: No such file or directory\n",
    )


def test_the_old_workers_have_no_word_in_the_metrics_of_the_new(tmp_path: Path) -> None:
    """Where SIGHUP mends the source of revocations, /metrics says so, though the workers before never heard of any."""
    port = free_in_a_row(3)
    document = put(minimal(), LISTEN, [f"127.0.0.1:{port}"])
    put(document, "extauthz.operations.listen", [f"127.0.0.1:{port + 2}"])
    put(put(document, "apps.shop.upstream", {"way": "opaque"}), "extauthz.drain_seconds", 0)
    put(document, "revocations.file", "circle")
    (tmp_path / "circle").symlink_to("circle")  # what leads to itself cannot be read
    with serving(tmp_path, document) as process:
        lines_until(process, "serving")
        assert "token_handler_revocations_up 0.0" in metrics(port + 2)
        put(document, "revocations.file", "revocations")
        (tmp_path / "token-handler.yaml").write_text(yaml.safe_dump(document))
        process.send_signal(signal.SIGHUP)
        lines_until(process, "reloaded")
        assert "token_handler_revocations_up 1.0" in metrics(port + 2)


def test_a_worker_that_hangs_is_replaced(tmp_path: Path) -> None:
    """On SIGHUP, one that does not leave is killed once its time is up; the others are replaced as well."""
    patch = "import extauthz.workers.parent as parent; parent.PATIENCE_SECONDS = 1"
    with serving(tmp_path, simple(tmp_path), patch) as process:
        said = lines_until(process, "serving")
        hanging = next(line["pid"] for line in said if line["event"] == "started")
        os.kill(hanging, signal.SIGSTOP)
        process.send_signal(signal.SIGHUP)
        said = lines_until(process, "reloaded")
    assert [(line["worker"], line["pid"]) for line in said if line["event"] == "killed"] == [(1, hanging)]
    assert [line["worker"] for line in said if line["event"] == "started"] == [0, 1]


def test_the_old_worker_has_the_time_it_was_told(tmp_path: Path) -> None:
    """Settings that shorten draining hold for the new workers: an old one that drains by its own is not killed."""
    document = put(simple(tmp_path), "extauthz.drain_seconds", 2)
    patch = "import extauthz.workers.parent as parent; parent.PATIENCE_SECONDS = 1"
    with serving(tmp_path, document, patch) as process:
        lines_until(process, "serving")
        install(tmp_path, put(document, "extauthz.drain_seconds", 0))
        process.send_signal(signal.SIGHUP)
        said = lines_until(process, "reloaded")
    assert "killed" not in {line["event"] for line in said}


FORK_FAILS = """
import errno, itertools, os
fork, times = os.fork, itertools.count(1)
def failing():
    if next(times) in {fails}: raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    return fork()
os.fork = failing
"""


def test_a_worker_the_system_has_no_room_for(tmp_path: Path) -> None:
    """Where a dead worker's place cannot be taken at once the others go on, and it is tried again."""
    with serving(tmp_path, simple(tmp_path), FORK_FAILS.format(fails=[3, 5])) as process:
        said = lines_until(process, "serving")
        os.kill(next(line["pid"] for line in said if line["event"] == "started"), signal.SIGKILL)
        events = [line["event"] for line in lines_until(process, "started")]
        assert [event for event in events if event != "listening"] == ["died", "cannot_start", "started"]
        process.send_signal(signal.SIGHUP)
        assert lines_until(process, "reload_refused")[-1]["worker"] == 0


def test_no_room_for_any_worker(tmp_path: Path) -> None:
    """Where the system lets no worker be started, one line says so, and the exit status is 2."""
    ended = subprocess.run(
        command(tmp_path, simple(tmp_path), FORK_FAILS.format(fails=[1])), check=False, capture_output=True, text=True
    )
    assert (ended.returncode, "Traceback" in ended.stderr) == (2, False)
    assert ended.stderr.splitlines()[-1] == "extauthz: cannot start worker 0: Resource temporarily unavailable"


def run(*arguments: str) -> Result:
    """The command line, in process."""
    return CliRunner().invoke(main, arguments)


@contextmanager
def taken(address: str) -> Iterator[None]:
    """Somebody else listens there."""
    if address.startswith("unix:"):
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(address.removeprefix("unix:"))
            listener.listen()
            yield
    else:
        host, _, port = address.rpartition(":")
        with socket.create_server((host, int(port))):
            yield


@contextmanager
def serving(folder: Path, document: Document, patch: str = "") -> Iterator[subprocess.Popen[bytes]]:
    """Two workers at work; they end with the block, by SIGTERM and with status 0. `patch`: as for `command`."""
    with subprocess.Popen(command(folder, document, patch), stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        try:
            process.stderr.readline()
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.stderr.read()
    assert process.returncode == 0


def command(folder: Path, document: Document, patch: str) -> list[str]:
    """Serve with two workers, once the Python program `patch` has been run."""
    program = f"{patch}\nfrom extauthz.__main__ import main\nmain()"
    return [sys.executable, "-c", program, "serve", "--config", str(install(folder, document)), "--workers", "2"]


def simple(folder: Path) -> Document:
    """Settings for workers that wait for nobody."""
    document = put(minimal(), LISTEN, [f"unix:{folder}/s"])
    return put(put(document, "apps.shop.upstream", {"way": "opaque"}), "extauthz.drain_seconds", 0)


def lines_until(process: subprocess.Popen[bytes], event: str) -> list[dict[str, Any]]:
    """What is said next, up to the first line of this event."""
    assert process.stderr is not None
    said: list[dict[str, Any]] = []
    for line in process.stderr:
        said.append(json.loads(line))
        if said[-1]["event"] == event:
            return said
    raise AssertionError(f"it never came to {event}: {said}")


def metrics(port: int) -> str:
    """What the parent tells Prometheus."""
    return httpx2.get(f"http://127.0.0.1:{port}/metrics").text
