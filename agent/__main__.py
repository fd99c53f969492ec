"""The command line of the OAuth Agent."""

import signal
import socket
import sys
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click
import uvicorn

from agent.build import build_app
from extauthz import __version__
from extauthz.backlog import Backlog
from extauthz.config import Config, Program
from extauthz.config.command import config_group, config_option, fail, load_or_exit
from extauthz.config.listening import ListenError, listen
from extauthz.http_server import settings, tell
from extauthz.telemetry import Log, logger


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, package_name="envoy-token-handler")
def main() -> None:
    """The OAuth Agent of the Token Handler Pattern: logs single-page apps in, and keeps their tokens in cookies."""


main.add_command(config_group(Program.AGENT))


@main.command()
@config_option
def serve(file: Path) -> None:
    """Serve the agents of all apps until SIGTERM or SIGINT."""
    config = load_or_exit(file, Program.AGENT)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    listener = _listen(config.agent.listen)
    with Backlog() as lines:
        build_server(config, Log(logger(config.log, lines), lines)).run(sockets=[listener])


def build_server(config: Config, log: Log) -> uvicorn.Server:
    """The application with its HTTP server."""
    tell(log)
    return uvicorn.Server(settings(build_app(config, log), lifespan="on"))


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    # uvicorn shuts down in order, then raises the signal again: that is the ordinary end, with status 0.
    sys.exit(0)


def _listen(address: str) -> socket.socket:
    try:
        return listen(address)
    except ListenError as error:
        fail(Program.AGENT, str(error))


if __name__ == "__main__":
    main()
