"""How a connection ends in peace: asked for no new streams, a round trip later told the last one, then closed."""

import asyncio

import grpc
import grpc.aio
import pytest
from hyperframe.frame import GoAwayFrame, PingFrame
from proxy_world.fakes import Proxy
from proxy_world.peer import Peer, data, head, open_house
from zttp import H2ErrorCode

from extauthz._pb.grpc.health.v1.health_pb2 import HealthCheckResponse
from extauthz.doors.fast_grpc import framed
from extauthz.doors.fast_limits import LIMITS, Limits

pytestmark = pytest.mark.anyio

ANY = 2**31 - 1
WATCH = "/grpc.health.v1.Health/Watch"


async def test_before_zttp_would_end_it() -> None:
    """Streams opened before the peer can know are served, those after are refused, and the connection is closed."""
    proxy = Proxy()
    async with open_house(Limits(calls=2), proxy) as house, house.peer() as peer:
        await peer.ask(1)
        assert (await peer.answer(1)).allowed
        proxy.upstream.gate = asyncio.Event()
        proxy.cache.drop(next(iter(proxy.cache._entries)))
        await peer.ask(3)
        ping = await warned(peer)
        await peer.ask(5)  # on its way before the warning was read
        await peer.say(PingFrame(0, opaque_data=ping.opaque_data, flags=["ACK"]))
        last = await peer.hear(GoAwayFrame)
        assert (last.last_stream_id, last.error_code) == (5, H2ErrorCode.NO_ERROR)
        await peer.ask(7)
        assert (await peer.answer(7)).reset == H2ErrorCode.REFUSED_STREAM
        proxy.upstream.gate.set()
        assert (await peer.answer(3)).allowed
        assert (await peer.answer(5)).allowed
        assert await peer.hung_up()


async def test_a_client_does_not_notice() -> None:
    """Two thousand calls of a real client, eight at a time, on connections of fifty calls: each is answered."""
    async with open_house(Limits(calls=50)) as house:
        calls = iter(range(2000))

        async def ask() -> None:
            for _ in calls:
                assert await house.serves()

        await asyncio.gather(*(ask() for _ in range(8)))


async def test_the_margin_before_zttps_own_end() -> None:
    """With the limits that ship, all that may be opened meanwhile fits in what zttp allows, calls and resets."""
    concurrent, streams, resets = 128, 4096, 256
    assert LIMITS.calls + concurrent + resets <= streams
    assert LIMITS.resets + concurrent <= resets


async def test_many_calls_given_up_one_by_one() -> None:
    """Clients that leave early cost a connection, in peace, before zttp would end it for rapid reset."""
    async with open_house() as house, house.peer() as peer:
        for stream_id in range(1, 2 * LIMITS.resets + 1, 2):
            await peer.say(head(stream_id), b"\0\0\4\3\0" + stream_id.to_bytes(4, "big") + b"\0\0\0\x08")
        await warned(peer)


async def test_age() -> None:
    """An old connection is replaced though it is busy."""
    async with open_house(Limits(age_seconds=0.2, tick_seconds=0.05)) as house, house.peer() as peer:
        await warned(peer)


async def test_idleness() -> None:
    """A connection nobody calls on is given back; pings do not count as calls."""
    async with open_house(Limits(idle_seconds=0.2, tick_seconds=0.05)) as house, house.peer() as peer:
        await peer.say(PingFrame(0, opaque_data=b"12345678"))
        await warned(peer)


async def test_a_peer_that_does_not_answer_the_ping() -> None:
    """It is told the last stream all the same, and left."""
    limits = Limits(calls=1, grace_seconds=0.2, tick_seconds=0.05)
    async with open_house(limits) as house, house.peer() as peer:
        await peer.ask(1)
        await warned(peer)
        assert (await peer.hear(GoAwayFrame)).last_stream_id == 1
        assert await peer.hung_up()


async def test_a_call_that_outlasts_all_patience() -> None:
    """When the time to leave is over it is told that nobody will answer it here."""
    proxy = Proxy()
    proxy.upstream.gate = asyncio.Event()
    limits = Limits(calls=1, grace_seconds=0.2, tick_seconds=0.05)
    async with open_house(limits, proxy) as house, house.peer() as peer:
        await peer.ask(1)
        assert (await peer.answer(1)).code == grpc.StatusCode.UNAVAILABLE.value[0]
        assert await peer.hung_up()


async def test_a_stopped_door_finishes_what_is_under_way() -> None:
    """A call that waits when the door is stopped gets its answer; after that the peer is on its own."""
    proxy = Proxy()
    proxy.upstream.gate = asyncio.Event()
    async with open_house(proxy=proxy) as house, house.peer() as peer:
        await peer.ask(1)
        await proxy.upstream.arrived.wait()
        stopping = asyncio.create_task(house.door.stop(0))
        ping = await warned(peer)
        await peer.say(PingFrame(0, opaque_data=ping.opaque_data, flags=["ACK"]))
        await peer.hear(GoAwayFrame)
        proxy.upstream.gate.set()
        assert (await peer.answer(1)).allowed
        assert await peer.hung_up()
        await house.neighbour.close()
        peer.writer.close()
        await stopping
        await house.door.start([house.address])
        house.neighbour = grpc.aio.insecure_channel(house.address)


async def test_watchers_do_not_keep_a_connection() -> None:
    """A stream without an end is ended when its connection is, and its client watches on the next one."""
    async with open_house(Limits(calls=2, grace_seconds=120)) as house, house.peer() as peer:
        await peer.say(head(1, path=WATCH), data(1, framed(b"")))
        await peer.ask(3)
        ping = await warned(peer)
        await peer.say(PingFrame(0, opaque_data=ping.opaque_data, flags=["ACK"]))
        answer = await peer.answer(1)
        assert HealthCheckResponse.FromString(answer.body[5:]).status == HealthCheckResponse.SERVING
        assert answer.code == grpc.StatusCode.UNAVAILABLE.value[0]
        assert await peer.hung_up()


async def warned(peer: Peer) -> PingFrame:
    """Read up to the first GOAWAY, which names no stream, and the ping behind it."""
    warning = await peer.hear(GoAwayFrame)
    assert (warning.last_stream_id, warning.error_code) == (ANY, H2ErrorCode.NO_ERROR)
    return await peer.hear(PingFrame)
