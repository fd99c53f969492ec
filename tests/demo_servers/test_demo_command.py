"""`python -m demo`: what it says when it cannot do its work."""

import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest

from demo import check
from demo.settings import Places, Settings
from demo.world import LocalWorld, require_free

ROOT = Path(__file__).parent.parent.parent


def test_a_busy_port_is_one_clear_line() -> None:
    """The demo says which port is in use and for what it was wanted, and ends with status 2."""
    with ExitStack() as stack:
        with suppress(OSError):  # somebody else's listener there does as well
            stack.enter_context(closing(socket.create_server(("127.0.0.1", 9000))))
        command = [sys.executable, "-m", "demo", "--check"]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "demo: port 9000 for idp is in use; stop what uses it, or add --free-ports\n"


def test_ctrl_c_ends_everything() -> None:
    """A terminal's Ctrl-C, pressed twice, reaches demo and programs alike, and leaves none of them behind."""
    command = [sys.executable, "-m", "demo", "--free-ports"]
    demo = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert demo.stdout is not None
    with demo.stdout:
        assert any("Ctrl-C ends everything" in line for line in demo.stdout)
        for _ in range(2):
            os.killpg(demo.pid, signal.SIGINT)
        assert "Stopped." in demo.stdout.read()
    assert demo.wait(60) == 0
    with pytest.raises(ProcessLookupError):
        os.killpg(demo.pid, 0)


def test_two_origins_are_one_journey() -> None:
    """With page and API on hosts of their own, every step of the check turns out as it does on one."""
    command = [sys.executable, "-m", "demo", "--check", "--free-ports", "--separate-origins"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout.splitlines()[-1]) == (0, "9 passed, 0 failed"), ended.stdout


def test_a_step_that_fails_is_counted(tmp_path: Path) -> None:
    """With nothing running every step fails, each is named, and the last line says how many."""
    said: list[str] = []
    nowhere = Places(origin="http://127.0.0.1:1", idp=("127.0.0.1", 1))
    failed = check.run(LocalWorld(Settings(folder=tmp_path, places=nowhere)), said.append)
    assert failed == 9
    assert said[-1] == "\n0 passed, 9 failed"
    assert sum(line.startswith("FAILED ") for line in said) == 9


def test_free_ports_are_free() -> None:
    """The check for busy ports does not object to ports nobody uses."""
    require_free(Places(**{name: ("127.0.0.1", 0) for name, _ in Places().items()}))  # type: ignore[arg-type]
