"""A client of the fast gRPC door that says what it is told to, lawful or not, and reads the answer frame by frame."""

import asyncio
import io
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import grpc.aio
from hpack import Decoder, Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    RstStreamFrame,
    SettingsFrame,
)

from extauthz._pb.envoy.service.auth.v3.external_auth_pb2 import CheckResponse
from extauthz.doors.fast import FastDoor
from extauthz.doors.fast_grpc import framed
from extauthz.doors.fast_limits import LIMITS, Limits
from proxy_world.door import CHECK, by_map
from proxy_world.fakes import Proxy, log_to

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
MESSAGE = framed(by_map().SerializeToString())
HEAD = {
    ":method": "POST",
    ":scheme": "http",
    ":path": CHECK,
    ":authority": "extauthz",
    "te": "trailers",
    "content-type": "application/grpc",
}
F = TypeVar("F", bound=Frame)


@dataclass
class Answer:
    """What came back on one stream. `headers`: of both blocks; `reset`: an error code, if it was reset."""

    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    reset: int | None = None
    complete: bool = False

    @property
    def code(self) -> int:
        """The status of gRPC."""
        return int(self.headers["grpc-status"])

    @property
    def allowed(self) -> bool:
        """Whether it is a good answer to a good question."""
        return self.code == 0 and CheckResponse.FromString(self.body[5:]).status.code == 0


@dataclass
class Peer:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    heard: list[Frame] = field(default_factory=list)
    answers: defaultdict[int, Answer] = field(default_factory=lambda: defaultdict(Answer))
    _decoder: Decoder = field(default_factory=Decoder)

    async def say(self, *frames: Frame | bytes) -> None:
        """Send all this at once. A peer that has hung up is not told."""
        self.writer.write(b"".join(f if isinstance(f, bytes) else f.serialize() for f in frames))
        await self.writer.drain()

    async def greet(self, settings: Mapping[int, int] | None = None) -> None:
        """Preface and settings, as a client begins."""
        await self.say(PREFACE, SettingsFrame(settings=dict(settings or {})))

    async def ask(self, stream_id: int, message: bytes = MESSAGE, **changes: str) -> None:
        """A whole call."""
        await self.say(head(stream_id, **changes), data(stream_id, message))

    async def hear(self, kind: type[F], stream_id: int | None = None, flag: str = "") -> F:
        """Read up to the next frame of this kind."""
        while True:
            frame = await self._next()
            if isinstance(frame, kind) and stream_id in (None, frame.stream_id) and (not flag or flag in frame.flags):
                return frame

    async def answer(self, stream_id: int) -> Answer:
        """Read up to the end of this stream; what other streams get meanwhile is kept for them."""
        while not self.answers[stream_id].complete:
            await self._next()
        return self.answers[stream_id]

    async def last_words(self) -> int:
        """The error code of the last GOAWAY before the other side hangs up."""
        try:
            while True:
                await self._next()
        except (asyncio.IncompleteReadError, ConnectionError):
            return [frame.error_code for frame in self.heard if isinstance(frame, GoAwayFrame)][-1]

    async def hung_up(self) -> bool:
        """Read until the other side hangs up."""
        try:
            while True:
                await self._next()
        except (asyncio.IncompleteReadError, ConnectionError):
            return True

    async def _next(self) -> Frame:
        async with asyncio.timeout(30):  # only to fail rather than hang
            frame, length = Frame.parse_frame_header(memoryview(await self.reader.readexactly(9)))
            frame.parse_body(memoryview(await self.reader.readexactly(length)))
        self.heard.append(frame)
        self._note(frame, self.answers[frame.stream_id])
        return frame

    def _note(self, frame: Frame, answer: Answer) -> None:
        if isinstance(frame, HeadersFrame):
            answer.headers.update((str(name), str(value)) for name, value in self._decoder.decode(frame.data))
        elif isinstance(frame, DataFrame):
            answer.body += frame.data
        elif isinstance(frame, RstStreamFrame):
            answer.reset = frame.error_code
        answer.complete |= "END_STREAM" in frame.flags or answer.reset is not None


@dataclass
class House:
    """A running door, and a client that behaves, on a connection of its own."""

    door: FastDoor
    address: str
    proxy: Proxy
    neighbour: grpc.aio.Channel

    @asynccontextmanager
    async def peer(self, *, greet: bool = True) -> AsyncIterator[Peer]:
        """A connection."""
        reader, writer = await asyncio.open_unix_connection(self.address.removeprefix("unix:"))
        peer = Peer(reader, writer)
        try:
            if greet:
                await peer.greet()
            yield peer
        finally:
            writer.transport.abort()

    async def serves(self) -> bool:
        """Whether the neighbour gets its answer."""
        call: Callable[..., grpc.aio.UnaryUnaryCall[bytes, bytes]] = self.neighbour.unary_unary(CHECK)
        return CheckResponse.FromString(await call(by_map().SerializeToString(), timeout=30)).status.code == 0


@asynccontextmanager
async def open_house(limits: Limits = LIMITS, proxy: Proxy | None = None) -> AsyncIterator[House]:
    """A door with these limits; whatever was done to it, at the end others are served."""
    proxy, log = proxy or Proxy(), io.StringIO()
    with tempfile.TemporaryDirectory() as folder:
        address = f"unix:{folder}/s"
        door = FastDoor(proxy.desk(log), log_to(log), limits=limits)
        await door.start([address])
        try:
            async with grpc.aio.insecure_channel(address) as channel:
                house = House(door, address, proxy, channel)
                yield house
                if proxy.upstream.gate is not None:
                    proxy.upstream.gate.set()
                assert await house.serves()
        finally:
            await door.stop(0)


def head(stream_id: int, *flags: str, **changes: str) -> HeadersFrame:
    """The head of a call to Check; `changes` to its headers, hyphens as underscores, `path` and `method` as well."""
    headers = {**HEAD, **{_name(key): value for key, value in changes.items()}}
    return block(stream_id, headers, "END_HEADERS", *flags)


def block(stream_id: int, headers: Mapping[str, str], *flags: str) -> HeadersFrame:
    """A HEADERS frame with these."""
    encoded = Encoder().encode([(name, value, True) for name, value in headers.items()])
    return HeadersFrame(stream_id, data=encoded, flags=flags)


def data(stream_id: int, payload: bytes, *, last: bool = True) -> DataFrame:
    """A DATA frame."""
    return DataFrame(stream_id, data=payload, flags=["END_STREAM"] if last else [])


def more(stream_id: int, payload: bytes, *flags: str) -> ContinuationFrame:
    """A CONTINUATION frame."""
    return ContinuationFrame(stream_id, data=payload, flags=flags)


def raw(kind: int, flags: int, stream_id: int, payload: bytes) -> bytes:
    """A frame no library would build."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream_id.to_bytes(4, "big") + payload


def _name(key: str) -> str:
    return f":{key}" if key in ("path", "method") else key.replace("_", "-")
