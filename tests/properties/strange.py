"""Strange requests, as gateways could hand them over: most of them wrong in one place, and right in all others."""

from collections.abc import Sequence
from typing import TypeVar

from hypothesis import strategies as st

from extauthz._pb.envoy.config.core.v3.base_pb2 import HeaderMap, HeaderValue
from extauthz._pb.envoy.service.auth.v3.attribute_context_pb2 import AttributeContext
from extauthz._pb.envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from fuzz.world import ORIGIN

Lines = Sequence[tuple[str, bytes]]
T = TypeVar("T")


def mostly(usual: st.SearchStrategy[T], strange: st.SearchStrategy[T]) -> st.SearchStrategy[T]:
    """One in ten is strange: with more, nothing would get far."""
    return st.integers(0, 9).flatmap(lambda number: strange if number == 9 else usual)


# Protobuf strings hold no lone surrogates; raw_value holds any bytes.
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
BYTES = st.binary(max_size=12) | WORDS.map(str.encode)
METHODS = mostly(st.sampled_from(["GET", "POST", "OPTIONS", "HEAD"]), st.sampled_from(["TRACE", "get"]) | WORDS)
PATHS = st.sampled_from(
    [
        "/",
        "/public/",
        "/feed/new",
        "/orders",
        "/public",
        "/public/x?y=/me",
        "/public/not",
        "/public/%6eot",
        "/public/../me",
        "/public//not",
        "/feed",
        "/me",
        "/ME",
        "*",
        "//feed",
        "https://api.shop.example/public",
    ]
)
HOSTS = mostly(
    st.sampled_from(["api.shop.example", "API.mall.example:443", "api.bank.example", "api.lab.example"]),
    st.sampled_from(["[::1]:8443", "api.shop.example,api.bank.example"]) | WORDS,
)
OURS = ("__Host-Http-shop-at", "mall-at", "__Secure-bank-at", "__Host-Http-lab-at")
COOKIES = st.sampled_from(OURS)
OTHER_COOKIES = st.sampled_from(
    [
        "mall-csrf",
        "__Host-Http-shop-login-7",
        "__Secure-shop-rt",
        "xmall-at",
        "MALL-AT",
        "a",
        "",
        "$Version",
        " mall-at",
    ]
)
# The first letter is what a credential of the fuzz world comes to.
CREDENTIALS = st.builds(
    "{}{}".format, st.sampled_from("gggggeiosatuzkmv"), st.sampled_from(["", "x", "a.b.c", '"', "%3D", "x=="])
)
PAIRS = st.one_of(
    st.builds("{}={}".format, COOKIES, CREDENTIALS),
    st.builds("{}={}".format, OTHER_COOKIES, st.just("cx") | WORDS),
    WORDS,
)
SEAMS = st.sampled_from(["; ", ";", ",", ", ", ";;\t"])
COOKIE_LINES = st.builds(lambda pairs, seam: seam.join(pairs).encode(), st.lists(PAIRS, max_size=4), SEAMS)
USUAL_NAMES = st.sampled_from(
    [
        "authorization",
        "Authorization",
        "authorization_",
        "token-handler-version",
        "origin",
        "sec-fetch-site",
        "access-control-request-method",
        "access-control-request-headers",
        "x-mall-csrf",
        "x-user-id",
        "x_user_id",
        "x-user_id",
        "X.User.Id",
        "x-user-roles",
        "x_user.roles",
        "x_user\nid",
        "tenant",
        "x-name",
        "x-request-id",
        "x-forwarded-method",
        "x-original-method",
    ]
)
USUAL_VALUES = st.sampled_from(
    [
        b"1",
        b"x",
        ORIGIN.encode(),
        b"https://www.mall.example",
        b"https://evil.example",
        b"null",
        b"same-origin",
        b"cross-site",
        b"PUT",
        b"x-a, x-b",
        b"x-a\r\nset-cookie: a=b",
        b"Bearer good",
        b"bearer  a.b.c ",
        b"Bearer a,Bearer b",
        b"Basic eA==",
        b"\xff\xfe",
        b"",
    ]
)
COOKIE = st.tuples(st.just("cookie"), mostly(COOKIE_LINES, BYTES))
LINE = mostly(st.tuples(mostly(USUAL_NAMES, WORDS), mostly(USUAL_VALUES, BYTES)), COOKIE)
VERSION = ("token-handler-version", b"1")
PREFLIGHT = ("access-control-request-method", b"PUT")
# Our cookie of every app, so that whatever host is asked has one.
SESSION = st.builds(
    lambda value: ("cookie", "; ".join(["a=1", *(f"{name}={value}" for name in OURS), "mall-csrf=cx"]).encode()),
    CREDENTIALS,
)
BEARER = st.builds(
    lambda scheme, value: ("authorization", f"{scheme} {value}".encode()),
    st.sampled_from(["Bearer", "bearer", "Bearer  ", "Basic"]),
    CREDENTIALS,
)
ORIGIN_LINE = st.tuples(st.just("origin"), mostly(st.just(ORIGIN.encode()), USUAL_VALUES))
HEADERS: st.SearchStrategy[Lines] = st.builds(
    lambda usual, more, left_out: [*(line for n, line in enumerate(usual) if n not in left_out), *more],
    st.tuples(
        mostly(SESSION, BEARER), st.just(("token-handler-version", b"1")), ORIGIN_LINE, st.just(("x-mall-csrf", b"x"))
    ),
    st.lists(mostly(LINE, st.just(PREFLIGHT)), max_size=3),
    mostly(st.just(set[int]()), st.sets(st.integers(0, 3), max_size=4)),
)
CONTEXTS = mostly(
    st.just(dict[str, str]()),
    st.dictionaries(
        st.sampled_from(["app", "auth", "csrf", "upstream", "scope", "audience", "resource"]) | WORDS,
        st.sampled_from(["shop", "mall", "off", "optional", "required", "origin", "double-submit", "opaque", "x", ""])
        | WORDS,
        max_size=2,
    ),
)


def _check_request(
    start: tuple[str, str, str], lines: Lines, context: dict[str, str], raw: bool, unread: bytes
) -> bytes:
    method, path, host = start
    http = AttributeContext.HttpRequest(method=method, path=path, host=host)
    if raw:
        entries = [HeaderValue(key=name, raw_value=value) for name, value in lines]
        http.header_map.CopyFrom(HeaderMap(headers=entries))
    else:
        # As Envoy joins them; bytes that are not UTF-8 it replaces.
        joined: dict[str, str] = {}
        for name, value in lines:
            text = value.decode("utf-8", "replace")
            joined[name] = f"{joined[name]},{text}" if name in joined else text
        http.headers.update(joined)
    attributes = AttributeContext(request=AttributeContext.Request(http=http), context_extensions=context)
    return CheckRequest(attributes=attributes).SerializeToString() + unread


STARTS = st.tuples(METHODS, mostly(PATHS, WORDS), HOSTS)
CHECK_REQUESTS = st.builds(_check_request, STARTS, HEADERS, CONTEXTS, st.booleans(), mostly(st.just(b""), BYTES))


def _told(start: tuple[str, str, str], lines: Lines, left_out: set[int]) -> list[tuple[bytes, bytes]]:
    """What a gateway adds to the client's own headers, for every dialect at once."""
    method, path, host = (word.encode() for word in start)
    told = [
        (b"host", host),
        (b"x-forwarded-method", method),
        (b"x-forwarded-host", host),
        (b"x-forwarded-uri", path),
        (b"x-original-method", method),
        (b"x-original-url", b"https://" + host + path),
    ]
    usual = [line for number, line in enumerate(told) if number not in left_out]
    return [*usual, *((name.encode(), value) for name, value in lines)]


HTTP_REQUESTS = st.tuples(STARTS, HEADERS, mostly(st.just(set[int]()), st.sets(st.integers(0, 5), max_size=2))).map(
    lambda parts: (parts[0][0], parts[0][1].encode(), _told(*parts))
)
