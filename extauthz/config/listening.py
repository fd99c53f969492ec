"""What both programs check before they listen, so that one line says what is wrong."""

import os
import socket
from contextlib import closing
from pathlib import Path

PREFIX = "unix:"


class ListenError(Exception):
    """A listener that cannot be opened; the message names it and says why."""


def of_worker(address: str, place: int) -> str:
    """The listener of one of several workers: the port that many further on, or /run/x-0.sock for /run/x.sock.

    Each has its own, and Envoy balances over them. Sharing one port by SO_REUSEPORT would not do: the kernel balances
    connections, and of these Envoy keeps a few HTTP/2 ones for long, which may all be with the same worker.
    """
    if address.startswith(PREFIX):
        path = Path(address.removeprefix(PREFIX))
        return PREFIX + str(path.with_name(f"{path.stem}-{place}{path.suffix}"))
    host, _, port = address.rpartition(":")
    return f"{host}:{int(port) + place}"


def require_free(address: str) -> None:
    """Raise ListenError unless HOST:PORT or unix:/PATH can be listened on.

    A unix socket that a killed process left behind is removed; one that answers, or a file that is no socket, is not.
    """
    try:
        if address.startswith(PREFIX):
            _take_over(Path(address.removeprefix(PREFIX)), address)
        else:
            listen_tcp(address).close()
    except OSError as error:
        raise ListenError(f"cannot listen on {address}: {_why(error)}") from error


def listen(address: str, *, shared: bool = False) -> socket.socket:
    """A listening socket for HOST:PORT or unix:/PATH. `shared`: beside others on that port. Raises ListenError."""
    if not shared:
        require_free(address)
    try:
        return listen_unix(address) if address.startswith(PREFIX) else listen_tcp(address, shared=shared)
    except OSError as error:
        raise ListenError(f"cannot listen on {address}: {_why(error)}") from error


def listen_tcp(address: str, *, shared: bool = False) -> socket.socket:
    """A listening socket for HOST:PORT. Raises OSError."""
    host, _, port = address.rpartition(":")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host.strip("[]"), int(port)), family=family, backlog=1024, reuse_port=shared)


def listen_unix(address: str) -> socket.socket:
    """A listening socket for unix:/PATH. Raises OSError."""
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.bind(address.removeprefix(PREFIX))
    except OSError:
        listener.close()
        raise
    listener.listen(1024)
    return listener


def _take_over(path: Path, address: str) -> None:
    if path.is_socket():
        with closing(socket.socket(socket.AF_UNIX)) as probe:
            if probe.connect_ex(str(path)) == 0:
                raise ListenError(f"cannot listen on {address}: another process does")
    elif path.exists():
        raise ListenError(f"cannot listen on {address}: a file that is no socket is in the way")
    path.unlink(missing_ok=True)
    listen_unix(address).close()
    path.unlink()


def _why(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno and error.errno > 0 else str(error.strerror or error)
