"""The HTTP doors, for gateways that ask over HTTP.

Whoever can ask a door is told the JWT that belongs to a cookie. So a door is for the gateway alone: on a network
only it can reach, or with the shared secret, and never behind a public route.
"""

import hmac
from collections.abc import Mapping, Sequence

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from extauthz.decision import refuse
from extauthz.doors.desk import Desk
from extauthz.doors.dialects import Dialect, Reply, asked
from extauthz.reason import Reason
from extauthz.telemetry import Log

SECRET_HEADER = "x-token-handler-secret"  # noqa: S105  # the name of a header


class Door:
    """One dialect as an ASGI application: any method, bodies ignored."""

    def __init__(self, dialect: Dialect, desk: Desk, log: Log, *, secret: bytes | None, wait: float) -> None:
        self._dialect, self._desk, self._log = dialect, desk, log
        self._secret, self._wait = secret, wait

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Answer one authorization request."""
        try:
            reply = await self._answer(scope)
        except Exception as error:  # whatever we have overlooked, no gateway may take it for a yes
            self._log.trouble("", Reason.INTERNAL_ERROR, error)
            reply = Reply(status=500)
        body = b"" if scope["method"] == "HEAD" else reply.body.encode()
        headers = [(name.encode(), value.encode("utf-8", "surrogateescape")) for name, value in reply.headers]
        headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Scope) -> Reply:
        path = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        question = asked(scope["method"], path, scope["headers"])
        request = self._dialect.read(question)
        if not self._knows(question.headers.get(SECRET_HEADER, "")):
            denied = refuse(Reason.DOOR_SECRET, request)
            self._desk.report(request, denied, self._dialect.name, 0.0, cached=True)
            return self._dialect.write(denied)
        return self._dialect.write(await self._desk.decide(request, self._dialect.name, self._wait))

    def _knows(self, secret: str) -> bool:
        return self._secret is None or hmac.compare_digest(secret.encode("utf-8", "surrogateescape"), self._secret)


class Doors:
    """Every door at its path. Not a router's: to those an escaped line break is no path, and some redirect."""

    def __init__(self, doors: Mapping[str, ASGIApp]) -> None:
        self._doors = doors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Ask the door, or answer that there is none."""
        await self._at(scope["raw_path"].decode("latin-1"))(scope, receive, send)

    def _at(self, path: str) -> ASGIApp:
        below = (door for start, door in self._doors.items() if start.endswith("/") and path.startswith(start))
        return self._doors.get(path) or next(below, PlainTextResponse(status_code=404))


def doors(
    dialects: Sequence[Dialect],
    desk: Desk,
    log: Log,
    *,
    secret: str | None,
    wait: float,
    more: Mapping[str, ASGIApp] | None = None,
) -> ASGIApp:
    """All dialects, each at its path, and `more`, open to all. `wait`: seconds a gateway waits for an answer."""
    known = None if secret is None else secret.encode()
    asked_here = {dialect.path: Door(dialect, desk, log, secret=known, wait=wait) for dialect in dialects}
    return Doors({**asked_here, **(more or {})})
