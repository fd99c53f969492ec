"""What both programs check before they listen on a unix socket."""

import socket
from contextlib import closing
from pathlib import Path

PREFIX = "unix:"


class ListenError(Exception):
    """A listener that could not be opened; the message names it and says why."""


def take_over(address: str) -> None:
    """Make a unix socket's path free to bind: what a killed process left behind is removed, nothing else is.

    Raises ListenError when somebody answers there, or when something that is no socket is in the way.
    """
    path = Path(address.removeprefix(PREFIX))
    if not address.startswith(PREFIX) or not path.exists():
        return
    if not path.is_socket():
        raise ListenError(f"cannot listen on {address}: a file that is no socket is in the way")
    with closing(socket.socket(socket.AF_UNIX)) as probe:
        if probe.connect_ex(str(path)) == 0:
            raise ListenError(f"cannot listen on {address}: another process does")
    path.unlink()
