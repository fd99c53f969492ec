"""A Docker engine for the container tests: the one that answers, or one of our own.

Our own is started only by root; Debian's packages for it are installed only in CI, inside a container,
or when TOKEN_HANDLER_START_ENGINE=1 says so: a test run does not change somebody's machine unasked.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import docker
from testcontainers.core.config import ConnectionMode, testcontainers_config

from containers import dockerd, images
from containers.cache import cache_dir


class NoEngineError(RuntimeError):
    """No Docker engine answers and none may be started; the message is one line for the user."""


@contextmanager
def engine() -> Iterator[None]:
    """Make a Docker engine available to docker.from_env() and to testcontainers."""
    if dockerd.answers():
        _without_unreachable_ryuk()
        yield
        return
    _check_may_start()
    with dockerd.shared(cache_dir("engine")) as host, _docker_host(host):
        _reach_published_ports_on_loopback()
        yield


def _check_may_start() -> None:
    if os.geteuid() != 0:
        raise NoEngineError("no Docker engine answers (DOCKER_HOST), and only root can start one")
    if dockerd.installed():
        return
    if not shutil.which("apt-get"):
        raise NoEngineError("no Docker engine answers (DOCKER_HOST), and there is no dockerd to start")
    if not _may_install():
        raise NoEngineError(
            "no Docker engine answers (DOCKER_HOST); TOKEN_HANDLER_START_ENGINE=1 installs Debian's docker.io"
        )
    dockerd.install()


def _may_install() -> bool:
    wanted = os.environ.get("TOKEN_HANDLER_START_ENGINE")
    if wanted is not None:
        return wanted == "1"
    return "CI" in os.environ or Path("/.dockerenv").exists()


@contextmanager
def _docker_host(host: str) -> Iterator[None]:
    before = os.environ.get("DOCKER_HOST")
    os.environ["DOCKER_HOST"] = host
    try:
        yield
    finally:
        del os.environ["DOCKER_HOST"]
        if before is not None:
            os.environ["DOCKER_HOST"] = before


def _reach_published_ports_on_loopback() -> None:
    # testcontainers reads its variables when it is imported, which may already have happened: so the values
    # themselves. Inside a container it would take the bridge's address for the host's.
    testcontainers_config.ryuk_disabled = True
    testcontainers_config.connection_mode_override = ConnectionMode.docker_host
    testcontainers_config.tc_host_override = "127.0.0.1"


def _without_unreachable_ryuk() -> None:
    """Ryuk clears up after a killed test run; where its image cannot be had, tests run without it."""
    with closing(docker.from_env()) as client:
        if not images.obtainable(client, testcontainers_config.ryuk_image):
            testcontainers_config.ryuk_disabled = True
