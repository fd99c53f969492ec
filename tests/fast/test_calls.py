"""gRPC on the fast door: what is no call of one message in and one out has the status gRPC has for it."""

import asyncio

import pytest
from hyperframe.frame import RstStreamFrame, SettingsFrame, WindowUpdateFrame
from proxy_world.door import CHECK, by_map
from proxy_world.fakes import Proxy
from proxy_world.peer import MESSAGE, PREFACE, Peer, block, data, head, open_house
from zttp import H2ErrorCode

from extauthz.doors.fast_grpc import framed, seconds, unframed
from extauthz.doors.fast_http2 import Connection
from extauthz.doors.fast_limits import LIMITS, Limits

pytestmark = pytest.mark.anyio

SOON = Limits(read_seconds=0.2, unread_seconds=0.2, tick_seconds=0.05)

INTERNAL, UNIMPLEMENTED, EXHAUSTED, DEADLINE = 13, 12, 8, 4
BODIES = {
    "no message": (b"", UNIMPLEMENTED),
    "two messages": (MESSAGE * 2, UNIMPLEMENTED),
    "a message and a little more": (MESSAGE + b"\0", UNIMPLEMENTED),
    "a compressed message": (b"\x01" + MESSAGE[1:], UNIMPLEMENTED),
    "less than a message": (MESSAGE[:-1], INTERNAL),
    "less than its length": (MESSAGE[:4], INTERNAL),
}


@pytest.mark.parametrize(("body", "code"), BODIES.values(), ids=BODIES.keys())
async def test_a_body_that_is_not_one_message(body: bytes, code: int) -> None:
    """Each has its status, and the connection goes on."""
    async with open_house() as house, house.peer() as peer:
        await peer.ask(1, body)
        answer = await peer.answer(1)
        assert (answer.headers[":status"], answer.code) == ("200", code)
        await peer.ask(3)
        assert (await peer.answer(3)).allowed


async def test_which_compression_there_is() -> None:
    """Whoever compresses is told what is understood."""
    async with open_house() as house, house.peer() as peer:
        await peer.ask(1, b"\x01" + MESSAGE[1:])
        assert (await peer.answer(1)).headers["grpc-accept-encoding"] == "identity"


HEADS = {
    "no gRPC": ({"content_type": "application/json"}, "415"),
    "gRPC for browsers": ({"content_type": "application/grpc-web"}, "415"),
    "another verb": ({"method": "GET"}, "405"),
    "another method": ({"path": "/x/y"}, "200"),
    "a query": ({"path": "/envoy.service.auth.v3.Authorization/Check?"}, "200"),
}


@pytest.mark.parametrize(("changes", "status"), HEADS.values(), ids=HEADS.keys())
@pytest.mark.parametrize("whole", [True, False], ids=["whole", "begun"])
async def test_a_head_that_leads_nowhere(changes: dict[str, str], status: str, whole: bool) -> None:
    """It is answered before the message has come, and no more of that is asked for."""
    async with open_house() as house, house.peer() as peer:
        await peer.say(head(1, *(["END_STREAM"] if whole else []), **changes))
        answer = await peer.answer(1)
        assert answer.headers[":status"] == status
        assert answer.headers.get("grpc-status", "12") == "12"
        if not whole:
            assert (await peer.hear(RstStreamFrame, 1)).error_code == H2ErrorCode.NO_ERROR
        await peer.ask(3)
        assert (await peer.answer(3)).allowed


@pytest.mark.parametrize("kind", ["application/grpc", "application/grpc+proto", "application/grpc;charset=x"])
async def test_names_of_grpc(kind: str) -> None:
    """The content type may name the encoding of messages."""
    async with open_house() as house, house.peer() as peer:
        await peer.ask(1, content_type=kind)
        assert (await peer.answer(1)).allowed


async def test_a_message_in_single_bytes() -> None:
    """However many frames a message comes in, and empty ones between them, it is one message."""
    async with open_house() as house, house.peer() as peer:
        await peer.say(
            head(1), *[data(1, bytes([byte]), last=False) for byte in MESSAGE], *[data(1, b"", last=False)] * 9
        )
        await peer.say(data(1, b""))
        assert (await peer.answer(1)).allowed


async def test_two_calls_at_once_with_their_frames_mixed() -> None:
    """Each message is put together from its own stream."""
    other = framed(by_map(usual=()).SerializeToString())
    async with open_house() as house, house.peer() as peer:
        await peer.say(head(1), head(3))
        await peer.say(data(1, MESSAGE[:50], last=False), data(3, other[:20], last=False))
        await peer.say(data(1, MESSAGE[50:]), data(3, other[20:]))
        first, second = await peer.answer(1), await peer.answer(3)
        assert first.allowed
        assert (second.code, second.allowed) == (0, False)


async def test_trailers_end_a_message_too() -> None:
    """END_STREAM may come on a block of headers."""
    async with open_house() as house, house.peer() as peer:
        await peer.say(head(1), data(1, MESSAGE, last=False), block(1, {"x": "y"}, "END_HEADERS", "END_STREAM"))
        assert (await peer.answer(1)).allowed


async def test_a_message_without_an_end() -> None:
    """It is not answered as if it were complete; after a while the call is refused, and only that."""
    async with open_house(SOON) as house, house.peer() as peer:
        await peer.say(head(1), data(1, MESSAGE, last=False))
        assert (await peer.answer(1)).code == DEADLINE
        assert (await peer.hear(RstStreamFrame, 1)).error_code == H2ErrorCode.NO_ERROR
        await peer.ask(3)
        assert (await peer.answer(3)).allowed


async def test_a_message_that_is_too_large() -> None:
    """It is refused as soon as it is, and its rest is not kept."""
    async with open_house(Limits(message_bytes=20_000)) as house, house.peer() as peer:
        await peer.say(head(1), *[data(1, b"\0" * 10_000, last=False)] * 3)
        assert (await peer.answer(1)).code == EXHAUSTED
        await peer.ask(3)
        assert (await peer.answer(3)).allowed


async def test_many_messages_in_the_making() -> None:
    """Together they may take so much and no more; when one is given up, or done, there is room again."""
    async with open_house(Limits(held_bytes=25_000)) as house, house.peer() as peer:
        for _ in range(3):  # what was given back is counted once
            first = max((frame.stream_id for frame in peer.heard), default=-1) + 2
            ids = range(first, first + 6, 2)
            await peer.say(*[frame for i in ids for frame in (head(i), data(i, b"\0" * 10_000, last=False))])
            assert (await peer.answer(ids[-1])).code == EXHAUSTED
            await peer.say(*[RstStreamFrame(i, error_code=8) for i in ids[:2]])
        await peer.ask(ids[-1] + 2)
        assert (await peer.answer(ids[-1] + 2)).allowed


async def test_a_call_given_up_in_the_middle_of_its_message() -> None:
    """RST_STREAM ends one call; the connection goes on, and what still comes for it is refused."""
    async with open_house() as house, house.peer() as peer:
        await peer.say(head(1), data(1, MESSAGE[:50], last=False), RstStreamFrame(1, error_code=8))
        await peer.say(data(1, MESSAGE[50:]))
        assert (await peer.answer(1)).reset == H2ErrorCode.STREAM_CLOSED
        await peer.ask(3)
        assert (await peer.answer(3)).allowed


async def test_a_call_given_up_while_it_waits() -> None:
    """Nobody is answered, and nothing waits any longer."""
    proxy = Proxy()
    proxy.upstream.gate = asyncio.Event()
    async with open_house(proxy=proxy) as house, house.peer() as peer:
        before = len(asyncio.all_tasks())
        await peer.ask(1)
        await proxy.upstream.arrived.wait()
        assert len(asyncio.all_tasks()) > before
        await peer.say(RstStreamFrame(1, error_code=8))
        proxy.upstream.gate.set()
        await peer.ask(3)
        assert (await peer.answer(3)).allowed
        assert not [frame for frame in peer.heard if frame.stream_id == 1]
        assert len(asyncio.all_tasks()) == before


async def test_an_answer_larger_than_the_peers_window() -> None:
    """As much is sent as there is room for, and the rest when there is more."""
    async with open_house() as house, house.peer(greet=False) as peer:
        await peer.greet({SettingsFrame.INITIAL_WINDOW_SIZE: 7})
        await peer.ask(1)
        await peer.ask(3)
        await peer.say(WindowUpdateFrame(3, window_increment=10_000))
        assert (await peer.answer(3)).allowed  # not held up by the first
        assert len(peer.answers[1].body) == 7
        await peer.say(WindowUpdateFrame(1, window_increment=10_000))
        assert (await peer.answer(1)).allowed


async def test_a_connections_window_that_stays_shut() -> None:
    """The answer is given up after a while, and what was kept for it; the connection goes on."""
    async with open_house(SOON) as house, house.peer(greet=False) as peer:
        await peer.greet({SettingsFrame.INITIAL_WINDOW_SIZE: 0})
        await peer.ask(1)
        assert (await peer.answer(1)).reset == H2ErrorCode.CANCEL
        await peer.say(SettingsFrame(settings={SettingsFrame.INITIAL_WINDOW_SIZE: 10_000}))
        await peer.ask(3)
        assert (await peer.answer(3)).allowed


@pytest.mark.parametrize("text", ["", "5", "m", "-1S", "1.5S", "123456789S", "5x", "\u00b2S", " 5S"])
def test_a_timeout_that_is_none(text: str) -> None:
    """What gRPC would not write is not guessed at."""
    assert seconds(text.encode()) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [("2H", 7200), ("3M", 180), ("5S", 5), ("200m", 0.2), ("7u", 7e-6), ("9n", 9e-9), ("99999999S", 99_999_999)],
)
def test_timeouts(text: str, expected: float) -> None:
    """In each of gRPC's units."""
    assert seconds(text.encode()) == pytest.approx(expected)


async def test_a_malformed_timeout_is_told() -> None:
    """The call is refused; it is not taken for one without a bound."""
    async with open_house() as house, house.peer() as peer:
        await peer.ask(1, grpc_timeout="soon")
        assert (await peer.answer(1)).code == INTERNAL


async def test_no_time_is_no_wait() -> None:
    """A caller that will not wait is told of trouble at once, and nobody is asked."""
    proxy = Proxy()
    proxy.upstream.gate = asyncio.Event()
    async with open_house(proxy=proxy) as house, house.peer() as peer:
        await peer.ask(1, grpc_timeout="30m")
        answer = await peer.answer(1)
        assert answer.code == 0
        assert b"as_timeout" in answer.body


class Written(asyncio.Transport):
    """What is written can be read from `heard`."""

    def __init__(self) -> None:
        super().__init__()
        self.heard = asyncio.StreamReader()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """At once."""
        self.heard.feed_data(data)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """There is room for all."""


@pytest.mark.parametrize("by", ["the peer", "us"])
async def test_a_call_given_up_just_when_it_has_its_answer(by: str) -> None:
    """The answer is dropped without a trace, which would show parts of it, and the connection goes on."""
    loop, troubles = asyncio.get_running_loop(), list[str]()
    loop.set_exception_handler(lambda _, context: troubles.append(context["message"]))
    found, transport = loop.create_future(), Written()
    connection = Connection({CHECK.encode(): lambda _message, _wait: asyncio.wait_for(found, 30)}, set(), LIMITS)
    connection.connection_made(transport)
    for frame in (SettingsFrame(), head(1), data(1, MESSAGE)):
        connection.data_received((b"" if frame.stream_id else PREFACE) + frame.serialize())
    await asyncio.sleep(0)  # it waits
    found.set_result(b"")
    if by == "the peer":
        loop.call_soon(connection.data_received, RstStreamFrame(1, error_code=8).serialize())
    else:
        loop.call_soon(connection._calls.refuse_all)
    for _ in range(3):
        await asyncio.sleep(0)
    connection.data_received(head(3).serialize() + data(3, MESSAGE).serialize())
    peer = Peer(transport.heard, None)  # type: ignore[arg-type]  # what it says, it has said
    assert (await peer.answer(3)).code == 0
    assert not troubles


def test_a_message_may_be_empty() -> None:
    """Five bytes of frame around nothing are a message, and none that is cut off."""
    assert unframed(framed(b"")) == b""
