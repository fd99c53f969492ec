"""Header tricks against a real Envoy: the API never gets a forged credential, nor the proxy a hidden cookie."""

from typing import TYPE_CHECKING

import httpx2
import pytest
from worlds.raw import RawAnswer, exchange, received

from demo.browser import Browser
from demo.settings import APP

if TYPE_CHECKING:
    from worlds.kinds import World

AT = f"__Host-Http-{APP}-at"
VERSION = "token-handler-version: 1"


def test_two_cookie_lines_are_read_as_one_header(ada: Browser, envoy: str) -> None:
    """Over HTTP/1.1 our cookie may stand in the second Cookie line, and the first line reaches the API."""
    answer = get(ada, envoy, "cookie: a=1", f"cookie: {AT}={ada.cookies()[AT]}; b=2")
    assert (answer.status, received(answer, "cookie")) == (200, ["a=1; b=2"])


def test_our_cookie_in_two_lines_is_refused_when_they_differ(ada: Browser, envoy: str) -> None:
    """A second value for our cookie, in a line of its own, is never silently chosen."""
    answer = get(ada, envoy, f"cookie: {AT}={ada.cookies()[AT]}", f"cookie: {AT}=another")
    assert answer.status == 401


def test_our_cookie_twice_with_one_value_is_accepted(ada: Browser, envoy: str) -> None:
    """The same value twice is no contradiction."""
    line = f"cookie: {AT}={ada.cookies()[AT]}"
    assert get(ada, envoy, line, line).status == 200


def test_a_comma_in_a_neighbour_does_not_hide_our_cookie(ada: Browser, envoy: str) -> None:
    """Behind a neighbour's comma there is no cookie of ours, and the neighbour arrives byte for byte."""
    answer = get(ada, envoy, f"cookie: x=1,{AT}=forged; {AT}={ada.cookies()[AT]}")
    assert (answer.status, received(answer, "cookie")) == (200, [f"x=1,{AT}=forged"])


@pytest.mark.parametrize(
    "lines",
    [
        ["authorization: Bearer forged"],
        ["authorization: Bearer forged", "authorization: Bearer forged-too"],
        ["Authorization: Basic Zm9yZ2Vk"],
        ["authorization: Bearer forged,Bearer forged-too"],
    ],
    ids=["one", "two lines", "Basic", "comma"],
)
def test_a_forged_authorization_never_arrives(ada: Browser, envoy: str, lines: list[str]) -> None:
    """Beside our cookie it is refused with 400; without it, it counts for nothing and the answer is 401."""
    assert get(ada, envoy, f"cookie: {AT}={ada.cookies()[AT]}", *lines).status == 400
    assert get(ada, envoy, *lines).status == 401


def test_a_preflight_of_a_trusted_origin_is_answered(ada: Browser, envoy: str) -> None:
    """It carries no cookie and no custom header, and is allowed the custom header."""
    host = ada.origin.removeprefix("http://")
    answer = exchange(
        envoy,
        "OPTIONS",
        "/api/orders",
        f"host: {host}",
        f"origin: {ada.origin}",
        "access-control-request-method: PUT",
        "access-control-request-headers: token-handler-version",
    )
    assert answer.status == 200
    assert answer.all("access-control-allow-origin") == [ada.origin]
    assert "token-handler-version" in answer.all("access-control-allow-headers")[0]


@pytest.mark.parametrize("origin", [[], ["origin: "], ["origin: https://evil.example"], ["origin: a", "origin: b"]])
@pytest.mark.parametrize("asked", [[], ["access-control-request-method: "], ["access-control-request-method: PUT"]])
def test_no_preflight_of_a_stranger_reaches_the_api(
    world: "World", ada: Browser, envoy: str, origin: list[str], asked: list[str]
) -> None:
    """Whatever looks a little like a preflight ends before the API, method overrides and all."""
    before = httpx2.get(f"{world.control('api')}/requests").json()["count"]
    lines = [f"host: {ada.origin.removeprefix('http://')}", "x-http-method-override: DELETE", *origin, *asked]
    exchange(envoy, "OPTIONS", "/api/orders", *lines)
    assert httpx2.get(f"{world.control('api')}/requests").json()["count"] == before


def test_an_options_request_that_is_no_preflight_needs_a_session(ada: Browser, envoy: str) -> None:
    """OPTIONS alone opens no door."""
    host = ada.origin.removeprefix("http://")
    assert exchange(envoy, "OPTIONS", "/api/orders", f"host: {host}", VERSION).status == 401


@pytest.mark.parametrize("header", ["x_user_id: root", "token_handler_version: 1"])
def test_a_second_spelling_with_underscores_is_refused(ada: Browser, envoy: str, header: str) -> None:
    """x_user_id and x-user-id are one header to many servers, so Envoy takes none with underscores."""
    assert get(ada, envoy, f"cookie: {AT}={ada.cookies()[AT]}", header).status == 400


def test_non_utf8_bytes_beside_our_cookie_do_no_harm(ada: Browser, envoy: str) -> None:
    """A neighbour that is not UTF-8 cannot be passed on, and does not stop the request or alter the others."""
    answer = get(ada, envoy, b"cookie: bad=\xff\xfe; a=\xc3\xbc; " + f"{AT}={ada.cookies()[AT]}".encode())
    assert (answer.status, received(answer, "cookie")) == (200, ["a=\xc3\xbc"])


@pytest.mark.parametrize("path", ["/api/../api/orders", "//api//orders", "/./api/orders"])
def test_a_path_is_settled_before_it_is_routed(ada: Browser, envoy: str, path: str) -> None:
    """However the path is written, the API behind it stays behind the proxy."""
    host = ada.origin.removeprefix("http://")
    assert exchange(envoy, "GET", path, f"host: {host}", VERSION).status == 401


def test_an_escaped_slash_is_refused(ada: Browser, envoy: str) -> None:
    """%2F is read as a slash by some servers and not by others; Envoy answers 400."""
    host = ada.origin.removeprefix("http://")
    assert exchange(envoy, "GET", "/api%2Forders", f"host: {host}", VERSION).status == 400


def test_two_hosts_are_refused(ada: Browser, envoy: str) -> None:
    """Two Host lines contradict each other."""
    answer = get(ada, envoy, "host: evil.example", f"cookie: {AT}={ada.cookies()[AT]}")
    assert answer.status == 400


def get(browser: Browser, envoy: str, *lines: str | bytes) -> RawAnswer:
    """GET the API with these header lines beside Host and the custom header."""
    return exchange(envoy, "GET", "/api/orders", f"host: {browser.origin.removeprefix('http://')}", VERSION, *lines)
