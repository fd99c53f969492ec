"""Health and metrics over HTTP, for those who look after the proxy; on listeners of their own."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from extauthz.metrics import CONTENT_TYPE, Metrics


class Operations:
    """`/healthz`: the process lives; `/readyz`: it serves and is not about to stop; `/metrics`, for Prometheus."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self.serving = True

    def application(self) -> ASGIApp:
        """The three paths."""
        routes = [
            Route("/healthz", self._alive),
            Route("/readyz", self._ready),
            Route("/metrics", self._scrape),
        ]
        application = Starlette(routes=routes)
        application.router.redirect_slashes = False  # to a host of the caller's choice
        return application

    async def _alive(self, _request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def _ready(self, _request: Request) -> Response:
        return PlainTextResponse("ok\n") if self.serving else PlainTextResponse("draining\n", status_code=503)

    async def _scrape(self, _request: Request) -> Response:
        return Response(self._metrics.text(), headers={"content-type": CONTENT_TYPE})
