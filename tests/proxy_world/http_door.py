"""Asking an HTTP door as a gateway does, byte for byte, without a socket between."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from starlette.types import ASGIApp, Message

from extauthz.decision import Headers
from extauthz.request import Request

Lines = Iterable[tuple[str, str]]


@dataclass(frozen=True)
class HttpAnswer:
    """What the gateway is told. Header names in lower case."""

    status: int
    headers: Headers
    body: str

    def get(self, name: str) -> list[str]:
        """Every value of one header."""
        return [value for key, value in self.headers if key == name]


async def ask_http(app: ASGIApp, method: str, path: str, lines: Lines) -> HttpAnswer:
    """The answer to one request with these header lines. `path` may have a query."""
    raw_path, _, query = path.partition("?")
    scope = {
        "type": "http",
        "method": method,
        "path": raw_path,
        "raw_path": raw_path.encode("utf-8", "surrogateescape"),
        "query_string": query.encode("utf-8", "surrogateescape"),
        "headers": [(name.encode(), value.encode("utf-8", "surrogateescape")) for name, value in lines],
        "root_path": "",
        "scheme": "http",
    }
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    headers = tuple((n.decode(), v.decode("utf-8", "surrogateescape")) for n, v in sent[0]["headers"])
    return HttpAnswer(sent[0]["status"], headers, b"".join(m["body"] for m in sent[1:]).decode())


def as_envoy(request: Request) -> tuple[str, str, Lines]:
    """Method, path and lines as Envoy's HTTP service sends them."""
    return request.method, f"/auth/envoy{request.path}", [("host", request.host), *lines_of(request)]


def as_forwarded(request: Request) -> tuple[str, str, Lines]:
    """As Traefik and Caddy send them."""
    forwarded = {
        "x-forwarded-method": request.method,
        "x-forwarded-host": request.host,
        "x-forwarded-uri": request.path,
    }
    return "GET", "/auth/forward", [("host", "extauthz:9192"), *told(forwarded), *lines_of(request)]


def as_original(request: Request) -> tuple[str, str, Lines]:
    """As nginx sends them, by our configuration for it."""
    original = {
        "x-original-method": request.method,
        "x-original-url": f"https://{request.host}{request.path}",
    }
    return "GET", "/auth/nginx", [("host", "extauthz:9192"), *told(original), *lines_of(request)]


def as_resolved(request: Request) -> tuple[str, str, Lines]:
    """As nginx sends them to a resolver."""
    original = {"x-original-method": request.method}
    return "GET", "/resolve", [("host", request.host), *told(original), *lines_of(request)]


def lines_of(request: Request) -> list[tuple[str, str]]:
    """The client's own header lines, cookies and all."""
    return [*request.headers.items(), *(("cookie", line) for line in request.cookies.lines)]


def told(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    """What the gateway says; gateways leave empty headers out."""
    return [(name, value) for name, value in headers.items() if value]
