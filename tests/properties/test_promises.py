"""Whatever is asked, and in whatever way, the answer keeps the promises made for all answers."""

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from properties.strange import CHECK_REQUESTS, HTTP_REQUESTS
from proxy_world.asking import UNHURRIED

from extauthz.decision import Passage, Preflight
from extauthz.doors import messages
from extauthz.doors.desk import outcome
from extauthz.doors.dialects import RawHeaders
from extauthz.reason import Reason
from fuzz import check_request, http_request
from fuzz.targets import NAMES, load

MANY = settings(UNHURRIED, max_examples=1000)


@MANY
@given(CHECK_REQUESTS)
def test_grpc(message: bytes) -> None:
    """Any CheckRequest, and bytes that are none, get an answer that keeps every promise."""
    check_request.run(message)


@MANY
@given(HTTP_REQUESTS)
def test_http(asked_: tuple[str, bytes, RawHeaders]) -> None:
    """Any HTTP request gets, in every dialect, an answer that keeps every promise."""
    http_request.check(*asked_)


@UNHURRIED
@given(st.binary(max_size=200))
def test_bytes_that_are_no_request(message: bytes) -> None:
    """Bytes that mean nothing get a refusal, which keeps every promise as well."""
    check_request.run(message)


def test_strange_requests_get_everywhere() -> None:
    """Strange requests take every way through and meet most reasons, so that the promises are put to the test."""
    met: set[str] = set()

    @settings(MANY, derandomize=True, database=None, phases=[Phase.generate])
    @given(CHECK_REQUESTS)
    def ask(message: bytes) -> None:
        met.add(word(message))

    ask()
    assert met > {*Passage, "preflight answered"}
    assert len(met & set(Reason)) > 18


@pytest.mark.parametrize("name", NAMES)
def test_seeds(name: str) -> None:
    """What the fuzzer begins with passes, and there is something to begin with."""
    target = load(name)
    seeds = target.seeds()
    assert len(seeds) > 10
    for seed in seeds:
        target.run(seed)


def test_seeds_take_every_way_through() -> None:
    """The fuzzer need not guess what a session looks like, nor a preflight."""
    assert {word(seed) for seed in check_request.seeds()} > {*Passage, "preflight answered"}


def word(message: bytes) -> str:
    """What becomes of a CheckRequest, in the words of the log."""
    decision = check_request.WORLD.ask(messages.read(message))
    return "preflight answered" if isinstance(decision, Preflight) else outcome(decision)[0]
