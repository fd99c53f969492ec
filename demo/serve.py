"""Serves the single-page application: three static files with strict headers.

A path without a dot is one of the application's own (a callback, say) and gets index.html. Where agent and API have an
origin of their own, the page is told so, and may call it.
"""

from pathlib import Path

import click
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from demo.listen import Address, listen, listen_option

SPA = Path(__file__).parent / "spa"
HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}
# Where index.html says whom to call: paths, which an origin is put in front of.
CALLED = ('content="/oauth-agent"', 'content="/api"')


class StrictHeaders:
    """Puts HEADERS and the page's policy on every answer, the errors included."""

    def __init__(self, app: ASGIApp, policy: str) -> None:
        self._app = app
        self._headers = {**HEADERS, "content-security-policy": policy}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def send_strictly(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self._headers)
            await send(message)

        await self._app(scope, receive, send_strictly)


class SpaFiles(StaticFiles):
    """Static files, with the page for the paths the application invents."""

    def __init__(self, directory: Path, page: str) -> None:
        super().__init__(directory=directory)
        self._page = page

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Answer the file; a missing one with a dot in its name stays missing."""
        if path in (".", "index.html"):
            return HTMLResponse(self._page)
        try:
            return await super().get_response(path, scope)
        except HTTPException as error:
            if error.status_code != 404 or "." in path.rpartition("/")[2]:
                raise
        return HTMLResponse(self._page)


def content_security_policy(api_origin: str = "") -> str:
    """Nothing from elsewhere, calls to one other origin at most, and nobody's frame around the page."""
    # default-src does not cover frames: who puts the page into one could make a person click "Sign out".
    connect = f"connect-src 'self' {api_origin}; " if api_origin else ""
    return f"default-src 'self'; {connect}frame-ancestors 'none'"


def create_site(directory: Path = SPA, api_origin: str = "") -> Starlette:
    """Build the site; `api_origin`: where agent and API are, when not here."""
    page = (directory / "index.html").read_text("utf-8")
    for path in CALLED:
        page = page.replace(path, path.replace('"/', f'"{api_origin}/'))
    return Starlette(
        routes=[Route("/healthz", healthz), Mount("/", SpaFiles(directory, page))],
        middleware=[Middleware(StrictHeaders, content_security_policy(api_origin))],
    )


async def healthz(_request: Request) -> PlainTextResponse:
    """Answer that the process serves."""
    return PlainTextResponse("ok\n")


@click.command()
@listen_option("127.0.0.1:9002")
@click.option("--api-origin", default="", help="Where OAuth Agent and API are, when not beside the page.")
def main(address: Address, api_origin: str) -> None:
    """Serve the demo's single-page application."""
    listen(create_site(api_origin=api_origin), address)


if __name__ == "__main__":
    main()
