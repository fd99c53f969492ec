"""A bounded map with expiry, and flights that let many wait for one load.

Knows nothing of tokens.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from sys import getsizeof
from typing import Generic, TypeVar

V = TypeVar("V")

# What an entry costs beside its payload: key, value object, map slot. Measured, rounded up.
ENTRY_OVERHEAD_BYTES = 600


@dataclass(frozen=True, slots=True)
class Entry(Generic[V]):
    """One cached value. `until` and `gone`: seconds on the cache's clock; `size`: bytes counted against the bound."""

    value: V
    until: float
    gone: float
    size: int


class Cache(Generic[V]):
    """Least recently used goes first when entries or bytes exceed their bounds. Not for use across threads."""

    def __init__(self, *, max_entries: int, max_bytes: int, clock: Callable[[], float]) -> None:
        self._entries: OrderedDict[Hashable, Entry[V]] = OrderedDict()
        self._flights: dict[Hashable, asyncio.Task[V]] = {}
        self._max_entries, self._max_bytes = max_entries, max_bytes
        self._bytes = 0
        self._clock = clock

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def weight(self) -> int:
        """What the entries are counted as, in bytes."""
        return self._bytes

    def get(self, key: Hashable) -> V | None:
        """The value, unless it is absent or past its time."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        now = self._clock()
        if entry.until <= now:
            if entry.gone <= now:
                self.drop(key)
            return None
        self._entries.move_to_end(key)
        return entry.value

    def stale(self, key: Hashable) -> V | None:
        """The value, also when it is past its time, but not past the grace it was kept with."""
        entry = self._entries.get(key)
        return entry.value if entry is not None and self._clock() < entry.gone else None

    def put(self, key: Hashable, value: V, *, ttl: float, payload_bytes: int, grace: float = 0.0) -> None:
        """Keep `value` for `ttl` seconds; not at all when `ttl` is not positive, or it is too heavy.

        `grace`: seconds after that during which it still serves those who ask for what is `stale`.
        """
        self.drop(key)
        until = self._clock() + ttl
        entry = Entry(value, until, until + grace, payload_bytes + ENTRY_OVERHEAD_BYTES)
        if ttl <= 0 or entry.size > self._max_bytes:
            return
        self._entries[key] = entry
        self._bytes += entry.size
        while len(self._entries) > self._max_entries or self._bytes > self._max_bytes:
            self.drop(next(iter(self._entries)))

    def drop(self, key: Hashable) -> None:
        """Forget `key`, if it is there."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._bytes -= entry.size

    async def load(self, key: Hashable, loader: Callable[[], Awaitable[V]]) -> V:
        """Run `loader` once for all who ask for `key` meanwhile, and give all of them its value.

        The flight belongs to nobody: a caller that is cancelled, the first one included, leaves it flying for the
        others. What the loader raises, all of them get.
        """
        flight = self._flights.get(key)
        if flight is None:
            flight = asyncio.ensure_future(_run(loader))
            self._flights[key] = flight
            flight.add_done_callback(lambda done: self._land(key, done))
        return await asyncio.shield(flight)

    def _land(self, key: Hashable, flight: "asyncio.Task[V]") -> None:
        self._flights.pop(key, None)
        if not flight.cancelled():
            flight.exception()  # seen: nobody may be left to retrieve it, and that is no fault


def size_of(part: object) -> int:
    """Bytes of a value and of all that is in it: texts and numbers, alone or in what JSON knows, tuples and sets."""
    size, left = 0, [part]
    while left:  # no recursion: claims may be nested deeper than functions
        within = left.pop()
        size += getsizeof(within)
        if isinstance(within, dict):
            left += within.values()
        if isinstance(within, dict | list | tuple | frozenset):
            left += within
    return size


async def _run(loader: Callable[[], Awaitable[V]]) -> V:
    return await loader()
