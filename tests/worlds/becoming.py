"""Waiting, in a coroutine, for what a task in the background does."""

import asyncio
from collections.abc import Callable

LONGEST_SECONDS = 60.0
POLL_SECONDS = 0.01


async def becomes(holds: Callable[[], bool]) -> None:
    """Let others run until it is so, and fail when it never becomes so."""
    async with asyncio.timeout(LONGEST_SECONDS):
        while not holds():  # noqa: ASYNC110  # what another task has read is no event here
            await asyncio.sleep(POLL_SECONDS)
