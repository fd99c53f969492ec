"""A log that nobody reads: nothing waits for it, and what was lost is told."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx2
import pytest
from proxy_world.door import by_map
from proxy_world.installation import install, minimal, put

from demo.world import free_places
from extauthz._pb.envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse
from extauthz.backlog import Backlog
from extauthz.config import LogConfig
from extauthz.telemetry import Log, logger

CHECK = "/envoy.service.auth.v3.Authorization/Check"
PIPE_BYTES = 64 * 1024  # what a pipe of Linux holds
FEW = 16  # lines, so that a test need not write thousands
MANY = 6000  # lines: more than the pipe and the backlog hold together
AT_ONCE = 100


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Its end to read from and its end to write to."""
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def test_lines_arrive_whole_and_in_order(pipe: tuple[int, int]) -> None:
    """Whoever reads the pipe gets every line as it was written, before the program has ended."""
    with Backlog(pipe[1]) as backlog:
        for number in range(100):
            backlog.write(f"{number}\n")
    assert os.read(pipe[0], PIPE_BYTES).split() == [str(number).encode() for number in range(100)]


def test_a_pipe_that_does_not_let_writers_wait(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever shares it may have made it non-blocking: while it is full the lines are kept all the same."""
    write, refused = os.write, threading.Event()

    def watched(target: int, text: bytes) -> int:
        try:
            return write(target, text)
        except BlockingIOError:
            refused.set()
            raise

    os.set_blocking(pipe[1], False)
    os.write(pipe[1], b"\n" * PIPE_BYTES)
    monkeypatch.setattr(os, "write", watched)
    with Backlog(pipe[1]) as backlog:
        for number in range(AT_ONCE):
            backlog.write(f"{number}\n")
        assert refused.wait(30)
        os.read(pipe[0], PIPE_BYTES)
    os.set_blocking(pipe[0], False)  # what is lost never comes
    assert os.read(pipe[0], PIPE_BYTES).split() == [b"%d" % number for number in range(AT_ONCE)]


def test_nobody_waits_for_a_pipe_that_nobody_reads(pipe: tuple[int, int]) -> None:
    """Writing goes on when the pipe is full, each lost line is counted, and the log says how many when it is read."""
    os.write(pipe[1], b"\n" * PIPE_BYTES)  # full: another byte would wait for ever
    dropped: list[None] = []
    with Backlog(pipe[1], max_lines=FEW) as backlog:
        backlog.dropped = lambda: dropped.append(None)
        log = Log(logger(LogConfig(level="info", format="json"), backlog), backlog)
        for number in range(10 * FEW):
            log.note("listening", addresses=str(number))
        assert len(dropped) >= 10 * FEW - 2 * FEW  # all but what is queued, and what the writer has taken
        events = _events(pipe[0], log)
    assert {"event": "log_lines_dropped", "level": "warning", "lines": len(dropped)} in events


def _events(end: int, log: Log) -> list[dict[str, object]]:
    """What is read until the loss is told; each read makes room for more lines."""
    text = ""
    while "log_lines_dropped" not in text:
        text += os.read(end, PIPE_BYTES).decode()
        log.note("listening", addresses="again")
    lines = [json.loads(line) for line in text.splitlines() if line.endswith("}")]
    return [{key: value for key, value in line.items() if key != "timestamp"} for line in lines]


def test_a_pipe_without_a_reader_is_no_trouble() -> None:
    """When whoever read the log is gone, lines are lost and nothing else happens."""
    end, target = os.pipe()
    os.close(end)
    with Backlog(target) as backlog:
        backlog.write("lost\n")
    os.close(target)


def test_the_proxy_answers_while_nobody_reads_its_log(tmp_path: Path) -> None:
    """With standard error a pipe that is full, every request is still answered, the loss is counted, and it stops."""
    places = free_places(http=True)
    listen, operations = ("{}:{}".format(*place) for place in (places.extauthz, places.admin))
    document = put(minimal(), "extauthz.listen", [listen])
    put(put(document, "extauthz.operations.listen", [operations]), "extauthz.drain_seconds", 0)
    command = [str(Path(sys.executable).parent / "extauthz"), "serve", "--config", str(install(tmp_path, document))]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as proxy:
        assert proxy.stderr is not None
        try:
            while b'"listening"' not in proxy.stderr.readline():
                pass
            refused = _flood(listen)
            scraped = httpx2.get(f"http://{operations}/metrics").text
        finally:
            proxy.send_signal(signal.SIGTERM)
        status = proxy.wait()
    assert refused == MANY
    [lost] = re.findall(r"^token_handler_log_lines_dropped_total (\S+)$", scraped, re.MULTILINE)
    assert float(lost) > 0
    assert status == 0


def _flood(listen: str) -> int:
    """How many of `MANY` requests without a cookie are answered with a refusal."""
    with grpc.insecure_channel(listen) as channel:
        check = channel.unary_unary(CHECK, CheckRequest.SerializeToString, CheckResponse.FromString)
        refused = 0
        for _ in range(MANY // AT_ONCE):
            answers = [check.future(by_map(usual=()), timeout=60, wait_for_ready=True) for _ in range(AT_ONCE)]
            refused += sum(answer.result().status.code != 0 for answer in answers)
        return refused
