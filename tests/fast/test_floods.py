"""Frames that cost us more than their sender: each flood ends its connection, and nobody else's."""

import asyncio

import pytest
from hyperframe.frame import PingFrame, RstStreamFrame, SettingsFrame, WindowUpdateFrame
from proxy_world.fakes import Proxy
from proxy_world.peer import MESSAGE, Peer, data, head, open_house
from zttp import H2ErrorCode

from extauthz.doors.fast_limits import LIMITS, Limits

pytestmark = pytest.mark.anyio

CALM = H2ErrorCode.ENHANCE_YOUR_CALM
SOON = Limits(unread_seconds=0.3, tick_seconds=0.05, output_bytes=10_000)

FLOODS = {
    "PING": PingFrame(0, opaque_data=b"12345678"),
    "SETTINGS": SettingsFrame(settings={SettingsFrame.INITIAL_WINDOW_SIZE: 70_000}),
    "WINDOW_UPDATE": WindowUpdateFrame(0, window_increment=1),
}


@pytest.mark.parametrize("frame", FLOODS.values(), ids=FLOODS.keys())
async def test_a_flood_of_control_frames(frame: PingFrame) -> None:
    """More of them than calls can need are not answered (CVE-2019-9512, CVE-2019-9515)."""
    async with open_house() as house, house.peer() as peer:
        await peer.say(*[frame] * (LIMITS.control_frames + 10))
        assert await peer.last_words() == CALM


async def test_as_many_as_a_busy_peer_needs() -> None:
    """With calls among them, pings and window updates are no flood: two of each for every call."""
    busy = [FLOODS["PING"], FLOODS["WINDOW_UPDATE"]] * 2
    async with open_house() as house, house.peer() as peer:
        for stream_id in range(1, 1201, 2):
            await peer.say(*busy, head(stream_id), data(stream_id, MESSAGE))
            assert (await peer.answer(stream_id)).allowed
        assert sum("ACK" in frame.flags for frame in peer.heard if isinstance(frame, PingFrame)) == 1200


async def test_rapid_reset() -> None:
    """Calls made to be given up (CVE-2023-44487) end the connection, and leave no work behind."""
    proxy = Proxy()
    proxy.upstream.gate = asyncio.Event()
    async with open_house(proxy=proxy) as house, house.peer() as peer:
        before = len(asyncio.all_tasks())
        for stream_id in range(1, 2001, 2):
            await burst(peer, head(stream_id), data(stream_id, MESSAGE), RstStreamFrame(stream_id, error_code=8))
        assert await peer.last_words() == CALM
        assert len(asyncio.all_tasks()) == before


async def test_more_streams_at_once_than_were_offered() -> None:
    """Those beyond 128 are refused, to be tried again elsewhere; those within are answered."""
    proxy = Proxy()
    proxy.upstream.gate = asyncio.Event()
    async with open_house(proxy=proxy) as house, house.peer() as peer:
        ids = range(1, 261, 2)
        await peer.say(*[frame for i in ids for frame in (head(i), data(i, MESSAGE))])
        for refused in ids[128:]:
            assert (await peer.answer(refused)).reset == H2ErrorCode.REFUSED_STREAM
        proxy.upstream.gate.set()
        for served in ids[:128]:
            assert (await peer.answer(served)).allowed


async def test_streams_without_an_end() -> None:
    """Whoever opens streams beyond what was offered, again and again, is left."""
    proxy = Proxy()
    proxy.upstream.gate = asyncio.Event()
    async with open_house(Limits(control_frames_per_call=0), proxy) as house, house.peer() as peer:
        for stream_id in range(1, 3001, 2):
            await burst(peer, head(stream_id), data(stream_id, MESSAGE))
        assert await peer.last_words() == CALM


async def test_a_peer_that_does_not_read() -> None:
    """Nothing more is read from it, and after a while it is left; others are served meanwhile."""
    async with open_house(SOON) as house, house.peer() as peer:
        await peer.ask(1)
        assert (await peer.answer(1)).allowed
        [mine] = house.door._peers
        peer.reader._transport.pause_reading()  # type: ignore[attr-defined]
        for stream_id in range(3, 6001, 2):
            peer.writer.write(head(stream_id).serialize() + data(stream_id, MESSAGE).serialize())
        while not mine.gone.done():
            assert await house.serves()
        assert mine._calls.opened < 2999


async def test_a_peer_that_says_nothing() -> None:
    """A connection that does not begin is closed."""
    limits = Limits(handshake_seconds=0.2, tick_seconds=0.05)
    async with open_house(limits) as house, house.peer(greet=False) as peer:
        await peer.say(b"PRI * HT")
        assert await peer.hung_up()


async def test_more_connections_than_allowed() -> None:
    """One too many is closed at once; when another has gone there is room again."""
    async with open_house(Limits(connections=2, handshake_seconds=120)) as house:
        async with house.peer() as first, house.peer() as second:
            for peer in (first, second):
                await peer.ask(1)
                assert (await peer.answer(1)).allowed
            async with house.peer(greet=False) as third:
                assert await third.hung_up()
        await asyncio.wait([one.gone for one in house.door._peers])


async def burst(peer: Peer, *frames: object) -> None:
    """Say this, whether or not anybody still listens."""
    if not peer.writer.is_closing():
        await peer.say(*frames)  # type: ignore[arg-type]
