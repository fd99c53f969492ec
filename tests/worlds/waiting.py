"""Waiting for what another process does; its events cannot be awaited from here, so they are asked for."""

import time
from collections.abc import Callable

LONGEST_SECONDS = 60.0


def until(holds: Callable[[], bool]) -> None:
    """Ask until it is so, and fail when it never becomes so."""
    deadline = time.monotonic() + LONGEST_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "it never became so"
        time.sleep(0.1)  # the one place where tests wait for another process
