"""What Envoy asks about a browser's request: all it has, or what the reference configuration lets out of it."""

import warnings
from uuid import UUID

with warnings.catch_warnings():  # the generated code uses what pydantic means to give up
    warnings.simplefilter("ignore", DeprecationWarning)
    from envoy_data_plane.envoy.config.core import v3 as core
    from envoy_data_plane.envoy.service.auth import v3 as auth

PATH = "/api/orders?page={}&size=50"
# A fetch of Chrome's on another origin of the same site, with the four pseudo headers and what Envoy adds.
BROWSER = {
    ":authority": "localhost:10000",
    ":method": "GET",
    ":scheme": "https",
    "sec-ch-ua-platform": '"Linux"',
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0",
    "accept": "application/json, text/plain, */*",
    "sec-ch-ua": '"Chromium";v="156", "Not.A/Brand";v="24", "Google Chrome";v="156"',
    "sec-ch-ua-mobile": "?0",
    "sec-fetch-site": "same-origin",
    "sec-fetch-mode": "cors",
    "sec-fetch-dest": "empty",
    "referer": "https://www.shop.example/orders",
    "accept-encoding": "gzip, deflate, br, zstd",
    "accept-language": "en-GB,en;q=0.9,de;q=0.8",
    "priority": "u=1, i",
    "token-handler-version": "1",
    "x-forwarded-proto": "https",
    "x-forwarded-for": "203.0.113.7",
}
# Those of `allowed_headers` in envoy/envoy.yaml that this request has, beside its cookies.
REFERENCE = ("sec-fetch-site", "token-handler-version")
NEIGHBOURS = "_ga=GA1.1.1234567890.1790000000; theme=dark; consent=all"  # cookies of others on the same page


def as_browser(cookie: str, number: int = 0) -> bytes:
    """The question about all headers, as Envoy puts it by default; by its `number` it differs from others of a page."""
    headers = {**BROWSER, ":path": PATH.format(number), **_own(cookie, number)}
    return _question(auth.AttributeContextHttpRequest(headers=headers), number)


def as_reference(cookie: str, number: int = 0) -> bytes:
    """The question of the reference configuration: what the proxy reads, in raw bytes."""
    lines = {**{name: BROWSER[name] for name in REFERENCE}, **_own(cookie, number)}
    entries = [core.HeaderValue(key=name, raw_value=value.encode()) for name, value in lines.items()]
    return _question(auth.AttributeContextHttpRequest(header_map=core.HeaderMap(headers=entries)), number)


def _own(cookie: str, number: int) -> dict[str, str]:
    return {"x-request-id": str(UUID(int=number << 64)), "cookie": f"{NEIGHBOURS}; {cookie}"}


def _question(http: auth.AttributeContextHttpRequest, number: int) -> bytes:
    http.id, http.method, http.path, http.scheme = str(10**18 + number), "GET", PATH.format(number), "https"
    http.host, http.protocol, http.size = BROWSER[":authority"], "HTTP/2", -1
    return bytes(
        auth.CheckRequest(
            attributes=auth.AttributeContext(
                source=_peer("203.0.113.7", 51234),
                destination=_peer("10.0.0.5", 8443),
                request=auth.AttributeContextRequest(http=http),
            )
        )
    )


def _peer(address: str, port: int) -> auth.AttributeContextPeer:
    socket = core.SocketAddress(address=address, port_value=port)
    return auth.AttributeContextPeer(address=core.Address(socket_address=socket))
