"""Revocations in redis: what one process writes all others know, through outages and restarts of a real server."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from proxy_world.certificates import Authority
from proxy_world.fakes import NOW, Clock, log_to
from worlds.becoming import becomes
from worlds.redis_server import Redis

from extauthz import redis_server
from extauthz.config import Secret
from extauthz.config.shared import RedisConfig
from extauthz.cookies.marks import Kind, KnownBy, mark
from extauthz.redis_server import RedisServer, RedisUnavailable
from extauthz.revocations import stream
from extauthz.revocations.known import Known, Revocation
from extauthz.revocations.revocations import Revocations, RevocationsUnavailable
from extauthz.revocations.stream import KEY, RevocationStream
from extauthz.revocations.watch import LogWatch, NoWatch

pytestmark = pytest.mark.anyio

AT = int(NOW * 1000)
PASSWORD = "canary-of-redis"


def session(name: str) -> KnownBy:
    """A session called `name`."""
    return KnownBy((mark_of(name),), AT)


def mark_of(name: str) -> str:
    """Its mark."""
    return mark("shop", Kind.SESSION, name)


def config(redis: Redis, **more: object) -> RedisConfig:
    """The settings for this server."""
    settings: dict[str, Any] = {"url": redis.url, "username": None, "password_file": None, "ca_file": None, **more}
    return RedisConfig.model_construct(**settings)


def process(redis: Redis, *, writes: bool, log: io.StringIO | None = None, clock: Clock | None = None) -> Revocations:
    """What an agent (`writes`) or a proxy has."""
    clock = clock or Clock()
    source = RevocationStream(RedisServer(config(redis)), clock, keep_seconds=100, writes=writes)
    watch = NoWatch() if log is None else LogWatch(log_to(log))
    return Revocations(source, keep_seconds=100, clock=clock, watch=watch)


@asynccontextmanager
async def started(*revocations: Revocations) -> AsyncIterator[None]:
    """All of them follow."""
    for one in revocations:
        await one.start()
    try:
        yield
    finally:
        for one in revocations:
            await one.stop()


async def test_what_one_process_tells_all_know(redis: Redis) -> None:
    """An end told by one agent is known to a proxy and to another agent, without their asking again."""
    agent, other, proxy = process(redis, writes=True), process(redis, writes=True), process(redis, writes=False)
    async with started(agent, other, proxy):
        for name in ("first", "second"):
            await agent.end(mark_of(name))
            await becomes(lambda: all(len(one.known) == len(agent.known) for one in (other, proxy)))
        assert proxy.has_ended(session("first"))
        assert other.has_ended(session("second"))


async def test_who_starts_later_knows_all(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program reads all there is before it serves, however many there are."""
    monkeypatch.setattr(stream, "COUNT", 3)
    agent, proxy = process(redis, writes=True), process(redis, writes=False)
    for number in range(10):
        await agent.end(mark_of(str(number)))
    async with started(proxy):
        assert len(proxy.known) == 10
    fresh = process(redis, writes=False)
    await fresh.read()  # as explain does
    assert len(fresh.known) == 10
    await fresh.stop()
    await agent.stop()


async def test_an_outage(redis: Redis) -> None:
    """While redis is away what is known counts, an end is refused with a word; afterwards everybody knows of it."""
    log = io.StringIO()
    agent, proxy = process(redis, writes=True), process(redis, writes=False, log=log)
    async with started(agent, proxy):
        await agent.end(mark_of("before"))
        await becomes(lambda: proxy.has_ended(session("before")))
        redis.stop()
        with pytest.raises(RevocationsUnavailable, match="redis"):
            await agent.end(mark_of("meanwhile"))
        assert agent.has_ended(session("meanwhile"))
        assert proxy.has_ended(session("before"))
        await becomes(lambda: "trouble" in log.getvalue())
        redis.start()  # and it has forgotten everything
        await becomes(lambda: proxy.has_ended(session("meanwhile")))
        late = process(redis, writes=False)
        async with started(late):
            await becomes(lambda: late.has_ended(session("before")))
    assert log.getvalue().count("trouble") == 1
    assert "heard of again" in log.getvalue()


async def test_a_redis_that_is_away_at_the_start(redis: Redis) -> None:
    """A program starts without it, and knows all once it is there."""
    agent = process(redis, writes=True)
    await agent.end(mark_of("before"))
    redis.stop()
    proxy = process(redis, writes=False)
    async with started(agent, proxy):
        assert len(proxy.known) == 0
        redis.start()
        await becomes(lambda: proxy.has_ended(session("before")))


async def test_what_could_not_be_told_is_told_later(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """One call that fails while the connection that follows lives is made up for, without a restart of anything."""
    agent, proxy = process(redis, writes=True), process(redis, writes=False)
    call, failures = RedisServer.call, iter([True])

    async def fail_once(self: RedisServer, *command: str | int) -> object:
        if command[0] == "XADD" and next(failures, False):
            raise RedisUnavailable("redis: OOM")
        return await call(self, *command)

    async with started(agent, proxy):
        monkeypatch.setattr(RedisServer, "call", fail_once)
        with pytest.raises(RevocationsUnavailable):
            await agent.end(mark_of("first"))
        await becomes(lambda: proxy.has_ended(session("first")))


async def test_a_proxy_writes_nothing(redis: Redis) -> None:
    """A proxy that knows more than redis leaves it so: it may have no right to write."""
    proxy = process(redis, writes=False)
    proxy.known.add(Revocation(mark_of("first"), AT, AT + 100_000))
    server = RedisServer(config(redis))
    async with started(proxy):
        assert await server.call("EXISTS", KEY) == 0
    await server.close()


async def test_the_stream_does_not_grow_for_ever(redis: Redis) -> None:
    """What is older than the longest session goes, a few hundred at a time."""
    server, clock = RedisServer(config(redis)), Clock()
    source = RevocationStream(server, clock, keep_seconds=100, writes=True)
    seconds, _ = await server.call("TIME")
    clock.now = float(seconds)
    for number in range(300):
        await source.tell(Revocation(mark_of(str(number)), AT, AT))
    clock.now += 200
    await source.tell(Revocation(mark_of("last"), AT, AT))
    assert await server.call("XLEN", KEY) < 200
    await server.close()


async def test_strange_entries_are_skipped(redis: Redis) -> None:
    """What somebody else has put into the stream ends nothing and hides nothing."""
    server, agent = RedisServer(config(redis)), process(redis, writes=True)
    for members in (("x", "y"), ("m", "short", "at", "1", "until", "2"), ("m", mark_of("x"), "at", "z", "until", "2")):
        await server.call("XADD", KEY, "*", *members)
    await agent.end(mark_of("first"))
    known = Known(Clock())
    await RevocationStream(server, Clock(), keep_seconds=100, writes=False).read(known)
    assert [revocation.mark for revocation in known] == [mark_of("first")]
    await agent.stop()
    await server.close()


async def test_no_name_stands_in_it(redis: Redis) -> None:
    """redis holds digests and times."""
    server, agent = RedisServer(config(redis)), process(redis, writes=True)
    await agent.end(mark("shop", Kind.SUB, "ada"))
    [[_, members]] = (await server.call("XREAD", "STREAMS", KEY, "0"))[KEY]
    assert members == {"m": mark("shop", Kind.SUB, "ada"), "at": str(AT), "until": str(AT + 100_000)}
    await agent.stop()
    await server.close()


async def test_a_password(tmp_path: Path) -> None:
    """With the right one it is open; without, or with a wrong one, a line says so and does not repeat it."""
    with Redis(tmp_path, ["--requirepass", PASSWORD]) as redis:
        good = RedisServer(config(redis, password_file=Secret(PASSWORD)))
        assert await good.call("PING") in (True, "PONG")
        await good.close()
        for password in (None, Secret(f"not-{PASSWORD}")):
            bad = RedisServer(config(redis, password_file=password))
            with pytest.raises(RedisUnavailable) as refused:
                await bad.call("PING")
            assert str(refused.value).startswith("redis: ")
            assert PASSWORD not in str(refused.value)
            assert PASSWORD not in repr(bad)
            await bad.close()


async def test_a_user_of_redis_s_own(tmp_path: Path) -> None:
    """A name goes with the password, where redis knows users."""
    acl = f"user proxy on >{PASSWORD} +@all ~*"
    (tmp_path / "users.acl").write_text(f"user default off\n{acl}\n")
    with Redis(tmp_path, ["--aclfile", str(tmp_path / "users.acl")]) as redis:
        server = RedisServer(config(redis, username="proxy", password_file=Secret(PASSWORD)))
        assert await server.call("ACL", "WHOAMI") == "proxy"
        await server.close()


def test_a_server_that_repeats_what_it_was_told() -> None:
    """An old server's complaint holds the password it did not understand; it goes no further."""
    said = "ERR unknown command `HELLO`, with args beginning with: `3`, `AUTH`, `default`, `canary`, "
    assert redis_server._REPEATED.sub("", said) == "ERR unknown command `HELLO`"


async def test_tls(tmp_path: Path) -> None:
    """rediss:// verifies the server by ca_file; another authority's server is not spoken to."""
    authority, stranger = Authority(tmp_path), Authority(tmp_path, "stranger")
    pair = authority.sign("redis")
    files = ["--tls-cert-file", str(pair.certificate), "--tls-key-file", str(pair.key), "--tls-auth-clients", "no"]
    with Redis(tmp_path, [*files, "--tls-ca-cert-file", str(authority.certificate)], tls=True) as redis:
        server = RedisServer(config(redis, ca_file=str(authority.certificate)))
        assert await server.call("PING") in (True, "PONG")
        await server.close()
        suspicious = RedisServer(config(redis, ca_file=str(stranger.certificate)))
        with pytest.raises(RedisUnavailable, match="certificate"):
            await suspicious.call("PING")
        await suspicious.close()


async def test_a_server_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that takes connections and never answers is given up."""
    monkeypatch.setattr(redis_server, "ANSWER_SECONDS", 0.05)
    gone = asyncio.Event()

    async def silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await gone.wait()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        server = RedisServer(RedisConfig.model_construct(url=f"redis://127.0.0.1:{port}"))
        with pytest.raises(RedisUnavailable):
            await server.call("PING")
        await server.close()
        gone.set()
