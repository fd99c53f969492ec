"""The cache: bounded in every direction, and one flight for all who wait for the same thing."""

import asyncio
import gc
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from proxy_world.asking import UNHURRIED
from proxy_world.fakes import Clock

from extauthz.cache import ENTRY_OVERHEAD_BYTES, Cache

pytestmark = pytest.mark.anyio

MANY = 10**9


def new_cache(*, max_entries: int = MANY, max_bytes: int = MANY) -> tuple[Cache[str], Clock]:
    """A cache, and the clock it goes by."""
    clock = Clock(0.0)
    return Cache(max_entries=max_entries, max_bytes=max_bytes, clock=clock), clock


def test_a_value_is_there_until_its_time() -> None:
    """A value is given out before its time is up, and not a moment after; then it weighs nothing."""
    cache, clock = new_cache()
    cache.put(b"k", "v", ttl=10, payload_bytes=1)
    clock.now = 9.999
    assert cache.get(b"k") == "v"
    clock.now = 10
    assert cache.get(b"k") is None
    assert (len(cache), cache.weight) == (0, 0)


@pytest.mark.parametrize("ttl", [0.0, -1.0, float("-inf")])
def test_a_value_without_time_is_not_kept(ttl: float) -> None:
    """What may not be served again is not kept, and replaces what was."""
    cache, _ = new_cache()
    cache.put(b"k", "old", ttl=10, payload_bytes=1)
    cache.put(b"k", "new", ttl=ttl, payload_bytes=1)
    assert cache.get(b"k") is None
    assert (len(cache), cache.weight) == (0, 0)


def test_a_value_without_time_pushes_nothing_out() -> None:
    """What is not kept takes no place from those that are: nobody is asked to log in again for it."""
    cache, _ = new_cache(max_entries=1)
    cache.put(b"k", "kept", ttl=10, payload_bytes=0)
    cache.put(b"other", "new", ttl=0, payload_bytes=0)
    assert cache.get(b"k") == "kept"


def test_the_least_recently_used_goes_first() -> None:
    """When there are too many entries, the one not asked for longest makes room."""
    cache, _ = new_cache(max_entries=3)
    for key in (b"a", b"b", b"c"):
        cache.put(key, key.decode(), ttl=10, payload_bytes=0)
    cache.get(b"a")
    cache.put(b"d", "d", ttl=10, payload_bytes=0)
    assert [cache.get(key) for key in (b"a", b"b", b"c", b"d")] == ["a", None, "c", "d"]


def test_bounded_in_bytes() -> None:
    """When the entries weigh too much, the oldest make room, as many as are needed."""
    cache, _ = new_cache(max_bytes=3 * ENTRY_OVERHEAD_BYTES)
    for key in (b"a", b"b", b"c"):
        cache.put(key, "v", ttl=10, payload_bytes=0)
    cache.put(b"d", "v", ttl=10, payload_bytes=ENTRY_OVERHEAD_BYTES)
    assert [cache.get(key) for key in (b"a", b"b", b"c", b"d")] == [None, None, "v", "v"]


def test_a_value_heavier_than_the_whole_cache_is_not_kept() -> None:
    """The bound holds even for a single entry."""
    cache, _ = new_cache(max_bytes=1000)
    cache.put(b"k", "v", ttl=10, payload_bytes=1000)
    assert (len(cache), cache.weight) == (0, 0)


def test_putting_twice_weighs_once() -> None:
    """A value that replaces another is counted in its place."""
    cache, _ = new_cache()
    for size in (100, 7):
        cache.put(b"k", "v", ttl=10, payload_bytes=size)
    assert (len(cache), cache.weight) == (1, 7 + ENTRY_OVERHEAD_BYTES)
    cache.drop(b"k")
    cache.drop(b"k")
    assert (len(cache), cache.weight) == (0, 0)


STEPS = st.lists(
    st.tuples(st.integers(0, 9), st.sampled_from(["put", "get", "drop"]), st.integers(0, 900), st.integers(-1, 9))
)


@UNHURRIED
@given(STEPS)
def test_the_bounds_hold_whatever_happens(steps: list[tuple[int, str, int, int]]) -> None:
    """After any sequence of steps both bounds hold, the weight is the entries' own, and no value is overdue."""
    cache, clock = new_cache(max_entries=4, max_bytes=3000)
    due: dict[bytes, tuple[float, int]] = {}
    for number, step, size, ttl in steps:
        key = bytes((number,))
        clock.now += 1
        if step == "put":
            cache.put(key, "v", ttl=ttl, payload_bytes=size)
            due[key] = (clock.now + ttl, size + ENTRY_OVERHEAD_BYTES)
        elif step == "get":
            assert cache.get(key) is None or due[key][0] > clock.now
        else:
            cache.drop(key)
        assert len(cache) <= 4
        assert cache.weight <= 3000
    left = [key for key in due if cache.get(key) is not None]  # which drops what is overdue
    assert cache.weight == sum(due[key][1] for key in left)
    assert len(cache) == len(left)


def test_a_value_past_its_time_serves_who_asks_for_it() -> None:
    """For as long as it was kept with, and nobody else; then it is gone and weighs nothing."""
    cache, clock = new_cache()
    cache.put(b"k", "v", ttl=10, grace=5, payload_bytes=1)
    assert cache.stale(b"k") == "v"
    clock.now = 14.999
    assert (cache.get(b"k"), cache.stale(b"k")) == (None, "v")
    clock.now = 15
    assert (cache.stale(b"k"), cache.get(b"k"), len(cache), cache.weight) == (None, None, 0, 0)


async def test_one_flight_for_a_key() -> None:
    """Everyone who asks for a key while it is loaded gets the one value, and other keys are loaded for themselves."""
    cache, _ = new_cache()
    flights: list[str] = []

    async def load(name: str) -> str:
        flights.append(name)
        await asyncio.sleep(0)
        return name

    both = [cache.load(name.encode(), partial(load, name)) for name in ("a", "b", "a", "a", "b")]
    assert await asyncio.gather(*both) == ["a", "b", "a", "a", "b"]
    assert flights == ["a", "b"]


async def test_a_flight_that_fails_fails_for_all_and_is_over() -> None:
    """What the loader raises everyone gets, and the next who asks starts anew."""
    cache, _ = new_cache()

    async def fail() -> str:
        await asyncio.sleep(0)
        raise ZeroDivisionError

    async def succeed() -> str:
        return "v"

    failures = await asyncio.gather(*(cache.load(b"k", fail) for _ in range(3)), return_exceptions=True)
    assert [type(failure) for failure in failures] == [ZeroDivisionError] * 3
    assert await cache.load(b"k", succeed) == "v"


async def test_a_flight_all_have_left_still_lands() -> None:
    """When everyone gave up, the flight ends on its own, and its failure disturbs nobody."""
    cache, _ = new_cache()
    gate = asyncio.Event()
    landed: list[bool] = []

    async def load() -> str:
        await gate.wait()
        landed.append(True)
        raise ZeroDivisionError

    waiting = [asyncio.create_task(cache.load(b"k", load)) for _ in range(2)]
    await asyncio.sleep(0)
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    gate.set()
    for _ in range(3):
        await asyncio.sleep(0)
    gc.collect()
    assert (landed, complaints) == ([True], [])
