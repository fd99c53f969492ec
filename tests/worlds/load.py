"""Load on a world: requests over some connections, for as long as something else takes."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httpx2

CONNECTIONS = 8
MOST_CALLS = 20_000  # a bound for a machine so fast that what happens meanwhile takes long in comparison


@asynccontextmanager
async def load(url: str, headers: Mapping[str, str]) -> AsyncIterator[Counter[int]]:
    """Call over and over while the block lasts; how often which status was the answer."""
    done = asyncio.Event()
    statuses: Counter[int] = Counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(_call(url, headers, done, statuses))
        yield statuses
        done.set()


async def _call(url: str, headers: Mapping[str, str], done: asyncio.Event, statuses: Counter[int]) -> None:
    async with httpx2.AsyncClient(timeout=30) as client:
        for _ in range(MOST_CALLS):
            if done.is_set():
                return
            statuses[(await client.get(url, headers=headers)).status_code] += 1
