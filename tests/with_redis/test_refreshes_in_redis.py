"""R1 over replicas: two agents, one rotating refresh token, one request to the provider."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from agent_world import AGENT, HOST, ORIGIN, Browser, World, create_world, read
from worlds.redis_server import Redis

from agent import refreshes_in_redis
from extauthz.redis_server import RedisServer

pytestmark = pytest.mark.anyio

RT = "__Secure-shop-rt"


@asynccontextmanager
async def two_agents(folder: Path, redis: Redis) -> AsyncIterator[tuple[World, World]]:
    """Two processes with the same settings, over the same provider."""
    world = create_world(folder, top={"redis": {"url": redis.url}})
    other = world.replica()
    try:
        yield world, other
    finally:
        await world.shared.close()
        await other.shared.close()


async def tabs(world: World, other: World, user: str = "ada") -> tuple[Browser, Browser]:
    """Two tabs of one browser, each with another replica."""
    first = await world.log_in(user)
    second = Browser(other.agent, base=HOST, path=AGENT, origin=ORIGIN)
    second.cookies = dict(first.cookies)
    return first, second


def refreshes(world: World) -> int:
    """How often the provider was asked for new tokens."""
    return sum(b"grant_type=refresh_token" in request.content for request in world.server.asked("/token"))


async def test_r1_together(tmp_path: Path, redis: Redis) -> None:
    """Two tabs refresh at once through two replicas: one request, both logged in, and the session goes on."""
    async with two_agents(tmp_path, redis) as (world, other):
        first, second = await tabs(world, other)
        answers = await asyncio.gather(first.refresh(), second.refresh())
        assert [answer.status_code for answer in answers] == [200, 200]
        assert refreshes(world) == 1
        assert [read(await tab.session())["is_logged_in"] for tab in (first, second)] == [True, True]
        assert [(await tab.refresh()).status_code for tab in (second, first)] == [200, 200]


async def test_r1_shortly_after(tmp_path: Path, redis: Redis) -> None:
    """A tab that comes a moment later, still with the old cookie, gets the same tokens from the other replica."""
    async with two_agents(tmp_path, redis) as (world, other):
        first, second = await tabs(world, other)
        for tab in (first, second):
            read(await tab.refresh())
        assert refreshes(world) == 1
        kept = [json.loads(world.ring.open(tab.value(RT) or "", world.purpose(RT)))["rt"] for tab in (first, second)]
        assert kept[0] == kept[1]


async def test_redis_is_told_no_token(tmp_path: Path, redis: Redis) -> None:
    """Nothing the provider has issued stands in redis, neither as a key nor in a value."""
    async with two_agents(tmp_path, redis) as (world, other):
        first, second = await tabs(world, other)
        await asyncio.gather(first.refresh(), second.refresh())
        held = await everything(world)
        secrets = (await world.server.control("secrets"))["values"]
        assert "token-handler:refresh:" in held
        assert [secret for secret in secrets if secret in held] == []


async def test_a_refused_token_is_refused_to_all(tmp_path: Path, redis: Redis) -> None:
    """R4: invalid_grant for one who waits is invalid_grant for all, and asked about once."""
    async with two_agents(tmp_path, redis) as (world, other):
        first, second = await tabs(world, other)
        await world.server.expire(refresh_token="all")
        answers = await meanwhile(world, first, second)
        assert [answer.status_code for answer in answers] == [401, 401]
        assert [answer.json()["error_code"] for answer in answers] == ["session_expired"] * 2
        assert refreshes(world) == 1


async def test_trouble_is_shared_and_not_remembered(tmp_path: Path, redis: Redis) -> None:
    """R5: both are told of the outage, one request is made; afterwards a refresh works."""
    async with two_agents(tmp_path, redis) as (world, other):
        first, second = await tabs(world, other)
        await world.server.mode(token_status=500)
        answers = await meanwhile(world, first, second)
        assert [answer.status_code for answer in answers] == [503, 503]
        assert refreshes(world) == 1
        await world.server.mode(token_status=None)
        assert [(await tab.refresh()).status_code for tab in (first, second)] == [200, 200]


async def test_a_request_the_provider_refuses_is_each_one_s_own(tmp_path: Path, redis: Redis) -> None:
    """A refusal of what one tab asked for says nothing of the token: the other asks for itself."""
    async with two_agents(tmp_path, redis) as (world, other):
        first, second = await tabs(world, other)
        world.server.answers["/token"] = lambda _: httpx2.Response(400, json={"error": "invalid_scope"})
        answers = await meanwhile(world, first, second)
        assert [answer.json()["error_code"] for answer in answers] == ["authorization_error"] * 2
        assert refreshes(world) == 2


async def test_more_sessions_at_once_than_connections(
    tmp_path: Path, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an outage everybody refreshes, in several tabs: each token is still spent once, and no session ends."""
    monkeypatch.setattr("extauthz.redis_server.MAX_CONNECTIONS", 5)
    monkeypatch.setattr(refreshes_in_redis, "BLOCK_MILLISECONDS", 50)
    async with two_agents(tmp_path, redis) as (world, other):
        pairs = [await tabs(world, other) for _ in range(20)]
        answers = await asyncio.gather(*(tab.refresh() for pair in pairs for tab in pair))
        assert [answer.status_code for answer in answers] == [200] * 40
        assert refreshes(world) == 20


async def test_a_replica_that_died(tmp_path: Path, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever was asking and is no more keeps nobody waiting for ever."""
    async with two_agents(tmp_path, redis) as (world, other):
        first, second = await tabs(world, other)
        monkeypatch.setattr(refreshes_in_redis, "LOCK_MILLISECONDS", 300)
        monkeypatch.setattr(refreshes_in_redis, "BLOCK_MILLISECONDS", 50)
        with monkeypatch.context() as dying:
            dying.setattr(refreshes_in_redis.RefreshesInRedis, "_lead", nothing)
            assert (await first.refresh()).status_code == 500  # it has taken the lock, and will never answer
        assert (await second.refresh()).status_code == 200
        assert refreshes(world) == 1


async def test_while_redis_is_away(tmp_path: Path, redis: Redis) -> None:
    """Each replica shares among its own tabs as before; it is logged, and no session is lost."""
    async with two_agents(tmp_path, redis) as (world, other):
        first, second = await tabs(world, world)
        assert other.shared.redis is not None
        redis.stop()
        answers = await asyncio.gather(first.refresh(), second.refresh())
        assert [answer.status_code for answer in answers] == [200, 200]
        assert refreshes(world) == 1
        assert [line["reason"] for line in world.lines() if line["event"] == "trouble"] == ["redis"]


async def test_an_answer_of_another_session(tmp_path: Path, redis: Redis) -> None:
    """Whoever can write to redis can move no answer to another session: it does not open there."""
    async with two_agents(tmp_path, redis) as (world, other):
        ada, _ = await tabs(world, other, "ada")
        before = set(await keys(world))
        read(await ada.refresh())
        [source] = [key for key in set(await keys(world)) - before if key.count(":") == 3]
        grace, second = await tabs(world, other, "grace")
        before = set(await keys(world))
        read(await grace.refresh())
        [target] = [key for key in set(await keys(world)) - before if key.count(":") == 3]
        redis_server = server(world)
        [[_, members]] = (await redis_server.call("XREAD", "STREAMS", source, "0"))[source]
        await redis_server.call("DEL", target)
        await redis_server.call("XADD", target, "*", "answer", members["answer"])
        answer = await second.refresh()
        assert answer.status_code == 503
        assert "the same cookie keys" in world.log.getvalue() + other.log.getvalue()


async def meanwhile(world: World, first: Browser, second: Browser) -> list[httpx2.Response]:
    """Both refresh, the second while the first one's request is at the provider."""
    waiting: list[asyncio.Task[httpx2.Response]] = []

    async def begin_the_second() -> None:
        waiting.append(asyncio.create_task(second.refresh()))
        locks = 0
        while not locks:  # until it has looked for a flight, and found one
            locks = await waits(world)

    world.server.answer_after("/token", begin_the_second)
    answer = await first.refresh()
    return [answer, await waiting[0]]


async def waits(world: World) -> int:
    """How many clients are blocked in redis."""
    found = await server(world).call("INFO", "clients")
    text = found if isinstance(found, str) else "\n".join(f"{key}:{value}" for key, value in found.items())
    return int(text.split("blocked_clients:")[1].split()[0])


async def keys(world: World) -> list[str]:
    """All keys."""
    return list(await server(world).call("KEYS", "*"))


async def everything(world: World) -> str:
    """All keys and values, as text."""
    told = []
    for key in await keys(world):
        kind = await server(world).call("TYPE", key)
        value = (
            await server(world).call("GET", key)
            if kind == "string"
            else await server(world).call("XREAD", "STREAMS", key, "0")
        )
        told.append(f"{key} {value}")
    return "\n".join(told)


def server(world: World) -> RedisServer:
    """The world's own client."""
    assert world.shared.redis is not None
    return world.shared.redis


async def nothing(*_: object) -> None:
    """In place of telling others."""
