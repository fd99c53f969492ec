"""Serves the single-page application: three static files with strict headers.

A path without a dot is one of the application's own (a callback, say) and gets index.html.
"""

from pathlib import Path

import click
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from demo.listen import Address, listen, listen_option

SPA = Path(__file__).parent / "spa"
HEADERS = {
    "content-security-policy": "default-src 'self'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


class StrictHeaders:
    """Puts HEADERS on every answer, the errors included."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def send_strictly(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self._app(scope, receive, send_strictly)


class SpaFiles(StaticFiles):
    """Static files, with index.html for the paths the application invents."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Answer the file; a missing one with a dot in its name stays missing."""
        try:
            return await super().get_response(path, scope)
        except HTTPException as error:
            if error.status_code != 404 or "." in path.rpartition("/")[2]:
                raise
        return await super().get_response("index.html", scope)


def create_site(directory: Path = SPA) -> Starlette:
    """Build the site."""
    return Starlette(
        routes=[Route("/healthz", healthz), Mount("/", SpaFiles(directory=directory, html=True))],
        middleware=[Middleware(StrictHeaders)],
    )


async def healthz(_request: Request) -> PlainTextResponse:
    """Answer that the process serves."""
    return PlainTextResponse("ok\n")


@click.command()
@listen_option("127.0.0.1:9002")
def main(address: Address) -> None:
    """Serve the demo's single-page application."""
    listen(create_site(), address)


if __name__ == "__main__":
    main()
