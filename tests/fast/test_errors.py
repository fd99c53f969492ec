"""HTTP/2 that is none: a connection error by the code of RFC 9113, and others are served meanwhile."""

import pytest
from hpack import Encoder
from hyperframe.frame import (
    Frame,
    PingFrame,
    PushPromiseFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)
from proxy_world.peer import HEAD, MESSAGE, PREFACE, block, data, head, more, open_house, raw
from zttp import H2ErrorCode

pytestmark = pytest.mark.anyio

PROTOCOL, FLOW, SIZE, COMPRESSION, CALM = (
    H2ErrorCode.PROTOCOL_ERROR,
    H2ErrorCode.FLOW_CONTROL_ERROR,
    H2ErrorCode.FRAME_SIZE_ERROR,
    H2ErrorCode.COMPRESSION_ERROR,
    H2ErrorCode.ENHANCE_YOUR_CALM,
)

BEGINNINGS: dict[str, bytes] = {
    "HTTP/1.1": b"GET / HTTP/1.1\r\nHost: extauthz\r\n\r\n",
    "another preface": b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
    "garbage": b"\x16\x03\x01" + b"\xff" * 100,
    "no SETTINGS": PREFACE + PingFrame(0, opaque_data=b"12345678").serialize(),
    "a call in place of SETTINGS": PREFACE + head(1).serialize(),
}


@pytest.mark.parametrize("beginning", BEGINNINGS.values(), ids=BEGINNINGS.keys())
async def test_a_bad_beginning(beginning: bytes) -> None:
    """Whoever does not begin as HTTP/2 does is told so, and left (RFC 9113 section 3.4)."""
    async with open_house() as house, house.peer(greet=False) as peer:
        await peer.say(beginning)
        assert await peer.last_words() == PROTOCOL


ERRORS: dict[str, tuple[list[Frame | bytes], int]] = {
    "ENABLE_PUSH 2": ([SettingsFrame(settings={2: 2})], PROTOCOL),
    "MAX_FRAME_SIZE 1": ([SettingsFrame(settings={5: 1})], PROTOCOL),
    "INITIAL_WINDOW_SIZE 2^31": ([raw(4, 0, 0, b"\x00\x04\x80\x00\x00\x00")], FLOW),
    "SETTINGS of five bytes": ([raw(4, 0, 0, b"\x00\x04\x00\x00\x00")], SIZE),
    "SETTINGS on a stream": ([raw(4, 0, 1, b"")], PROTOCOL),
    "an acknowledgement with settings": ([raw(4, 1, 0, b"\x00\x04\x00\x00\x00\x01")], SIZE),
    "a PING of seven bytes": ([raw(6, 0, 0, b"1234567")], SIZE),
    "a PING on a stream": ([raw(6, 0, 1, b"12345678")], PROTOCOL),
    "a frame too large": ([head(1), raw(0, 0, 1, b"x" * 16_385)], SIZE),
    "an even stream": ([head(2)], PROTOCOL),
    "stream zero": ([raw(1, 5, 0, b"\x82")], PROTOCOL),
    "an older stream": ([head(5), head(3)], PROTOCOL),
    "the same stream again": ([head(1, "END_STREAM"), head(1, "END_STREAM")], PROTOCOL),
    "DATA on an idle stream": ([data(1, MESSAGE)], PROTOCOL),
    "DATA on stream zero": ([raw(0, 0, 0, b"x")], PROTOCOL),
    "DATA with more padding than data": ([head(1), raw(0, 8, 1, b"\xffx")], PROTOCOL),
    "RST_STREAM on an idle stream": ([RstStreamFrame(1, error_code=8)], PROTOCOL),
    "WINDOW_UPDATE on an idle stream": ([WindowUpdateFrame(1, window_increment=1)], PROTOCOL),
    "WINDOW_UPDATE of nothing": ([raw(8, 0, 0, b"\x00\x00\x00\x00")], PROTOCOL),
    "a window beyond 2^31": ([WindowUpdateFrame(0, window_increment=2**31 - 1)], FLOW),
    "PUSH_PROMISE": ([head(1), PushPromiseFrame(1, promised_stream_id=2, flags=["END_HEADERS"])], PROTOCOL),
    "CONTINUATION of nothing": ([more(1, b"", "END_HEADERS")], PROTOCOL),
    "another frame within a head": ([block(1, HEAD), PingFrame(0, opaque_data=b"12345678")], PROTOCOL),
    "another stream within a head": ([block(1, HEAD), more(3, b"", "END_HEADERS")], PROTOCOL),
    "no HPACK": ([raw(1, 4, 1, b"\xff\xff\xff\xff\xff\xff\xff\xff")], COMPRESSION),
    "an index into nothing": ([raw(1, 4, 1, b"\xfe")], COMPRESSION),
    "a flood of CONTINUATION": ([block(1, HEAD), *[more(1, b"")] * 100], CALM),
    "a flood of large CONTINUATION": ([block(1, HEAD), *[more(1, b"\x00" * 16_000)] * 10], CALM),
}


@pytest.mark.parametrize(("frames", "code"), ERRORS.values(), ids=ERRORS.keys())
async def test_a_connection_error(frames: list[Frame | bytes], code: int) -> None:
    """The connection ends with the code of RFC 9113."""
    async with open_house() as house, house.peer() as peer:
        await peer.say(*frames)
        assert await peer.last_words() == code


async def test_headers_that_unpack_to_too_much() -> None:
    """A few kilobytes of HPACK that stand for megabytes of headers are a bomb, and end the connection."""
    remembered, recalled = Encoder().encode([("x", "v" * 4000)]), b"\xbe" * 16_000
    async with open_house() as house, house.peer() as peer:
        await peer.say(raw(1, 4, 1, remembered), raw(1, 4, 3, recalled))
        assert await peer.last_words() == CALM


MALFORMED: dict[str, dict[str, str]] = {
    "no path": {name: value for name, value in HEAD.items() if name != ":path"},
    "a path of nothing": {**HEAD, ":path": ""},
    "a status": {":status": "200", **HEAD},
    "connection": {**HEAD, "connection": "close"},
    "te": {**HEAD, "te": "gzip"},
    "capitals": {**HEAD, "X-Upper": "1"},
    "a line break": {**HEAD, "x": "a\r\nb"},
    "two hosts": {**HEAD, "host": "other"},
    "a false length": {**HEAD, "content-length": "7"},
}


@pytest.mark.parametrize("headers", MALFORMED.values(), ids=MALFORMED.keys())
async def test_a_malformed_head(headers: dict[str, str]) -> None:
    """It is an error of its stream alone: the next call on the connection is answered (RFC 9113 section 8.1.1)."""
    async with open_house() as house, house.peer() as peer:
        await peer.say(block(1, headers, "END_HEADERS"), data(1, MESSAGE))
        assert (await peer.answer(1)).reset == PROTOCOL
        await peer.ask(3)
        assert (await peer.answer(3)).allowed


async def test_what_nobody_knows_is_skipped() -> None:
    """Frames, settings and flags of later standards, priorities and padding neither help nor harm."""
    async with open_house() as house, house.peer() as peer:
        await peer.say(raw(0xBB, 0xFF, 0, b"new"), SettingsFrame(settings={0xF0F0: 1}), raw(2, 0, 1, b"\0\0\0\0\x10"))
        padded = raw(0, 9, 1, b"\x05" + MESSAGE + b"\0" * 5)
        await peer.say(head(1), padded)
        assert (await peer.answer(1)).allowed
