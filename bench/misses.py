"""Sessions the proxy does not know: what asking about them costs, and what it costs the others."""

import asyncio
import time
from collections.abc import Callable, Sequence
from statistics import quantiles
from typing import cast

import grpc.aio

from bench.figures import Figures
from bench.processes import cpu_seconds
from bench.questions import as_reference
from bench.world import World
from extauthz._pb.envoy.service.auth.v3.external_auth_pb2 import CheckResponse
from extauthz.doors.checks import SERVICE

MISSES = 200  # in one take
AT_ONCE = 8
STAMPEDE = 1000
HANGING = 500
HANG_SECONDS = 30.0  # longer than anybody waits
HITS = 500
DEADLINE = 60.0

Call = Callable[..., grpc.aio.UnaryUnaryCall[bytes, bytes]]


def cpu_micros(world: World, takes: int) -> Figures:
    """The proxy's CPU microseconds for a session it has to ask about."""
    world.misbehave()
    pid = world.local.pid("extauthz")

    def take() -> float:
        questions = [as_reference(world.cookie()) for _ in range(MISSES)]
        before = cpu_seconds(pid)
        asyncio.run(_ask_all(world.proxy, questions, AT_ONCE))
        return (cpu_seconds(pid) - before) / MISSES * 1e6

    take()
    return Figures(tuple(take() for _ in range(takes)))


def introspections_for_a_stampede(world: World) -> int:
    """How often the authorization server is asked when a new session's first requests come all at once."""
    world.misbehave(introspection_delay=0.5)
    asyncio.run(_ask_all(world.proxy, [as_reference(world.cookie())] * STAMPEDE, STAMPEDE))
    return world.introspections()


def p99_while_others_hang(world: World, takes: int) -> dict[str, Figures]:
    """The 99th percentile for a known session, ms: `calm`, and `hanging` while many others wait for the server."""
    known = as_reference(world.cookie())
    taken: list[tuple[float, float]] = []
    for _ in range(takes):
        world.misbehave()
        asyncio.run(_ask_all(world.proxy, [known], 1))
        world.misbehave(introspection_delay=HANG_SECONDS)
        questions = [as_reference(world.cookie()) for _ in range(HANGING)]
        taken.append(asyncio.run(_calm_and_hanging(world.proxy, known, questions)))
    world.misbehave()
    calm, hanging = zip(*taken, strict=True)
    return {"calm": Figures(calm), "hanging": Figures(hanging)}


async def _calm_and_hanging(address: str, known: bytes, questions: Sequence[bytes]) -> tuple[float, float]:
    async with grpc.aio.insecure_channel(address) as channel, grpc.aio.insecure_channel(address) as other:
        call, slow = _check(channel), _check(other)
        calm = await _p99(call, known)
        hanging = [asyncio.ensure_future(slow(question, timeout=DEADLINE)) for question in questions]
        await call(known)  # those before it have arrived
        times = await _p99(call, known)
        for one in hanging:
            one.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)
    return calm, times


async def _p99(call: Call, question: bytes) -> float:
    times = []
    for _ in range(HITS):
        started = time.perf_counter()
        await call(question)
        times.append((time.perf_counter() - started) * 1000)
    return quantiles(times, n=100)[98]


async def _ask_all(address: str, questions: Sequence[bytes], at_once: int) -> None:
    """Ask all, so many at a time. Raises RuntimeError unless all are let through."""
    room = asyncio.Semaphore(at_once)
    async with grpc.aio.insecure_channel(address) as channel:
        call = _check(channel)

        async def ask(question: bytes) -> int:
            async with room:
                return CheckResponse.FromString(await call(question, timeout=DEADLINE)).status.code

        codes = await asyncio.gather(*(ask(question) for question in questions))
    if any(codes):
        raise RuntimeError(f"not all are let through: {set(codes)}")


def _check(channel: grpc.aio.Channel) -> Call:
    return cast("Call", channel.unary_unary(f"/{SERVICE}/Check"))
