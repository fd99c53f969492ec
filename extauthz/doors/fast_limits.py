"""How much of everything the fast door lets a peer have. What is zttp's own is in fast_http2."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The bounds of each connection, but for `connections`, which is that of their number."""

    connections: int = 10_000  # an Envoy has one for each of its threads
    message_bytes: int = 4 * 1024 * 1024  # gRPC's own bound
    held_bytes: int = 8 * 1024 * 1024  # of all messages in the making
    output_bytes: int = 256 * 1024  # beyond this nothing is read until the peer has read
    # A connection is replaced well before zttp ends it: 128 calls may be under way when its peer hears of it.
    calls: int = 3072  # of 4096
    resets: int = 100  # of 256; each is a client that left before it had its answer
    # Pings, settings, window updates and resets; with every call a few more.
    control_frames: int = 1000
    control_frames_per_call: int = 8
    handshake_seconds: float = 10.0
    read_seconds: float = 10.0  # from a call's head to the end of its message
    unread_seconds: float = 20.0  # for so long an answer waits for its reader
    idle_seconds: float = 600.0  # Envoy's health checks come more often
    age_seconds: float = 3600.0  # new connections can go to other replicas
    grace_seconds: float = 5.0  # for each step of leaving
    tick_seconds: float = 1.0


LIMITS = Limits()
