"""Health and metrics over HTTP, for those who look after the proxy; on listeners of their own."""

from collections.abc import Collection, Mapping

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from extauthz.metrics import CONTENT_TYPE, Metrics


class Operations:
    """`/healthz`: the process lives; `/readyz`: it can serve, and is not about to stop; `/metrics`, for Prometheus.

    `waiting_for`: apps whose authorization server has not been heard of yet, as it is from moment to moment;
    `more`: what else is served, by path.
    """

    def __init__(
        self, metrics: Metrics, waiting_for: Collection[str] = (), more: Mapping[str, ASGIApp] | None = None
    ) -> None:
        self._metrics, self._waiting_for, self._more = metrics, waiting_for, more or {}
        self.serving = True

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
        if not self.serving:
            return PlainTextResponse("draining\n", status_code=503)
        if self._waiting_for:
            apps = ", ".join(sorted(self._waiting_for))
            return PlainTextResponse(f"waiting for the authorization server of {apps}\n", status_code=503)
        return PlainTextResponse("ok\n")

    async def _scrape(self, _request: Request) -> Response:
        return Response(self._metrics.text(), headers={"content-type": CONTENT_TYPE})
