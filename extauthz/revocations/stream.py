"""Revocations in a stream of redis: read from the beginning at every connection, then waited for.

The stream is both the list and the news: nothing falls between the two. Agents write what it lacks, so that what could
not be told while redis was away, or what redis has lost, is there again once it is back.
"""

from collections.abc import Callable
from typing import Any

from extauthz.redis_server import RedisServer, RedisUnavailable
from extauthz.revocations.known import Known, Revocation
from extauthz.revocations.revocations import RevocationsUnavailable

KEY = "token-handler:revocations"
BLOCK_MILLISECONDS = 1000  # below the time after which a connection is taken for dead
COUNT = 1000
BEGINNING = "0"


class RevocationStream:
    """`writes`: whether this process tells others; `clock`: seconds since the epoch."""

    def __init__(self, server: RedisServer, clock: Callable[[], float], *, keep_seconds: int, writes: bool) -> None:
        self._server, self._clock, self._keep_seconds, self._writes = server, clock, keep_seconds, writes
        self._lacks_something = False

    async def tell(self, revocation: Revocation) -> None:
        """Add an entry; those of sessions nobody can have any more go."""
        oldest = max(int(self._clock()) - self._keep_seconds, 0) * 1000  # entries are named by the millisecond
        members = [str(part) for pair in revocation.members().items() for part in pair]
        try:
            await self._call("XADD", KEY, "MINID", "~", oldest, "*", *members)
        except RevocationsUnavailable:
            self._lacks_something = True
            raise

    async def read(self, known: Known) -> None:
        """Add what the stream has."""
        await self._read_all(known, lambda _: None)

    async def follow(self, known: Known, caught_up: Callable[[], None]) -> None:
        """Add what the stream has, write what it lacks, and add what comes, until there is something to write again."""
        self._lacks_something = False
        there = Known(self._clock)
        last = await self._read_all(known, there.add)
        for revocation in known if self._writes else ():
            if not there.holds(revocation):
                await self.tell(revocation)
        del there
        caught_up()
        while not self._lacks_something:
            last = await self._read_on(known, last, lambda _: None, "BLOCK", BLOCK_MILLISECONDS)

    async def close(self) -> None:
        """Close the connections."""
        await self._server.close()

    async def _read_all(self, known: Known, also: Callable[[Revocation], None]) -> str:
        last, before = BEGINNING, ""
        while last != before:
            last, before = await self._read_on(known, last, also), last
        return last

    async def _read_on(self, known: Known, last: str, also: Callable[[Revocation], None], *waiting: str | int) -> str:
        """Add what stands behind entry `last`; the last entry then."""
        answer = await self._call("XREAD", "COUNT", COUNT, *waiting, "STREAMS", KEY, last)
        for entry, members in (answer or {}).get(KEY, []):
            last = entry
            revocation = _revocation(members)
            if revocation is not None:
                known.add(revocation)
                also(revocation)
        return last

    async def _call(self, *command: str | int) -> Any:
        try:
            return await self._server.call(*command)
        except RedisUnavailable as error:
            raise RevocationsUnavailable(str(error)) from error


def _revocation(members: dict[str, str]) -> Revocation | None:
    try:
        return Revocation.read({"m": members["m"], "at": int(members["at"]), "until": int(members["until"])})
    except (KeyError, ValueError):
        return None
