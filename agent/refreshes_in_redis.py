"""One refresh per refresh token among all replicas of the agent: who comes first asks, the others wait for its answer.

redis is told a digest and sealed answers, no token. While it is away, each replica is on its own again.

`lock`     names the flight of a refresh token; while it is there, nobody else asks
`flight`   a stream with one entry at most, the answer; so it can be waited for, and read again by who comes late
"""

import hashlib
import json
import secrets
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from agent.refreshes import MEMO_SECONDS, Refresh
from agent.tokens import GrantOver, Tokens
from extauthz.cookies.aes_gcm import KeyRing
from extauthz.cookies.envelope import InvalidCookie
from extauthz.cookies.purpose import Purpose
from extauthz.oauth.errors import AuthorizationServerError, Trouble
from extauthz.redis_server import RedisServer, RedisUnavailable

# Longer than the authorization server may take in all; whoever held the lock for so long is no more.
LOCK_MILLISECONDS = 15_000
MEMO_MILLISECONDS = int(MEMO_SECONDS * 1000)
FAILURE_MILLISECONDS = 2000  # failures are shared with those who wait, and not remembered
BLOCK_MILLISECONDS = 1000
BEGINNING = "0"
# Only what is ours still: the lock may have run out and be another's.
UNLOCK = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"


class RefreshesInRedis:
    """The refreshes of one app. `report` is told when redis is away."""

    def __init__(self, server: RedisServer, app: str, ring: KeyRing, report: Callable[[Exception], None]) -> None:
        self._server, self._app, self._ring, self._report = server, app, ring, report

    async def share(self, key: bytes, refresh: Refresh) -> Tokens:
        """What `refresh` gives, run once for all replicas that come with `key` together or shortly after."""
        lock = "token-handler:refresh:" + hashlib.sha256(self._app.encode() + b"\0" + key).hexdigest()
        mine = secrets.token_hex(8)
        try:
            flight = await self._flight(lock, mine)
            answer = None if flight == mine else await self._wait(lock, flight)
        except RedisUnavailable as error:
            self._report(error)
            return await refresh()
        if flight == mine:
            return await self._lead(lock, mine, refresh)
        # Without an answer, whoever was asking is gone. The token may be spent; there is one way to find out.
        return (None if answer is None else self._result(lock, answer)) or await refresh()

    async def _flight(self, lock: str, mine: str) -> str:
        """The flight to wait for; `mine` when there was none."""
        if await self._server.call("SET", lock, mine, "NX", "PX", LOCK_MILLISECONDS):
            return mine
        # It may have run out in this moment; then nobody answers, and we ask.
        return await self._server.call("GET", lock) or mine

    async def _wait(self, lock: str, flight: str) -> str | None:
        """The sealed answer, None when it does not come."""
        name = f"{lock}:{flight}"
        for _ in range(0, LOCK_MILLISECONDS, BLOCK_MILLISECONDS):
            answer = await self._server.call("XREAD", "BLOCK", BLOCK_MILLISECONDS, "STREAMS", name, BEGINNING)
            if answer:
                return str(answer[name][0][1]["answer"])
            if await self._server.call("GET", lock) != flight:
                return None
        return None

    async def _lead(self, lock: str, mine: str, refresh: Refresh) -> Tokens:
        try:
            tokens = await refresh()
        except Exception as error:
            await self._publish(lock, mine, _failure(error), FAILURE_MILLISECONDS)
            raise
        await self._publish(lock, mine, {"tokens": asdict(tokens)}, MEMO_MILLISECONDS)
        return tokens

    async def _publish(self, lock: str, mine: str, answer: dict[str, Any], milliseconds: int) -> None:
        """Tell those who wait, and for a moment those who come. Ours is not lost where that fails."""
        name = f"{lock}:{mine}"
        try:
            await self._server.call("XADD", name, "*", "answer", self._sealed(lock, answer))
            await self._server.call("PEXPIRE", name, milliseconds)
            if "tokens" in answer:
                await self._server.call("PEXPIRE", lock, milliseconds)
            else:
                await self._server.call("EVAL", UNLOCK, 1, lock, mine)
        except RedisUnavailable as error:
            self._report(error)

    def _sealed(self, lock: str, answer: dict[str, Any]) -> str:
        # Bound to the refresh token it answers: whoever can write to redis can move no answer to another session.
        return self._ring.seal(json.dumps(answer).encode(), Purpose(self._app, lock))

    def _result(self, lock: str, answer: str) -> Tokens | None:
        """The other's tokens or error; None when it failed in a way that says nothing of the token."""
        try:
            members = json.loads(self._ring.open(answer, Purpose(self._app, lock)))
        except InvalidCookie as error:
            message = "another replica's refresh cannot be read; do all have the same cookie keys?"
            raise AuthorizationServerError(Trouble.BAD_ANSWER, message) from error
        match members:
            case {"tokens": dict(tokens)}:
                return Tokens(**tokens)
            case {"trouble": str(trouble)}:
                raise AuthorizationServerError(Trouble(trouble), "another replica's refresh has failed")
            case {"over": True}:
                raise GrantOver
        return None


def _failure(error: Exception) -> dict[str, Any]:
    if isinstance(error, AuthorizationServerError):
        return {"trouble": error.trouble}
    return {"over": isinstance(error, GrantOver)}
