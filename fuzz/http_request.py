"""What a gateway could send the HTTP doors: a start line and header lines, to the answer in every dialect."""

from extauthz.doors import resolver
from extauthz.doors.dialects import ENVOY, ENVOY_PREFIX, FORWARD, NGINX, RawHeaders, asked
from fuzz.promises import check_reply, check_world
from fuzz.world import ORIGIN, World

WORLD = World()
DIALECTS = (ENVOY, FORWARD, NGINX, resolver.dialect("x-authgear-"))

GOOD = ("token-handler-version: 1", f"origin: {ORIGIN}")
SESSIONS = {
    "api.shop.example": ("cookie: __Host-Http-shop-at=good; a=1; __Host-Http-shop-login-7=x", "x.user.id: root"),
    "api.mall.example": ("cookie: mall-at=good; mall-csrf=cx; b=2", "x-mall-csrf: x"),
    "api.bank.example": ("cookie: __Secure-bank-at=ebb,__Secure-bank-rt=1", "sec-fetch-site: same-origin"),
    "api.lab.example": ("cookie: __Host-Http-lab-at=inactive", "cookie: b=2", "authorization: Bearer bbb"),
}
STARTS = ("POST /orders", "GET /public/x?y=1", "DELETE /feed", "OPTIONS /", "GET /public/%2e%2e/me")


def seeds() -> list[bytes]:
    """Requests that get far in every dialect, for each app."""
    found = [b""]
    for host, session in SESSIONS.items():
        for start in STARTS:
            method, _, path = start.partition(" ")
            told = (
                f"host: {host}",
                f"x-forwarded-method: {method}",
                f"x-forwarded-host: {host}",
                f"x-forwarded-uri: {path}",
                f"x-original-method: {method}",
                f"x-original-url: https://{host}{path}",
            )
            preflight = ("access-control-request-method: PUT",) if method == "OPTIONS" else ()
            found.append("\n".join((start, *told, *GOOD, *preflight, *session)).encode())
    return found


def run(data: bytes) -> None:
    """Ask in every dialect, and hold the answers to the promises. Raises BrokenPromise."""
    start, *lines = data.split(b"\n")
    method, _, path = start.partition(b" ")
    headers = [(name, value.strip(b" ")) for name, _, value in (line.partition(b":") for line in lines)]
    check(method.decode("latin-1"), path, headers)


def check(method: str, path: bytes, headers: RawHeaders) -> None:
    """One request in every dialect. Raises BrokenPromise."""
    for dialect in DIALECTS:
        whole = ENVOY_PREFIX.encode() + path if dialect is ENVOY else path
        request = dialect.read(asked(method, whole, headers))
        decision = WORLD.ask(request, dialect.name)
        check_reply(dialect.name, dialect.write(decision), request, decision, WORLD)
        check_world(WORLD)
