"""Health and metrics over HTTP, for those who look after the proxy; on listeners of their own."""

from collections.abc import Callable, Mapping
from typing import Protocol

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from extauthz.metrics import CONTENT_TYPE

READY, DRAINING = "ready", "draining"


class Scraped(Protocol):
    """What Prometheus reads."""

    def text(self) -> bytes:
        """All of it."""


class Operations:
    """`/healthz`: the process lives; `/readyz`: it can serve, and is not about to stop; `/metrics`, for Prometheus.

    `state`: READY, or why requests should go elsewhere, as it is from moment to moment; `more`: what else is served,
    by path.
    """

    def __init__(
        self, metrics: Scraped, state: Callable[[], str] = lambda: READY, more: Mapping[str, ASGIApp] | None = None
    ) -> None:
        self._metrics, self._state, self._more = metrics, state, more or {}

    def application(self) -> ASGIApp:
        """The three paths, and `more`."""
        routes = [
            Route("/healthz", self._alive),
            Route("/readyz", self._ready),
            Route("/metrics", self._scrape),
            *(Route(path, one) for path, one in self._more.items()),
        ]
        application = Starlette(routes=routes)
        application.router.redirect_slashes = False  # to a host of the caller's choice
        return application

    async def _alive(self, _request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def _ready(self, _request: Request) -> Response:
        state = self._state()
        return PlainTextResponse("ok\n") if state == READY else PlainTextResponse(f"{state}\n", status_code=503)

    async def _scrape(self, _request: Request) -> Response:
        return Response(self._metrics.text(), headers={"content-type": CONTENT_TYPE})
