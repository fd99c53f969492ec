"""The calls of one HTTP/2 connection: from a request's head to its answer, each on a stream of its own.

A call that needs no waiting is answered where its last byte is read. Only a coroutine costs a task.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import partial

import zttp
from zttp import H2ErrorCode

from extauthz.doors import fast_grpc as grpc
from extauthz.doors.fast_grpc import Answer, Method, Refusal
from extauthz.doors.fast_limits import Limits


@dataclass(slots=True, eq=False)
class Call:
    """A call that has not been answered. `body`: what has come of it; `task`: what it waits for."""

    method: Method
    since: float
    timeout: float | None = None
    body: bytes | bytearray = b""
    begun: bool = False
    task: asyncio.Task[bytes] | asyncio.Task[None] | None = None


class Calls:
    """Reads calls off `h2` and writes the answers to it; `wake` is called when some were written by a task."""

    def __init__(
        self, h2: zttp.H2Connection, methods: Mapping[bytes, Method], limits: Limits, wake: Callable[[], None]
    ) -> None:
        self._h2, self._methods, self._limits, self._wake = h2, methods, limits, wake
        self._loop = asyncio.get_running_loop()
        self._open: dict[int, Call] = {}
        self._unread: dict[int, float] = {}  # answered, and since when the peer's window has had no room for it
        self._held = 0  # bytes of all messages in the making
        self._bound = min(limits.message_bytes, limits.held_bytes)  # what is below is not looked at any closer
        self.opened = 0
        self.now = self.last_opened = self._loop.time()  # `now`: when what is being read was received

    def head(self, event: zttp.Request) -> None:
        """A call begins."""
        self.opened += 1
        self.last_opened = self.now
        call = self._call(event)
        if isinstance(call, Refusal):
            self._refuse(event.stream_id, call, ended=event.end_stream)
        else:
            self._open[event.stream_id] = call
            if event.end_stream:
                self.end(event.stream_id)

    def body(self, event: zttp.Data) -> None:
        """More of its message."""
        call = self._open.get(event.stream_id)
        if call is None:
            return
        self._held += len(event.data)
        if not call.body:
            call.body = event.data
        elif isinstance(call.body, bytearray):
            call.body += event.data
        else:  # one buffer: a list of single bytes would weigh forty times as much as they
            call.body = bytearray(call.body) + event.data
        if self._held > self._bound and self._too_much(len(call.body)):
            self._refuse(event.stream_id, grpc.TOO_LARGE, ended=False)

    def end(self, stream_id: int) -> None:
        """The message is complete, and asked for an answer."""
        call = self._open.get(stream_id)
        if call is None:
            return
        body, call.body = call.body, b""
        self._held -= len(body)
        message = grpc.unframed(body)
        if isinstance(message, Refusal):
            self._refuse(stream_id, message, ended=True)
        else:
            wait = None if call.timeout is None else call.timeout - (self.now - call.since)
            self._reply(stream_id, call, call.method(message, wait))

    def forget(self, stream_id: int) -> Call | None:
        """Nobody waits for this answer, or it has one."""
        self._unread.pop(stream_id, None)
        call = self._open.pop(stream_id, None)
        if call is not None:
            self._held -= len(call.body)
            if call.task is not None:
                call.task.cancel()
        return call

    def forget_all(self) -> None:
        """The peer is gone."""
        for stream_id in [*self._open]:
            self.forget(stream_id)

    def refuse_all(self, *, streams_only: bool = False) -> None:
        """The connection is: end calls under way, or only those that would have no end by themselves."""
        for stream_id, call in [*self._open.items()]:
            if call.begun or not streams_only:
                self._refuse(stream_id, grpc.LEAVING, ended=call.task is not None)

    def under_way(self) -> bool:
        """Whether a call has no answer yet, or an answer no reader."""
        for stream_id in [*self._unread]:
            self._look_after(stream_id, late=False)
        return bool(self._open or self._unread)

    def tick(self, now: float) -> None:
        """End what takes too long."""
        for stream_id, call in [*self._open.items()]:
            if call.task is None and now > call.since + self._limits.read_seconds:
                self._refuse(stream_id, grpc.TOO_SLOW, ended=False)
        for stream_id, since in [*self._unread.items()]:
            self._look_after(stream_id, late=now > since + self._limits.unread_seconds)

    def _too_much(self, message_bytes: int) -> bool:
        return message_bytes > self._limits.message_bytes or self._held > self._limits.held_bytes

    def _call(self, event: zttp.Request) -> Call | Refusal:
        headers, method = dict(event.headers), self._methods.get(event.target)
        if not grpc.is_grpc(headers.get(b"content-type")):
            return grpc.NOT_GRPC
        if event.method != b"POST":
            return grpc.NOT_POST
        if method is None:
            return grpc.UNKNOWN_METHOD
        timeout = headers.get(b"grpc-timeout")
        if timeout is None:
            return Call(method, self.now)
        wait = grpc.seconds(timeout)
        return grpc.BAD_TIMEOUT if wait is None else Call(method, self.now, wait)

    def _reply(self, stream_id: int, call: Call, answer: Answer) -> None:
        if isinstance(answer, bytes):
            self._finish(stream_id, self._send(stream_id, call, answer))
        elif isinstance(answer, Refusal):
            self._refuse(stream_id, answer, ended=True)
        elif isinstance(answer, Coroutine):
            task = call.task = self._loop.create_task(answer)
            task.add_done_callback(partial(self._answered, stream_id, call))
        else:
            call.task = self._loop.create_task(self._several(stream_id, call, answer))

    def _answered(self, stream_id: int, call: Call, task: "asyncio.Task[bytes]") -> None:
        if task.cancelled() or self._open.get(stream_id) is not call:  # given up, maybe just when it had its answer
            return
        self._reply(stream_id, call, grpc.FAULT if task.exception() else task.result())
        self._wake()

    async def _several(self, stream_id: int, call: Call, answers: AsyncGenerator[bytes, None]) -> None:
        async for answer in answers:
            self._send(stream_id, call, answer)
            self._wake()

    def _send(self, stream_id: int, call: Call, message: bytes) -> zttp.Stream:
        stream = self._h2.stream(stream_id)
        if not call.begun:
            call.begun = True
            stream.send_response(200, grpc.HEAD)
        stream.send_data(grpc.framed(message))
        return stream

    def _finish(self, stream_id: int, stream: zttp.Stream, trailers: grpc.Headers = grpc.TRAILERS) -> None:
        self._open.pop(stream_id, None)
        stream.end_message(trailers)
        if stream.pending_bytes is not None:
            self._unread[stream_id] = self._loop.time()

    def _refuse(self, stream_id: int, refusal: Refusal, *, ended: bool) -> None:
        call, stream = self.forget(stream_id), self._h2.stream(stream_id)
        if call is not None and call.begun:
            self._finish(stream_id, stream, refusal.trailers)
        else:
            stream.send_response(refusal.status, refusal.headers, end_stream=True)
        if not ended:  # RFC 9113 section 8.1: a complete answer, and no interest in the rest of the question
            stream.reset(H2ErrorCode.NO_ERROR)

    def _look_after(self, stream_id: int, *, late: bool) -> None:
        stream = self._h2.stream(stream_id)
        if stream.pending_bytes is None:
            del self._unread[stream_id]
        elif late:
            del self._unread[stream_id]
            stream.reset(H2ErrorCode.CANCEL)
