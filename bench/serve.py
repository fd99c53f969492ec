"""A server to be measured, in a process of its own: `python -m bench.serve SERVER ADDRESS`.

`grpc` and `fast` are the proxy's doors with all that is behind them, but for the authorization server. `noop` servers
have a Check that does nothing: the request is parsed, and an empty answer made. `bare zttp` has not even that: the same
bytes for every call. It prints a question that is let through, in hexadecimal digits, and serves until it is ended.
"""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import grpc
import grpc.aio
import uvloop
import zttp

from bench.proxy import Proxy, proxy
from bench.questions import as_reference
from extauthz._pb.envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse
from extauthz._pb.google.rpc.status_pb2 import Status
from extauthz.config import LogConfig
from extauthz.doors import messages
from extauthz.doors.checks import SERVICE
from extauthz.doors.fast import FastDoor
from extauthz.doors.grpc import GrpcDoor
from extauthz.telemetry import Log, logger

HEAD = [(b"content-type", b"application/grpc")]
TRAILERS = [(b"grpc-status", b"0")]
PREFIX_BYTES = 5  # in front of a gRPC message


@asynccontextmanager
async def our_grpc(address: str, subject: Proxy, _answer: bytes) -> AsyncIterator[None]:
    """The gRPC door."""
    door = GrpcDoor(subject.desk, Log(logger(LogConfig())))
    await door.start([address])
    yield
    await door.stop(0)


@asynccontextmanager
async def our_fast(address: str, subject: Proxy, _answer: bytes) -> AsyncIterator[None]:
    """The fast door."""
    door = FastDoor(subject.desk, Log(logger(LogConfig())))
    await door.start([address])
    yield
    await door.stop(0)


@asynccontextmanager
async def noop_grpcio(address: str, _subject: Proxy, _answer: bytes) -> AsyncIterator[None]:
    """grpcio's server on asyncio, as little of it as answers a call."""

    async def check(
        _request: CheckRequest, _context: grpc.aio.ServicerContext[CheckRequest, CheckResponse]
    ) -> CheckResponse:
        return CheckResponse(status=Status(code=0))

    method = grpc.unary_unary_rpc_method_handler(check, CheckRequest.FromString, CheckResponse.SerializeToString)
    handler = grpc.method_handlers_generic_handler(SERVICE, {"Check": method})
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((handler,))
    server.add_insecure_port(address)
    await server.start()
    yield
    await server.stop(0)


@asynccontextmanager
async def noop_zttp(address: str, _subject: Proxy, _answer: bytes) -> AsyncIterator[None]:
    """zttp on a protocol of asyncio, as little of it as answers a call: no limits, no deadlines, no good-bye."""

    def check(body: bytes) -> bytes:
        CheckRequest.FromString(body[PREFIX_BYTES:])
        return _framed(CheckResponse(status=Status(code=0)).SerializeToString())

    async with await _zttp(address, check):
        yield


@asynccontextmanager
async def bare_zttp(address: str, _subject: Proxy, answer: bytes) -> AsyncIterator[None]:
    """The same, without a look at the request."""
    body = _framed(answer)
    async with await _zttp(address, lambda _: body):
        yield


class Answering(asyncio.Protocol):
    """One connection; `check` makes the body of the answer from that of the request."""

    def __init__(self, check: Callable[[bytes], bytes]) -> None:
        self._check = check
        self._bodies: dict[int, bytes] = {}
        self._h2 = zttp.Connection(zttp.SERVER, zttp.HTTP2)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Greet."""
        self._transport = transport
        self._h2.initiate_connection()
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Answer what is complete, all in one write."""
        self._h2.receive_data(data)
        while (event := self._h2.next_event()) is not zttp.NEED_DATA:
            if isinstance(event, zttp.Data):
                self._bodies[event.stream_id] = event.data  # a question fits into a frame
            elif isinstance(event, zttp.EndOfMessage):
                stream = self._h2.stream(event.stream_id)
                stream.send_response(200, HEAD)
                stream.send_data(self._check(self._bodies.pop(event.stream_id)))
                stream.end_message(TRAILERS)
        self._flush()

    def _flush(self) -> None:
        data = self._h2.data_to_send()
        if data:
            self._transport.write(data)


async def _zttp(address: str, check: Callable[[bytes], bytes]) -> asyncio.Server:
    host, _, port = address.rpartition(":")
    return await asyncio.get_running_loop().create_server(lambda: Answering(check), host, int(port))


def _framed(message: bytes) -> bytes:
    return b"\0" + len(message).to_bytes(PREFIX_BYTES - 1, "big") + message


Serving = Callable[[str, Proxy, bytes], AbstractAsyncContextManager[None]]
SERVERS: dict[str, Serving] = {
    "noop grpcio": noop_grpcio,
    "grpc": our_grpc,
    "bare zttp": bare_zttp,
    "noop zttp": noop_zttp,
    "fast": our_fast,
}


def main(server: str, address: str) -> None:
    """Serve until told to stop."""
    with proxy() as subject:
        question = as_reference(subject.cookie())
        subject.know(question)
        decision = asyncio.run(subject.desk.decide(messages.read(question), "bench", None))
        uvloop.run(_serve(SERVERS[server](address, subject, messages.write(decision)), lambda: _tell(question)))


async def _serve(serving: AbstractAsyncContextManager[None], ready: Callable[[], Awaitable[None]]) -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    async with serving:
        await ready()
        await stopped.wait()


async def _tell(question: bytes) -> None:
    print(question.hex(), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
