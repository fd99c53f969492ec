"""What a hostile client can do with headers that Envoy joins, and with paths that nobody settles."""

import pytest
from worlds.raw import RawAnswer, exchange, received
from worlds.tokens import AT

from demo.browser import Browser

VERSION = "token-handler-version: 1"


def test_the_journey_works(ada: Browser, envoy: str) -> None:
    """One JWT arrives, none of our cookies, others byte for byte, and the user's id from the token."""
    answer = get(envoy, f'cookie: a="q, w"; {session(ada)}; theme=d%20ark==')
    assert answer.status == 200
    assert received(answer, "cookie") == ['a="q, w"; theme=d%20ark==']
    assert [value[:10] for value in received(answer, "authorization")] == ["Bearer eyJ"]
    assert received(answer, "x-user-id") == ["ada"]
    assert received(answer, "token-handler-version") == []


def test_http2_crumbs_are_one_header(ada: Browser) -> None:
    """HTTP/2 clients may split the Cookie header; our cookie is found all the same."""
    with Browser(ada.origin, http2=True) as browser:
        headers = {"token-handler-version": "1", "cookie": f"a=1; {session(ada)}; b=2"}
        answer = browser.request("GET", "/api/orders", headers=headers)
    assert (answer.http_version, answer.status_code) == ("HTTP/2", 200)
    assert [value for name, value in answer.json()["headers"] if name == "cookie"] == ["a=1; b=2"]


HIDDEN = [
    ("behind a neighbour's line", ["cookie: a=1", "cookie: SESSION"], 401),
    ("behind a neighbour's comma", ["cookie: a=1,SESSION"], 401),
    ("in two lines with one value", ["cookie: SESSION", "cookie: SESSION"], 401),
    ("in two lines, one forged", ["cookie: SESSION", f"cookie: {AT}=forged"], 401),
    ("forged behind a comma, good elsewhere", [f"cookie: a=1,{AT}=forged; SESSION"], 401),
    ("first of two lines, the second a neighbour", ["cookie: b=2; SESSION; c=3", "cookie: a=1"], 200),
]


@pytest.mark.parametrize(("lines", "status"), [pytest.param(*row[1:], id=row[0]) for row in HIDDEN])
def test_a_cookie_at_a_seam_is_not_trusted(ada: Browser, envoy: str, lines: list[str], status: int) -> None:
    """Where a comma may be the seam of two lines nobody can tell whose value it is, so it is 401, never a guess."""
    answer = get(envoy, *[line.replace("SESSION", session(ada)) for line in lines])
    assert answer.status == status
    if status == 200:
        assert AT not in str(received(answer, "cookie"))


@pytest.mark.parametrize(
    "lines",
    [
        ["authorization: Bearer forged"],
        ["authorization: Bearer forged", "authorization: Bearer forged-too"],
        ["Authorization: Basic Zm9yZ2Vk"],
        ["authorization: Bearer forged,Bearer forged-too"],
        ["authorization:"],
    ],
    ids=["one", "two lines", "Basic", "comma", "empty"],
)
def test_a_forged_authorization_never_arrives(ada: Browser, envoy: str, lines: list[str]) -> None:
    """Beside our cookie it is refused; without it, it counts for nothing."""
    assert get(envoy, f"cookie: {session(ada)}", *lines).status == 400
    assert get(envoy, *lines).status == 401
    public = get(envoy, *lines, path="/api/public/x")
    assert (public.status, received(public, "authorization")) == (200, [])


@pytest.mark.parametrize(
    "line",
    ["x-user-id: root", "X-User-Id: root", "x_user_id: root", "X_USER_ID: root", "x-user_id: root", "x.user.id: root"],
)
@pytest.mark.parametrize("path", ["/api/orders", "/api/public/x", "/public/feed"])
def test_no_spelling_of_an_identity_arrives(ada: Browser, envoy: str, line: str, path: str) -> None:
    """Whatever a server might take for our header is gone, on every kind of route."""
    answer = get(envoy, f"cookie: {session(ada)}", line, path=path)
    told = {name: value for name, value in answer.json()["headers"] if "user" in name.lower()}
    assert answer.status == 200
    assert told == ({} if path == "/api/public/x" else {"x-user-id": "ada"})


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (["origin: ORIGIN", "origin: ORIGIN"], 403),
        (["origin: ORIGIN,https://evil.example"], 403),
        (["origin: null"], 403),
        (["origin: ORIGIN.evil.example"], 403),
        (["origin: ORIGIN"], 200),
    ],
)
def test_origins_are_compared_whole(ada: Browser, envoy: str, lines: list[str], status: int) -> None:
    """Two origins joined are none we trust."""
    sent = [line.replace("ORIGIN", ada.origin) for line in lines]
    assert get(envoy, f"cookie: {session(ada)}", *sent, method="POST").status == status


def test_two_hosts_are_refused(ada: Browser, envoy: str) -> None:
    """Whose app it would be cannot be told."""
    assert get(envoy, "host: evil.example", f"cookie: {session(ada)}").status == 400


@pytest.mark.parametrize("size", [17_000, 50_000])
def test_more_cookies_than_any_browser_sends_are_refused(ada: Browser, envoy: str, size: int) -> None:
    """They are not even read."""
    assert get(envoy, f"cookie: a={'x' * size}; {session(ada)}").status == 400


def test_60_kb_of_cookies_end_in_envoy(ada: Browser, envoy: str) -> None:
    """Envoy's own bound on headers comes first."""
    assert get(envoy, f"cookie: a={'x' * 62_000}; {session(ada)}").status == 431


def test_bytes_that_are_no_text_do_no_harm(ada: Browser, envoy: str) -> None:
    """Envoy writes ! for such bytes in the map; the session is found, and nothing of it goes on."""
    answer = get(envoy, b"cookie: bad=\xff\xfe; " + session(ada).encode())
    assert answer.status == 200
    assert AT not in str(received(answer, "cookie"))
    assert get(envoy, f"cookie: {AT}=".encode() + b"\xff\xfe").status == 401


PATHS = [
    "/api/public/../orders",
    "/api/public/%2e%2e/orders",
    "/api/public/..%2forders",
    "/api/public/..%5corders",
    "/api/public/..\\orders",
    "/api/public/..;/orders",
    "/api/public%2f..%2forders",
    "/api/public/.%00./orders",
    "/api/%70ublic/x",
    "/api/%2570ublic/x",
    "/api/PUBLIC/x",
    "/api//public/x",
    "//api/public/x",
    "/./api/public/x",
    "/api/public;x/x",
    "/api/ADMIN/x",
    "/api/%61dmin/x",
    "/api/admin;x",
    "/api//admin",
    "/api/x/../admin",
    "/api/admin%20",
]


@pytest.mark.parametrize("path", PATHS)
def test_no_spelling_of_a_path_gets_less_protection(ada: Browser, envoy: str, path: str) -> None:
    """Neither without a session nor with one that lacks the scope is such a path let through."""
    for lines in ([], [f"cookie: {session(ada)}"]):
        assert get(envoy, *lines, path=path).status in (400, 403, 404)


@pytest.mark.parametrize(
    "line",
    [
        "x-original-url: /api/public/x",
        "x-rewrite-url: /api/public/x",
        "x-envoy-original-path: /api/public/x",
        "x-forwarded-host: dry.example",
        "x-forwarded-uri: /api/public/x",
        "x-http-method-override: GET",
        "x-forwarded-for: 127.0.0.1",
        "user-agent: kube-probe/1.31",
    ],
)
def test_what_a_client_says_of_the_request_counts_for_nothing(envoy: str, line: str) -> None:
    """Only the request itself decides."""
    assert get(envoy, line).status == 401


@pytest.mark.parametrize("line", ["connection: authorization", "connection: cookie", "connection: x-user-id"])
def test_a_hop_by_hop_trick_takes_nothing_of_ours_away(ada: Browser, envoy: str, line: str) -> None:
    """What a client calls hop-by-hop may vanish on its side; the JWT we put in does not, nor does a spoof appear."""
    answer = get(envoy, f"cookie: {session(ada)}", "x-user-id: root", line)
    if answer.status == 200:
        assert len(received(answer, "authorization")) == 1
        assert received(answer, "x-user-id") == ["ada"]
    else:
        assert answer.status in (400, 401)


def get(
    envoy: str, *lines: str | bytes, method: str = "GET", path: str = "/api/orders", host: str = "localhost:10000"
) -> RawAnswer:
    """One request with these lines beside Host and the custom header."""
    return exchange(envoy, method, path, f"host: {host}", VERSION, *lines)


def session(browser: Browser) -> str:
    """The session as a cookie pair."""
    return f"{AT}={browser.cookies()[AT]}"
