"""One HTTP/2 connection on zttp: its bounds, and how it ends.

zttp parses, keeps the states of streams, windows and HPACK, bounds headers (64 KiB, 16 CONTINUATION frames) and
concurrent streams (128), and ends connections with more than 4096 streams or 256 resets. What goes beyond a frame is
ours: time, frames that cost an answer, and peers that do not read. All that one read brings is answered in one write.
"""

import asyncio
import math
from collections.abc import Mapping
from enum import Enum, auto

import zttp
from zttp import H2ErrorCode

from extauthz.doors.fast_calls import Calls
from extauthz.doors.fast_grpc import Method
from extauthz.doors.fast_limits import Limits

# Follows the first GOAWAY: whoever answers it has read that, and opened no stream since.
PING = b"\x00\x00\x08\x06\x00\x00\x00\x00\x00goodbye!"
ANY_STREAM = 2**31 - 1


class Stage(Enum):
    """The life of a connection; each stage comes once, in this order."""

    SERVING = auto()
    WARNED = auto()  # asked to open no more streams; those it opens are served
    LEAVING = auto()  # new streams are refused, calls under way are finished
    CLOSED = auto()  # what still comes is dropped


class Flood(Exception):
    """The peer sends more control frames than its calls can need."""


class Connection(asyncio.Protocol):
    """One peer. `methods` by path; `peers`: all connections there are, this one among them while it lasts."""

    def __init__(self, methods: Mapping[bytes, Method], peers: "set[Connection]", limits: Limits) -> None:
        self._peers, self._limits = peers, limits
        self._loop = asyncio.get_running_loop()
        self._h2 = zttp.Connection(zttp.SERVER, zttp.HTTP2)
        self._calls = Calls(self._h2, methods, limits, self._flush_soon)
        self._stage = Stage.SERVING
        self._resets = self._control_frames = 0
        self._greeted = self._flushing = False
        self._began = self._loop.time()
        self._deadline = math.inf  # of the present stage
        self._unread_since = math.inf
        self.gone: asyncio.Future[None] = self._loop.create_future()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Greet, unless there are too many already, or TLS was not told what is spoken here."""
        self._transport = transport
        tls = transport.get_extra_info("ssl_object")
        # RFC 9113 section 3.2; without it a client that speaks something else could be led here (ALPACA).
        if len(self._peers) >= self._limits.connections or (tls and tls.selected_alpn_protocol() != "h2"):
            self._stage = Stage.CLOSED
            transport.abort()
            return
        self._peers.add(self)
        transport.set_write_buffer_limits(self._limits.output_bytes)
        self._h2.initiate_connection()
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Answer what can be answered at once."""
        if self._stage is Stage.CLOSED:
            return
        self._calls.now = self._loop.time()
        try:
            self._h2.receive_data(data)
            self._take()
        except zttp.ProtocolError:
            self._close()  # zttp has put a GOAWAY in line that says why
        except Flood:
            self._h2.close(H2ErrorCode.ENHANCE_YOUR_CALM)
            self._close()
        else:
            self._flush()
            self._leave_in_time()

    def connection_lost(self, _exc: Exception | None) -> None:
        """Nobody waits for an answer any more."""
        self._stage = Stage.CLOSED
        self._peers.discard(self)
        self._calls.forget_all()
        self.gone.set_result(None)

    def pause_writing(self) -> None:
        """The peer does not read: nor do we, or what we hold for it would grow."""
        self._unread_since = self._loop.time()
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """It has read."""
        self._unread_since = math.inf
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def leave(self) -> None:
        """Ask for no new streams; a round trip later, name the last one, finish those under way, and close.

        RFC 9113 section 6.8: with one GOAWAY alone, streams opened meanwhile would be lost.
        """
        if self._stage is not Stage.SERVING:
            return
        self._enter(Stage.WARNED)
        self._h2.close(H2ErrorCode.NO_ERROR, ANY_STREAM)
        self._transport.write(self._h2.data_to_send() + PING)

    def abort(self) -> None:
        """Go at once."""
        self._transport.abort()

    def tick(self, now: float) -> None:
        """Do what is due by time alone."""
        limits = self._limits
        silent = not self._greeted and now > self._began + limits.handshake_seconds
        if silent or now > self._unread_since + limits.unread_seconds:
            self.abort()
        elif now > self._deadline:
            self._give_up()
        else:
            self._calls.tick(now)
            idle = now > self._calls.last_opened + limits.idle_seconds and not self._calls.under_way()
            if idle or now > self._began + limits.age_seconds:
                self.leave()
            self._flush()
            self._close_if_done()

    def _take(self) -> None:
        calls, next_event = self._calls, self._h2.next_event
        while (event := next_event()) is not zttp.NEED_DATA:
            if isinstance(event, zttp.Data):
                calls.body(event)
            elif isinstance(event, zttp.EndOfMessage):
                calls.end(event.stream_id)
            elif not isinstance(event, zttp.Request):
                self._control(event)
            elif self._stage is Stage.LEAVING:  # nothing is done for it: another connection may have it
                self._h2.stream(event.stream_id).reset(H2ErrorCode.REFUSED_STREAM)
            else:
                calls.head(event)

    def _control(self, event: zttp.Event) -> None:
        self._control_frames += 1
        limits = self._limits
        if self._control_frames > limits.control_frames + limits.control_frames_per_call * self._calls.opened:
            raise Flood
        if isinstance(event, zttp.Settings):
            self._greeted = True
        elif isinstance(event, zttp.RstStream):
            self._resets += 1
            self._calls.forget(event.stream_id)
        elif isinstance(event, zttp.Ping) and event.ack and self._stage is Stage.WARNED:
            self._name_the_last()

    def _leave_in_time(self) -> None:
        if self._calls.opened >= self._limits.calls or self._resets >= self._limits.resets:
            self.leave()
        self._close_if_done()

    def _name_the_last(self) -> None:
        self._enter(Stage.LEAVING)
        self._h2.close(H2ErrorCode.NO_ERROR)
        self._calls.refuse_all(streams_only=True)

    def _close_if_done(self) -> None:
        if self._stage is Stage.LEAVING and not self._calls.under_way():
            self._close()

    def _give_up(self) -> None:
        """The present stage has taken too long: on to the next."""
        if self._stage is Stage.CLOSED:
            self.abort()
        elif self._stage is Stage.LEAVING:
            self._calls.refuse_all()
            self._close()
        else:
            self._name_the_last()
            self._flush()

    def _close(self) -> None:
        """Say the last words, and leave closing to the peer: with bytes of its unread it would take them back."""
        self._enter(Stage.CLOSED)
        self._flush()
        self._calls.forget_all()
        if self._transport.can_write_eof():
            self._transport.write_eof()

    def _enter(self, stage: Stage) -> None:
        self._stage, self._deadline = stage, self._loop.time() + self._limits.grace_seconds

    def _flush_soon(self) -> None:
        # Many may have waited for one answer of the authorization server: one write for all.
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush_now)

    def _flush_now(self) -> None:
        self._flushing = False
        if self._stage is not Stage.CLOSED:
            self._flush()
            self._close_if_done()

    def _flush(self) -> None:
        data = self._h2.data_to_send()
        if data:
            self._transport.write(data)
