"""gRPC over HTTP/2, as much of it as one message in needs: the request's head, the frame around a message, statuses.

https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, statuses by
https://github.com/grpc/grpc/blob/master/doc/statuscodes.md
"""

from collections.abc import AsyncGenerator, Callable, Coroutine
from dataclasses import dataclass
from functools import lru_cache
from struct import Struct

Headers = list[tuple[bytes, bytes]]

CONTENT_TYPE = b"application/grpc"
HEAD: Headers = [(b"content-type", CONTENT_TYPE)]
TRAILERS: Headers = [(b"grpc-status", b"0")]
PREFIX = Struct(">BI")  # compressed or not, and the length
UNITS = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
TIMEOUT_DIGITS = 8


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer without a message, in one block of headers. `status` is HTTP's."""

    status: int
    headers: Headers

    @property
    def trailers(self) -> Headers:
        """The same for a call whose answer has begun."""
        return [header for header in self.headers if header not in HEAD]


def refusal(code: int, message: str, *more: tuple[bytes, bytes]) -> Refusal:
    """The status `code` of gRPC; `message` is plain ASCII, without a percent sign."""
    return Refusal(200, [*HEAD, (b"grpc-status", b"%d" % code), (b"grpc-message", message.encode("ascii")), *more])


# A method's answer: a message, none, one to wait for, or several.
Answer = bytes | Refusal | Coroutine[None, None, bytes] | AsyncGenerator[bytes, None]
# Asked with a message and the seconds the caller will wait, None for no bound.
Method = Callable[[bytes, float | None], Answer]

NOT_GRPC = Refusal(415, [])
NOT_POST = Refusal(405, [(b"allow", b"POST")])
UNKNOWN_METHOD = refusal(12, "unknown method")
BAD_TIMEOUT = refusal(13, "malformed grpc-timeout")
CUT_OFF = refusal(13, "the message is incomplete")
UNREADABLE = refusal(13, "the message cannot be parsed")
FAULT = refusal(13, "internal error")
NOT_ONE = refusal(12, "one message is needed")
COMPRESSED = refusal(12, "no compression is supported", (b"grpc-accept-encoding", b"identity"))
TOO_LARGE = refusal(8, "the message is too large")
TOO_SLOW = refusal(4, "the message did not arrive in time")
LEAVING = refusal(14, "the connection is closing")
NOT_FOUND = refusal(5, "unknown service")


@lru_cache(maxsize=64)  # Envoy sends the same one with every call
def seconds(timeout: bytes) -> float | None:
    """A grpc-timeout in seconds; None when it is malformed."""
    value, unit = timeout[:-1], UNITS.get(timeout[-1:])
    if unit is None or not value.isdigit() or len(value) > TIMEOUT_DIGITS:
        return None
    return int(value) * unit


def is_grpc(content_type: bytes | None) -> bool:
    """Whether this is gRPC, and no dialect of another name, such as application/grpc-web."""
    if content_type == CONTENT_TYPE:
        return True
    return content_type is not None and content_type.startswith((CONTENT_TYPE + b"+", CONTENT_TYPE + b";"))


def framed(message: bytes) -> bytes:
    """A message as it travels."""
    return PREFIX.pack(0, len(message)) + message


def unframed(body: bytes | bytearray) -> bytes | Refusal:
    """The one message of a request."""
    came = len(body) - PREFIX.size
    if came < 0:
        return CUT_OFF if body else NOT_ONE
    compressed, length = PREFIX.unpack_from(body)
    if compressed:
        return COMPRESSED
    if came != length:
        return CUT_OFF if came < length else NOT_ONE
    return bytes(body[PREFIX.size :])
