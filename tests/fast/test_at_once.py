"""What makes the fast door fast: a known session costs no task, and what one read brings is answered in one write."""

import asyncio
import io
from typing import Any, cast

import pytest
from hyperframe.frame import HeadersFrame, SettingsFrame
from proxy_world.door import CHECK
from proxy_world.fakes import Proxy, log_to
from proxy_world.peer import MESSAGE, PREFACE, data, head, open_house

from extauthz.doors.checks import Checks
from extauthz.doors.fast_http2 import Connection
from extauthz.doors.fast_limits import LIMITS

pytestmark = pytest.mark.anyio


class Wire:
    """A transport that keeps what is written to it, write by write."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.reads = True

    def write(self, data: bytes) -> None:
        """Keep it."""
        self.writes.append(data)

    def pause_reading(self) -> None:
        """Note it."""
        self.reads = False

    def resume_reading(self) -> None:
        """Note it."""
        self.reads = True

    def is_closing(self) -> bool:
        """Never."""
        return False

    def get_extra_info(self, _name: str) -> None:
        """No TLS."""

    def set_write_buffer_limits(self, _high: int) -> None:
        """None."""


async def known() -> tuple[Connection, Wire]:
    """A connection at its beginning, to a proxy that knows the session of MESSAGE."""
    proxy, log = Proxy(), io.StringIO()
    checks = Checks(proxy.desk(log), log_to(log))
    first = checks.answer(MESSAGE[5:], None)
    assert not isinstance(first, bytes)
    await first
    connection, wire = Connection({CHECK.encode(): checks.answer}, set(), LIMITS), Wire()
    connection.connection_made(cast("asyncio.Transport", wire))
    connection.data_received(PREFACE + SettingsFrame(settings={}).serialize())
    wire.writes.clear()
    return connection, wire


async def test_known_sessions_are_answered_while_they_are_read() -> None:
    """Twenty calls in one read are answered in one write before the read is over, and no task is made."""
    connection, wire = await known()
    made = []

    def make(loop: asyncio.AbstractEventLoop, coroutine: Any) -> asyncio.Task[Any]:
        made.append(coroutine)
        return asyncio.Task(coroutine, loop=loop)

    loop = asyncio.get_running_loop()
    loop.set_task_factory(make)
    connection.data_received(b"".join(head(i).serialize() + data(i, MESSAGE).serialize() for i in range(1, 41, 2)))
    loop.set_task_factory(None)
    [written] = wire.writes
    assert written.count(b"grpc-status\x010") == 20
    assert not made


async def test_a_call_is_answered_in_one_write() -> None:
    """Head, message and trailers go out together."""
    connection, wire = await known()
    connection.data_received(head(1).serialize() + data(1, MESSAGE).serialize())
    assert len(wire.writes) == 1


async def test_many_who_waited_are_answered_together() -> None:
    """Fifty calls that wait for one answer of the authorization server, and a frame of each, go out in order."""
    proxy = Proxy()
    proxy.upstream.gate = asyncio.Event()
    async with open_house(proxy=proxy) as house, house.peer() as peer:
        ids = range(1, 101, 2)
        await peer.say(*[frame for i in ids for frame in (head(i), data(i, MESSAGE))])
        await proxy.upstream.arrived.wait()
        proxy.upstream.gate.set()
        for i in ids:
            assert (await peer.answer(i)).allowed
        assert len(proxy.upstream.asked) == 1
        begun = [f.stream_id for f in peer.heard if isinstance(f, HeadersFrame) and "END_STREAM" not in f.flags]
        assert begun == [*ids]


async def test_who_does_not_read_is_not_read() -> None:
    """While its answers pile up nothing more is taken from a peer; when it has read, it goes on."""
    connection, wire = await known()
    connection.pause_writing()
    assert not wire.reads
    connection.resume_writing()
    assert wire.reads


async def test_a_timeout_begins_with_the_head() -> None:
    """Time that passed while the message came is not waited for again."""
    waits: list[float | None] = []

    def method(_message: bytes, wait: float | None) -> bytes:
        waits.append(wait)
        return b""

    connection = Connection({CHECK.encode(): method}, set(), LIMITS)
    connection.connection_made(cast("asyncio.Transport", Wire()))
    connection.data_received(PREFACE + SettingsFrame(settings={}).serialize())
    connection.data_received(head(1, grpc_timeout="10S").serialize())
    connection._calls._open[1].since -= 5
    connection.data_received(data(1, MESSAGE).serialize())
    [wait] = waits
    assert wait is not None
    assert 0 < wait <= 5
