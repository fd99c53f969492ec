"""How each program of the demo serves: one address, one line when it listens, a quiet end.

It knows nothing of the application it serves.
"""

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from types import FrameType
from typing import NamedTuple, NoReturn, TypeVar

import click
import uvicorn
from starlette.types import ASGIApp

# Envoy keeps idle upstream connections; closing ours first would race with its next request.
KEEP_ALIVE_SECONDS = 75
# A test may leave a deliberately slow answer behind; nobody waits for it at the end.
LAST_ANSWERS_SECONDS = 2
# Room for the large tokens and many cookies tests send; uvicorn's own limit is 64 KiB.
MAX_HEADER_BYTES = 256 * 1024

Command = TypeVar("Command", bound=Callable[..., object])


class Address(NamedTuple):
    """Where to listen; port 0 asks the system for a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse_address(text: str) -> Address:
    """Read HOST:PORT, with brackets around an IPv6 host."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"{text!r} is not HOST:PORT")
    return Address(host.removeprefix("[").removesuffix("]"), int(port))


def listen_option(default: str) -> Callable[[Command], Command]:
    """Give a command its `--listen`, passed on as `address`."""
    return click.option(
        "--listen", "address", type=parse_address, metavar="HOST:PORT", default=default, show_default=True
    )


def listen(app: ASGIApp, address: Address) -> None:
    """Serve until SIGTERM or SIGINT, then end with status 0; a busy port ends with status 2."""
    # uvicorn raises a signal again once it has shut down; this turns that into an ordinary end.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    logging.getLogger("uvicorn.error").addFilter(_is_fault)
    bound = open_socket(address)
    print(f"listening on http://{Address(address.host, bound.getsockname()[1])}", file=sys.stderr, flush=True)
    _server(app).run(sockets=[bound])


def open_socket(address: Address) -> socket.socket:
    """Bind and listen, or say in one line why not and end with status 2."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        return socket.create_server(address, family=family, backlog=2048)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error
        print(f"cannot listen on {address}: {reason}", file=sys.stderr, flush=True)
        raise SystemExit(2) from None


def _server(app: ASGIApp) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            app,
            access_log=False,  # query strings carry authorization codes
            log_config=None,
            log_level="warning",
            ws="none",
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=LAST_ANSWERS_SECONDS,
            h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        )
    )


def _is_fault(record: logging.LogRecord) -> bool:
    # A slow answer that is dropped at the end is no fault, and deserves no traceback.
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)
